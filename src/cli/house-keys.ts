import { existsSync } from 'node:fs';
import path from 'node:path';
import { ConfigError, loadConfig, type Config } from '../config.ts';
import { migrate, openStore, type Store } from '../store/store.ts';
import type { Cli } from './cli.ts';
import { EXIT, Exit, usage } from './exit.ts';

/** The config, its problems ending the command with 2. */
export function configOf(cli: Pick<Cli, 'configFile' | 'env'>, env: Cli['env'] = cli.env, instances = true): Config {
  try {
    return loadConfig(cli.configFile, env, { instances });
  } catch (error) {
    if (error instanceof ConfigError) throw new Exit(EXIT.usage, error.message);
    throw error;
  }
}

/**
 * Runs `work` on the config's database, or on the one that `gonogo start` keeps in `dataDir` where the config names none (it is brought up for that
 * long when it does not run). The schema is brought up to date first.
 */
export async function withStore<T>(cli: Cli, dataDir: string, work: (store: Store) => Promise<T>): Promise<T> {
  const embedded = path.resolve(dataDir, 'postgres');
  if (!namesDatabase(cli)) {
    if (!existsSync(embedded))
      throw usage(`no database is named, and ${dataDir} holds none`, 'set GONOGO_DATABASE_URL or --config; or "gonogo start" first, or --data');
    const { startPostgres } = await import('../embedded/postgres.ts');
    const postgres = await startPostgres({ dataDir: embedded, log: () => undefined });
    try {
      return await onStore(postgres.url, work);
    } finally {
      if (!postgres.takenOver) await postgres.stop();
    }
  }
  return onStore(configOf(cli, cli.env, false).database.url, work);
}

function namesDatabase(cli: Cli): boolean {
  try {
    loadConfig(cli.configFile, cli.env, { instances: false });
    return true;
  } catch (error) {
    // Only a missing database leads to the embedded one; every other problem is for `configOf` to tell.
    return !(error instanceof ConfigError && error.lines.length === 1 && /database\.url is missing/.test(error.message));
  }
}

async function onStore<T>(url: string, work: (store: Store) => Promise<T>): Promise<T> {
  const store = openStore({ url, pool: 2, rollbackPool: 1 });
  try {
    await migrate(store);
    return await work(store);
  } catch (error) {
    throw databaseExit(error);
  } finally {
    await store.close();
  }
}

/** A database that cannot be reached ends the command with 75; other errors go on. */
export function databaseExit(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (
    /^(ECONN|ENOTFOUND|ETIMEDOUT|EHOSTUNREACH|EAI_|57P|53|08)/.test(code) ||
    (error instanceof Error && /timeout|terminated unexpectedly/i.test(error.message))
  ) {
    return new Exit(
      EXIT.unreachable,
      `the database cannot be reached (${code === '' ? 'no answer in time' : code})`,
      'is it up? see GONOGO_DATABASE_URL; "gonogo doctor" looks closer',
    );
  }
  if (code === '28P01' || code === '28000') return new Exit(EXIT.notAllowed, 'the database refused the user or the password', 'correct GONOGO_DATABASE_URL');
  return error;
}
