import { WATCH } from '../core/state.ts';
import type { Cause, LaunchEvent, Scope } from '../core/event.ts';
import { lookWithin } from '../core/deadlines.ts';
import type { GateAct } from '../core/gate.ts';
import { exposedShare, promisedTo } from '../core/exposed.ts';
import type { Gate, Order, Plan } from '../core/plan.ts';
import { appendEvent } from '../store/events.ts';
import { page } from '../store/launches.ts';
import { hold } from '../store/people.ts';
import { scopeKey } from '../store/request.ts';
import type { WatchState } from '../store/watch.ts';
import { lookAtGate, saidOf, watchGate, type GateWatch, type Looked } from './gate-watch.ts';
import { stop } from './stop.ts';
import { iso, quietly, type Watch } from './watch.ts';

/** How long gates rest after a stage-scope rollback, ms, at any speed: until the old samples have left the queries' windows, which no speed shortens. */
const REST = 600_000;

/** Which scope a gate's breach has: the stage's own, when that stage moved flags last, lists the gate and has a fallback; else the launch's. */
function scopeOfBreach(order: Order, stages: WatchState['stages'], gate: string): Scope {
  const moved = stages.findLast((one) => one.stage !== WATCH && (one.phase === 'live' || one.phase === 'passed' || one.phase === 'shifting'));
  const stage = order.plan.stages.find((one) => one.id === moved?.stage);
  return stage?.onRollback?.scope === 'stage' && stage.gates.includes(gate) ? { kind: 'stage', stage: stage.id } : { kind: 'launch' };
}

/** Arms the gates of every stage from its first flag that has moved; a stage's gates stay armed to the end. While gates rest after a stage rollback, none is asked. */
export function arm(watch: Watch, now: number, left: ReadonlyMap<string, { armedAt: number; state: unknown }>): void {
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
    const movedAt = stage.shiftedAt ?? (stage.moved === true ? now : undefined);
    if (movedAt === undefined) continue;
    const planned = watch.order.plan.stages.find((one) => one.id === stage.stage);
    for (const id of planned?.gates ?? []) {
      const gate = watch.order.plan.gates.find((one) => one.id === id);
      if (gate === undefined || watch.gates.has(id)) continue;
      const kept = left.get(id);
      const usable = rest === undefined || (kept !== undefined && kept.armedAt >= rest);
      const armedAt = rest ?? movedAt;
      watch.gates.set(id, watchGate(gate, usable ? (kept?.armedAt ?? armedAt) : armedAt, usable ? (kept?.state as GateWatch['state'] | undefined) : undefined));
    }
  }
}

function restUntil(watch: Watch): number | undefined {
  return watch.state.held?.fallback === true ? Date.parse(watch.state.held.at) + REST : undefined;
}

/** Whether the flag of a check of the exposure is just being changed: some of its users have the new share, and some the old. */
function isMoving(plan: Plan, state: WatchState, gate: Gate): boolean {
  if (gate.kind !== 'exposureCheck') return false;
  const moving = new Set(state.stages.flatMap((one) => (one.phase === 'shifting' ? [one.stage] : [])));
  return plan.stages.some((stage) => moving.has(stage.id) && stage.set.some((change) => change.flag === gate.flag));
}

/** Tells a gate how many are exposed, by the stages that have shifted: what its answers are held against, and what being blind means. */
export function tellShares({ order, state }: Pick<Watch, 'order' | 'state'>, gate: GateWatch): void {
  const { plan } = order;
  const newest = (counted: (one: WatchState['stages'][number]) => boolean): number => {
    const ids = new Set(state.stages.flatMap((one) => (counted(one) ? [one.stage] : [])));
    return plan.stages.findLastIndex((stage) => ids.has(stage.id));
  };
  gate.promised = isMoving(plan, state, gate.gate)
    ? undefined
    : promisedTo(
        plan,
        newest((one) => one.shiftedAt !== undefined),
        gate.gate,
      );
  // Whoever a shift under way is for may see it already; who was rolled back with their stage does not, once that is proven.
  const back = new Set(state.requests.flatMap((one) => (one.proven && one.scope.startsWith('stage:') ? [one.scope.slice('stage:'.length)] : [])));
  gate.exposed = exposedShare(
    plan,
    newest((one) => one.shiftedAt !== undefined || one.phase === 'shifting'),
    back,
  );
}

function causeOf(gate: string, act: GateAct, looked: Looked, servedAt: number): Cause {
  return act.cause === 'breach'
    ? { kind: 'gate', gate, verdict: looked.verdict, firstBadAt: servedAt }
    : { kind: 'policy', gate, reason: act.why, firstBadAt: servedAt };
}

/** Looks at one gate and acts on it at once: nothing waits for the other gates. */
export async function look(watch: Watch, gate: GateWatch, now: number): Promise<LaunchEvent | undefined> {
  const { house, launch } = watch;
  const source = house.sources.get(gate.gate.source ?? '');
  gate.due = now + gate.gate.every;
  if (source === undefined) return undefined;
  tellShares(watch, gate);
  const looked = await lookAtGate(house, gate, source, AbortSignal.timeout(lookWithin(gate.gate)));
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

/** Writes gate news down in its order; what fails is kept for the next tick. */
export async function tellNews(watch: Watch): Promise<void> {
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
