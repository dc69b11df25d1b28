import type { House } from '../house.ts';
import { rollbackState } from '../store/journal.ts';
import { launchRow } from '../store/launches.ts';
import { gateRows, takeWatch, watchTick, type Tick, type Ticked, type WatchState } from '../store/watch.ts';
import { arm, look, tellNews } from './act.ts';
import { bake, clear, pass } from './advance.ts';
import { lookAtComing } from './coming.ts';
import { isMeasured, tickOf } from './gate-watch.ts';
import { watchDrift } from './drift.ts';
import { holdUndecidedStage } from './undecided.ts';
import { letHandsFirst } from './hands.ts';
import { lookAtReadiness, lookAtWitnesses } from './patrol.ts';
import { payDebts, standBy } from './stop.ts';
import { iso, quietly, type Owed, type Watch } from './watch.ts';

/** How a watcher's loop is held from outside. */
export interface WatchHandle {
  /** Aborted when the process shuts down; the loop ends between two ticks. */
  readonly signal: AbortSignal;
  /** Called at every tick with what must outlive this process: at most one entry for each scope. */
  readonly beat: (owed: readonly Owed[]) => void;
  /** What the watcher before this one could not write down. */
  readonly owed?: readonly Owed[];
}

/** Why a watcher's loop ended. */
export type WatchEnd = 'over' | 'superseded' | 'shut-down' | 'unknown';

/** The longest a watcher sleeps with nothing due, ms of judged time. */
const IDLE = 5_000;
/** How often witnesses are looked at, and the providers' readiness, ms. */
const WITNESS_EVERY = 300_000;
const READINESS_EVERY = 180_000;
/** A sleep that news ends; made once, since an abort makes an error with a stack each time. */
const NEWS = new Error('there is news');

async function tick(watch: Watch, now: number): Promise<Ticked | undefined> {
  const dirty = [...watch.gates.values()].filter((gate) => gate.dirty);
  const rows = dirty.flatMap((gate) => gate.rows);
  const body: Tick = {
    gates: dirty.map(tickOf),
    measurements: rows,
    ...(watch.bake === undefined || !watch.bakeDirty ? {} : { bake: watch.bake }),
  };
  try {
    const ticked = await watchTick(watch.house.store, watch.launch, watch.epoch, body);
    for (const gate of dirty) {
      gate.dirty = false;
      gate.rows = [];
    }
    watch.bakeDirty = false;
    watch.house.meter.ticked(watch.launch);
    return ticked;
  } catch (error) {
    watch.house.log.warn({ launch: watch.launch, error: String(error), at: iso(now) }, 'the tick could not be written; watching goes on');
    return undefined;
  }
}

async function begin(house: House, launch: string, owed: readonly Owed[]): Promise<Watch | 'unknown' | 'over'> {
  const epoch = await takeWatch(house.store, launch);
  const row = await launchRow(house.store.db, launch);
  if (epoch === undefined || row === undefined) return 'unknown';
  const first = await watchTick(house.store, launch, epoch, { gates: [], measurements: [] });
  if (first.superseded) return 'over';
  const now = await house.clock.now();
  return {
    house,
    launch,
    order: row.order,
    speed: row.speed,
    epoch,
    startedAt: now,
    gates: new Map(),
    state: first,
    view: undefined,
    owed,
    bake: undefined,
    bakeDirty: false,
    nudged: undefined,
    undecidedAt: -Infinity,
    checkedAt: 0,
    heardSeq: -1,
    witnessedAt: now,
    readyAt: now,
    coming: undefined,
    rested: false,
    news: [],
    busy: undefined,
  };
}

/** Owed requests first, then the journal when it has grown: what memory needs while the database is away. */
async function settle(watch: Watch): Promise<void> {
  await payDebts(watch);
  if (
    watch.state.journalled !== (watch.view?.journal.length ?? 0) ||
    (watch.state.journalled > 0 && watch.view?.journal.some((entry) => entry.phase === 'intent') === true)
  ) {
    await quietly(watch, async () => {
      watch.view = await rollbackState(watch.house.store, watch.launch);
    });
  }
}

async function patrol(watch: Watch, now: number): Promise<void> {
  if (watch.state.requests.length > 0) return;
  if (now - watch.witnessedAt >= WITNESS_EVERY / watch.speed) {
    watch.witnessedAt = now;
    await quietly(watch, () => lookAtWitnesses(watch.house, watch.launch));
  }
  if (now - watch.readyAt >= READINESS_EVERY) {
    watch.readyAt = now;
    await quietly(watch, () => lookAtReadiness(watch.house, watch.launch, watch.order));
  }
}

function isOver(state: WatchState): boolean {
  return state.outcome !== undefined && state.outcome !== 'stuck';
}

/** When the loop has to look again, ms from now. */
function pause(watch: Watch, now: number, urgent: number | undefined): number {
  const due = [...watch.gates.values()].filter((gate) => isMeasured(gate.gate)).map((gate) => gate.due - now);
  const waits = [...due, ...(urgent === undefined ? [] : [urgent]), IDLE];
  return Math.max(urgent === undefined ? 10 : 0, Math.min(...waits));
}

/**
 * Watches one launch from before its first write to its end: measures, judges, keeps the bake clock, tells the launch
 * what the database decided, and is the hand on the switch when something breaks. Goes on without Temporal, and
 * without the database as far as memory reaches. Returns when the launch is over, or a newer watcher rules.
 */
export async function runWatch(house: House, launch: string, handle: WatchHandle): Promise<WatchEnd> {
  const watch = await begin(house, launch, handle.owed ?? []);
  if (watch === 'unknown') return 'unknown';
  if (watch === 'over') return 'superseded';
  let awake = new AbortController();
  const wake = (heard: string | undefined) => {
    if (heard === undefined || heard === launch) awake.abort(NEWS);
  };
  const ears = [house.store.listener.on('gonogo_rollback', wake), house.store.listener.on('gonogo_event', wake), standBy(watch), watchDrift(watch)];
  const onShutDown = () => awake.abort();
  handle.signal.addEventListener('abort', onShutDown);
  let left = new Map((await gateRows(house.store, launch)).map((row) => [row.gate, row]));
  try {
    for (;;) {
      if (handle.signal.aborted) return 'shut-down';
      awake = new AbortController();
      let now = await house.clock.now();
      arm(watch, now, left);
      left = new Map();
      const due = [...watch.gates.values()].filter((gate) => isMeasured(gate.gate) && gate.due <= now);
      watch.news.push(...(await Promise.all(due.map((gate) => look(watch, gate, now)))).filter((event) => event !== undefined));
      now = await house.clock.now();
      bake(watch, now);
      await letHandsFirst(watch.house.store);
      const ticked = await tick(watch, now);
      // A request is no watcher's turn: whoever owes one writes it, superseded or not.
      if (ticked?.superseded !== false) await payDebts(watch);
      if (ticked?.superseded === true && watch.owed.length === 0) return 'superseded';
      if (ticked?.superseded === false) {
        watch.state = ticked;
        if (isOver(ticked)) return 'over';
        await settle(watch);
        await quietly(watch, () => tellNews(watch));
        await quietly(watch, () => pass(watch, now));
        await holdUndecidedStage(watch, now);
        await quietly(watch, () => lookAtComing(watch, now));
        if (watch.coming?.blocked !== true) await quietly(watch, () => clear(watch, now));
        await patrol(watch, now);
      }
      handle.beat(watch.owed);
      const urgent = watch.owed.length > 0 ? 500 : undefined;
      await house.clock.sleep(pause(watch, await house.clock.now(), urgent), awake.signal);
    }
  } finally {
    for (const off of ears) off();
    handle.signal.removeEventListener('abort', onShutDown);
    house.meter.forget(launch);
  }
}
