import { createWriteStream, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { stringify } from 'yaml';
import { loadConfig, type Config } from '../src/config.ts';
import { startPostgres } from '../src/embedded/postgres.ts';
import { freePort, startProcess } from '../src/embedded/process.ts';
import { startPrometheus, type Prometheus } from '../src/embedded/prometheus.ts';
import { startTemporal, type Temporal } from '../src/embedded/temporal.ts';
import { toolPath } from '../src/embedded/tools.ts';
import { loadRegistry, type Registry } from '../src/flags/registry.ts';
import { seedFlags } from '../src/flags/seed.ts';
import { openFlagStore } from '../src/flags/store.ts';
import { openLog } from '../src/log.ts';
import { startServing } from '../src/serve.ts';
import { migrate, openStore } from '../src/store/store.ts';
import { createToken } from '../src/store/tokens.ts';
import { openTelemetry } from '../src/telemetry.ts';
import { installRuntime } from '../src/temporal-runtime.ts';
import { startWorker, workflowBundle } from '../src/worker.ts';
import { openCrew, PEOPLE, type Crew } from './people.ts';

/** The repository, where plans lie. */
export const ROOT = path.resolve(import.meta.dirname, '..');

/** How a stack is started. */
export interface StackOptions {
  /** Data of Postgres, Temporal and Prometheus; others must be able to pass through it. */
  readonly data: string;
  /** Config and logs. */
  readonly logs: string;
  readonly environment: string;
  readonly say: (line: string) => void;
  /** What goes into prometheus.yml, when the marketplace's and the API's targets are known; undefined: no Prometheus. */
  readonly prometheus?: (targets: { readonly marketplace: string; readonly api: string }) => unknown;
  /** The window of the marketplace's own numbers, s. */
  readonly window?: number;
  /** Servers that run already, to be used instead of new ones: they are left running. */
  readonly servers?: { readonly postgres: string; readonly temporal: string };
  /** Prefix of the task queues; needed where a Temporal is shared. */
  readonly taskQueue?: string;
  /** Sources of alerts: name to its token. */
  readonly alertTokens?: Readonly<Record<string, string>>;
  /** Every server is registered here as it starts, so that the caller can stop what there is whatever happens. */
  readonly stops: Stops;
}

/** What has been started, to be stopped in reverse. */
export interface Stops {
  readonly add: (stop: () => Promise<unknown>) => void;
  /** Stops everything, the newest first; problems are told and stop nothing. */
  readonly all: (say: (line: string) => void) => Promise<void>;
}

/** Keeps what is to be stopped. */
export function openStops(): Stops {
  const stops: (() => Promise<unknown>)[] = [];
  return {
    add: (stop) => stops.push(stop),
    all: async (say) => {
      for (const stop of stops.splice(0).reverse()) await stop().catch((error: unknown) => say(`could not be stopped in good order: ${String(error)}`));
    },
  };
}

/** Everything running: gonogo embedded, the marketplace beside it, and Prometheus where there is one. */
export interface Stack {
  readonly url: string;
  readonly config: Config;
  readonly registry: Registry;
  readonly crew: Crew;
  /** People's tokens by name. */
  readonly tokens: ReadonlyMap<string, string>;
  readonly marketplace: { readonly url: string; readonly admin: string };
  readonly prometheus: { readonly url: string; /** Another one, without memory, on the same port. */ readonly renew: () => Promise<void> } | undefined;
}

/** Starts everything, as `gonogo start` does, with the marketplace in a process of its own. Rejects when one of them cannot be had. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { data, logs, say, stops } = options;
  for (const dir of [data, logs]) mkdirSync(dir, { recursive: true, mode: 0o711 });
  const registry = registryOf(path.join(ROOT, 'plans', 'flags.yaml'));
  const [apiPort, appPort, adminPort] = [await freePort(), await freePort(), await freePort()];
  const marketplace = { url: `http://127.0.0.1:${appPort}`, admin: `http://127.0.0.1:${adminPort}` };
  const noted = async <T extends { readonly stop: () => Promise<unknown> }>(starting: Promise<T>): Promise<T> => {
    const server = await starting;
    stops.add(server.stop);
    return server;
  };
  // The bundle of the workflows takes a second: it is made while the servers start.
  const bundling = workflowBundle();
  const prometheusConfig = options.prometheus?.({ marketplace: `127.0.0.1:${appPort}`, api: `127.0.0.1:${apiPort}` });
  const [postgres, temporal, prometheus] = await settled([
    options.servers === undefined ? noted(startPostgres({ dataDir: path.join(data, 'postgres'), log: say })) : { url: options.servers.postgres },
    options.servers === undefined ? noted(startOwnTemporal(path.join(data, 'temporal', 'temporal.db'), say)) : { address: options.servers.temporal },
    prometheusConfig === undefined ? undefined : startRenewable(path.join(data, 'prometheus'), prometheusConfig, stops, say),
    bundling,
  ]);
  const people = await prepare(postgres.url, registry, options.environment);
  const configFile = path.join(logs, 'gonogo.yaml');
  writeFileSync(
    configFile,
    stringify(
      configText({
        apiPort,
        temporal: temporal.address,
        taskQueue: options.taskQueue,
        marketplace: marketplace.url,
        prometheus: prometheus?.url,
        alertTokens: options.alertTokens,
      }),
    ),
  );
  const config = loadConfig(configFile, {
    GONOGO_DATABASE_URL: postgres.url,
    EVALUATOR_TOKEN: people.services.evaluator,
    ...Object.fromEntries(Object.entries(options.alertTokens ?? {}).map(([name, token]) => [alertVariable(name), token])),
  });

  const log = openLog({ secrets: config.secrets, to: createWriteStream(path.join(logs, 'gonogo.log'), { flags: 'a', mode: 0o600 }) });
  const telemetry = openTelemetry();
  const runtime = installRuntime(log, telemetry.registry);
  stops.add(() => {
    runtime.stop();
    return Promise.resolve();
  });
  const serving = await noted(startServing(config, { log, registry, metrics: telemetry.registry, speed: true }));
  say(`gonogo's API at ${serving.url}`);
  const app = noted(
    startMarketplace({
      marketplace,
      appPort,
      adminPort,
      api: serving.url,
      token: people.services.marketplace,
      logs,
      prometheus: prometheus?.url,
      window: options.window,
    }),
  );
  const [, started] = await settled([noted(startWorker(config, { log, meter: telemetry.meter })), app]);
  say(`the marketplace at ${marketplace.url} (pid ${started.pid})`);
  return { url: serving.url, config, registry, crew: openCrew(serving.url, people.tokens), tokens: people.tokens, marketplace, prometheus };
}

/** Waits for all of them, also when one fails: what has started by then is registered to be stopped. */
async function settled<T extends readonly unknown[]>(work: T): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  const done = await Promise.allSettled(work);
  const failed = done.find((one) => one.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return done.map((one) => (one.status === 'fulfilled' ? one.value : undefined)) as { -readonly [K in keyof T]: Awaited<T[K]> };
}

async function startOwnTemporal(dbFile: string, say: (line: string) => void): Promise<Temporal> {
  const cli = toolPath('temporal');
  if (cli === undefined) throw new Error('the Temporal CLI is missing; expected it in TEMPORAL_CLI, .tools/ or on PATH. Run "npm run setup"');
  return startTemporal({ cli, dbFile, headless: true, log: say });
}

function registryOf(file: string): Registry {
  const loaded = loadRegistry(readFileSync(file, 'utf8'));
  if (!loaded.ok) throw new Error(`${file} cannot be used: ${loaded.problems.map((problem) => problem.message).join('; ')}`);
  return loaded.registry;
}

async function startRenewable(dir: string, config: unknown, stops: Stops, say: (line: string) => void): Promise<NonNullable<Stack['prometheus']>> {
  const bin = toolPath('prometheus');
  if (bin === undefined) throw new Error('Prometheus is missing; expected it in PROMETHEUS, .tools/ or on PATH. Run "npm run setup"');
  const port = await freePort();
  let [count, running]: [number, Prometheus | undefined] = [0, undefined];
  const begin = async (): Promise<Prometheus> => {
    count += 1;
    return startPrometheus({ bin, dir: path.join(dir, String(count)), config, port, log: count === 1 ? say : () => undefined });
  };
  stops.add(async () => running?.stop());
  running = await begin();
  return {
    url: running.url,
    renew: async () => {
      await running?.stop();
      running = undefined;
      running = await begin();
    },
  };
}

/** Schemas, the registry's flags as they are in the environment, and everybody's tokens. */
async function prepare(
  url: string,
  registry: Registry,
  environment: string,
): Promise<{
  readonly tokens: ReadonlyMap<string, string>;
  /** What gonogo and the marketplace read flags with. */ readonly services: { readonly evaluator: string; readonly marketplace: string };
}> {
  const store = openStore({ url, pool: 2, rollbackPool: 1 });
  try {
    await migrate(store);
    const flags = await openFlagStore(url, { primed: 1 });
    await seedFlags(flags, registry, environment, (provider) => provider === 'builtin', 'demo').finally(() => flags.close());
    const make = async (name: string, roles: readonly string[]): Promise<string> =>
      (await createToken(store, { person: name, roles, label: 'demo', by: 'demo' })).token;
    const tokens = new Map<string, string>();
    for (const person of PEOPLE) tokens.set(person.name, await make(person.name, person.roles));
    return { tokens, services: { evaluator: await make('evaluator', []), marketplace: await make('marketplace', []) } };
  } finally {
    await store.close();
  }
}

const alertVariable = (name: string): string => `ALERT_TOKEN_${name.toUpperCase().replaceAll('-', '_')}`;

/** gonogo.yaml: what a person would write for this stack, secrets as references. */
function configText(to: {
  readonly apiPort: number;
  readonly temporal: string;
  readonly taskQueue: string | undefined;
  readonly marketplace: string;
  readonly prometheus: string | undefined;
  readonly alertTokens: Readonly<Record<string, string>> | undefined;
}): unknown {
  return {
    temporal: { address: to.temporal, ...(to.taskQueue === undefined ? {} : { taskQueue: to.taskQueue }) },
    database: { url: '${GONOGO_DATABASE_URL}' },
    server: { port: to.apiPort },
    people: Object.fromEntries(PEOPLE.map((person) => [person.name, [...person.roles]])),
    evaluators: {
      ofrep: { kind: 'ofrep', url: `http://127.0.0.1:${to.apiPort}`, token: '${EVALUATOR_TOKEN}' },
      http: { kind: 'http', hosts: { app: to.marketplace } },
    },
    sources: {
      app: { kind: 'web', url: `${to.marketplace}/numbers` },
      ...(to.prometheus === undefined ? {} : { prometheus: { kind: 'prometheus', url: to.prometheus } }),
    },
    ...(to.alertTokens === undefined
      ? {}
      : {
          hooks: { alertmanager: Object.fromEntries(Object.keys(to.alertTokens).map((name) => [name, { token: `\${${alertVariable(name)}}`, plans: ['*'] }])) },
        }),
    registry: path.join(ROOT, 'plans', 'flags.yaml'),
    plansDir: path.join(ROOT, 'plans'),
  };
}

async function startMarketplace(to: {
  readonly marketplace: Stack['marketplace'];
  readonly appPort: number;
  readonly adminPort: number;
  readonly api: string;
  readonly token: string;
  readonly logs: string;
  readonly prometheus: string | undefined;
  readonly window: number | undefined;
}): Promise<{ readonly pid: number; readonly stop: () => Promise<void> }> {
  const env = {
    PATH: process.env['PATH'] ?? '',
    MARKETPLACE_PORT: String(to.appPort),
    MARKETPLACE_ADMIN_PORT: String(to.adminPort),
    FLAGS_URL: to.api,
    FLAGS_TOKEN: to.token,
    MARKETPLACE_PARENT: String(process.pid),
    ...(to.prometheus === undefined ? {} : { PROMETHEUS_URL: to.prometheus }),
    ...(to.window === undefined ? {} : { MARKETPLACE_WINDOW_SECONDS: String(to.window) }),
  };
  return startProcess({
    name: 'marketplace',
    command: process.execPath,
    args: [path.join(import.meta.dirname, 'marketplace', 'main.ts')],
    dir: to.logs,
    env,
    ready: async () => (await fetch(`${to.marketplace.url}/healthz`, { signal: AbortSignal.timeout(1_000) })).ok,
    readyWithin: 20_000,
    stopSignal: 'SIGTERM',
  });
}
