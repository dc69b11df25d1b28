import type { Client } from '@temporalio/client';
import { sql } from 'kysely';
import type { LaunchEvent, LoggedEvent } from '../core/event.ts';
import type { Order } from '../core/plan.ts';
import { measurementsOf } from '../core/query.ts';
import { counts } from '../core/reading.ts';
import type { Clock, Nudger } from '../house.ts';
import { startRollback } from '../nudger.ts';
import { eventsOf } from '../store/events.ts';
import { launchRow } from '../store/launches.ts';
import type { Store } from '../store/store.ts';
import { NAMES, workflowId } from '../../workflows/messages.ts';
import type { Cast } from './cast.ts';
import type { Script } from './script.ts';
import type { RehearsalDatabase, RehearsalServers } from './servers.ts';

/** Nudges that a conductor waits for: time must not run ahead of what has been said. */
export interface HeardNudger extends Nudger {
  /** Resolves when all that was said is said, or failed. */
  readonly quiet: () => Promise<void>;
  /** Stages that the launch was told are cleared. */
  readonly toldCleared: ReadonlySet<string>;
}

/** Opens the nudges of one rehearsal. */
export function openHeardNudger(client: Client, prefix: string): HeardNudger {
  const saying = new Set<Promise<unknown>>();
  const toldCleared = new Set<string>();
  const say = (work: Promise<unknown>): void => {
    const said = work.catch(() => undefined).finally(() => saying.delete(said));
    saying.add(said);
  };
  const signal = (launch: string, name: string, ...args: readonly unknown[]): void =>
    say(client.workflow.getHandle(workflowId.launch(launch)).signal(name, ...args));
  return {
    toldCleared,
    cleared: (launch, stage) => {
      toldCleared.add(stage);
      signal(launch, NAMES.cleared, { stage });
    },
    passed: (launch, stage) => signal(launch, NAMES.passed, { stage }),
    stopped: (launch) => {
      say(startRollback(client, prefix, launch));
      signal(launch, NAMES.stopped);
    },
    quiet: async () => {
      await Promise.all(saying);
    },
  };
}

/** Keeps a rehearsal's time: skips what is dull, goes slowly through what matters, and lets people act when it is their turn. */
export interface Conductor {
  readonly clock: Clock;
  /** The virtual time, ms: real time and all that was skipped. */
  readonly at: () => number;
  readonly events: readonly LoggedEvent[];
  /** Reads what has happened since. */
  readonly read: () => Promise<void>;
}

/** What a conductor is made of. */
export interface Baton {
  readonly follow: RehearsalServers['follow'];
  readonly database: RehearsalDatabase;
  readonly store: Store;
  readonly launch: string;
  readonly order: Order;
  readonly cast: Cast;
  readonly script: Script;
  readonly nudges: HeardNudger;
  /** A janitor's round: it knows when `maxDuration` is over. */
  readonly tend: () => Promise<unknown>;
  readonly signal: AbortSignal;
}

const [HOUR, DAY] = [3_600_000, 86_400_000];
/** The longest that is skipped at once, ms: while gates have a past to be looked back on, and while there are none. */
const [STRIDE, LEAP] = [6 * HOUR, DAY];
/** The step (ms) while something is put back: attempts keep pace with the time that the promise is measured in. */
const STEP = 3_000;
/** The step (ms) while the launch is under way: what it is given two minutes for has half a minute of real time at least. */
const PACE = 1_000;
/** The shortest step (ms) while gates are looked at one by one: those that are due at nearly the same time are asked together. */
const BEAT = 3_000;
/** How long (real ms) news is waited for before time goes on: while the launch is under way to its next wait, and while a rollback runs. */
const [PATIENCE, BREATH] = [250, 40];

/** After these the launch goes on by itself: somebody else writes the next event. */
const UNDER_WAY = new Set<LaunchEvent['kind']>(['opened', 'remembered', 'shifted', 'baked', 'watched']);
const STANDS = new Set<LaunchEvent['kind']>([...UNDER_WAY, 'stage-opened', 'reopened', 'witnessed', 'watching']);

type Mood = 'calm' | 'under-way' | 'rolling-back';

function moodOf(events: readonly LoggedEvent[], nudges: HeardNudger): Mood {
  const newest = events.findLast(
    ({ event }) => event.kind === 'rollback-requested' || event.kind === 'relapsed' || event.kind === 'ended' || event.kind === 'held',
  );
  if (newest?.event.kind === 'rollback-requested' || newest?.event.kind === 'relapsed') return 'rolling-back';
  const last = events.findLast(({ event }) => STANDS.has(event.kind))?.event;
  if (last === undefined || UNDER_WAY.has(last.kind)) return 'under-way';
  if ((last.kind === 'stage-opened' || last.kind === 'reopened') && nudges.toldCleared.has(last.stage)) return 'under-way';
  return 'calm';
}

/** Whether the launch waits for a person to let it go on: then there is nothing more for a gate to ask for but a rollback. */
function isHeld(events: readonly LoggedEvent[]): boolean {
  return events.findLast(({ event }) => event.kind === 'held' || event.kind === 'resumed')?.event.kind === 'held';
}

/** When the stage that is live has earned its bake at the earliest, ms. */
function bakedBy(order: Order, events: readonly LoggedEvent[]): number | undefined {
  const last = events.findLast(({ event }) => STANDS.has(event.kind))?.event;
  if (last?.kind === 'watching') return Date.parse(last.until);
  if (last?.kind !== 'witnessed') return undefined;
  const shifted = events.findLast(({ event }) => event.kind === 'shifted')?.event;
  return Date.parse(shifted?.at ?? last.at) + (order.plan.stages.find((stage) => stage.id === last.stage)?.bake ?? 0);
}

/** How far (ms) time may be skipped while nothing happens: what a gate that counts was not asked, it has not seen. */
function stride(order: Order, events: readonly LoggedEvent[]): number {
  const moved = new Set(events.flatMap(({ event }) => (event.kind === 'shifted' ? [event.stage] : [])));
  const ids = new Set(order.plan.stages.filter((stage) => moved.has(stage.id)).flatMap((stage) => stage.gates));
  const armed = order.plan.gates.filter((gate) => ids.has(gate.id) && measurementsOf(gate).length > 0);
  if (armed.length === 0) return LEAP;
  return Math.min(STRIDE, ...armed.filter(counts).map((gate) => gate.every));
}

function heard(signal: AbortSignal | undefined, within: number): Promise<boolean> {
  if (signal?.aborted === true) return Promise.resolve(true);
  return new Promise((resolve) => {
    const end = (news: boolean) => () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onNews);
      resolve(news);
    };
    const onNews = end(true);
    const timer = setTimeout(end(false), within);
    signal?.addEventListener('abort', onNews);
  });
}

/** Opens the conductor of one rehearsal. The watcher's sleeps are its beats: nobody else moves the time. */
export function openConductor(baton: Baton): Conductor {
  const { database, store, launch, order, cast, script, nudges } = baton;
  const events: LoggedEvent[] = [];
  let ahead = 0;
  let deadline: number | undefined;
  const at = (): number => Date.now() + ahead;
  let tendedAt = at();

  const read = async (): Promise<void> => {
    for (const logged of await eventsOf(store.db, launch, events.at(-1)?.seq)) {
      if (logged.seq <= (events.at(-1)?.seq ?? 0)) continue;
      events.push(logged);
      cast.hear(logged.event, logged.seq);
      script.hear(logged.event);
    }
  };

  async function skip(ms: number): Promise<void> {
    ahead += Math.round(ms);
    await database.setAhead(ahead);
    await baton.follow(ms);
  }

  /** The next time that must not be slept through, ms. */
  async function nextMark(from: number): Promise<number> {
    deadline ??= (await launchRow(store.db, launch))?.deadline.getTime();
    const started = Date.parse(events[0]?.event.at ?? '');
    const warned = deadline === undefined ? undefined : deadline - Math.min(DAY, (deadline - started) / 4);
    const marks = [cast.next(), script.next(from), bakedBy(order, events), warned, deadline].filter((mark) => mark !== undefined && mark > from);
    return Math.min(Infinity, ...marks.flatMap((mark) => mark ?? []));
  }

  const clock: Clock = {
    now: () => Promise.resolve(at()),
    async sleep(ms, signal) {
      if (signal?.aborted === true || baton.signal.aborted) return;
      await read();
      const from = at();
      if (await cast.act(from)) return;
      await nudges.quiet();
      const mood = moodOf(events, nudges);
      if (mood !== 'calm' && (await heard(signal, mood === 'rolling-back' ? BREATH : PATIENCE))) return;
      if (mood === 'calm' && from - tendedAt > 60_000) {
        tendedAt = from;
        await baton.tend();
        if (await heard(signal, 0)) return;
      }
      const baked = bakedBy(order, events);
      const isDull = mood === 'calm' && (isHeld(events) || !script.isTense(from)) && (baked === undefined || from < baked);
      const step = isDull ? stride(order, events) : mood === 'calm' ? Math.max(ms, BEAT) : Math.min(ms, mood === 'under-way' ? PACE : STEP);
      // A moment past the mark: what is due is then due.
      await skip(Math.min(step, (await nextMark(from)) + 1 - from));
      // Hands that rest between two attempts do so in real time; here they are asked again at every step.
      if (mood === 'rolling-back') await sql`select pg_notify('gonogo_rollback', ${launch})`.execute(store.db);
    },
  };
  return { clock, at, events, read };
}
