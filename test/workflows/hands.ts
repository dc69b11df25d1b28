import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, NativeConnection, Worker, type WorkerOptions, type WorkflowBundle } from '@temporalio/worker';
import { inject } from 'vitest';
import { openJourney, openRestoring, openWatching } from '../../activities/index.ts';
import { workflowBundle } from '../../src/worker.ts';
import { queues } from '../../workflows/messages.ts';
import type { World } from '../support/world.ts';

/** A Temporal worker that runs until it is stopped. */
export interface Hand {
  readonly stop: () => Promise<void>;
}

/** The hands of a worker one by one, so that a test may take one away: over one connection, closed with the last. */
export interface Hands {
  /** Runs the launch workflow; nothing is kept between two of its tasks. */
  workflows(bundle?: WorkflowBundle): Promise<Hand>;
  journey(): Promise<Hand>;
  watching(): Promise<Hand>;
  restoring(bundle?: WorkflowBundle): Promise<Hand>;
  /** Stops whatever still runs. */
  close(): Promise<void>;
}

/** The real workflows with code of a test's own between them and Temporal: what a bad deploy would be. */
export function bundleWith(interceptors: string): Promise<WorkflowBundle> {
  const nothing = () => undefined;
  const logger = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing, log: nothing };
  return bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL('../../workflows/index.ts', import.meta.url)),
    workflowInterceptorModules: [fileURLToPath(new URL(interceptors, import.meta.url))],
    logger,
  });
}

/** Opens hands for a world that has no worker of its own. */
export async function openHands(world: World, native?: NativeConnection): Promise<Hands> {
  const connection = native ?? (await NativeConnection.connect({ address: inject('temporalAddress') }));
  const names = queues(world.prefix);
  const running = new Set<Hand>();
  async function hand(options: Partial<WorkerOptions> & { readonly taskQueue: string }, atEnd: () => Promise<void> = () => Promise.resolve()): Promise<Hand> {
    const worker = await Worker.create({ connection, namespace: 'default', shutdownGraceTime: '200ms', shutdownForceTime: '2s', ...options });
    const run = worker.run().catch(() => undefined);
    const own: Hand = {
      stop: async () => {
        if (!running.delete(own)) return;
        const last = atEnd();
        worker.shutdown();
        await Promise.all([run, last]);
      },
    };
    running.add(own);
    return own;
  }
  return {
    workflows: async (bundle) => hand({ taskQueue: names.launch, workflowBundle: bundle ?? (await workflowBundle()), maxCachedWorkflows: 0 }),
    journey: () => hand({ taskQueue: names.launch, activities: openJourney(world.house) }),
    watching: () => {
      const over = new AbortController();
      const loops = new Set<Promise<unknown>>();
      return hand({ taskQueue: names.watch, activities: openWatching(world.house, over.signal, loops) }, async () => {
        over.abort();
        await Promise.allSettled(loops);
      });
    },
    restoring: async (bundle) =>
      hand({ taskQueue: names.rollback, activities: openRestoring(world.house), workflowBundle: bundle ?? (await workflowBundle()) }),
    async close() {
      await Promise.all([...running].map((one) => one.stop()));
      if (native === undefined) await connection.close();
    },
  };
}
