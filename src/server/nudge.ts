import { WorkflowIdConflictPolicy, type Client } from '@temporalio/client';
import { NAMES, queues, workflowId, type RollbackInput } from '../../workflows/messages.ts';
import type { ServerDeps } from './deps.ts';

/** How long (ms) Temporal has for a nudge. */
const NUDGE_WITHIN = 2_000;

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

/** Starts a launch's rollback workflow, or joins the one that runs. With `anew` a run that stalls is ended and replaced. */
export async function startRollback(client: Client, taskQueue: string, launch: string, anew = false): Promise<void> {
  const input: RollbackInput = { launch };
  await client.workflow.start(NAMES.rollback, {
    workflowId: workflowId.rollback(launch),
    taskQueue: queues(taskQueue).rollback,
    args: [input],
    workflowIdConflictPolicy: anew ? WorkflowIdConflictPolicy.TERMINATE_EXISTING : WorkflowIdConflictPolicy.USE_EXISTING,
  });
}

/**
 * After a request row is written: starts the rollback workflow and tells the launch that it is stopped. Nobody waits for
 * it and nothing depends on it: the watcher hears of the row from the database, and the janitor starts what was lost.
 */
export function nudgeRollback(deps: Pick<ServerDeps, 'temporal' | 'taskQueue' | 'log'>, launch: string): void {
  const nudge = async (): Promise<void> => {
    const client = await deps.temporal();
    await client.withDeadline(Date.now() + NUDGE_WITHIN, async () => {
      await Promise.all([
        startRollback(client, deps.taskQueue, launch),
        // A launch that is over or gone needs no telling.
        client.workflow.getHandle(workflowId.launch(launch)).signal(NAMES.stopped).catch(() => undefined),
      ]);
    });
  };
  within(NUDGE_WITHIN + 500, nudge(), 'temporal').catch((error: unknown) => {
    deps.log.warn({ launch, reason: error instanceof Error ? error.message : String(error) }, 'the rollback workflow could not be started now; the watcher rolls back by itself');
  });
}
