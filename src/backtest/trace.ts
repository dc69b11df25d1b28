import { comparison } from '../core/finding.ts';
import { freshGate, judge, type GateState } from '../core/gate.ts';
import type { Measurement } from '../core/measurement.ts';
import type { Gate, Millis } from '../core/plan.ts';
import type { Statistic } from '../core/reading.ts';
import { logHarm } from '../core/statistics/rate-ratio.ts';
import { logMismatch } from '../core/statistics/share-mismatch.ts';
import { severity, type Verdict } from '../core/verdict.ts';
import type { FalseStop } from './backtest.ts';

/** What a stretch of time is shown as: the worst verdict in it. `waiting` is evidence that is none yet, `blind` no evidence. */
export type Shade = 'go' | 'waiting' | 'blind' | 'no-go';

/** Least and most of what was seen in a stretch. */
export interface Reach {
  readonly low: number;
  readonly high: number;
}

/** One stretch of a gate's past. What was not seen is left out. */
export interface Column {
  /** Its beginning (ms). */
  readonly at: number;
  readonly shade: Shade;
  readonly value?: Reach;
  /** The rate of the rest, beside which the value is that of the exposed. */
  readonly rest?: number;
  /** The log of the evidence, of a gate that gathers some; at its limit it acts. */
  readonly evidence?: Reach;
}

/** A gate's past as launches one after the other, begun anew after each rollback. */
export interface Trace {
  readonly columns: readonly Column[];
  readonly width: Millis;
  readonly rollbacks: readonly FalseStop[];
  readonly holds: readonly FalseStop[];
  /** The evidence at which the gate acts, ln(1/alpha). */
  readonly evidenceLimit?: number;
}

function shadeOf(verdict: Verdict): Shade {
  if (verdict.kind !== 'inconclusive') return verdict.kind;
  return verdict.reason === 'no-data' || verdict.reason === 'error' ? 'blind' : 'waiting';
}

/** Of a gate that compares the rates of each stretch are drawn, not those of all that came before. */
const comparing = (gate: Gate): boolean => comparison(gate) !== undefined;

/** The log of the evidence that a gate has gathered; undefined of one that gathers none, and before it has any. What is kept for harm that begins later is left out: it is at most 0.1 of the 1/alpha it takes. */
function evidenceOf(gate: Gate, statistic: Statistic | undefined): number | undefined {
  if (statistic === undefined || !('evidence' in statistic)) return undefined;
  const { evidence } = statistic;
  if (gate.kind === 'exposureCheck') return 'shares' in evidence ? logMismatch(evidence, gate.tolerance) : undefined;
  return 'tolerance' in gate && 'looks' in evidence ? logHarm({ tolerance: gate.tolerance, late: 0 }, evidence) : undefined;
}

interface Stretch {
  worst?: Verdict;
  value?: Reach;
  evidence?: Reach;
  bad: number;
  all: number;
  restBad: number;
  rest: number;
}

const reach = (before: Reach | undefined, value: number): Reach =>
  before === undefined ? { low: value, high: value } : { low: Math.min(before.low, value), high: Math.max(before.high, value) };

function columnOf(gate: Gate, at: number, stretch: Stretch): Column {
  const { worst, evidence } = stretch;
  const rate = stretch.all > 0 ? stretch.bad / stretch.all : undefined;
  const value = comparing(gate) ? (rate === undefined ? undefined : { low: rate, high: rate }) : stretch.value;
  return {
    at,
    shade: worst === undefined ? 'blind' : shadeOf(worst),
    ...(value === undefined ? {} : { value }),
    ...(comparing(gate) && stretch.rest > 0 ? { rest: stretch.restBad / stretch.rest } : {}),
    ...(evidence === undefined ? {} : { evidence }),
  };
}

/** How a history is shown: with `exposed` (0..1) of the users exposed all along, in at most `most` stretches, a new launch after each `lasts` (ms; one launch where left out). */
export interface Showing {
  readonly exposed: number;
  readonly lasts?: Millis;
  readonly most: number;
}

/** Judges a history from its first point to its last, and gathers what was seen into stretches. Pure. */
export function traceOf(gate: Gate, points: readonly Measurement[], { exposed, lasts = Infinity, most }: Showing): Trace {
  const from = points[0]?.at ?? 0;
  const steps = Math.max(1, Math.ceil(points.length / most));
  const stretches = Array.from({ length: Math.ceil(points.length / steps) }, (): Stretch => ({ bad: 0, all: 0, restBad: 0, rest: 0 }));
  const [rollbacks, holds]: [FalseStop[], FalseStop[]] = [[], []];
  let state: GateState = freshGate(from);
  let began = from;
  for (const [index, point] of points.entries()) {
    const stretch = stretches[Math.floor(index / steps)];
    if (stretch === undefined) break;
    if (point.at - began >= lasts) {
      state = freshGate(point.at);
      began = point.at;
    }
    const { state: next, verdict, act } = judge(gate, state, point, exposed);
    state = next;
    if (stretch.worst === undefined || severity(verdict) > severity(stretch.worst)) stretch.worst = verdict;
    const value = verdict.at === point.at ? verdict.value : undefined;
    if (value !== undefined && Number.isFinite(value)) stretch.value = reach(stretch.value, value);
    const evidence = point.kind === 'value' ? evidenceOf(gate, state.statistic) : undefined;
    if (evidence !== undefined && Number.isFinite(evidence)) stretch.evidence = reach(stretch.evidence, evidence);
    if (comparing(gate) && point.kind === 'value' && point.counts !== undefined && point.since !== undefined) {
      stretch.bad += point.counts.exposedBad;
      stretch.all += point.counts.exposed;
      stretch.restBad += point.counts.restBad;
      stretch.rest += point.counts.rest;
    }
    if (act?.kind === 'rollback') rollbacks.push({ start: began, at: point.at, cause: act.cause, why: act.why });
    if (act?.kind === 'hold') holds.push({ start: began, at: point.at, cause: act.cause, why: act.why });
    if (act?.kind === 'rollback' && act.cause === 'breach') {
      state = freshGate(point.at);
      began = point.at;
    }
  }
  const limit = 'alpha' in gate ? { evidenceLimit: Math.log(1 / gate.alpha) } : {};
  const columns = stretches.map((stretch, index) => columnOf(gate, points[index * steps]?.at ?? from, stretch));
  return { columns, width: steps * gate.every, rollbacks, holds, ...limit };
}
