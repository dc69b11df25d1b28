import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { newAccount, newFlag, type Account, type Environment, type Flag } from './account.ts';
import { openFaults, type Fault, type Faults } from './faults.ts';
import { sdkFlag } from './representations.ts';
import { answerRest, patchFlag } from './rest.ts';
import type { Judge } from './schemas.ts';
import { everything, openStreams, type Streams } from './stream.ts';

/** A LaunchDarkly of our own on a port of 127.0.0.1: REST, streams and triggers over one account. */
export interface LaunchdarklyServer {
  readonly url: string;
  readonly token: string;
  readonly account: Account;
  readonly streams: Streams;
  readonly faults: Faults;
  /** Requests seen, `GET /api/v2/...`, oldest first. */
  readonly requests: readonly string[];
  /** What was not as the vendor describes it; must stay empty. */
  readonly violations: readonly string[];
  /** What is left of the rate limit's window; undefined: no limit. */
  limit: { global: number; resetAt: number } | undefined;
  environment(key?: string): Environment;
  newFlag(key: string, values?: readonly unknown[]): Flag;
  newSegment(key: string, included: readonly string[], environment?: string): void;
  /** Changes a flag as a person in the web page would. Throws where LaunchDarkly would refuse. */
  edit(key: string, instructions: readonly unknown[], by?: string, environment?: string): Flag;
  /** A trigger that turns the flag off; its secret URL. */
  newTrigger(key: string, environment?: string): Promise<string>;
  close(): Promise<void>;
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  if (text === '') return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** Starts one; `judge` holds every answer of the REST API to the vendor's description. */
export async function startLaunchdarkly(judge?: Judge, token = 'api-0123456789-of-the-service'): Promise<LaunchdarklyServer> {
  const account = newAccount(token);
  const streams = openStreams(account);
  const faults = openFaults();
  const requests: string[] = [];
  const violations: string[] = [];

  function send(response: ServerResponse, status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): void {
    const limit = server_.limit;
    const limits = limit === undefined ? {} : { 'x-ratelimit-global-remaining': String(limit.global), 'x-ratelimit-reset': String(limit.resetAt) };
    response.writeHead(status, { 'content-type': 'application/json', ...limits, ...headers }).end(body === undefined ? undefined : JSON.stringify(body));
  }

  function sdk(request: IncomingMessage, response: ServerResponse, path: string): void {
    const environment = [...account.environments.values()].find((one) => one.sdkKey === request.headers.authorization);
    if (environment === undefined) {
      send(response, 401, { message: 'Invalid SDK key' });
      return;
    }
    if (path === '/all') {
      streams.join(environment, response);
      return;
    }
    if (path === '/bulk' || path === '/diagnostic') {
      send(response, 202, undefined);
      return;
    }
    if (path === '/sdk/latest-all') {
      send(response, 200, everything(account, environment));
      return;
    }
    const key = /^\/sdk\/flags\/(.+)$/.exec(path)?.[1];
    const flag = key === undefined ? undefined : account.flags.get(decodeURIComponent(key));
    const setting = flag?.environments[environment.key];
    if (flag === undefined || setting === undefined || flag.archived) {
      send(response, 404, { message: 'not found' });
      return;
    }
    send(response, 200, sdkFlag(flag, setting));
  }

  function trigger(response: ServerResponse, path: string): void {
    const [, id, secret] = /^\/webhook\/triggers\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
    const found = account.triggers.find((one) => one._id === id && one.secret === secret && one.enabled);
    const flag = found === undefined ? undefined : account.flags.get(found.flag);
    if (found === undefined || flag === undefined) {
      send(response, 404, { message: 'not found' });
      return;
    }
    found.pulled += 1;
    patchFlag(account, streams, flag, account.environments.get(found.environment), [{ kind: found.kind }], 'flag trigger', '');
    send(response, 202, undefined);
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1');
    const method = request.method ?? 'GET';
    const path = url.pathname;
    const body = await bodyOf(request);
    requests.push(`${method} ${path}${url.search}`);
    const fault = faults.take(method, path);
    if (fault?.kind === 'hang') return;
    if (fault?.kind === 'cut') return void request.socket.destroy();
    if (fault?.kind === 'answer') {
      send(response, fault.status ?? 500, fault.body ?? { code: 'fault', message: 'injected' }, fault.headers);
      return;
    }
    if (path.startsWith('/webhook/')) {
      trigger(response, path);
      return;
    }
    if (!path.startsWith('/api/v2/')) {
      sdk(request, response, path);
      return;
    }
    const known = account.tokens.get(request.headers.authorization ?? '');
    if (known === undefined) {
      send(response, 401, { code: 'unauthorized', message: `Invalid access token ${request.headers.authorization ?? ''}` });
      return;
    }
    if (request.headers['ld-api-version'] === undefined) violations.push(`${method} ${path} names no LD-API-Version`);
    const { limit } = server_;
    if (limit !== undefined && Date.now() >= limit.resetAt) Object.assign(limit, { global: 100, resetAt: Date.now() + 10_000 });
    if (limit !== undefined && limit.global <= 0) {
      send(response, 429, { code: 'rate_limited', message: 'slow down' });
      return;
    }
    if (limit !== undefined) limit.global -= 1;
    const ignored = fault?.kind === 'ignore';
    const answered = answerRest(account, streams, {
      method,
      path,
      query: url.searchParams,
      contentType: request.headers['content-type'] ?? '',
      body,
      token: known,
      url: server_.url,
      ignored,
    });
    const wrong = judge?.(answered.schema, answered.body);
    if (wrong !== undefined) violations.push(`${method} ${path}: ${wrong}`);
    if (fault?.kind === 'cut-after') return void request.socket.destroy();
    send(response, answered.status, answered.body);
  }

  const listener = http.createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      // Whoever hung up in the middle of their request is answered nothing, and the fake did nothing wrong.
      if (!request.complete) return;
      violations.push(String(error));
      if (!response.headersSent) send(response, 500, { code: 'internal', message: String(error) });
    });
  });
  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(0, '127.0.0.1', resolve);
  });
  const environmentOf = (key = 'production'): Environment => {
    const found = account.environments.get(key);
    if (found === undefined) throw new Error(`no environment ${key}`);
    return found;
  };
  const flagOf = (key: string): Flag => {
    const found = account.flags.get(key);
    if (found === undefined) throw new Error(`no flag ${key}`);
    return found;
  };
  const server_: LaunchdarklyServer = {
    url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    token,
    account,
    streams,
    faults,
    requests,
    violations,
    limit: undefined,
    environment: environmentOf,
    newFlag(key, values) {
      const flag = newFlag(account, key, values);
      streams.flagChanged(flag);
      return flag;
    },
    newSegment(key, included, environment) {
      const now = Date.now();
      const segment = { key, name: key, version: 1, included: [...included], excluded: [], creationDate: now, lastModifiedDate: now };
      environmentOf(environment).segments.set(key, segment);
      streams.segmentChanged(environmentOf(environment), segment);
    },
    edit: (key, instructions, by = 'mallory@example.com', environment) =>
      patchFlag(account, streams, flagOf(key), environmentOf(environment), instructions, by, 'by hand'),
    async newTrigger(key, environment = 'production') {
      const response = await fetch(`${server_.url}/api/v2/flags/${account.project}/${key}/triggers/${environment}`, {
        method: 'POST',
        headers: { authorization: token, 'ld-api-version': '20240415', 'content-type': 'application/json' },
        body: JSON.stringify({ integrationKey: 'generic-trigger', instructions: [{ kind: 'turnFlagOff' }] }),
      });
      const { triggerURL } = (await response.json()) as { triggerURL: string };
      return triggerURL;
    },
    async close() {
      streams.dropAll();
      listener.closeAllConnections();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
  return server_;
}

export type { Fault };
