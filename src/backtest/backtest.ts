import { exposedShare, promisedTo } from '../core/exposed.ts';
import { comparison } from '../core/finding.ts';
import type { Failed } from '../core/measurement.ts';
import type { Gate, Millis, Plan, Stage } from '../core/plan.ts';
import { counts, nameOf } from '../core/reading.ts';
import type { History } from './history.ts';
import { hasOwnSides, healthy, memoryOf, regress, type Altered, type Cannot } from './regress.ts';
import { replay, type Outcome, type Windows } from './replay.ts';

/** The regressions that are put into a history: so many times worse. */
export const FACTORS = [1.5, 2, 4, 10] as const;

/** A healthy launch that would have been stopped: the window's start and the moment it was stopped (ms). */
export interface FalseStop {
  readonly start: number;
  readonly at: number;
  readonly cause: 'breach' | 'policy';
  readonly why: string;
}

/** How fast a regression is rolled back, over the windows in which a healthy launch was not. Times are from the moment the flags move (ms); a quantile that was never reached within the bake is left out. */
export type Catch =
  | { readonly factor: number; readonly windows: number; readonly caught: number; readonly median?: Millis; readonly p90?: Millis }
  | { readonly factor: number; readonly cannot: string };

/** What one gate would have made of one stage. */
export interface Tried {
  readonly gate: string;
  readonly stage: string;
  /** How much of everyone (0..1) sees the stage's change; undefined where the plan does not tell. */
  readonly share?: number;
  readonly bake: Millis;
  readonly windows: number;
  readonly rollbacks: readonly FalseStop[];
  readonly holds: readonly FalseStop[];
  /** Windows that were neither stopped nor ended with a go. */
  readonly undecided: number;
  /** The exposed had no history of their own: everyone's was split at random. */
  readonly split: boolean;
  /** Why healthy launches cannot be replayed here. */
  readonly cannot?: string;
  readonly catches: readonly Catch[];
}

/** What is known of one gate's history. */
export type Remembered =
  | { readonly kind: 'history'; readonly history: History }
  /** Nothing to look at, and that is no failure: no memory, no query. */
  | { readonly kind: 'none'; readonly why: string }
  /** There should be something to look at; `reason` where the source itself said or showed why. */
  | { readonly kind: 'failed'; readonly why: string; readonly hint: string; readonly reason?: Failed['reason'] };

/** How a plan's gates did on the past. */
export interface Backtest {
  readonly plan: string;
  readonly from: number;
  readonly to: number;
  /** Time between the starts of two windows (ms); gates that count may have been tried on fewer. */
  readonly startEvery: Millis;
  readonly gates: readonly {
    readonly gate: string;
    readonly title: string;
    readonly kind: Gate['kind'];
    readonly every: Millis;
    readonly source?: string;
    /** Where its history begins, if that is later than was asked for (ms). */
    readonly begins?: number;
    readonly points?: number;
    readonly noData?: number;
    readonly none?: string;
    /** `away`: its source did not answer at all. */
    readonly failed?: { readonly why: string; readonly hint: string; readonly away: boolean };
  }[];
  readonly tried: readonly Tried[];
}

/** What is tried. */
export interface Trial {
  readonly plan: Plan;
  readonly from: number;
  readonly to: number;
  readonly startEvery: Millis;
  /** By gate. */
  readonly remembered: ReadonlyMap<string, Remembered>;
  /** Shares (0..1) by stage, said by whoever knows how much of the traffic its lists are. */
  readonly shares: ReadonlyMap<string, number>;
}

/**
 * Points that are judged for all gates which count together: what keeps a week of ten of them within seconds. A number of points and no time, so
 * that the same history is always tried on the same windows.
 */
const MOST = 1_200_000;

/** How much of everyone (0..1) sees what the stage changes: the least share that it sets. Undefined where that is a list of people, whose part of the traffic no plan knows. */
export function shareOf(stage: Stage): number | undefined {
  const widening = stage.set.filter((change) => !change.narrows);
  const listed = widening.some(({ to }) => to.share === 0 && to.listed.length > 0);
  const least = Math.min(...widening.map(({ to }) => to.share));
  return listed || !Number.isFinite(least) || least === 0 ? undefined : least / 100;
}

/** How much of everyone (0..1) a gate is tried with at a stage: what was said, else what the plan tells. */
export function shareFor(gate: Gate, plan: Plan, index: number, shares: ReadonlyMap<string, number>): number | undefined {
  const stage = plan.stages[index];
  if (stage === undefined) return undefined;
  const promised = promisedTo(plan, index, gate);
  if (gate.kind === 'exposureCheck') return promised;
  // A flag that is only listed promises no share.
  return shares.get(stage.id) ?? (comparison(gate) === undefined ? shareOf(stage) : promised === 0 ? undefined : promised);
}

function windowsOf(history: History, every: Millis, bake: Millis, startEvery: Millis): Windows {
  const length = Math.ceil(bake / every);
  const last = history.points.length - 1 - length;
  const stride = Math.max(1, Math.round(startEvery / every));
  return { length, starts: last < 0 ? [] : Array.from({ length: Math.floor(last / stride) + 1 }, (_, index) => index * stride) };
}

/** The q-quantile of times of which some never came: nearest rank; undefined where it is one of those. */
function quantile(sorted: readonly number[], of: number, q: number): number | undefined {
  return sorted[Math.max(0, Math.ceil(q * of) - 1)];
}

/** Everything that a gate's trials share: each combination is replayed once. */
function bench(gate: Gate, history: History) {
  const known = new Map<string, readonly Outcome[] | Cannot>();
  const timeOf = (index: number): number => history.points[index]?.at ?? 0;
  const run = (key: string, exposed: number, windows: Windows, memory: Millis, most: number, make: () => Altered): readonly Outcome[] | Cannot => {
    const found = known.get(key);
    if (found !== undefined) return found;
    const altered = make();
    const outcomes = altered.kind === 'cannot' ? altered : replay(gate, { at: altered.at, memory, length: history.points.length, exposed }, windows, most);
    known.set(key, outcomes);
    return outcomes;
  };
  return { run, timeOf };
}

const isCannot = (found: readonly Outcome[] | Cannot): found is Cannot => 'kind' in found;

function caught(factor: number, outcomes: readonly Outcome[], timeOf: (index: number) => number): Catch {
  const times = outcomes
    .flatMap(({ start, rollback }) => (rollback === undefined || rollback.cause !== 'breach' ? [] : [timeOf(rollback.index) - timeOf(start)]))
    .sort((a, b) => a - b);
  const [median, p90] = [quantile(times, outcomes.length, 0.5), quantile(times, outcomes.length, 0.9)];
  return {
    factor,
    windows: outcomes.length,
    caught: times.length,
    ...(median === undefined ? {} : { median }),
    ...(p90 === undefined ? {} : { p90 }),
  };
}

function tryGate(gate: Gate, history: History, { plan, startEvery, shares }: Trial, budget: number): readonly Tried[] {
  const { run, timeOf } = bench(gate, history);
  const armed = plan.stages.findIndex((stage) => stage.gates.includes(gate.id));
  if (armed === -1) return [];
  // Half of it for launches as they were, half for those that got worse.
  const most = Math.ceil(budget / (2 * (plan.stages.length - armed)));
  return plan.stages.slice(armed).map((stage, offset): Tried => {
    const share = shareFor(gate, plan, armed + offset, shares);
    const windows = windowsOf(history, gate.every, stage.bake, startEvery);
    const split = history.pooled !== undefined && (gate.kind === 'exposureCheck' || !hasOwnSides(history));
    const base = { gate: gate.id, stage: stage.id, bake: stage.bake, split, ...(share === undefined ? {} : { share }) };
    const nothing = (why: string): Tried => ({ ...base, windows: 0, rollbacks: [], holds: [], undecided: 0, cannot: why, catches: [] });
    if (windows.starts.length === 0) return nothing('its bake is longer than the history');
    // Only drawn sides depend on the share that is compared; what is done about no data on that of all users.
    const exposed = exposedShare(plan, armed + offset);
    const key = `${stage.bake} ${exposed} ${split ? (share ?? '') : ''}`;
    const outcomes = run(`healthy ${key}`, exposed, windows, 0, most, () => healthy(gate, history, share));
    if (isCannot(outcomes)) return nothing(outcomes.why);
    const stops = (kind: 'rollback' | 'hold'): readonly FalseStop[] =>
      outcomes.flatMap((outcome) => {
        const act = outcome[kind];
        return act === undefined ? [] : [{ start: timeOf(outcome.start), at: timeOf(act.index), cause: act.cause, why: act.why }];
      });
    const fair: Windows = { ...windows, starts: outcomes.flatMap(({ start, rollback }) => (rollback === undefined ? [start] : [])) };
    const catches = FACTORS.map((factor): Catch => {
      if (share === undefined) return { factor, cannot: `how much of the traffic stage ${stage.id} exposes is not in the plan: say it with --share` };
      if (fair.starts.length === 0) return { factor, cannot: 'every window was rolled back as it was' };
      const found = run(`${factor} ${share} ${exposed} ${stage.bake}`, exposed, fair, memoryOf(gate), Math.ceil(most / FACTORS.length), () =>
        regress(gate, history, { factor, share }),
      );
      return isCannot(found) ? { factor, cannot: found.why } : caught(factor, found, timeOf);
    });
    return {
      ...base,
      windows: outcomes.length,
      rollbacks: stops('rollback'),
      holds: stops('hold'),
      undecided: outcomes.filter(({ rollback, hold, go }) => rollback === undefined && hold === undefined && !go).length,
      catches,
    };
  });
}

/**
 * Replays what the sources remember through the plan's own judges: a window for each stage's bake from each start on, each
 * beginning without evidence. Says how often a healthy launch would have been stopped, and how fast regressions put into
 * that history would have been caught at each stage's share. Pure: the same history gives the same answer.
 */
export function backtest(trial: Trial): Backtest {
  const { plan, from, to, startEvery, remembered } = trial;
  const gates = plan.gates.map((gate) => {
    const found = remembered.get(gate.id) ?? { kind: 'none', why: 'nobody looked' };
    const about = {
      gate: gate.id,
      title: nameOf(gate),
      kind: gate.kind,
      every: gate.every,
      ...(gate.source === undefined ? {} : { source: gate.source }),
    };
    if (found.kind === 'none') return { ...about, none: found.why };
    if (found.kind === 'failed')
      return { ...about, failed: { why: found.why, hint: found.hint, away: found.reason === 'refused' || found.reason === 'timeout' } };
    const { history } = found;
    const told = history.pooled ?? history.points;
    return {
      ...about,
      points: told.length,
      noData: told.filter((point) => point.kind !== 'value').length,
      ...(history.from - history.asked > 2 * gate.every ? { begins: history.from } : {}),
    };
  });
  const known = plan.gates.flatMap((gate) => {
    const found = remembered.get(gate.id);
    return found?.kind === 'history' ? [{ gate, history: found.history }] : [];
  });
  const counting = known.filter(({ gate }) => counts(gate)).length;
  const tried = known.flatMap(({ gate, history }) => tryGate(gate, history, trial, MOST / Math.max(1, counting)));
  return { plan: plan.name, from, to, startEvery, gates, tried };
}
