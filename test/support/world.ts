import { randomUUID } from 'node:crypto';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import { inject } from 'vitest';
import type { FlagRef, Order } from '../../src/core/plan.ts';
import { off } from '../../src/core/exposure.ts';
import { openEvaluator } from '../../src/evaluators/index.ts';
import { openFlagStore, type FlagStore } from '../../src/flags/store.ts';
import type { Clock, House, Log, Meter } from '../../src/house.ts';
import { openNudger } from '../../src/nudger.ts';
import { realClock } from '../../src/open-house.ts';
import { openProvider } from '../../src/providers/index.ts';
import { openSource, sourceConfig } from '../../src/sources/index.ts';
import type { MetricSource } from '../../src/sources/source.ts';
import { eventsOf } from '../../src/store/events.ts';
import { launchRow } from '../../src/store/launches.ts';
import { migrate, openStore } from '../../src/store/store.ts';
import { runWorkers } from '../../src/worker.ts';
import { NAMES, queues, workflowId, type Ending, type LaunchInput } from '../../workflows/messages.ts';
import { freshDatabase } from './database.ts';
import { openMetricsPage, type MetricsPage } from './metrics-page.ts';

// Once per process, before the first connection: the SDK says only what goes wrong.
Runtime.install({
  logger: new DefaultLogger('ERROR'),
  shutdownSignals: [],
  telemetryOptions: { logging: { filter: { core: 'ERROR', other: 'ERROR' }, forward: {} } },
});

/** A log that keeps quiet, unless GONOGO_TEST_LOG is set. */
export const quietLog: Log = (() => {
  const say =
    process.env['GONOGO_TEST_LOG'] === undefined ? () => undefined : (fields: object, message: string) => console.error(message, JSON.stringify(fields));
  return { info: say, warn: say, error: say };
})();

/** A meter that counts nothing. */
export const quietMeter: Meter = (() => {
  const nothing = () => undefined;
  return { measured: nothing, verdict: nothing, providerCall: nothing, rolledBack: nothing, ticked: nothing, forget: nothing, paged: nothing };
})();

/** gonogo on real servers, for one test file: a store, a flag store in a database of its own, a page of numbers, and a worker. */
export interface World {
  readonly house: House;
  readonly flags: FlagStore;
  readonly page: MetricsPage;
  readonly client: Client;
  readonly prefix: string;
  readonly databaseUrl: string;
  readonly flagsUrl: string;
  /** Makes the order's flags in the store, off. */
  seed(order: Order): Promise<void>;
  /** Starts a launch of the order by `releaser`; resolves when its row is there. */
  start(order: Order, more?: Partial<LaunchInput>): Promise<{ readonly id: string; readonly handle: WorkflowHandle }>;
  /** The kinds of the launch's events so far, in order. */
  kinds(launch: string): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** How a world differs from the usual one. */
export interface WorldOptions {
  readonly clock?: Clock;
  readonly sources?: Readonly<Record<string, MetricSource>>;
  /** False: no worker runs; the test calls the hands itself. */
  readonly worker?: boolean;
  /** host:port of another Temporal server. */
  readonly temporal?: string;
  /** Reuse a client and connection, e.g. of the time-skipping server. */
  readonly environment?: { readonly client: Client; readonly nativeConnection: NativeConnection };
  readonly databaseUrl?: string;
  /** Wraps the house before workers get it. */
  readonly dress?: (house: House) => House;
}

/** Opens a world. Close it in afterAll. */
export async function openWorld(options: WorldOptions = {}): Promise<World> {
  const prefix = `test-${randomUUID().slice(0, 8)}`;
  const database = options.databaseUrl === undefined ? await freshDatabase() : { url: options.databaseUrl, drop: () => Promise.resolve() };
  const flagsDatabase = await freshDatabase();
  const store = openStore({ url: database.url });
  await migrate(store);
  const flags = await openFlagStore(flagsDatabase.url);
  const page = await openMetricsPage();
  const address = options.temporal ?? inject('temporalAddress');
  const connection = options.environment === undefined ? await Connection.connect({ address }) : undefined;
  const client = options.environment?.client ?? new Client({ ...(connection === undefined ? {} : { connection }) });
  const context = { log: quietLog, secret: (reference: string) => reference, databaseUrl: flagsDatabase.url, serverUrl: 'http://127.0.0.1:7077' };
  const plain: House = {
    store,
    clock: options.clock ?? realClock,
    log: quietLog,
    meter: quietMeter,
    nudge: openNudger(client, prefix, quietLog),
    providers: new Map([['builtin', await openProvider('builtin', { kind: 'builtin' }, context)]]),
    evaluators: new Map([['store', await openEvaluator('store', { kind: 'store' }, context)]]),
    sources: new Map<string, MetricSource>([
      ['app', openSource('app', sourceConfig.parse({ kind: 'web', url: page.url, timeout: 2_000 }))],
      ...Object.entries(options.sources ?? {}),
    ]),
    notifiers: new Map(),
    hand: `test-${prefix}`,
  };
  const house = options.dress?.(plain) ?? plain;
  await store.prime();
  const native = options.worker === false ? undefined : (options.environment?.nativeConnection ?? (await NativeConnection.connect({ address })));
  const workers = native === undefined ? undefined : await runWorkers(house, native, { namespace: 'default', prefix });
  const counts = new Map<string, number>();
  return {
    house,
    flags,
    page,
    client,
    prefix,
    databaseUrl: database.url,
    flagsUrl: flagsDatabase.url,
    async seed(order) {
      const known = new Set((await flags.list()).map((flag) => flag.key));
      const missing = order.flags.filter((flag) => !known.has(flag.key));
      if (missing.length === 0) return;
      await flags.create(
        missing.map((flag: FlagRef) => ({
          key: flag.key,
          type: flag.type,
          offValue: flag.offValue,
          exposure: off(flag.type === 'boolean' ? true : (flag.type.oneOf[0] ?? '')),
          exposed: true,
          owner: 'test',
          description: flag.flag,
        })),
        { by: 'seed' },
      );
    },
    async start(order, more = {}) {
      const name = `${order.plan.name}-${order.environment}`;
      const n = (counts.get(name) ?? 0) + 1;
      counts.set(name, n);
      // Unique on the run's Temporal server, which all test files share.
      const id = `${name}-${prefix}-${n}`;
      const input: LaunchInput = { launch: id, order, startedBy: 'releaser', speed: 1, ...more };
      const handle = await client.workflow.start(NAMES.launch, { workflowId: workflowId.launch(id), taskQueue: queues(prefix).launch, args: [input] });
      let failed: unknown;
      (handle.result() as Promise<Ending>).catch((error: unknown) => {
        failed = error;
      });
      const end = performance.now() + 20_000;
      while ((await launchRow(store.db, id)) === undefined) {
        if (failed !== undefined) throw failed instanceof Error ? failed : new Error(JSON.stringify(failed));
        if (performance.now() > end) throw new Error(`${id} was not opened`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      return { id, handle };
    },
    kinds: async (launch) => (await eventsOf(store.db, launch)).map((logged) => logged.event.kind),
    async close() {
      await workers?.stop();
      await Promise.allSettled([...house.providers.values(), ...house.evaluators.values(), ...house.sources.values()].map((one) => one.close()));
      await page.close();
      await flags.close();
      await store.close();
      if (options.environment === undefined) await native?.close();
      await connection?.close();
      await flagsDatabase.drop();
      await database.drop();
    },
  };
}
