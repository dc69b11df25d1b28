import { WATCH } from '../core/state.ts';
import { bakeOf, earn } from '../core/bake.ts';
import type { GateRecord, LaunchEvent } from '../core/event.ts';
import { evidence } from '../core/gate.ts';
import { reopenStage } from '../store/people.ts';
import { clearanceOf, passStage } from '../store/stages.ts';
import { failingChecks } from './checks.ts';
import { forgetBefore, isMeasured } from './gate-watch.ts';
import { stop } from './stop.ts';
import { CHECK_EVERY, iso, type Watch } from './watch.ts';

/** What the bake clock needs of a watch. */
export type Baking = Pick<Watch, 'state' | 'order' | 'gates' | 'bake' | 'bakeDirty'>;

/** Moves the bake clock of the stage that is live as far as every armed gate was judged. */
export function bake(watch: Baking, now: number): void {
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

function requiredOf(watch: Pick<Watch, 'order'>, stage: string): number {
  return bakeOf(watch.order.plan, stage)?.bake ?? 0;
}

function records(watch: Watch): readonly GateRecord[] {
  return [...watch.gates.values()].map((gate) => evidence(gate.gate, gate.state));
}

/** A stage whose bake is earned is passed, and the launch is told. */
export async function pass(watch: Watch, now: number): Promise<void> {
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
export async function clear(watch: Watch, now: number): Promise<void> {
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
