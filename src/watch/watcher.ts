import { WATCH } from '../core/state.ts';
import { earn } from '../core/bake.ts';
import type { Cause, GateRecord, LaunchEvent, Scope } from '../core/event.ts';
import { evidence, type GateAct } from '../core/gate.ts';
import type { Order } from '../core/plan.ts';
import type { House } from '../house.ts';
import { putBack, type Attempt } from '../rollback/put-back.ts';
import { appendEvent } from '../store/events.ts';
import { rollbackState, type RollbackView } from '../store/journal.ts';
import { launchRow, page } from '../store/launches.ts';
import { hold, Refusal, reopenStage } from '../store/people.ts';
import { requestRollback, scopeKey } from '../store/request.ts';
import { clearanceOf, passStage } from '../store/stages.ts';
import { gateRows, takeWatch, watchTick, type Tick, type Ticked, type WatchState } from '../store/watch.ts';
import { failingChecks } from './checks.ts';
import { hearRequests } from './ears.ts';
import { forgetBefore, isMeasured, lookAtGate, saidOf, tickOf, watchGate, type GateWatch, type Looked } from './gate-watch.ts';
import { asHand, letHandsFirst } from './hands.ts';
import { restoreFromMemory } from './memory.ts';
import { lookAtReadiness, lookAtWitnesses } from './patrol.ts';

/** A rollback that could not be written down, since the database was away. */
export interface Owed {
  readonly scope: Scope;
  readonly cause: Cause;
}

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
/** How long gates rest after a stage-scope rollback, ms, at any speed: until the old samples have left the queries' windows, which no speed shortens. */
const REST = 600_000;
/** How often witnesses are looked at, and the providers' readiness, ms. */
const WITNESS_EVERY = 300_000;
const READINESS_EVERY = 180_000;
/** The longest that the loop waits for something that is written beside it, ms. */
const QUIET = 3_000;
/** How often the machine's checks are tried again while they are all that a stage waits for, ms. */
const CHECK_EVERY = 10_000;
/** The longest (ms) that Temporal is told of a rollback later than the first attempt begins: a second hand would only be in the first one's way. */
const TELL_WITHIN = 1_000;
/** A sleep that news ends; made once, since an abort makes an error with a stack each time. */
const NEWS = new Error('there is news');

interface Watch {
  readonly house: House;
  readonly launch: string;
  readonly order: Order;
  readonly speed: number;
  readonly epoch: number;
  readonly startedAt: number;
  readonly gates: Map<string, GateWatch>;
  state: WatchState;
  view: RollbackView | undefined;
  /** Written first when the database is back; one for each scope, so that the clock runs from the first bad sample. */
  owed: readonly Owed[];
  bake: { stage: string; cursor: number; earned: number; bakedAt?: number } | undefined;
  bakeDirty: boolean;
  nudged: { stage: string; at: number } | undefined;
  checkedAt: number;
  heardSeq: number;
  witnessedAt: number;
  readyAt: number;
  rested: boolean;
  /** Gate news not written down yet. */
  news: LaunchEvent[];
  /** Our own stop, from the request to the end of its first attempt: what that came to. */
  busy: Promise<Attempt | undefined> | undefined;
}

const iso = (at: number) => new Date(at).toISOString();

/** Which scope a gate's breach has: the stage's own, when that stage moved flags last, lists the gate and has a fallback; else the launch's. */
export function scopeOfBreach(order: Order, stages: WatchState['stages'], gate: string): Scope {
  const moved = stages.findLast((one) => one.stage !== WATCH && (one.phase === 'live' || one.phase === 'passed' || one.phase === 'shifting'));
  const stage = order.plan.stages.find((one) => one.id === moved?.stage);
  return stage?.onRollback?.scope === 'stage' && stage.gates.includes(gate) ? { kind: 'stage', stage: stage.id } : { kind: 'launch' };
}

/** Arms the gates of every stage that is live or was; a stage's gates stay armed to the end. While gates rest after a stage rollback, none is asked. */
function arm(watch: Watch, now: number, left: ReadonlyMap<string, { armedAt: number; state: unknown }>): void {
  const rest = restUntil(watch);
  if (rest !== undefined && now < rest) {
    watch.gates.clear();
    return;
  }
  if (rest !== undefined && !watch.rested) {
    watch.gates.clear();
    watch.rested = true;
  }
  for (const stage of watch.state.stages) {
    if (stage.shiftedAt === undefined) continue;
    const planned = watch.order.plan.stages.find((one) => one.id === stage.stage);
    for (const id of planned?.gates ?? []) {
      const gate = watch.order.plan.gates.find((one) => one.id === id);
      if (gate === undefined || watch.gates.has(id)) continue;
      const kept = left.get(id);
      const usable = rest === undefined || (kept !== undefined && kept.armedAt >= rest);
      const armedAt = rest ?? stage.shiftedAt;
      watch.gates.set(id, watchGate(gate, usable ? (kept?.armedAt ?? armedAt) : armedAt, usable ? (kept?.state as GateWatch['state'] | undefined) : undefined));
    }
  }
}

function restUntil(watch: Watch): number | undefined {
  return watch.state.held?.fallback === true ? Date.parse(watch.state.held.at) + REST : undefined;
}

function causeOf(gate: string, act: GateAct, looked: Looked, servedAt: number): Cause {
  return act.cause === 'breach'
    ? { kind: 'gate', gate, verdict: looked.verdict, firstBadAt: servedAt }
    : { kind: 'policy', gate, reason: act.why, firstBadAt: servedAt };
}

/** Asks for a rollback and puts back in the same breath; without the database, from memory. */
async function stop(watch: Watch, scope: Scope, cause: Cause): Promise<void> {
  const stopping = asHand(watch.house.store, () => stopNow(watch, scope, cause));
  watch.busy = stopping;
  await stopping;
  watch.busy = undefined;
}

async function stopNow(watch: Watch, scope: Scope, given: Cause): Promise<Attempt | undefined> {
  const { house, launch } = watch;
  const cause = watch.owed.find((one) => scopeKey(one.scope) === scopeKey(scope))?.cause ?? given;
  const others = () => watch.owed.filter((one) => scopeKey(one.scope) !== scopeKey(scope));
  const now = await house.clock.now();
  try {
    const requested = await requestRollback(house.store, launch, scope, cause, 'gonogo', now, house.hand);
    watch.owed = others();
    const tell = tellSoon(watch);
    const done = requested.status === 'requested' ? await attempt(watch, requested.view) : undefined;
    tell();
    return done;
  } catch (error) {
    house.log.error({ launch, error: String(error) }, 'the rollback could not be written down; putting back from memory');
    watch.owed = [...others(), { scope, cause }];
    if (watch.view !== undefined) await restoreFromMemory(house, watch.view, scope);
    return undefined;
  }
}

/** Tells Temporal of the rollback once: when the function it returns is called, and within a second in any case. */
function tellSoon(watch: Watch): () => void {
  let told = false;
  const tell = () => {
    clearTimeout(timer);
    if (!told) watch.house.nudge.stopped(watch.launch);
    told = true;
  };
  const timer = setTimeout(tell, TELL_WITHIN);
  return tell;
}

function attempt(watch: Watch, given?: RollbackView): Promise<Attempt | undefined> {
  return asHand(watch.house.store, () => attemptNow(watch, given));
}

async function attemptNow(watch: Watch, given?: RollbackView): Promise<Attempt | undefined> {
  try {
    const done = await putBack(watch.house, watch.launch, given);
    if (done.kind === 'unproven') watch.house.log.warn({ launch: watch.launch, remainder: done.remainder }, 'not proven yet');
    return done;
  } catch (error) {
    watch.house.log.error({ launch: watch.launch, error: String(error) }, 'an attempt at putting back failed');
    return undefined;
  }
}

/** Looks at one gate and acts on it at once: nothing waits for the other gates. */
async function look(watch: Watch, gate: GateWatch, now: number): Promise<LaunchEvent | undefined> {
  const { house, launch } = watch;
  const source = house.sources.get(gate.gate.source ?? '');
  gate.due = now + gate.gate.every;
  if (source === undefined) return undefined;
  const looked = await lookAtGate(house, gate, source, AbortSignal.timeout(Math.min(8_000, Math.max(1_000, gate.gate.every))));
  const servedAt = await house.clock.now();
  const { act } = looked;
  if (act !== undefined) {
    const cause = causeOf(gate.gate.id, act, looked, servedAt);
    // Once a stage's rollback waits in its fallback, any breach means the launch; until then its own gate says nothing new. A policy's rollback is always the launch's.
    const scope: Scope =
      act.cause === 'breach' && watch.state.held?.fallback !== true ? scopeOfBreach(watch.order, watch.state.stages, gate.gate.id) : { kind: 'launch' };
    if (act.kind === 'rollback') {
      if (!watch.state.requests.some((one) => one.scope === 'launch' || one.scope === scopeKey(scope))) await stop(watch, scope, cause);
    } else if (act.kind === 'hold') await holdQuietly(watch, iso(servedAt), act.why);
    else await pageOnce(watch, `gate ${gate.gate.id}`, act.why, servedAt);
  }
  if (looked.gap !== undefined) {
    const { from, to, lookedBack } = looked.gap;
    await quietly(watch, () =>
      appendEvent(house.store.db, launch, `gap:${gate.gate.id}:${Math.round(from)}`, {
        kind: 'gap',
        at: iso(servedAt),
        by: house.hand,
        gate: gate.gate.id,
        from: iso(from),
        to: iso(to),
        lookedBack,
      }),
    );
  }
  const said = saidOf(looked.verdict);
  if (said === gate.said) return undefined;
  gate.said = said;
  return { kind: 'gate', at: iso(servedAt), by: house.hand, gate: gate.gate.id, verdict: looked.verdict };
}

/** What is written beside the watching, within a short time: a row that somebody holds must not keep the next look waiting. */
async function quietly(watch: Watch, work: () => Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${QUIET / 1_000} s; it may still be`)), QUIET);
  });
  try {
    const doing = work();
    await Promise.race([doing, late]).finally(() => clearTimeout(timer));
  } catch (error) {
    if (!(error instanceof Refusal)) watch.house.log.warn({ launch: watch.launch, error: String(error) }, 'could not be written down now');
  }
}

/** Writes gate news down in its order; what fails is kept for the next tick. */
async function tellNews(watch: Watch): Promise<void> {
  for (const event of [...watch.news]) {
    await appendEvent(watch.house.store.db, watch.launch, `gate:${event.kind === 'gate' ? event.gate : ''}:${event.at}`, event);
    watch.news = watch.news.filter((one) => one !== event);
  }
}

async function holdQuietly(watch: Watch, at: string, reason: string): Promise<void> {
  await quietly(watch, () => hold(watch.house.store, watch.launch, 'gonogo', at, reason, 'gate'));
}

async function pageOnce(watch: Watch, about: string, text: string, now: number): Promise<void> {
  await quietly(watch, async () => {
    const event: LaunchEvent = { kind: 'paged', at: iso(now), by: watch.house.hand, about, text: `${watch.launch}: ${text}`, commands: [] };
    if (await page(watch.house.store, watch.launch, `${about}:${iso(now)}`, event)) watch.house.meter.paged();
  });
}

/** Moves the bake clock of the stage that is live as far as every armed gate was judged. */
function bake(watch: Watch, now: number): void {
  const live = watch.state.stages.find((one) => one.phase === 'live');
  if (live?.shiftedAt === undefined || watch.state.requests.length > 0) {
    watch.bake = undefined;
    return;
  }
  if (watch.bake?.stage !== live.stage) {
    watch.bake = {
      stage: live.stage,
      cursor: live.bakeCursor ?? live.shiftedAt,
      earned: live.earned,
      ...(live.bakedAt === undefined ? {} : { bakedAt: live.bakedAt }),
    };
  }
  const measured = [...watch.gates.values()].filter((gate) => isMeasured(gate.gate));
  const to = Math.min(now, ...measured.map((gate) => gate.state.cursor));
  if (to > watch.bake.cursor) {
    const gained = earn(
      watch.bake.cursor,
      to,
      measured.map((gate) => ({ every: gate.gate.every, points: gate.points })),
    );
    watch.bake = { ...watch.bake, earned: watch.bake.earned + gained, cursor: to };
    watch.bakeDirty = true;
    for (const gate of measured) forgetBefore(gate, to);
  }
  const required = requiredOf(watch, live.stage);
  const healthy = measured.every((gate) => gate.state.latched === undefined && gate.state.pending === undefined && gate.state.last?.kind === 'go');
  if (watch.bake.bakedAt === undefined && watch.bake.earned >= required && healthy) {
    watch.bake = { ...watch.bake, bakedAt: watch.bake.cursor };
    watch.bakeDirty = true;
  }
}

function requiredOf(watch: Watch, stage: string): number {
  return stage === WATCH ? watch.order.plan.watch : (watch.order.plan.stages.find((one) => one.id === stage)?.bake ?? 0);
}

function records(watch: Watch): readonly GateRecord[] {
  return [...watch.gates.values()].map((gate) => evidence(gate.gate, gate.state));
}

/** A stage whose bake is earned is passed, and the launch is told. */
async function pass(watch: Watch, now: number): Promise<void> {
  const live = watch.state.stages.find((one) => one.phase === 'live');
  const { bake: clock, house, launch } = watch;
  if (live !== undefined && clock?.bakedAt !== undefined && clock.stage === live.stage) {
    const event: LaunchEvent =
      live.stage === WATCH
        ? { kind: 'watched', at: iso(now), by: house.hand, earned: clock.earned, gates: records(watch) }
        : {
            kind: 'baked',
            at: iso(now),
            by: house.hand,
            stage: live.stage,
            earned: clock.earned,
            required: requiredOf(watch, live.stage),
            gates: records(watch),
          };
    await passStage(house.store, launch, live.stage, event);
    house.nudge.passed(launch, live.stage);
    watch.nudged = { stage: live.stage, at: now };
    return;
  }
  // A nudge may be lost with Temporal: said again until the next stage opens.
  const newest = watch.state.stages.findLast((one) => one.phase !== 'pending');
  if (newest?.phase === 'passed' && (watch.nudged?.stage !== newest.stage || now - watch.nudged.at >= CHECK_EVERY)) {
    house.nudge.passed(launch, newest.stage);
    watch.nudged = { stage: newest.stage, at: now };
  }
}

/** A stage in clearance: opened again when its recheck is due, checked by the machine, and the launch told when all is there. */
async function clear(watch: Watch, now: number): Promise<void> {
  const open = watch.state.stages.find((one) => one.phase === 'clearance');
  if (open === undefined || watch.state.requests.length > 0) return;
  const { house, launch, order } = watch;
  if (open.noGo !== undefined) {
    if (open.noGo.meanwhile === 'roll-back') await stop(watch, { kind: 'launch' }, { kind: 'no-go', stage: open.stage, reason: open.noGo.reason });
    else if (Date.parse(open.noGo.recheckAt) <= now)
      await reopenStage(house.store, launch, open.stage, open.round, iso(now), `the recheck that ${open.noGo.person} asked for is due`);
    return;
  }
  const news = watch.state.lastSeq !== watch.heardSeq;
  if (!news && now - watch.checkedAt < CHECK_EVERY) return;
  watch.heardSeq = watch.state.lastSeq;
  const stage = order.plan.stages.find((one) => one.id === open.stage);
  if (stage === undefined) return;
  const all = new Set([...order.plan.checklist, ...stage.checklist].map((item) => item.id));
  const standing = await clearanceOf(house.store.db, launch, order, open.stage, all);
  watch.checkedAt = now;
  if (!standing.clearance.cleared || watch.state.held !== undefined) return;
  if ((await failingChecks(house, launch, order, stage)).length > 0) return;
  house.nudge.cleared(launch, open.stage);
}

/** How soon (ms) the next attempt is made; undefined when there is nothing left to do until a request is heard. */
function again(done: Attempt | undefined): number | undefined {
  switch (done?.kind) {
    case undefined:
      return 500;
    case 'looking':
      return 1_000;
    case 'unproven':
      return 250;
    case 'over':
    case 'nothing':
    case 'resting':
      return undefined;
  }
}

/** Puts back whatever is asked for, beside the loop that measures: a source that hangs delays no rollback. Returns how to stop it. */
function standBy(watch: Watch): () => void {
  let [running, heard, stopped] = [false, false, false];
  let told = -Infinity;
  const work = async () => {
    running = true;
    let next: number | undefined = 0;
    while (!stopped && (heard || next !== undefined)) {
      heard = false;
      // Our own stop puts back in the same breath; beside it this hand would only be in its own way.
      const done = (watch.busy === undefined ? undefined : await watch.busy) ?? (await attempt(watch));
      // Whoever asked may have had no way to tell Temporal; being rung is not being asked.
      if (done !== undefined && done.kind !== 'nothing' && performance.now() - told >= CHECK_EVERY) {
        told = performance.now();
        watch.house.nudge.stopped(watch.launch);
      }
      next = again(done);
      if (next !== undefined) await new Promise((resolve) => setTimeout(resolve, next));
    }
    running = false;
  };
  const off = hearRequests(watch.house, watch.launch, () => {
    heard = true;
    if (!running && !stopped) void work();
  });
  if (watch.state.requests.length > 0) void work();
  return () => {
    stopped = true;
    off();
  };
}

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
    checkedAt: 0,
    heardSeq: -1,
    witnessedAt: now,
    readyAt: now,
    rested: false,
    news: [],
    busy: undefined,
  };
}

/** Asks for what could not be written down before. */
async function payDebts(watch: Watch): Promise<void> {
  for (const { scope, cause } of watch.owed) await stop(watch, scope, cause);
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
  const ears = [house.store.listener.on('gonogo_rollback', wake), house.store.listener.on('gonogo_event', wake), standBy(watch)];
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
        await quietly(watch, () => clear(watch, now));
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
