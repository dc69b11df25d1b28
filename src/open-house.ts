import os from 'node:os';
import { randomBytes } from 'node:crypto';
import type { Config } from './config.ts';
import { Terminal } from './core/failure.ts';
import { openEvaluator } from './evaluators/index.ts';
import type { Clock, House, Log, Meter, Nudger } from './house.ts';
import { openNotifier } from './notifiers/index.ts';
import { openProvider } from './providers/index.ts';
import { openSource, sourceConfig, type SourceConfig } from './sources/index.ts';
import { openStore, type Store } from './store/store.ts';

/** Real time. */
export const realClock: Clock = {
  now: () => Promise.resolve(Date.now()),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted === true || ms <= 0) {
        resolve();
        return;
      }
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener('abort', done);
    }),
};

/** What a house is built with beside its config. */
export interface Fittings {
  readonly log: Log;
  readonly meter: Meter;
  readonly nudge: Nudger;
  readonly clock?: Clock;
  /** Default: opened over the config's database, and closed with the house. */
  readonly store?: Store;
}

async function openAll<T>(raw: Readonly<Record<string, unknown>>, open: (name: string, config: unknown) => T | Promise<T>): Promise<ReadonlyMap<string, T>> {
  return new Map(await Promise.all(Object.entries(raw).map(async ([name, config]) => [name, await open(name, config)] as const)));
}

/** One source's settings. Throws Terminal `config` naming the field. */
export function readSource(name: string, raw: unknown): SourceConfig {
  const parsed = sourceConfig.safeParse(raw);
  if (parsed.success) return parsed.data;
  throw new Terminal('config', parsed.error.issues.map((issue) => `${['sources', name, ...issue.path.map(String)].join('.')}: ${issue.message}`).join('; '));
}

/** Opens everything that the config names. Throws Terminal `config` when a kind's settings are wrong. Returns the house and how to close it. */
export async function openHouse(config: Config, fittings: Fittings): Promise<{ readonly house: House; readonly close: () => Promise<void> }> {
  const { log } = fittings;
  const store =
    fittings.store ?? openStore({ url: config.database.url, onError: (error) => log.warn({ error: error.message }, 'a database connection was lost') });
  const context = { log, secret: config.secret, databaseUrl: config.flagStore.url, serverUrl: config.server.publicUrl };
  const providers = await openAll(config.providers, (name, raw) => openProvider(name, raw, context));
  const evaluators = await openAll(config.evaluators, (name, raw) => openEvaluator(name, raw, context));
  const sources = await openAll(config.sources, (name, raw) => openSource(name, readSource(name, raw)));
  const notifiers = await openAll(config.notifiers, (name, raw) => openNotifier(name, raw));
  const house: House = {
    store,
    log,
    meter: fittings.meter,
    nudge: fittings.nudge,
    clock: fittings.clock ?? realClock,
    providers,
    evaluators,
    sources,
    notifiers,
    hand: `${os.hostname()}-${process.pid}-${randomBytes(2).toString('hex')}`,
  };
  await store.prime().catch((error: unknown) => log.warn({ error: String(error) }, 'the database is not there yet'));
  return {
    house,
    close: async () => {
      const all = [...providers.values(), ...evaluators.values(), ...sources.values(), ...notifiers.values()];
      await Promise.allSettled(all.map((one) => one.close()));
      if (fittings.store === undefined) await store.close();
    },
  };
}
