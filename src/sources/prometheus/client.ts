import { httpClient, redact, type HttpClient } from '../../http.ts';
import { clip, EVERY_STATUS, failing, type Failing } from '../ask.ts';
import type { PrometheusConfig } from './config.ts';

/** The `data` of an answer as it came, unchecked. */
export interface Data {
  readonly resultType: string;
  readonly result: unknown;
}

/** What the query API said: its data, or why there is none. */
export type Reply = { readonly ok: true; readonly data: Data } | { readonly ok: false; readonly failing: Failing };

/** The two calls of the query API, in its own words: seconds, strings and forms. */
export interface PrometheusClient {
  /** `at` (ms) is the time of evaluation; the source's own now where it is left out. */
  instant(query: string, limit: number, signal: AbortSignal, at?: number): Promise<Reply>;
  /** Many series at a stated time (ms): a larger answer, and any warning is a failure. */
  many(query: string, at: number, signal: AbortSignal): Promise<Reply>;
  /** The metric's types as its targets tell them; none where the server does not know. */
  types(metric: string, signal: AbortSignal): Promise<readonly string[]>;
  /** `start`, `end` and `step` in ms. */
  range(query: string, start: number, end: number, step: number, signal: AbortSignal): Promise<Reply>;
  close(): void;
}

const refused = (reason: Failing['reason'], detail: string): Reply => ({ ok: false, failing: { reason, detail } });
const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
/** Largest answer with the samples of many series, bytes. */
const WIDE = 16_777_216;
const seconds = (ms: number): string => (ms / 1000).toFixed(3);

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** One body of the query API (https://prometheus.io/docs/prometheus/latest/querying/api/#format-overview). Infos are hints; warnings mean that the data may be partial. */
export function readBody(status: number, text: string, hide: (text: string) => string, one = true): Reply {
  const body = parse(text);
  if (isObject(body) && body['status'] === 'error') {
    const said = [body['errorType'], body['error']].filter((part) => typeof part === 'string').join(': ');
    return refused('status', `answered ${status} with an error: ${clip(hide(said))}`);
  }
  if (status < 200 || status >= 300) return refused('status', `answered ${status}: ${clip(hide(text))}`);
  if (!isObject(body) || body['status'] !== 'success')
    return refused('malformed', `answered ${status} with "${clip(hide(text), 60)}"; expected the JSON of Prometheus' query API`);
  const { data, warnings } = body as { data?: unknown; warnings?: unknown };
  if (!isObject(data) || typeof data['resultType'] !== 'string' || data['result'] === undefined)
    return refused('malformed', 'answered success without data.resultType and data.result');
  const warned = Array.isArray(warnings) ? warnings.filter((warning) => typeof warning === 'string') : [];
  // Several series are told first: a limit that cuts them off is a warning, too.
  const many = one && data['resultType'] === 'vector' && Array.isArray(data['result']) && data['result'].length > 1;
  if (warned.length > 0 && !many) return refused('warnings', `answered with warnings, the data may be partial: ${clip(hide(warned.join('; ')))}`);
  return { ok: true, data: { resultType: data['resultType'], result: data['result'] } };
}

/** Opens a client. Never rejects: what goes wrong is in the reply. */
export function prometheusClient(name: string, config: PrometheusConfig): PrometheusClient {
  const secrets = [...(config.token === undefined ? [] : [config.token]), ...Object.values(config.headers ?? {})];
  const options = {
    name: `source ${name}`,
    baseUrl: config.url.replace(/\/+$/, ''),
    timeout: config.timeout,
    headers: { ...config.headers, ...(config.token === undefined ? {} : { authorization: `Bearer ${config.token}` }) },
    secrets,
    ...(config.caFile === undefined ? {} : { caFile: config.caFile }),
  };
  const http: HttpClient = httpClient(options);
  const wide: HttpClient = httpClient({ ...options, maxBytes: WIDE });
  const hide = (text: string): string => redact(text, secrets);

  async function ask(path: string, form: Readonly<Record<string, string>>, signal: AbortSignal, one = true): Promise<Reply> {
    const body = new URLSearchParams({ ...form, timeout: `${Math.ceil(config.timeout)}ms` }).toString();
    const headers = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' };
    try {
      const response = await (one ? http : wide).send({ method: 'POST', url: path, body, headers, accept: EVERY_STATUS, repeatable: true }, signal);
      return readBody(response.status, response.text, hide, one);
    } catch (error) {
      return { ok: false, failing: failing(error) };
    }
  }

  async function types(metric: string, signal: AbortSignal): Promise<readonly string[]> {
    try {
      const response = await http.send({ url: '/api/v1/metadata', query: { metric, limit: 1 }, headers: { accept: 'application/json' } }, signal);
      const body = parse(response.text);
      const data = isObject(body) && isObject(body['data']) ? body['data'][metric] : undefined;
      return Array.isArray(data) ? data.flatMap((told: unknown) => (isObject(told) && typeof told['type'] === 'string' ? [told['type']] : [])) : [];
    } catch {
      // A hint for a person, which not every server has.
      return [];
    }
  }

  return {
    instant: (query, limit, signal, at) => ask('/api/v1/query', { query, limit: String(limit), ...(at === undefined ? {} : { time: seconds(at) }) }, signal),
    many: (query, at, signal) => ask('/api/v1/query', { query, time: seconds(at) }, signal, false),
    types,
    range: (query, start, end, step, signal) => ask('/api/v1/query_range', { query, start: seconds(start), end: seconds(end), step: seconds(step) }, signal),
    close: () => {
      http.close();
      wide.close();
    },
  };
}
