import { WorkflowIdConflictPolicy, type Client } from '@temporalio/client';
import { NAMES, queues, workflowId, type Nudge, type RollbackInput } from '../workflows/messages.ts';
import type { Log, Nudger } from './house.ts';

/** The longest a nudge may take, ms: nothing waits for it, and it is said again. */
const DEADLINE = 2_000;

/** So many are under way at once: when hundreds of launches stop together, the hands that put back need the processor more. */
const AT_ONCE = 8;

/** Nudges over a client that may not be reachable: each with its own deadline, none ever awaited. Repeats within a second, or of one that still waits, are left out. */
export function openNudger(client: Client, prefix: string, log: Log): Nudger {
  const recent = new Map<string, number>();
  const waiting = new Map<string, () => Promise<unknown>>();
  let running = 0;
  const say = (what: string, work: () => Promise<unknown>) => {
    const now = Date.now();
    if (recent.size > 10_000) recent.clear();
    recent.set(what, now);
    running += 1;
    client
      .withDeadline(now + DEADLINE, work)
      .catch((error: unknown) => {
        recent.delete(what);
        log.warn({ nudge: what, error: String(error) }, 'Temporal was not told; it is told again');
      })
      .finally(() => {
        running -= 1;
        const [next] = waiting;
        if (next === undefined) return;
        waiting.delete(next[0]);
        say(...next);
      });
  };
  const send = (what: string, work: () => Promise<unknown>) => {
    if (Date.now() - (recent.get(what) ?? 0) < 1_000) return;
    if (running < AT_ONCE) say(what, work);
    else waiting.set(what, work);
  };
  const signal = (launch: string, name: string, ...args: readonly Nudge[]) => client.workflow.getHandle(workflowId.launch(launch)).signal(name, ...args);
  return {
    cleared: (launch, stage) => send(`cleared ${launch} ${stage}`, () => signal(launch, NAMES.cleared, { stage })),
    passed: (launch, stage) => send(`passed ${launch} ${stage}`, () => signal(launch, NAMES.passed, { stage })),
    stopped: (launch) => {
      send(`rollback ${launch}`, () => startRollback(client, prefix, launch));
      send(`stopped ${launch}`, () => signal(launch, NAMES.stopped));
    },
  };
}

/** Starts a launch's rollback workflow, or joins the one that runs. */
export async function startRollback(client: Client, prefix: string, launch: string): Promise<void> {
  const input: RollbackInput = { launch };
  await client.workflow.start(NAMES.rollback, {
    workflowId: workflowId.rollback(launch),
    taskQueue: queues(prefix).rollback,
    args: [input],
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
  });
}
