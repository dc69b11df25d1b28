import type { Millis, Plan, Stage } from './plan.ts';
import { WATCH } from './state.ts';

/** What the bake clock knows of one armed gate: how often it is asked, and its measurements in any order. */
export interface ArmedGate {
  readonly every: Millis;
  readonly points: readonly { readonly at: number; readonly passes: boolean }[];
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/** When the gate's newest measurement passed and was no older than 2 x `every`. */
function healthy(gate: ArmedGate): readonly Span[] {
  const byTime = new Map<number, boolean>();
  // Two measurements of one moment: the bad one wins.
  for (const { at, passes } of gate.points) byTime.set(at, passes && byTime.get(at) !== false);
  const points = [...byTime].sort(([a], [b]) => a - b);
  return points.flatMap(([at, passes], index) => {
    const next = points[index + 1]?.[0] ?? Infinity;
    return passes ? [{ from: at, to: Math.min(next, at + 2 * gate.every) }] : [];
  });
}

/** What two lists of spans, each sorted and without overlap, have in common. */
function common(a: readonly Span[], b: readonly Span[]): readonly Span[] {
  const spans: Span[] = [];
  let [i, j] = [0, 0];
  for (;;) {
    const [left, right] = [a[i], b[j]];
    if (left === undefined || right === undefined) return spans;
    const [from, to] = [Math.max(left.from, right.from), Math.min(left.to, right.to)];
    if (from < to) spans.push({ from, to });
    if (left.to < right.to) i += 1;
    else j += 1;
  }
}

/**
 * How much of from..to a bake earns: the time during which every armed gate's newest measurement passes and is no older
 * than 2 x its `every`. Without gates all of it. `points` begin with the newest one at or before `from`, so that a split
 * anywhere earns the same.
 */
export function earn(from: number, to: number, armed: readonly ArmedGate[]): Millis {
  const whole: readonly Span[] = from < to ? [{ from, to }] : [];
  return armed.reduce((spans, gate) => common(spans, healthy(gate)), whole).reduce((sum, span) => sum + span.to - span.from, 0);
}

/** The shortest time that a stage without a `maxBake` may take to decide, ms: one that bakes for a moment has looks to come. */
const LEAST = 600_000;

/** How long (ms) after its shift a stage may be undecided before a person is called: its `maxBake`, else twice its bake, and ten minutes at least. */
export function maxBakeOf(stage: Pick<Stage, 'bake' | 'maxBake'>): Millis {
  return stage.maxBake ?? Math.max(2 * stage.bake, LEAST);
}

/** The bake of a stage, or of the watch after the last one, and the longest that it may take; undefined of a stage that the plan has not. */
export function bakeOf(plan: Plan, stage: string): { readonly bake: Millis; readonly maxBake: Millis } | undefined {
  const found = stage === WATCH ? { bake: plan.watch } : plan.stages.find((one) => one.id === stage);
  return found === undefined ? undefined : { bake: found.bake, maxBake: maxBakeOf(found) };
}
