import { keeps } from '../core/bound.ts';
import type { Bound, ChecklistItem, Gate } from '../core/plan.ts';
import { measurementsOf, type GateQuery } from '../core/query.ts';
import type { Bucket } from '../core/statistics/buckets.ts';

/** What a gate reads while a script says so: `mismatch` only of a check of the exposure. A number is the gate's own value. */
export type Reads = 'healthy' | 'breach' | 'no-data' | 'error' | number;

/** One query's answer: a number of the moment, or what counters rose by in an interval. */
export interface Answer {
  readonly value: number;
  readonly buckets?: readonly Bucket[];
}

/** So many requests or users are seen in each interval of a gate that counts, on either side. */
const TRAFFIC = 10_000;
/** The share of them that goes wrong while all is well. */
const USUAL = 0.01;

const isUpper = (bound: Bound): boolean => bound.op === 'max' || bound.op === 'below';

/** A value well on the good side of the bound. */
function goodValue(bound: Bound): number {
  const { limit } = bound;
  if (limit === 0) return bound.op === 'max' || bound.op === 'min' ? 0 : isUpper(bound) ? -1 : 1;
  return isUpper(bound) === limit > 0 ? limit / 2 : limit * 2;
}

/** A value well on the bad side of the bound. */
function badValue(bound: Bound): number {
  const { limit } = bound;
  if (limit === 0) return isUpper(bound) ? 1 : -1;
  return isUpper(bound) === limit > 0 ? limit * 1.5 : limit / 2;
}

/** The same for a share of 0..1; undefined where no share lies on that side. */
function goodShare(bound: Bound): number | undefined {
  const value = isUpper(bound) ? bound.limit / 2 : bound.limit + (1 - bound.limit) / 2;
  return keeps(bound, value) ? value : undefined;
}

function badShare(bound: Bound): number | undefined {
  const value = isUpper(bound) ? bound.limit + (1 - bound.limit) / 2 : bound.limit / 2;
  return keeps(bound, value) ? undefined : value;
}

/** All observations between two edges, so that every quantile lies between them. */
function histogram(value: number, count: number): readonly Bucket[] {
  const [low, high] = value > 0 ? [value * 0.9, value * 1.1] : [value - 1, value];
  return [
    { le: low, count: 0 },
    { le: high, count },
    { le: Infinity, count },
  ];
}

/** The share of the exposed that goes wrong in a breach: plain after hours of health too, which count as well. */
const BROKEN = 0.5;
const wrongOf = (breach: boolean): number => (breach ? BROKEN : USUAL);

function slow(over: number, count: number, share: number): Answer {
  return {
    value: count,
    buckets: [
      { le: over, count: Math.round(count * (1 - share)) },
      { le: Infinity, count },
    ],
  };
}

type Named = Readonly<Partial<Record<GateQuery['name'], Answer>>>;

/**
 * The answers to all queries of a gate, in one interval of it, that make it read so. `promised` is the share (0..1) that a check of the exposure
 * expects. Undefined where no numbers of such a gate say that: an alert that is only heard, a bound that nothing can break.
 */
export function gateAnswers(gate: Gate, reads: 'healthy' | 'breach' | number, promised: number | undefined): Named | undefined {
  const breach = reads === 'breach';
  const value = (number: number): Answer => ({ value: number });
  switch (gate.kind) {
    case 'threshold': {
      const number = typeof reads === 'number' ? reads : breach ? badValue(gate.bound) : goodValue(gate.bound);
      return { value: value(number), samples: value(Math.max(TRAFFIC, 2 * gate.minSamples)) };
    }
    case 'ratio': {
      const share = typeof reads === 'number' ? reads : breach ? badShare(gate.bound) : goodShare(gate.bound);
      const total = Math.max(TRAFFIC, 2 * gate.minSamples);
      return share === undefined ? undefined : { bad: value(share * total), total: value(total) };
    }
    case 'probe':
      return { value: value(typeof reads === 'number' ? reads : breach ? 0 : 1) };
    case 'alert':
      return gate.source === undefined ? undefined : { alerts: value(typeof reads === 'number' ? reads : breach ? 1 : 0) };
    case 'quantile': {
      const number = typeof reads === 'number' ? reads : breach ? badValue(gate.bound) : goodValue(gate.bound);
      const count = Math.max(TRAFFIC, 2 * gate.minSamples);
      return { value: { value: count, buckets: histogram(number, count) } };
    }
    case 'compareRate':
    case 'compareUsers': {
      if (typeof reads === 'number') return undefined;
      const count = Math.max(TRAFFIC, 2 * gate.minSamples);
      return {
        exposedBad: value(Math.round(count * wrongOf(breach))),
        exposed: value(count),
        restBad: value(Math.round(count * USUAL)),
        rest: value(count),
      };
    }
    case 'compareSlow': {
      if (typeof reads === 'number') return undefined;
      const count = Math.max(TRAFFIC, 2 * gate.minSamples);
      return { exposed: slow(gate.over, count, wrongOf(breach)), rest: slow(gate.over, count, USUAL) };
    }
    case 'burnRate': {
      if (typeof reads === 'number') return undefined;
      const total = Math.max(TRAFFIC, 2 * gate.minSamples);
      return { bad: value(breach ? total * 0.9 : 0), total: value(total) };
    }
    case 'exposureCheck': {
      // A mismatch is no breach: it holds.
      if (reads !== 'healthy') return undefined;
      const exposed = Math.round(TRAFFIC * (promised ?? 0));
      return { exposed: value(exposed), rest: value(TRAFFIC - exposed) };
    }
    default:
      return gate satisfies never;
  }
}

/** Whether scripted numbers can make the gate breach; if not, why. */
export function cannotBreach(gate: Gate): string | undefined {
  if (gate.kind === 'alert' && gate.source === undefined) return 'it only hears alerts, and is asked nothing';
  if (gate.kind === 'exposureCheck') return 'a mismatch of the exposure holds and is no breach';
  return gateAnswers(gate, 'breach', undefined) === undefined ? 'no number breaks its bound' : undefined;
}

/** Whether a gate is asked at all, so that its answers can be missing. */
export function isAsked(gate: Gate): boolean {
  return measurementsOf(gate).length > 0;
}

/** A number that makes a machine's check of a checklist item hold. */
export function checkAnswer(check: NonNullable<ChecklistItem['check']>): number {
  return goodValue(check.bound);
}
