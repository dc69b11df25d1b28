import { bakeOf } from '../core/bake.ts';
import { describeMillis } from '../core/bound.ts';
import { WATCH } from '../core/state.ts';
import { holdUndecided } from '../store/people.ts';
import { isMeasured } from './gate-watch.ts';
import { iso, quietly, type Watch } from './watch.ts';

/** How often a stage that is undecided all the same is held again at most, and the store asked whether it is time, ms. */
const LEAST = 600_000;
const LOOK = 30_000;

/** Why a person has to decide, and for how long (ms) their word to bake on counts. */
export interface Undecided {
  readonly stage: string;
  readonly reason: string;
  readonly again: number;
}

/**
 * Whether the stage that is live has been undecided up to the longest that it may bake: its bake is not earned, and the newest word of
 * some gate is that there is not enough evidence. A stage that is only behind, with every gate at go, is not: it will be earned.
 */
export function undecided(watch: Pick<Watch, 'state' | 'order' | 'bake' | 'gates'>, now: number): Undecided | undefined {
  const live = watch.state.stages.find((one) => one.phase === 'live');
  const planned = live === undefined ? undefined : bakeOf(watch.order.plan, live.stage);
  if (live?.shiftedAt === undefined || planned === undefined || watch.bake?.stage !== live.stage || watch.bake.bakedAt !== undefined) return undefined;
  if (watch.state.requests.length > 0 || watch.state.held !== undefined || now - live.shiftedAt < planned.maxBake) return undefined;
  const last = [...watch.gates.values()].flatMap(({ gate, state }) => (isMeasured(gate) && state.last !== undefined ? [state.last] : []));
  const open = last.filter((one) => one.kind === 'inconclusive' && (one.reason === 'undecided' || one.reason === 'too-few'));
  if (open.length === 0) return undefined;
  const again = Math.max(planned.bake, LEAST);
  const what = live.stage === WATCH ? 'the watch after the last stage' : live.stage;
  const earned = `${describeMillis(watch.bake.earned)} of ${describeMillis(planned.bake)} earned in ${describeMillis(now - live.shiftedAt)}`;
  const choice = `resume to let it bake on (you are asked again after ${describeMillis(again)}), or roll back: no time makes a go of it`;
  return { stage: live.stage, again, reason: `${what} is undecided, ${earned}: ${open.map(({ why }) => why).join('; ')}; ${choice}` };
}

/** Holds such a stage for a person, with the evidence so far. */
export async function holdUndecidedStage(watch: Watch, now: number): Promise<void> {
  const found = now < watch.undecidedAt ? undefined : undecided(watch, now);
  if (found === undefined) return;
  watch.undecidedAt = now + LOOK;
  await quietly(watch, () => holdUndecided(watch.house.store, watch.launch, found.stage, iso(now), found.reason, found.again));
}
