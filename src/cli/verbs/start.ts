import { createWriteStream, mkdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Command } from 'commander';
import type { Config } from '../../config.ts';
import { takeLock } from '../../embedded/lock.ts';
import { startPostgres, type Postgres } from '../../embedded/postgres.ts';
import { startTemporal, type Temporal } from '../../embedded/temporal.ts';
import { toolPath } from '../../embedded/tools.ts';
import { environmentsOf, type Registry } from '../../flags/registry.ts';
import { seedFlags } from '../../flags/seed.ts';
import { openFlagStore } from '../../flags/store.ts';
import { migrate, openStore } from '../../store/store.ts';
import { createToken, listTokens } from '../../store/tokens.ts';
import { cliOf, type Cli } from '../cli.ts';
import { usage } from '../exit.ts';
import { configOf, DATA_DIR } from '../house-keys.ts';
import { configuredRegistry, processLog, untilTold } from '../process.ts';

interface Options {
  readonly data: string;
  readonly env: string;
  readonly port?: string;
}

/** Roles of the token that the first start makes: enough to launch and to stop, never to sign for others. */
const FIRST_ROLES = ['releaser', 'release-engineer', 'on-call'];

/** `gonogo start`: everything in one process and one folder: a real Postgres, Temporal, API and worker, on loopback. */
export function start(program: Command): void {
  program
    .command('start')
    .description('run everything here: Postgres, Temporal, API and worker, with their data in one folder')
    .option('--data <dir>', 'the folder', DATA_DIR)
    .option('-e, --env <environment>', 'flags of the registry that the built-in store lacks are made as they are in this one', 'stage')
    .option('--port <port>', 'the API’s; 7077, or that of the config')
    .action(async (options: Options, command: Command) => {
      const cli = cliOf(command);
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
    });
}

async function run(cli: Cli, options: Options, data: string, registry: Registry): Promise<void> {
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
    const token = await prepare(config, registry, options.env, cli);
    const [{ startServing }, { startWorker }, { openTelemetry }, { installRuntime }] = await Promise.all([
      import('../../serve.ts'),
      import('../../worker.ts'),
      import('../../telemetry.ts'),
      import('../../temporal-runtime.ts'),
    ]);
    const telemetry = openTelemetry();
    const runtime = installRuntime(log, telemetry.registry);
    stops.push(() => Promise.resolve(runtime.stop()));
    const serving = await startServing(config, { log, registry, metrics: telemetry.registry, speed: isLoopback(config.server.host) });
    stops.push(serving.stop);
    const worker = await startWorker(config, { log, meter: telemetry.meter });
    stops.push(worker.stop);
    cli.print(
      { url: serving.url, data, log: logFile, ...(token === undefined ? {} : { token }) },
      () =>
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
function embeddedConfig(cli: Cli, options: Options, url: string): Config {
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

/** Schemas, the registry's flags, and on the first start of all one token, whose text is returned. There is no default secret. */
async function prepare(config: Config, registry: Registry, environment: string, cli: Cli): Promise<string | undefined> {
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
    if ((await listTokens(store)).length > 0) return undefined;
    return (await createToken(store, { name: os.userInfo().username, roles: FIRST_ROLES, label: 'first start', by: 'gonogo start' })).token;
  } finally {
    await store.close();
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}
