import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { Client, Connection } from '@temporalio/client';
import { bundleWorkflowCode, NativeConnection, Worker, type WorkflowBundle } from '@temporalio/worker';
import { openJourney, openRestoring, openWatching } from '../activities/index.ts';
import { queues } from '../workflows/messages.ts';
import type { Config } from './config.ts';
import type { Clock, House, Log, Meter } from './house.ts';
import { runHerald } from './notifiers/herald.ts';
import { openNudger } from './nudger.ts';
import { openHouse } from './open-house.ts';
import { setFreezes } from './store/freezes.ts';
import { migrate, type Store } from './store/store.ts';
import { INTERCEPTORS } from './temporal-connection.ts';

/** What a worker is started with beside its config. */
export interface WorkerDeps {
  readonly log: Log;
  readonly meter: Meter;
  readonly clock?: Clock;
  readonly store?: Store;
}

/** A running worker. `stop` lets go of everything in good order: the next worker watches on. */
export interface RunningWorker {
  readonly house: House;
  readonly stop: () => Promise<void>;
}

let bundle: Promise<WorkflowBundle> | undefined;

/**
 * The workflows' bundle, built once per process; read from the file that GONOGO_WORKFLOW_BUNDLE names where it was made
 * beforehand: a worker that was killed is then back in half the time, and so is its watch.
 */
export function workflowBundle(): Promise<WorkflowBundle> {
  const made = process.env['GONOGO_WORKFLOW_BUNDLE'];
  if (made !== undefined && made !== '') bundle ??= readFile(made, 'utf8').then((code) => ({ code }));
  const quiet = { trace: () => undefined, debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined, log: () => undefined };
  bundle ??= bundleWorkflowCode({ workflowsPath: fileURLToPath(new URL('../workflows/index.ts', import.meta.url)), logger: quiet });
  return bundle;
}

/** How a process's three workers are sized: one long watcher per launch, and slots of its own for every rollback. */
const SLOTS = { journey: 200, watch: 5_000, rollback: 500 } as const;

/** Starts the three workers of a process (launch, watch, rollback) over one connection. */
export async function runWorkers(
  house: House,
  connection: NativeConnection,
  options: { readonly namespace: string; readonly prefix: string },
): Promise<{ readonly stop: () => Promise<void> }> {
  const names = queues(options.prefix);
  // Workflows run in threads of their own, whose heaps begin now: each would keep tens of MB for young objects that a nudge now and then never needs.
  setFlagsFromString('--max-semi-space-size=2');
  // The SDK keeps each launch's last answer to Temporal, a few hundred bytes of a pool: in Node's own of 64 KB each keeps all of it.
  Buffer.poolSize = 8_192;
  const shutDown = new AbortController();
  const loops = new Set<Promise<unknown>>();
  const workflows = { workflowBundle: await workflowBundle() };
  const shared = { connection, namespace: options.namespace, shutdownGraceTime: '1s', shutdownForceTime: '5s' } as const;
  const workers = await Promise.all([
    Worker.create({
      ...shared,
      ...workflows,
      taskQueue: names.launch,
      activities: openJourney(house),
      maxConcurrentActivityTaskExecutions: SLOTS.journey,
      maxCachedWorkflows: 2_000,
      maxHeartbeatThrottleInterval: '4s',
    }),
    Worker.create({
      ...shared,
      taskQueue: names.watch,
      activities: openWatching(house, shutDown.signal, loops),
      maxConcurrentActivityTaskExecutions: SLOTS.watch,
      maxHeartbeatThrottleInterval: '4s',
    }),
    Worker.create({
      ...shared,
      ...workflows,
      taskQueue: names.rollback,
      activities: openRestoring(house),
      maxConcurrentActivityTaskExecutions: SLOTS.rollback,
      maxCachedWorkflows: 500,
    }),
  ]);
  const runs = workers.map((worker) =>
    worker.run().catch((error: unknown) => house.log.error({ error: String(error) }, 'a Temporal worker has ended; what is watched goes on being watched')),
  );
  return {
    stop: async () => {
      shutDown.abort();
      for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
      await Promise.all(runs);
      await Promise.allSettled(loops);
    },
  };
}

/** Starts a worker as the config says, its database brought up to date first, with the herald that carries its news. Throws when the config, the database or Temporal cannot be used. */
export async function startWorker(config: Config, deps: WorkerDeps): Promise<RunningWorker> {
  const { log } = deps;
  const connection = await NativeConnection.connect(config.temporal.connection);
  const clientConnection = Connection.lazy({ ...config.temporal.connection, interceptors: INTERCEPTORS });
  const client = new Client({ connection: clientConnection, namespace: config.temporal.namespace });
  const { house, close } = await openHouse(config, { ...deps, nudge: openNudger(client, config.temporal.taskQueue, log) });
  await migrate(house.store);
  await setFreezes(house.store, config.freezes);
  const running = await runWorkers(house, connection, { namespace: config.temporal.namespace, prefix: config.temporal.taskQueue });
  const heralds = new AbortController();
  const herald = runHerald(house, config.notifiers, { signal: heralds.signal, publicUrl: config.server.publicUrl });
  return {
    house,
    stop: async () => {
      heralds.abort();
      await running.stop();
      await Promise.allSettled([herald]);
      await close();
      await clientConnection.close();
      await connection.close();
    },
  };
}
