import { sql } from 'kysely';
import { WorkflowIdConflictPolicy, WorkflowNotFoundError, type Client } from '@temporalio/client';
import { NAMES, queues, workflowId, type RollbackInput } from '../../workflows/messages.ts';
import type { LaunchEvent } from '../core/event.ts';
import { startRollback } from '../nudger.ts';
import { page } from '../store/launches.ts';
import { freeOrphanLocks, launchesOnPatrol, launchesToTend, type LaunchHealth } from '../store/lists.ts';
import { hold, Refusal } from '../store/people.ts';
import { requestRollback } from '../store/request.ts';
import type { ServerDeps } from './deps.ts';
import { nowOf } from './deps.ts';
import { nudgeRollback, within } from './nudge.ts';

/** What the janitor is made of: the store and a Temporal client, nothing that could fail with the rest. */
export type JanitorDeps = Pick<ServerDeps, 'store' | 'temporal' | 'taskQueue' | 'log' | 'now'> & {
  /** How often it goes round, ms. Default 15,000. */
  readonly every?: number;
};

/** What one round found and did. `ran` is false when another process was at it. */
export interface Round {
  readonly ran: boolean;
  readonly tended: number;
  readonly did: readonly { readonly launch: string; readonly what: 'paged' | 'held' | 'rollback-requested' | 'rollback-restarted'; readonly why: string }[];
  readonly locksFreed: number;
}

/** A janitor that goes round until it is closed. */
export interface Janitor {
  /** One round now. */
  readonly round: () => Promise<Round>;
  /** Goes round every `every` ms. */
  readonly start: () => void;
  readonly close: () => Promise<void>;
}

/** Ms without a watcher's tick, and without a rollback's progress, before someone is called. */
const WATCHER_GONE = 30_000;
const STALLED = 15_000;
/** Failed attempts of a workflow task after which a launch is wedged. */
const WEDGED = 3;
const DAY = 86_400_000;
const ASK_WITHIN = 5_000;

type Workflow = { readonly kind: 'running'; readonly wedged: boolean; readonly run: string } | { readonly kind: 'gone' } | { readonly kind: 'unknown' };
type Did = Round['did'][number];

async function workflowOf(client: Client | undefined, launch: string): Promise<Workflow> {
  if (client === undefined) return { kind: 'unknown' };
  try {
    const description = await client.withDeadline(Date.now() + ASK_WITHIN, () => client.workflow.getHandle(workflowId.launch(launch)).describe());
    if (description.status.name !== 'RUNNING') return { kind: 'gone' };
    return { kind: 'running', wedged: (description.raw.pendingWorkflowTask?.attempt ?? 0) > WEDGED, run: description.runId };
  } catch (error) {
    return error instanceof WorkflowNotFoundError ? { kind: 'gone' } : { kind: 'unknown' };
  }
}

/** Ends the rollback run that stalls, if there is one, and starts anew. */
async function restartRollback(client: Client, taskQueue: string, launch: string): Promise<void> {
  const input: RollbackInput = { launch };
  await client.workflow.start(NAMES.rollback, {
    workflowId: workflowId.rollback(launch),
    taskQueue: queues(taskQueue).rollback,
    args: [input],
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.TERMINATE_EXISTING,
  });
}

/** Looks after launches whose own hands may be gone. */
export function openJanitor(deps: JanitorDeps): Janitor {
  const { store, log } = deps;
  let timer: NodeJS.Timeout | undefined;
  let going: Promise<Round> | undefined;

  const at = (): string => new Date(nowOf(deps)).toISOString();

  async function call(launch: string, key: string, about: string, text: string): Promise<Did[]> {
    const event: LaunchEvent = {
      kind: 'paged',
      at: at(),
      by: 'janitor',
      about,
      text: `${launch}: ${text}`,
      commands: [`gonogo rollback ${launch} --reason "${about}"`],
    };
    return (await page(store, launch, key, event)) ? [{ launch, what: 'paged', why: text }] : [];
  }

  async function rollBack(launch: string, reason: string): Promise<Did[]> {
    const requested = await requestRollback(store, launch, { kind: 'launch' }, { kind: 'janitor', reason }, 'janitor', nowOf(deps));
    if (requested.status !== 'requested') return [];
    nudgeRollback(deps, launch);
    return [{ launch, what: 'rollback-requested', why: reason }];
  }

  async function watcher(one: LaunchHealth): Promise<Did[]> {
    const since = one.watcherTick ?? one.startedAt;
    if (one.now - since <= WATCHER_GONE) return [];
    return call(one.launch, `no-watcher:${one.watcherEpoch}`, 'no-watcher', `nobody has watched it since ${new Date(since).toISOString()}; start a worker`);
  }

  async function wedged(one: LaunchHealth, run: string): Promise<Did[]> {
    const paged = await call(
      one.launch,
      `wedged:${run}`,
      'wedged',
      'its workflow fails again and again; the watcher and rollback work on. Mend the worker, or roll back',
    );
    if (paged.length === 0) return [];
    try {
      const held = await hold(store, one.launch, 'janitor', at(), 'its workflow fails again and again', 'readiness');
      return held === undefined ? paged : [...paged, { launch: one.launch, what: 'held', why: 'wedged' }];
    } catch (error) {
      if (error instanceof Refusal) return paged;
      throw error;
    }
  }

  async function deadline(one: LaunchHealth): Promise<Did[]> {
    if (one.wide) return [];
    const left = one.deadline - one.now;
    if (left <= 0) return rollBack(one.launch, `maxDuration is over since ${new Date(one.deadline).toISOString()}`);
    // Short launches are warned of in their last quarter, not from their first minute.
    const warn = Math.min(DAY, (one.deadline - one.startedAt) / 4);
    return left > warn ? [] : call(one.launch, 'deadline', 'deadline', `maxDuration ends ${new Date(one.deadline).toISOString()}; it is rolled back then`);
  }

  async function stalled(one: LaunchHealth, client: Client | undefined): Promise<Did[]> {
    const slow = one.openRequests.find((request) => one.now - request.progressAt > STALLED);
    if (slow === undefined || client === undefined) return [];
    await client.withDeadline(Date.now() + ASK_WITHIN, () => restartRollback(client, deps.taskQueue, one.launch));
    return [{ launch: one.launch, what: 'rollback-restarted', why: `no progress on ${slow.scope} since ${new Date(slow.progressAt).toISOString()}` }];
  }

  async function tend(one: LaunchHealth, client: Client | undefined): Promise<Did[]> {
    const did = [...(await stalled(one, client)), ...(await deadline(one))];
    if (one.outcome !== undefined || one.requested) return did;
    const workflow = await workflowOf(client, one.launch);
    if (workflow.kind === 'gone') return [...did, ...(await rollBack(one.launch, 'launch workflow lost'))];
    return [...did, ...(workflow.kind === 'running' && workflow.wedged ? await wedged(one, workflow.run) : []), ...(await watcher(one))];
  }

  async function look(): Promise<Round> {
    const [launches, client] = await Promise.all([launchesToTend(store), within(ASK_WITHIN, deps.temporal(), 'temporal').catch(() => undefined)]);
    const did: Did[] = [];
    const queue = [...launches];
    const worker = async (): Promise<void> => {
      for (let one = queue.shift(); one !== undefined; one = queue.shift()) {
        try {
          did.push(...(await tend(one, client)));
        } catch (error) {
          log.warn(
            { launch: one.launch, reason: error instanceof Error ? error.message : String(error) },
            'the janitor could not tend a launch; it comes again',
          );
        }
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));
    // Whoever asked for the rollback may have found no Temporal to tell; a run that walks already is joined.
    if (client !== undefined)
      for (const launch of await launchesOnPatrol(store)) {
        await client
          .withDeadline(Date.now() + ASK_WITHIN, () => startRollback(client, deps.taskQueue, launch))
          .catch((error: unknown) => log.warn({ launch, reason: String(error) }, 'the patrol could not be started; the janitor comes again'));
      }
    const locksFreed = await freeOrphanLocks(store);
    for (const one of did) log.warn({ ...one }, 'the janitor acted');
    return { ran: true, tended: launches.length, did, locksFreed };
  }

  /** One at a time across processes: whoever holds the lock goes round, the others skip this round. */
  async function round(): Promise<Round> {
    return store.db.connection().execute(async (connection) => {
      const { rows } = await sql<{ mine: boolean }>`select pg_try_advisory_lock(hashtext('gonogo janitor')) as mine`.execute(connection);
      if (rows[0]?.mine !== true) return { ran: false, tended: 0, did: [], locksFreed: 0 };
      try {
        return await look();
      } finally {
        await sql`select pg_advisory_unlock(hashtext('gonogo janitor'))`.execute(connection);
      }
    });
  }

  function once(): Promise<Round> {
    going ??= round().finally(() => {
      going = undefined;
    });
    return going;
  }

  return {
    round: once,
    start: () => {
      timer ??= setInterval(() => {
        once().catch((error: unknown) =>
          log.warn({ reason: error instanceof Error ? error.message : String(error) }, 'the janitor could not go round; it comes again'),
        );
      }, deps.every ?? 15_000);
    },
    close: async () => {
      clearInterval(timer);
      timer = undefined;
      await going?.catch(() => undefined);
    },
  };
}
