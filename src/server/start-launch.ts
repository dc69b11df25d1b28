import { createHash } from 'node:crypto';
import { WorkflowExecutionAlreadyStartedError, WorkflowFailedError, WorkflowIdConflictPolicy, WorkflowIdReusePolicy, type Client } from '@temporalio/client';
import { NAMES, queues, REFUSED, workflowId, type LaunchInput, type RefusedLaunch } from '../../workflows/messages.ts';
import type { Order } from '../core/plan.ts';
import { launchRow, reserve, unreserve, type LaunchRow } from '../store/launches.ts';
import type { Person } from '../store/people.ts';
import type { ServerDeps } from './deps.ts';
import { within } from './nudge.ts';
import { HttpProblem } from './problem.ts';

/** How long (ms) a caller waits for a launch to be opened, and how often it is looked for. */
const OPEN_WITHIN = 10_000;
const LOOK_EVERY = 25;

/** A checked order, and who wants it launched under which key. */
export interface WantedLaunch {
  readonly key: string;
  readonly raw: Buffer;
  readonly order: Order;
  readonly person: Person;
  readonly speed: number;
  readonly note?: string;
}

/** The refusal that a workflow failed with, however deeply it is wrapped. */
function refusalOf(error: unknown): RefusedLaunch | undefined {
  for (let cause: unknown = error, depth = 0; cause instanceof Error && depth < 10; cause = cause.cause, depth += 1) {
    const details: unknown = Reflect.get(cause, 'details');
    if (Reflect.get(cause, 'type') === REFUSED && Array.isArray(details)) return details[0] as RefusedLaunch;
  }
  return undefined;
}

function refusedProblem(refused: RefusedLaunch): HttpProblem {
  const problems = refused.problems.map(({ where, message, hint }) => ({ path: where, message, hint }));
  const said = problems.map((one) => `${one.path} ${one.message}`).join('; ');
  switch (refused.code) {
    case 'flag_locked':
      return new HttpProblem(409, 'flag_locked', `another launch holds a flag of this plan: ${said}`, { problems });
    case 'not_ready':
      return new HttpProblem(422, 'not_ready', `something stands in the launch's way: ${said}`, { problems });
    case 'plan_refused':
      return new HttpProblem(422, 'plan_refused', `the plan cannot be launched: ${said}`, { problems });
  }
}

type Closed = { readonly kind: 'refused'; readonly refused: RefusedLaunch } | { readonly kind: 'failed'; readonly why: string } | { readonly kind: 'unknown' };

async function closing(client: Client, launch: string, signal: AbortSignal): Promise<Closed> {
  try {
    await client.withAbortSignal(signal, () => client.workflow.getHandle(workflowId.launch(launch)).result());
    return { kind: 'unknown' };
  } catch (error) {
    const refused = refusalOf(error);
    if (refused !== undefined) return { kind: 'refused', refused };
    // Anything but the workflow's own failure means only that nobody could tell.
    return error instanceof WorkflowFailedError ? { kind: 'failed', why: error.cause?.message ?? error.message } : { kind: 'unknown' };
  }
}

/** Waits until the launch's row is there, or its workflow says why it never will be. Undefined when neither came in time. */
async function untilOpen(
  deps: ServerDeps,
  client: Client,
  launch: string,
  deadline: number,
): Promise<LaunchRow | Exclude<Closed, { kind: 'unknown' }> | undefined> {
  const stop = new AbortController();
  let closed: Closed | undefined;
  let wake = Promise.withResolvers<undefined>();
  const forget = deps.store.listener.on('gonogo_event', (heard) => {
    if (heard === undefined || heard === launch) wake.resolve(undefined);
  });
  const end = closing(client, launch, stop.signal).then((answer) => {
    closed = answer;
    wake.resolve(undefined);
  });
  try {
    for (;;) {
      const row = await launchRow(deps.store.db, launch);
      if (row !== undefined) return row;
      if (closed !== undefined && closed.kind !== 'unknown') return closed;
      if (Date.now() >= deadline) return undefined;
      let timer: NodeJS.Timeout | undefined;
      await Promise.race([wake.promise, new Promise((resolve) => (timer = setTimeout(resolve, LOOK_EVERY)))]);
      clearTimeout(timer);
      wake = Promise.withResolvers();
    }
  } finally {
    forget();
    stop.abort();
    await end;
  }
}

async function begin(deps: ServerDeps, client: Client, input: LaunchInput): Promise<void> {
  try {
    await client.withDeadline(Date.now() + OPEN_WITHIN / 2, () =>
      client.workflow.start(NAMES.launch, {
        workflowId: workflowId.launch(input.launch),
        taskQueue: queues(deps.taskQueue).launch,
        args: [input],
        workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
        workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
      }),
    );
  } catch (error) {
    // It ran and is over: how it ended is asked next.
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}

/**
 * Starts a launch, once per key: reserves its id, starts its workflow under that id, and answers when the launch is
 * written down with all its locks. Refused: nothing is left and the key is free again. Throws HttpProblem 409, 422 or
 * 503; after a 503 the same key may be used again and finds the same launch.
 */
export async function startLaunch(deps: ServerDeps, wanted: WantedLaunch): Promise<LaunchRow> {
  const { order, person, key, speed, note } = wanted;
  const deadline = Date.now() + OPEN_WITHIN;
  const bodyHash = createHash('sha256').update(person.name).update('\0').update(wanted.raw).digest('hex');
  const { launch, sameBody } = await reserve(deps.store, key, order.plan.name, order.environment, bodyHash, person.name);
  if (!sameBody)
    throw new HttpProblem(
      422,
      'idempotency_key_reused',
      'this Idempotency-Key was used with another body or by another person; take a new one for a new launch',
    );
  const known = await launchRow(deps.store.db, launch);
  if (known !== undefined) return known;
  const input: LaunchInput = { launch, order, startedBy: person.name, speed, ...(note === undefined ? {} : { note }) };
  let client: Client;
  try {
    client = await within(OPEN_WITHIN / 2, deps.temporal(), 'temporal');
    await begin(deps, client, input);
  } catch (error) {
    deps.log.warn({ launch, reason: error instanceof Error ? error.message : String(error) }, 'a launch could not be started');
    throw new HttpProblem(
      503,
      'temporal_unreachable',
      'Temporal did not answer; whether the launch begins is not known. Send the same request with the same Idempotency-Key again',
      { headers: { 'retry-after': '2' } },
    );
  }
  const found = await untilOpen(deps, client, launch, deadline);
  if (found === undefined) {
    throw new HttpProblem(
      503,
      'not_confirmed',
      `the launch was handed over and not opened within ${OPEN_WITHIN / 1000} s; is a worker running? Send the same request with the same Idempotency-Key again`,
      {
        headers: { 'retry-after': '2' },
        members: { launch },
      },
    );
  }
  if (!('kind' in found)) return found;
  await unreserve(deps.store, launch);
  if (found.kind === 'refused') throw refusedProblem(found.refused);
  deps.log.error({ launch, reason: found.why }, 'a launch workflow failed before the launch was opened');
  throw new HttpProblem(503, 'not_opened', 'the launch failed before it was opened; nothing was written. Look at the worker log, then send it again');
}
