import { readFileSync } from 'node:fs';
import { init, type LDClient, type LDContext, type LDEvaluationDetail } from '@launchdarkly/node-server-sdk';
import { Retryable } from '../../core/failure.ts';
import { httpClient, json, type HttpClient } from '../../http.ts';
import type { Endpoints } from './config.ts';
import { openHeld, type Held } from './held.ts';
import type { Context } from './translate.ts';

/** One SDK: asks as an app would, and knows how old its knowledge is. */
export interface Sdk {
  readonly held: Held;
  /** Resolves when the SDK has everything; throws Retryable where it has not within its time. */
  ready(signal: AbortSignal): Promise<void>;
  /** Resolves when the SDK is known to be up to date about this flag; throws Retryable or Terminal where it is not, or nobody can tell. */
  fresh(key: string, signal: AbortSignal): Promise<void>;
  detail(key: string, context: Context): Promise<LDEvaluationDetail>;
  close(): void;
}

/** How long (ms) the SDK may take to have everything, and LaunchDarkly to say which version a flag has. */
const DEADLINE = 2_000;
/** How long (ms) it is believed that the SDK is up to date: about a flag that the stream has just spoken of, or that was compared. */
const BELIEVED = 2_000;
/** Time (ms) that the stream may be behind. */
const BEHIND = 500;

function open(endpoints: Endpoints, sdkKey: string, caFile?: string): Sdk {
  const held = openHeld();
  const silence = (): void => undefined;
  const { name: _, ...uris } = endpoints;
  const client: LDClient = init(sdkKey, {
    ...uris,
    featureStore: held,
    ...(caFile === undefined ? {} : { tlsParams: { ca: readFileSync(caFile, 'utf8') } }),
    // Asking must not count as usage, and what the SDK logs is in its answers.
    sendEvents: false,
    diagnosticOptOut: true,
    logger: { debug: silence, info: silence, warn: silence, error: silence },
  });
  const http: HttpClient = httpClient({
    name: `launchdarkly-sdk ${endpoints.name}`,
    baseUrl: endpoints.baseUri,
    timeout: DEADLINE,
    maxBytes: 4 * 1_048_576,
    headers: { authorization: sdkKey },
    secrets: [sdkKey],
    ...(caFile === undefined ? {} : { caFile }),
  });
  client.on('error', silence);
  const compared = new Map<string, number>();
  const comparing = new Map<string, Promise<void>>();

  async function compare(key: string): Promise<void> {
    const response = await http.send({ url: `/sdk/flags/${encodeURIComponent(key)}`, accept: [404] });
    const found: unknown = response.status === 404 ? undefined : json(response);
    const version: unknown = typeof found === 'object' && found !== null ? Reflect.get(found, 'version') : undefined;
    const served = typeof version === 'number' ? version : undefined;
    const current = (): boolean => (served === undefined ? held.flag(key) === undefined : (held.flag(key)?.version ?? -1) >= served);
    for (const end = performance.now() + BEHIND; !current() && performance.now() < end;) await new Promise((resolve) => setTimeout(resolve, 20));
    if (!current()) {
      const has = held.flag(key)?.version ?? 'none';
      throw new Retryable(`the SDK's stream is behind: it holds version ${has} of ${key}, and ${endpoints.name} serves ${served ?? 'none'}`);
    }
    compared.set(key, Date.now());
  }

  return {
    held,
    async ready(signal) {
      if (client.isOffline()) throw new Retryable('the SDK is offline');
      if (client.initialized()) return;
      let stop: (() => void) | undefined;
      const stopped = new Promise<never>((_resolve, reject) => {
        stop = () => {
          reject(new Retryable('stopped before the SDK had the flags'));
        };
        signal.addEventListener('abort', stop, { once: true });
      });
      try {
        await Promise.race([client.waitForInitialization({ timeout: DEADLINE / 1_000 }), stopped]);
      } catch (error) {
        const said = error instanceof Error ? error.message.replaceAll(sdkKey, '***') : String(error);
        throw new Retryable(`the SDK has no flags yet: ${said}`);
      } finally {
        if (stop !== undefined) signal.removeEventListener('abort', stop);
      }
    },
    async fresh(key, signal) {
      signal.throwIfAborted();
      if (Date.now() - Math.max(held.heard(key), compared.get(key) ?? 0) < BELIEVED) return;
      const running =
        comparing.get(key) ??
        compare(key).finally(() => {
          comparing.delete(key);
        });
      comparing.set(key, running);
      await running;
    },
    detail: (key, context) => client.variationDetail(key, context as unknown as LDContext, undefined),
    close() {
      client.close();
      http.close();
    },
  };
}

const shared = new Map<string, { readonly sdk: Sdk; users: number }>();

/** The process's SDK for this key and endpoints: one stream, however many evaluators use it. Its `close` counts. */
export function useSdk(endpoints: Endpoints, sdkKey: string, caFile?: string): Sdk {
  const name = JSON.stringify([sdkKey, endpoints.baseUri, endpoints.streamUri, caFile]);
  const found = shared.get(name) ?? { sdk: open(endpoints, sdkKey, caFile), users: 0 };
  shared.set(name, found);
  found.users += 1;
  let closed = false;
  return {
    ...found.sdk,
    close() {
      if (closed) return;
      closed = true;
      found.users -= 1;
      if (found.users > 0) return;
      shared.delete(name);
      found.sdk.close();
    },
  };
}
