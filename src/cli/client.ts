import { EXIT, Exit, usage, type ExitCode } from './exit.ts';
import { clean } from './text.ts';

/** Where the server is, and who asks. */
export interface ClientOptions {
  readonly url: string;
  /** GONOGO_TOKEN; never given on a command line, where every process could read it. */
  readonly token: string | undefined;
  readonly note: (text: string) => void;
  /** Ends every request. */
  readonly signal: AbortSignal;
}

/** One request's extras. */
export interface Asking {
  readonly accept?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One event of a stream. */
export interface StreamEvent {
  readonly id?: string;
  readonly name: string;
  readonly data: string;
}

/** gonogo's HTTP API. Everything throws Exit: 75 when the server cannot answer, else by what it answered. */
export interface ApiClient {
  readonly url: string;
  get(path: string): Promise<unknown>;
  send(method: 'POST' | 'PUT', path: string, body: unknown, asking?: Asking): Promise<unknown>;
  text(path: string, accept: string): Promise<string>;
  /** Events after `last`, until the server ends the stream (it returns then) or it breaks (it throws). */
  events(path: string, last: string | undefined, signal: AbortSignal): AsyncGenerator<StreamEvent>;
}

/** A server's refusal, with its stable code. */
export class Refused extends Exit {
  readonly status: number;
  readonly code: string;
  constructor(exit: ExitCode, status: number, code: string, message: string, hint?: string) {
    super(exit, message, hint);
    this.name = 'Refused';
    this.status = status;
    this.code = code;
  }
}

const WITHIN = 15_000;
/** A stream without a sign of life for so long is dead: the server beats every few seconds. */
const SILENT = 30_000;

/** Opens the client. Throws Exit for a bad address. */
export function openClient(options: ClientOptions): ApiClient {
  const base = baseOf(options.url);
  const { token, signal } = options;
  if (token !== undefined && /[^\x21-\x7e]/.test(token))
    throw usage('GONOGO_TOKEN holds blanks or other characters that no token has', 'set it again: export GONOGO_TOKEN=...');
  if (token !== undefined && new URL(base).protocol === 'http:' && !isLoopback(base))
    options.note(`warning: ${base} is not encrypted; the token can be read on the way`);

  async function ask(path: string, init: RequestInit, until: AbortSignal): Promise<Response> {
    const headers = { ...(token === undefined || token === '' ? {} : { authorization: `Bearer ${token}` }), ...(init.headers as Record<string, string>) };
    let response: Response;
    try {
      response = await fetch(`${base}${path}`, { ...init, headers, redirect: 'manual', signal: until });
    } catch (error) {
      signal.throwIfAborted();
      throw unreachable(base, error);
    }
    if (response.ok) return response;
    throw await refusal(response);
  }

  async function body<T>(read: Promise<T>): Promise<T> {
    try {
      return await read;
    } catch (error) {
      signal.throwIfAborted();
      throw unreachable(base, error);
    }
  }

  const deadline = (): AbortSignal => AbortSignal.any([signal, AbortSignal.timeout(WITHIN)]);
  return {
    url: base,
    async get(path) {
      const response = await ask(path, { headers: { accept: 'application/json' } }, deadline());
      return parsed(await body(response.text()), base);
    },
    async send(method, path, content, asking = {}) {
      const headers = { 'content-type': 'application/json', accept: asking.accept ?? 'application/json', ...asking.headers };
      const response = await ask(path, { method, headers, body: JSON.stringify(content) }, deadline());
      const text = await body(response.text());
      return text === '' ? undefined : parsed(text, base);
    },
    async text(path, accept) {
      return body((await ask(path, { headers: { accept } }, deadline())).text());
    },
    async *events(path, last, until) {
      const headers = { accept: 'text/event-stream', ...(last === undefined ? {} : { 'last-event-id': last }) };
      const silence = new AbortController();
      const all = AbortSignal.any([until, signal, silence.signal]);
      let timer = setTimeout(() => silence.abort(), SILENT);
      try {
        const response = await ask(path, { headers }, all);
        if (response.body === null) return;
        let rest = '';
        for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
          clearTimeout(timer);
          timer = setTimeout(() => silence.abort(), SILENT);
          const blocks = (rest + chunk).split(/\r?\n\r?\n/);
          rest = blocks.pop() ?? '';
          for (const block of blocks) {
            const event = readEvent(block);
            if (event !== undefined) yield event;
          }
        }
      } catch (error) {
        signal.throwIfAborted();
        throw error instanceof Exit ? error : unreachable(base, error);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

function readEvent(block: string): StreamEvent | undefined {
  let id: string | undefined;
  let name = 'message';
  const data: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    const [field, value] = line.includes(':') ? [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).replace(/^ /, '')] : [line, ''];
    if (field === 'id') id = value;
    else if (field === 'event') name = value;
    else if (field === 'data') data.push(value);
  }
  if (data.length === 0 && id === undefined && name === 'message') return undefined;
  return { name, data: data.join('\n'), ...(id === undefined ? {} : { id }) };
}

function baseOf(url: string): string {
  const wrong = usage('the server’s address cannot be read; expected one like http://127.0.0.1:7077', 'correct --server or GONOGO_URL');
  if (!URL.canParse(url)) throw wrong;
  const { protocol, username, password, search, hash } = new URL(url);
  if (!/^https?:$/.test(protocol) || username !== '' || password !== '' || search !== '' || hash !== '') throw wrong;
  return url.replace(/\/+$/, '');
}

function isLoopback(url: string): boolean {
  const { hostname } = new URL(url);
  return hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');
}

function unreachable(base: string, error: unknown): Exit {
  const cause: unknown = error instanceof Error ? error.cause : undefined;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : undefined;
  const why =
    error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError')
      ? 'no answer in time'
      : (code ?? (error instanceof Error ? error.message : String(error)));
  return new Exit(EXIT.unreachable, `${base} cannot be reached: ${clean(why)}`, 'start one with "gonogo start", or name another with --server or GONOGO_URL');
}

function parsed(text: string, base: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new Exit(EXIT.error, `${base} did not answer JSON; is it a gonogo server?`, 'check --server or GONOGO_URL');
  }
}

interface Problem {
  readonly code?: string;
  readonly title?: string;
  readonly detail?: string;
  readonly hint?: string;
  readonly problems?: readonly unknown[];
}

/** What a refused request means to the shell: the input, the authority, or a server that could not answer. */
function exitFor(status: number, code: string): ExitCode {
  if (code === 'no_go_stands') return EXIT.noGo;
  if (status === 401 || status === 403) return EXIT.notAllowed;
  if (status === 429 || status === 502 || status === 503 || status === 504) return EXIT.unreachable;
  return status >= 500 || status < 400 ? EXIT.error : EXIT.usage;
}

async function refusal(response: Response): Promise<Refused> {
  const { status } = response;
  const text = await response.text().catch(() => '');
  let problem: Problem = {};
  try {
    const read: unknown = JSON.parse(text);
    if (typeof read === 'object' && read !== null) problem = read;
  } catch {
    // Something between us and the server answered; its status is all there is.
  }
  const code = problem.code ?? `http_${status}`;
  const said = problem.detail ?? problem.title ?? `the server answered ${status}`;
  const lines = (problem.problems ?? []).map((each) => `\n  ${problemLine(each)}`);
  const hint = problem.hint ?? (status === 401 ? 'set GONOGO_TOKEN; "gonogo token create" makes one' : undefined);
  return new Refused(exitFor(status, code), status, code, `${clean(said)} (${clean(code)})${lines.join('')}`, hint === undefined ? undefined : clean(hint));
}

function problemLine(problem: unknown): string {
  if (typeof problem !== 'object' || problem === null) return clean(String(problem));
  const { line, column, path, where, message, hint } = problem as Readonly<Record<string, unknown>>;
  const at =
    typeof line === 'number' && line > 0
      ? `${line}:${String(column)}  `
      : typeof where === 'string'
        ? `${where}: `
        : typeof path === 'string' && typeof message === 'string' && !message.startsWith(path)
          ? `${path}: `
          : '';
  return clean(`${at}${String(message)}${typeof hint === 'string' && hint !== '' ? ` (${hint})` : ''}`);
}
