import { Client, Connection } from '@temporalio/client';
import type { Registry as Metrics } from 'prom-client';
import type { Config } from './config.ts';
import { openFlagCache } from './flags/cache.ts';
import type { Registry } from './flags/registry.ts';
import { openFlagStore } from './flags/store.ts';
import type { Log } from './house.ts';
import { openJanitor } from './server/janitor.ts';
import { createServer } from './server/server.ts';
import { migrate, openStore, type Store } from './store/store.ts';
import { INTERCEPTORS } from './temporal-connection.ts';

/** What a server is started with beside its config. */
export interface ServingDeps {
  readonly log: Log;
  readonly registry: Registry;
  /** The page's metrics; the process's own are in it already. */
  readonly metrics: Metrics;
  /** Whether launches may run at `--speed`: only embedded, on loopback. Default false. */
  readonly speed?: boolean;
}

/** A running API server. */
export interface Serving {
  /** Where it listens, without a slash at the end. */
  readonly url: string;
  readonly store: Store;
  /** Lets running requests end, then closes everything. */
  readonly stop: () => Promise<void>;
}

/** Opens store, flag store and Temporal's client and serves the API, its janitor included. The schema is brought up to date first. Throws when the database cannot be used or the port is taken; Temporal may be away. */
export async function startServing(config: Config, deps: ServingDeps): Promise<Serving> {
  const { log } = deps;
  const closing: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const one of closing.reverse()) await one().catch((error: unknown) => log.warn({ err: error }, 'could not be closed in good order'));
  };
  try {
    const store = openStore({ url: config.database.url, onError: (error) => log.warn({ err: error }, 'a database connection was lost; it is opened again') });
    closing.push(() => store.close());
    await migrate(store);
    await store.prime();
    const flagStore = await openFlagStore(config.flagStore.url, { log });
    closing.push(() => flagStore.close());
    const cache = await openFlagCache(config.flagStore.url, flagStore, { log });
    closing.push(() => cache.close());
    const temporal = openTemporal(config);
    closing.push(temporal.close);
    const shared = { store, temporal: temporal.client, taskQueue: config.temporal.taskQueue, log };
    const server = createServer({
      ...shared,
      registry: deps.registry,
      flags: { store: flagStore, cache },
      hooks: config.hooks,
      metrics: deps.metrics,
      publicUrl: config.server.publicUrl,
      ...(deps.speed === undefined ? {} : { speed: deps.speed }),
    });
    const listening = await server.listen(config.server.port, config.server.host);
    closing.push(() => server.close());
    const janitor = openJanitor(shared);
    janitor.start();
    closing.push(() => janitor.close());
    return { url: listening.url, store, stop: close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A client that connects when it is first asked for, and again after a failure. */
function openTemporal(config: Config): { readonly client: () => Promise<Client>; readonly close: () => Promise<void> } {
  let connecting: Promise<Connection> | undefined;
  return {
    client: async () => {
      connecting ??= Connection.connect({ ...config.temporal.connection, interceptors: INTERCEPTORS, connectTimeout: 2_000 });
      try {
        return new Client({ connection: await connecting, namespace: config.temporal.namespace });
      } catch (error) {
        connecting = undefined;
        throw error;
      }
    },
    close: async () => {
      await (await connecting?.catch(() => undefined))?.close();
    },
  };
}
