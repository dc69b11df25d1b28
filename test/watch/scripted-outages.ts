import { createServer, type Server, type ServerResponse } from 'node:http';

/** Every way in which a source can be out, as it looks on the wire. */
export const OUTAGES = [
  'empty',
  'NaN',
  '+Inf',
  '-Inf',
  'stale',
  'two series',
  'wrong type',
  '4xx',
  '5xx',
  '200 with status error',
  'refused',
  'hang',
  'cut body',
  'warnings',
] as const;
export type OutageKind = (typeof OUTAGES)[number];

/** What an outage leaves a gate with: an answer without data, or no answer. */
export const lackOf = (kind: OutageKind): 'noData' | 'error' => (['empty', 'NaN', '+Inf', '-Inf', 'stale'].includes(kind) ? 'noData' : 'error');

/** One launch's source: what it has at a time (ms), by a script. */
export interface ScriptedPrometheus {
  readonly kind: OutageKind;
  /** It is out from `from` up to `to` (ms). */
  readonly from: number;
  readonly to: number;
  /** Afterwards it still has what it could not tell. */
  readonly remembers: boolean;
}

type Sample = readonly [seconds: number, value: string];

/** The query that asks for ages is told by its marks. */
const isFreshness = (query: string): boolean => query.includes('label_replace(');
const healthyValue = (query: string): string => (query === 'total' ? '500' : '0');

function vector(series: readonly (readonly [metric: Record<string, string>, value: Sample])[]): unknown {
  return { resultType: 'vector', result: series.map(([metric, value]) => ({ metric, value })) };
}

function ages(at: number, age: number): unknown {
  const told = ['0', '1'].map((mark) => [{ gonogo: mark }, [at / 1000, String(age)]] as const);
  return vector([...told, [{ gonogo: 'now' }, [at / 1000, String(at / 1000)]]]);
}

/** One answer: its status, and the document. */
interface Said {
  readonly status: number;
  readonly document: unknown;
}

const said = (data: unknown, more: Record<string, unknown> = {}): Said => ({ status: 200, document: { status: 'success', data, ...more } });
const refusal = (status: number): Said => ({ status, document: { status: 'error', errorType: 'execution', error: 'the disk is full' } });

function healthy(query: string, at: number): Said {
  return said(isFreshness(query) ? ages(at, 5) : vector([[{}, [at / 1000, healthyValue(query)]]]));
}

/** What is said of a query while the source is out; undefined where nothing is. */
function out(kind: Exclude<OutageKind, 'cut body' | 'refused'>, query: string, at: number): Said | undefined {
  const number = (text: string): Said => (isFreshness(query) ? healthy(query, at) : said(vector([[{}, [at / 1000, text]]])));
  switch (kind) {
    case '4xx':
      return refusal(422);
    case '5xx':
      return refusal(503);
    case '200 with status error':
      return refusal(200);
    case 'hang':
      return undefined;
    case 'warnings':
      return said(isFreshness(query) ? ages(at, 5) : vector([[{}, [at / 1000, healthyValue(query)]]]), { warnings: ['one store of two could not be reached'] });
    case 'stale':
      return isFreshness(query) ? said(ages(at, 3_600)) : healthy(query, at);
    case 'empty':
      return isFreshness(query) ? healthy(query, at) : said(vector([]));
    case 'two series':
      return isFreshness(query) ? healthy(query, at) : said(vector(['a', 'b'].map((instance) => [{ instance }, [at / 1000, healthyValue(query)]] as const)));
    case 'wrong type':
      return isFreshness(query) ? healthy(query, at) : said({ resultType: 'string', result: [at / 1000, 'well'] });
    case 'NaN':
    case '+Inf':
    case '-Inf':
      return number(kind);
    default:
      return kind satisfies never;
  }
}

function tell(response: ServerResponse, answer: Said | undefined): void {
  if (answer === undefined) return;
  const text = JSON.stringify(answer.document);
  response.writeHead(answer.status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }).end(text);
}

function cut(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': 4_000 }).write('{"status":"success","data":{"resultTy');
  setImmediate(() => response.destroy());
}

function range(script: ScriptedPrometheus, form: URLSearchParams): Said {
  const query = form.get('query') ?? '';
  const [start, end, step] = ['start', 'end', 'step'].map((name) => Math.round(Number(form.get(name)) * 1000));
  if (start === undefined || end === undefined || step === undefined || !(step > 0)) throw new Error('a range without start, end and step was asked for');
  const has = (at: number): boolean => at < script.from || at >= script.to || script.remembers;
  const times = Array.from({ length: Math.floor((end - start) / step) + 1 }, (_, index) => start + index * step).filter(has);
  const series = (metric: Record<string, string>, value: string) => ({ metric, values: times.map((at) => [at / 1000, value]) });
  const all = isFreshness(query) ? ['0', '1', 'now'].map((mark) => series({ gonogo: mark }, '5')) : [series({}, healthyValue(query))];
  return said({ resultType: 'matrix', result: times.length === 0 ? [] : all });
}

/** A server of Prometheus' query API under `/<number>` for each script, at the time that `now` tells. */
export interface ScriptedServer {
  readonly url: string;
  readonly requests: () => number;
  /** From now on nobody listens, or somebody does again. */
  listen(on: boolean): Promise<void>;
  close(): Promise<void>;
}

/** Starts one on a free port of 127.0.0.1, which it keeps. */
export async function scriptedServer(scripts: ReadonlyMap<number, ScriptedPrometheus>, now: () => number): Promise<ScriptedServer> {
  let requests = 0;
  const server: Server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      requests += 1;
      const [, number = '', path = ''] = /^\/(\d+)\/api\/v1\/(\w+)$/.exec(request.url ?? '') ?? [];
      const script = scripts.get(Number(number));
      if (script === undefined) throw new Error(`${request.url ?? ''} was asked; expected /<number>/api/v1/query`);
      const form = new URLSearchParams(Buffer.concat(chunks).toString());
      const [at, query] = [now(), form.get('query') ?? ''];
      const { kind, from, to } = script;
      if (at < from || at >= to) tell(response, path === 'query_range' ? range(script, form) : healthy(query, at));
      else if (kind === 'cut body') cut(response);
      else if (kind === 'refused') throw new Error('a source that refuses was asked; its server should be closed');
      else tell(response, out(kind, query, at));
    });
  });
  const open = (port: number) =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
  const shut = () =>
    new Promise<void>((resolve) => {
      server.close(() => {
        resolve();
      });
      server.closeAllConnections();
    });
  await open(0);
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port; expected one on 127.0.0.1');
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests: () => requests,
    listen: async (on) => {
      if (on !== server.listening) await (on ? open(address.port) : shut());
    },
    close: () => (server.listening ? shut() : Promise.resolve()),
  };
}
