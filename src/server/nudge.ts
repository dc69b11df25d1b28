import { openNudger } from '../nudger.ts';
import type { ServerDeps } from './deps.ts';

/** How long (ms) a connection to Temporal has when it is only for a nudge. */
const CONNECT_WITHIN = 2_000;

/** Settles with `work`, or rejects after `ms`. */
export async function within<T>(ms: number, work: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * After a request row is written: starts the rollback workflow and tells the launch that it is stopped. Nobody waits for
 * it and nothing depends on it: the watcher hears of the row from the database, and the janitor starts what was lost.
 */
export function nudgeRollback(deps: Pick<ServerDeps, 'temporal' | 'taskQueue' | 'log'>, launch: string): void {
  within(CONNECT_WITHIN, deps.temporal(), 'temporal').then(
    (client) => openNudger(client, deps.taskQueue, deps.log).stopped(launch),
    (error: unknown) => {
      deps.log.warn(
        { launch, reason: error instanceof Error ? error.message : String(error) },
        'the rollback workflow could not be started now; the watcher rolls back by itself',
      );
    },
  );
}
