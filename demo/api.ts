import { setTimeout as pause } from 'node:timers/promises';

/** gonogo's HTTP API as one person uses it. A 503 is asked again for a while; everything throws ApiError when the answer is not 2xx. */
export interface Api {
  readonly get: <T>(path: string) => Promise<T>;
  readonly text: (path: string, accept: string) => Promise<string>;
  readonly post: <T>(path: string, body: unknown, headers?: Readonly<Record<string, string>>) => Promise<T>;
  readonly put: <T>(path: string, body: unknown, headers?: Readonly<Record<string, string>>) => Promise<T>;
}

/** The API said no, with its stable code. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
  }
}

const DEADLINE = 15_000;
/** A 503 confirms nothing, and every request of the demo may be sent again. */
const TRIES = 6;
const PAUSE = 500;

/** Opens the API with a person's token. */
export function openApi(url: string, token: string): Api {
  const call = async (method: string, path: string, body: unknown, headers: Readonly<Record<string, string>>): Promise<Response> => {
    for (let left = TRIES; ; left -= 1) {
      try {
        return await once(method, path, body, headers);
      } catch (error) {
        if (!(error instanceof ApiError && error.status === 503) || left <= 1) throw error;
        await pause(PAUSE);
      }
    }
  };
  const once = async (method: string, path: string, body: unknown, headers: Readonly<Record<string, string>>): Promise<Response> => {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(DEADLINE),
    });
    if (answer.ok) return answer;
    const text = await answer.text();
    const { code, detail } = problemIn(text);
    throw new ApiError(answer.status, code, `${method} ${path} answered ${answer.status} ${code}: ${detail}`);
  };
  return {
    get: async <T>(path: string) => (await (await call('GET', path, undefined, { accept: 'application/json' })).json()) as T,
    text: async (path, accept) => (await call('GET', path, undefined, { accept })).text(),
    post: async <T>(path: string, body: unknown, headers = {}) => (await (await call('POST', path, body, headers)).json()) as T,
    put: async <T>(path: string, body: unknown, headers = {}) => (await (await call('PUT', path, body, headers)).json()) as T,
  };
}

function problemIn(text: string): { readonly code: string; readonly detail: string } {
  try {
    const { code, detail } = JSON.parse(text) as { code?: unknown; detail?: unknown };
    return { code: typeof code === 'string' ? code : '', detail: typeof detail === 'string' ? detail : text };
  } catch {
    return { code: '', detail: text.slice(0, 300) };
  }
}
