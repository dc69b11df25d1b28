import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import axios, { AxiosError, type AxiosInstance } from 'axios';
import { budgetWith, instantOf, untilReset } from './budget.ts';
import { Retryable, Terminal } from './core/failure.ts';

/** How one vendor, source or evaluator is spoken to. */
export interface HttpOptions {
  /** Who is asked, in words, for error messages: `prometheus prometheus`, `ofrep app`. */
  readonly name: string;
  readonly baseUrl?: string;
  /** Total time of one request, ms: name lookup, connecting, sending and reading the last byte. Default 10,000. */
  readonly timeout?: number;
  /** Largest answer, bytes; a larger one is refused with Terminal `too-large`. Default 1 MB. */
  readonly maxBytes?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Texts that never appear in an error. */
  readonly secrets?: readonly string[];
  /** Connections per host. Default 16. */
  readonly maxSockets?: number;
  /** PEM file of the authority that signed the server's certificate. */
  readonly caFile?: string;
  /** Share (0..1) of the vendor's rate budget, as its headers tell it, that only requests with `purpose: 'rollback'` may spend. Left out: nothing is kept. */
  readonly reserve?: number;
}

/** One request. Statuses in `accept` (and every 2xx) are returned; others are thrown as `Terminal` or `Retryable`. */
export interface HttpRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: string;
  readonly query?: Readonly<Record<string, string | number | boolean>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON, unless it is a string. */
  readonly body?: unknown;
  readonly accept?: readonly number[];
  /** Replaces the client's total time, ms. */
  readonly timeout?: number;
  /** A repeat is harmless: one that failed on a kept-alive connection which the server had just closed is sent again, once. Default: GET. */
  readonly repeatable?: boolean;
  /** A rollback goes through whatever is left of the rate budget; anything else waits (Retryable, with the time) once only the reserve is left. */
  readonly purpose?: 'rollback';
  /** What the vendor counts apart in its rate limits. Default: the method and the first three parts of the path. */
  readonly route?: string;
}

/** An answer. `servedAt` is when all of it had arrived here (ms since the epoch). */
export interface HttpResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  readonly servedAt: number;
}

/** A client that keeps its connections; `close` drops them. */
export interface HttpClient {
  /** Throws Terminal (`unauthorized`, `forbidden`, `not-found`, `too-large`, `bad-request`, `redirected`, `bad-certificate`) or Retryable, without secrets. */
  send(request: HttpRequest, signal?: AbortSignal): Promise<HttpResponse>;
  close(): void;
}

const MEGABYTE = 1_048_576;
const LONGEST_DELAY = 300_000;
const CERTIFICATE = /^(CERT_|ERR_TLS_|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT|UNABLE_TO_(GET|VERIFY))/;

/** `text` with every secret, and every user and password of a URL, replaced by `***`. */
export function redact(text: string, secrets: readonly string[] = []): string {
  const hidden = [...secrets].filter((secret) => secret.length > 0).sort((a, b) => b.length - a.length);
  const bare = hidden.reduce((out, secret) => out.replaceAll(secret, '***').replaceAll(encodeURIComponent(secret), '***'), text);
  return bare.replace(/([a-z][a-z0-9+.-]*:\/\/)[^/\s@"']+@/gi, '$1***@');
}

/** The vendor's `Retry-After` in ms: seconds, an HTTP date, or seconds or milliseconds since the epoch; at most 5 min; undefined where it says nothing usable. */
export function retryAfter(header: string | undefined, now: number = Date.now()): number | undefined {
  const at = instantOf(header, now);
  return at === undefined ? undefined : Math.min(Math.max(at - now, 0), LONGEST_DELAY);
}

/** How long (ms) the vendor asks to wait: its `Retry-After`, and where a rate limit has none that is usable, the end of its window. */
function delayOf({ status, headers }: Pick<HttpResponse, 'status' | 'headers'>): number | undefined {
  const said = retryAfter(headers['retry-after']);
  return said ?? (status === 429 ? untilReset(headers, Date.now()) : undefined);
}

/** The answer as JSON. Throws Terminal `malformed`. */
export function json(response: HttpResponse): unknown {
  try {
    return JSON.parse(response.text) as unknown;
  } catch {
    throw new Terminal('malformed', `the answer (status ${response.status}, ${response.text.length} characters) is not JSON; expected a JSON document`);
  }
}

/** What an unwanted status means: 401, 403, 404 and other 4xx need a person; 408, 425, 429 and 5xx may pass by themselves. */
function refusal(what: string, response: Pick<HttpResponse, 'status' | 'headers' | 'text'>, secrets: readonly string[] = []): Terminal | Retryable {
  const said = redact(response.text.slice(0, 300).replace(/\s+/g, ' ').trim(), secrets);
  const message = `${what} answered ${response.status}${said === '' ? '' : `: ${said}`}`;
  const { status } = response;
  if (status === 408 || status === 425 || status === 429 || status >= 500) return new Retryable(message, delayOf(response));
  if (status === 401) return new Terminal('unauthorized', `${message}; check the token in the config`);
  if (status === 403) return new Terminal('forbidden', `${message}; the token may not do this`);
  if (status === 404) return new Terminal('not-found', message);
  if (status >= 300 && status < 400) return new Terminal('redirected', `${message}; redirects are not followed, put the final address into the config`);
  return new Terminal('bad-request', message);
}

function isLoopback(url: string | undefined): boolean {
  const host = url !== undefined && URL.canParse(url) ? new URL(url).hostname : '';
  return host === 'localhost' || host === '[::1]' || host.startsWith('127.');
}

/** Whether it was a deadline that stopped it, and no person. */
export function timedOut(signal: AbortSignal): boolean {
  return signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError';
}

function failure(what: string, error: unknown, secrets: readonly string[], timeout: number, given: AbortSignal | undefined, deadline: AbortSignal): Error {
  // The axios error itself never leaves: it carries the request's headers, tokens included.
  if (given?.aborted === true) return new Retryable(`${what}: stopped before it answered${timedOut(given) ? ', its time was up' : ''}`);
  if (deadline.aborted) return new Retryable(`${what}: no whole answer within ${timeout} ms`);
  if (!(error instanceof AxiosError)) return new Retryable(`${what}: ${redact(error instanceof Error ? error.message : String(error), secrets)}`);
  const code = error.code ?? '';
  const said = redact(error.message === '' ? code : error.message, secrets);
  if (said.includes('maxContentLength')) return new Terminal('too-large', `${what}: the answer is larger than allowed (${said})`);
  if (code === 'ERR_INVALID_URL') return new Terminal('bad-request', `${what}: ${said}`);
  if (CERTIFICATE.test(code)) return new Terminal('bad-certificate', `${what}: ${said}; set caFile or mend the certificate`);
  return new Retryable(`${what}: ${said}`);
}

function routeOf(request: HttpRequest): string {
  const path = URL.canParse(request.url) ? new URL(request.url).pathname : (request.url.split('?')[0] ?? '');
  return `${request.method ?? 'GET'} ${path.split('/').slice(0, 4).join('/')}`;
}

function plainHeaders(headers: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), Array.isArray(value) ? value.join(', ') : String(value)]));
}

/** A client for one counterpart: kept-alive connections, a total deadline, a size cap, no redirects, and errors that hold no secret. */
export function httpClient(options: HttpOptions): HttpClient {
  const { name, timeout = 10_000, maxBytes = MEGABYTE, secrets = [] } = options;
  const sockets = { keepAlive: true, maxSockets: options.maxSockets ?? 16, scheduling: 'lifo' as const };
  const budget = options.reserve === undefined ? undefined : budgetWith(options.reserve);
  const plain = new http.Agent(sockets);
  const secure = new https.Agent({ ...sockets, ...(options.caFile === undefined ? {} : { ca: readFileSync(options.caFile) }) });
  const instance: AxiosInstance = axios.create({
    ...(options.baseUrl === undefined ? {} : { baseURL: options.baseUrl }),
    httpAgent: plain,
    httpsAgent: secure,
    maxContentLength: maxBytes,
    maxBodyLength: 16 * MEGABYTE,
    maxRedirects: 0,
    responseType: 'text',
    transformResponse: (data: unknown) => data,
    validateStatus: () => true,
    headers: { 'user-agent': 'gonogo', ...options.headers },
  });

  async function once(request: HttpRequest, signal: AbortSignal): Promise<HttpResponse> {
    const response = await instance.request<unknown>({
      method: request.method ?? 'GET',
      url: request.url,
      signal,
      ...(isLoopback(URL.canParse(request.url) ? request.url : options.baseUrl) ? { proxy: false as const } : {}),
      ...(request.query === undefined ? {} : { params: request.query }),
      ...(request.headers === undefined ? {} : { headers: request.headers }),
      ...(request.body === undefined ? {} : { data: request.body }),
    });
    return {
      status: response.status,
      headers: plainHeaders(response.headers),
      text: typeof response.data === 'string' ? response.data : '',
      servedAt: Date.now(),
    };
  }

  function wasReused(error: unknown): boolean {
    if (!(error instanceof AxiosError) || (error.code !== 'ECONNRESET' && error.code !== 'EPIPE')) return false;
    const request: unknown = error.request;
    return typeof request === 'object' && request !== null && Reflect.get(request, 'reusedSocket') === true;
  }

  return {
    async send(request, signal) {
      const within = request.timeout ?? timeout;
      const deadline = AbortSignal.timeout(within);
      const both = signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
      const what = `${name}: ${request.method ?? 'GET'} ${redact(request.url.split('?')[0] ?? '', secrets)}`;
      const repeatable = request.repeatable ?? (request.method === undefined || request.method === 'GET');
      const route = request.route ?? routeOf(request);
      const wait = request.purpose === 'rollback' ? 0 : (budget?.take(route) ?? 0);
      if (wait > 0) throw new Retryable(`${what}: not sent, what is left of the vendor's rate limit is kept for rollbacks; it begins anew in ${wait} ms`, wait);
      let response: HttpResponse;
      try {
        response = await once(request, both).catch((error: unknown) => {
          if (repeatable && !both.aborted && wasReused(error)) return once(request, both);
          throw error;
        });
      } catch (error) {
        throw failure(what, error, secrets, within, signal, deadline);
      }
      budget?.saw(route, response.headers);
      if (response.status >= 200 && response.status < 300) return response;
      if (request.accept?.includes(response.status) === true) return response;
      throw refusal(what, response, secrets);
    },
    close() {
      plain.destroy();
      secure.destroy();
    },
  };
}
