import { ActivityCancellationType, proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { Journey } from '../activities/journey.ts';
import type { Restoring } from '../activities/restoring.ts';
import type { Watching } from '../activities/watching.ts';

/** The one place where retries are set. A stop must not wait for a write under way: TRY_CANCEL everywhere. */
const JOURNEY = {
  startToCloseTimeout: '30s',
  cancellationType: ActivityCancellationType.TRY_CANCEL,
  retry: { initialInterval: '500ms', backoffCoefficient: 1.5, maximumInterval: '5s' },
} as const;

/** The launch's own queue: its workflow's. */
export function journey(): Journey {
  return proxyActivities<Journey>(JOURNEY);
}

/** The watcher: one long activity on its own queue, from before the first write to the end. */
export function watching(heartbeat: number): Watching {
  return proxyActivities<Watching>({
    taskQueue: workflowInfo().taskQueue.replace(/-launch$/, '-watch'),
    startToCloseTimeout: '90d',
    ...(heartbeat === 0 ? {} : { heartbeatTimeout: heartbeat }),
    cancellationType: ActivityCancellationType.TRY_CANCEL,
    retry: { initialInterval: '200ms', backoffCoefficient: 1.5, maximumInterval: '2s' },
  });
}

/** Putting back: short attempts, retried for ever, never more than 5 s apart; nothing is final but done. */
export function restoring(): Restoring {
  return proxyActivities<Restoring>({
    startToCloseTimeout: '10s',
    cancellationType: ActivityCancellationType.TRY_CANCEL,
    retry: { initialInterval: '250ms', backoffCoefficient: 1.5, maximumInterval: '5s' },
  });
}
