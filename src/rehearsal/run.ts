import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { LaunchEvent, Outcome } from '../core/event.ts';
import { describeEvent } from '../core/report.ts';
import type { Gate, Order } from '../core/plan.ts';
import type { House, Log, Meter } from '../house.ts';
import { openJanitor } from '../server/janitor.ts';
import type { MetricSource } from '../sources/source.ts';
import { launchRow } from '../store/launches.ts';
import { openStore } from '../store/store.ts';
import { runWorkers } from '../worker.ts';
import { NAMES, queues, REFUSED, workflowId, type LaunchInput, type RefusedLaunch } from '../../workflows/messages.ts';
import { openCast, type Asked, type Cast } from './cast.ts';
import { openConductor, openHeardNudger, type Conductor } from './conductor.ts';
import { checkAnswer } from './gate-answers.ts';
import type { FoundFlag } from './real-flags.ts';
import { misses, type Scenario } from './scenario.ts';
import { openScript, type Script } from './script.ts';
import { gateSource, steadySource } from './script-source.ts';
import type { RehearsalServers } from './servers.ts';
import { openShadow, SHADOW } from './shadow.ts';

/** What is rehearsed: the plan as it would be launched, the flags as they were found, and who is there. */
export interface Rehearsable {
  readonly order: Order;
  readonly found: readonly FoundFlag[];
  /** Name -> roles. */
  readonly people: Readonly<Record<string, readonly string[]>>;
}

/** One thing that happened, at its virtual time. */
export interface Happened {
  readonly seq: number;
  /** ISO 8601, virtual. */
  readonly at: string;
  readonly by: string;
  readonly kind: LaunchEvent['kind'];
  readonly text: string;
}

/** How a rehearsal went. */
export interface Rehearsed {
  readonly scenario: string;
  readonly outcome: Outcome | 'not over';
  readonly should: string;
  /** What is not as it should be; nothing when it went well. */
  readonly misses: readonly string[];
  readonly timeline: readonly Happened[];
  readonly asked: readonly Asked[];
  /** The launch's own time from start to end, ms. */
  readonly virtual: number;
  /** Real seconds. */
  readonly seconds: number;
}

/** A rehearsal that takes longer (real ms) is given up: something in it waits for ever. */
const GIVE_UP = 180_000;
/** How long (real ms) the workflows of a launch that is over are waited for. */
const CLOSE_WITHIN = 8_000;
const QUIET_LOG: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };
const NO_METER: Meter = {
  measured: () => undefined,
  verdict: () => undefined,
  providerCall: () => undefined,
  rolledBack: () => undefined,
  ticked: () => undefined,
  forget: () => undefined,
  paged: () => undefined,
};

/** The order with a source of its own for every gate and check, and the shadow as every flag's evaluator. Its hash stays: people sign the real plan. */
function staged(order: Order): Order {
  const gate = (one: Gate): Gate => (one.source === undefined ? one : { ...one, source: `gate ${one.id}` });
  const item = <T extends Order['plan']['checklist'][number]>(one: T): T =>
    one.check === undefined ? one : { ...one, check: { ...one.check, source: `check ${one.id}` } };
  const { plan } = order;
  return {
    ...order,
    flags: order.flags.map((flag) => ({ ...flag, proof: [{ evaluator: SHADOW, with: {} }] })),
    plan: {
      ...plan,
      checklist: plan.checklist.map(item),
      gates: plan.gates.map(gate),
      stages: plan.stages.map((stage) => ({ ...stage, checklist: stage.checklist.map(item) })),
    },
  };
}

function sourcesOf({ plan }: Order, now: () => Promise<number>, script: Script): ReadonlyMap<string, MetricSource> {
  const items = [...plan.checklist, ...plan.stages.flatMap((stage) => stage.checklist)];
  return new Map([
    ...plan.gates.flatMap((gate) => (gate.source === undefined ? [] : [[gate.source, gateSource(gate, now, script.of(gate))] as const])),
    ...items.flatMap(({ check }) => (check === undefined ? [] : [[check.source, steadySource(now, checkAnswer(check))] as const])),
  ]);
}

/** Why a launch was refused, in its own words. */
function refusal(error: unknown): string | undefined {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    const details: unknown = Reflect.get(cause, 'details');
    if (Reflect.get(cause, 'type') === REFUSED && Array.isArray(details))
      return (details[0] as RefusedLaunch).problems.map((one) => `${one.where} ${one.message} (${one.hint})`).join('; ');
  }
  return undefined;
}

/** The launch would be refused as things stand. */
export class RefusedRehearsal extends Error {}

/** Runs one scenario to the launch's end. Throws RefusedRehearsal, and what the signal was aborted with. */
export async function runScenario(servers: RehearsalServers, what: Rehearsable, scenario: Scenario, signal: AbortSignal): Promise<Rehearsed> {
  const began = performance.now();
  const order = staged(what.order);
  const launch = `${order.plan.name}-${order.environment}-${scenario.name.replaceAll(/[^\w-]/g, '-')}`;
  const prefix = `rehearsal-${randomBytes(4).toString('hex')}`;
  const database = await servers.database();
  const store = openStore({ url: database.url, pool: 6, rollbackPool: 4 });
  const closing: (() => Promise<unknown>)[] = [database.drop, store.close];
  try {
    const script = openScript(order, scenario);
    const cast = openCast(store, launch, order, scenario, what.people);
    const nudges = openHeardNudger(servers.client, prefix);
    const kept: { conductor?: Conductor } = {};
    const at = (): number => kept.conductor?.at() ?? Date.now();
    const janitor = openJanitor({ store, temporal: () => Promise.resolve(servers.client), taskQueue: prefix, log: QUIET_LOG, now: at });
    const shadow = await openShadow(database.url, what.found, (provider) => script.isDown(provider, at()));
    closing.push(shadow.close);
    const conductor = openConductor({
      ...{ follow: servers.follow, database, store, launch, order, cast, script, nudges, signal },
      tend: () => janitor.round(),
    });
    kept.conductor = conductor;
    const house: House = {
      store,
      clock: conductor.clock,
      log: QUIET_LOG,
      meter: NO_METER,
      nudge: nudges,
      providers: shadow.providers,
      evaluators: new Map([[SHADOW, shadow.evaluator]]),
      sources: sourcesOf(order, () => conductor.clock.now(), script),
      notifiers: new Map(),
      hand: 'gonogo',
    };
    await store.prime();
    const workers = await runWorkers(house, servers.native, { namespace: 'default', prefix });
    closing.push(workers.stop);
    const input: LaunchInput = { launch, order, startedBy: 'rehearsal', speed: 1, heartbeat: 0 };
    const handle = await servers.client.workflow.start(NAMES.launch, {
      workflowId: workflowId.launch(launch),
      taskQueue: queues(prefix).launch,
      args: [input],
    });
    const result = handle.result();
    const outcome = await untilOver(conductor, result, store, launch, signal);
    const rollback = servers.client.workflow.getHandle(workflowId.rollback(launch)).result();
    await close(servers, [result, rollback]);
    return rehearsed(scenario, order, conductor, cast, outcome, (performance.now() - began) / 1_000);
  } finally {
    for (const end of closing.reverse()) await end().catch(() => undefined);
  }
}

/** Lets the workflows of a launch that is over come to their ends: nobody watches any more, so time is moved here. */
async function close(servers: RehearsalServers, workflows: readonly Promise<unknown>[]): Promise<void> {
  const closed = Promise.allSettled(workflows).then(() => true);
  const giveUp = performance.now() + CLOSE_WITHIN;
  while (!(await Promise.race([closed, pause(50, false)])) && performance.now() < giveUp) await servers.follow(2_000);
}

/** Waits for the end that the database decides. */
async function untilOver(
  conductor: Conductor,
  result: Promise<unknown>,
  store: ReturnType<typeof openStore>,
  launch: string,
  signal: AbortSignal,
): Promise<Outcome | 'not over'> {
  let failed: unknown;
  result.catch((error: unknown) => {
    failed = error;
  });
  const giveUp = performance.now() + GIVE_UP;
  let wake = Promise.withResolvers<undefined>();
  const off = [store.listener.on('gonogo_event', () => wake.resolve(undefined)), store.listener.on('gonogo_rollback', () => wake.resolve(undefined))];
  const stop = () => wake.resolve(undefined);
  signal.addEventListener('abort', stop);
  try {
    for (;;) {
      signal.throwIfAborted();
      const row = await launchRow(store.db, launch);
      if (row?.outcome !== undefined && row.outcome !== 'stuck') {
        await conductor.read();
        return row.outcome;
      }
      if (row === undefined && failed !== undefined) {
        const why = refusal(failed);
        throw why === undefined ? new Error('the launch could not be opened', { cause: failed }) : new RefusedRehearsal(why);
      }
      if (performance.now() > giveUp) {
        await conductor.read();
        return 'not over';
      }
      const timer = setTimeout(stop, 200);
      await wake.promise;
      clearTimeout(timer);
      wake = Promise.withResolvers();
    }
  } finally {
    for (const one of off) one();
    signal.removeEventListener('abort', stop);
  }
}

function rehearsed(scenario: Scenario, { plan }: Order, conductor: Conductor, cast: Cast, outcome: Rehearsed['outcome'], seconds: number): Rehearsed {
  const events = conductor.events.map(({ event }) => event);
  const [first, last] = [events[0], events.at(-1)];
  return {
    scenario: scenario.name,
    outcome,
    should: scenario.should.words,
    misses: misses(plan, scenario.should, events),
    timeline: conductor.events.map(({ seq, event }) => ({ seq, at: event.at, by: event.by, kind: event.kind, text: describeEvent(event) })),
    asked: cast.asked,
    virtual: Date.parse(last?.at ?? '') - Date.parse(first?.at ?? ''),
    seconds,
  };
}
