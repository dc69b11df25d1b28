import { createWriteStream, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Config } from '../config.ts';
import { takeLock } from '../embedded/lock.ts';
import { startPostgres, type Postgres } from '../embedded/postgres.ts';
import { startTemporal, type Temporal } from '../embedded/temporal.ts';
import { toolPath } from '../embedded/tools.ts';
import { environmentsOf, type Registry } from '../flags/registry.ts';
import { seedFlags } from '../flags/seed.ts';
import { openFlagStore } from '../flags/store.ts';
import { migrate, openStore, type Store } from '../store/store.ts';
import { createToken, listTokens, personOf } from '../store/tokens.ts';
import type { Cli } from './cli.ts';
import { usage } from './exit.ts';
import { configOf } from './house-keys.ts';
import { configuredRegistry, processLog, untilTold } from './process.ts';

/** Options of `gonogo start`. */
export interface StartOptions {
  readonly data: string;
  readonly env: string;
  readonly port?: string;
}

/** Roles of the token that the first start makes: enough to launch and to stop, never to sign for others. */
const FIRST_ROLES = ['releaser', 'release-engineer', 'on-call'];

/** Runs Postgres, Temporal, API and worker in one folder until the process is told to end; then ends them in good order. Throws Exit. */
export async function startEverything(cli: Cli, options: StartOptions): Promise<void> {
  // Problems of config and registry are told before anything is started.
  const registry = configuredRegistry(embeddedConfig(cli, options, 'postgres://127.0.0.1/embedded'));
  if (!environmentsOf(registry).includes(options.env)) throw usage(`--env is ${options.env}; the registry knows ${environmentsOf(registry).join(', ')}`);
  const data = path.resolve(options.data);
  mkdirSync(data, { recursive: true, mode: 0o711 });
  let release: () => void;
  try {
    release = takeLock(path.join(data, 'start.pid'), 'start');
  } catch (error) {
    throw usage(error instanceof Error ? error.message : String(error));
  }
  try {
    await run(cli, options, data, registry);
  } finally {
    release();
  }
}

async function run(cli: Cli, options: StartOptions, data: string, registry: Registry): Promise<void> {
  const stops: (() => Promise<void>)[] = [];
  const stopAll = async (): Promise<void> => {
    for (const stop of stops.splice(0).reverse()) await stop().catch((error: unknown) => cli.note(error instanceof Error ? error.message : String(error)));
  };
  try {
    cli.note(`starting Postgres and Temporal, data in ${data}`);
    const { postgres, temporal } = await startServers(data, cli, stops);
    const config: Config = {
      ...embeddedConfig(cli, options, postgres.url),
      temporal: { connection: { address: temporal.address }, namespace: temporal.namespace, taskQueue: 'gonogo' },
    };
    const logFile = path.join(data, 'gonogo.log');
    const log = processLog(cli, config, 'start', createWriteStream(logFile, { flags: 'a', mode: 0o600 }));
    const { token, evaluatorToken } = await prepare(config, registry, options.env, data, cli);
    const [{ startServing }, { startWorker }, { openTelemetry }, { installRuntime }] = await Promise.all([
      import('../serve.ts'),
      import('../worker.ts'),
      import('../telemetry.ts'),
      import('../temporal-runtime.ts'),
    ]);
    const telemetry = openTelemetry();
    const runtime = installRuntime(log, telemetry.registry);
    stops.push(() => {
      runtime.stop();
      return Promise.resolve();
    });
    const serving = await startServing(config, { log, registry, metrics: telemetry.registry, speed: isLoopback(config.server.host) });
    stops.push(serving.stop);
    const ofrep = { kind: 'ofrep', url: serving.url, token: evaluatorToken };
    const worker = await startWorker({ ...config, evaluators: { ofrep, ...config.evaluators } }, { log, meter: telemetry.meter });
    stops.push(worker.stop);
    cli.print({ url: serving.url, data, log: logFile, ...(token === undefined ? {} : { token }) }, () =>
      [
        `gonogo is up: ${serving.url}   (log: ${logFile})`,
        ...(token === undefined ? [] : [`your token, shown this once:  export GONOGO_TOKEN=${token}`]),
        `next: gonogo launch plans/canary.yaml --env ${options.env}`,
        'Ctrl-C ends it; launches go on at the next start',
      ].join('\n'),
    );
    await untilTold(async (signal) => {
      cli.note('ending');
      log.info({ signal }, 'ending');
      await stopAll();
    });
  } catch (error) {
    await stopAll();
    throw error;
  }
}

/** The config with the embedded database in place of any other. */
function embeddedConfig(cli: Cli, options: StartOptions, url: string): Config {
  const env = { ...cli.env, GONOGO_DATABASE_URL: url, ...(options.port === undefined ? {} : { GONOGO_PORT: options.port }) };
  return configOf(cli, env);
}

async function startServers(data: string, cli: Cli, stops: (() => Promise<void>)[]): Promise<{ readonly postgres: Postgres; readonly temporal: Temporal }> {
  const tool = toolPath('temporal');
  if (tool === undefined) throw usage('the Temporal CLI is missing; expected it in TEMPORAL_CLI, .tools/ or on PATH', 'run "npm run setup"');
  const log = (line: string): void => cli.note(line);
  const [postgres, temporal] = await Promise.allSettled([
    startPostgres({ dataDir: path.join(data, 'postgres'), log }),
    startTemporal({ cli: tool, dbFile: path.join(data, 'temporal', 'temporal.db'), headless: true, log }),
  ]);
  for (const server of [postgres, temporal]) if (server.status === 'fulfilled') stops.push(server.value.stop);
  if (postgres.status === 'rejected') throw postgres.reason;
  if (temporal.status === 'rejected') throw temporal.reason;
  return { postgres: postgres.value, temporal: temporal.value };
}

/** Schemas, the registry's flags, and on the first start of all one token for a person, whose text is returned. There is no default secret. `evaluatorToken` is what the worker asks the flags' values with, kept in the folder. */
async function prepare(
  config: Config,
  registry: Registry,
  environment: string,
  data: string,
  cli: Cli,
): Promise<{ readonly token?: string; readonly evaluatorToken: string }> {
  const store = openStore({ url: config.database.url, pool: 2, rollbackPool: 1 });
  try {
    await migrate(store);
    const flags = await openFlagStore(config.flagStore.url, { primed: 1 });
    try {
      const made = await seedFlags(flags, registry, environment, (provider) => config.providers[provider]?.kind === 'builtin', 'gonogo start');
      if (made.length > 0) cli.note(`${made.length} flags of the registry made, as they are in ${environment}`);
    } finally {
      await flags.close();
    }
    const isFirst = (await listTokens(store)).length === 0;
    const evaluatorToken = await ownToken(store, path.join(data, 'evaluator.token'));
    if (!isFirst) return { evaluatorToken };
    const { token } = await createToken(store, { person: os.userInfo().username, roles: FIRST_ROLES, label: 'first start', by: 'gonogo start' });
    return { token, evaluatorToken };
  } finally {
    await store.close();
  }
}

/** A token without roles that this folder keeps for the worker; a new one where it is missing or no longer valid. */
async function ownToken(store: Store, file: string): Promise<string> {
  const kept = existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
  if (kept !== '' && (await personOf(store, kept)) !== undefined) return kept;
  const { token } = await createToken(store, { person: 'gonogo', roles: [], label: 'evaluator', by: 'gonogo start' });
  writeFileSync(file, `${token}\n`, { mode: 0o600 });
  return token;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}
