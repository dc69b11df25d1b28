import { describeBound, describeNumber, keeps } from '../bound.ts';
import type { Value } from '../measurement.ts';
import type { QuantileGate } from '../plan.ts';
import { quantileOf, type Bucket } from '../statistics/buckets.ts';
import { riseOfTotal } from '../statistics/counters.ts';
import type { Read } from './judge.ts';

/** What a quantile remembers: the buckets' running totals, for a source that gives those. */
export interface QuantileState {
  readonly totals?: readonly (readonly [le: number | null, count: number])[];
}

/** More buckets than this would not fit the state. */
const MOST = 50;

/** What the buckets of a value rose by; undefined while there is nothing to go on from. JSON has no Infinity: the last edge is kept as null. */
function risen(before: QuantileState | undefined, value: Value): { readonly buckets: readonly Bucket[] | undefined; readonly next: QuantileState } {
  const { buckets = [] } = value;
  if (value.since !== undefined) return { buckets, next: {} };
  const totals = buckets.map(({ le, count }) => [le === Infinity ? null : le, count] as const);
  const known = new Map(before?.totals);
  if (known.size === 0) return { buckets: undefined, next: { totals } };
  return { buckets: buckets.map(({ le, count }) => ({ le, count: riseOfTotal(known.get(le === Infinity ? null : le) ?? 0, count) })), next: { totals } };
}

/** Judges `quantile`: PromQL's histogram_quantile (statistics/buckets.ts) of what came since the last look, against the bound; fewer than `minSamples` are no evidence. */
export function judgeQuantile(gate: QuantileGate, before: QuantileState | undefined, value: Value): Read<QuantileState> {
  const name = gate.title ?? gate.id;
  if ((value.buckets?.length ?? 0) > MOST) {
    return { state: {}, reading: { kind: 'no-data', why: `${name}: no data: ${value.buckets?.length ?? 0} buckets; expected at most ${MOST}` } };
  }
  const { buckets, next } = risen(before, value);
  if (buckets === undefined) return { state: next, reading: { kind: 'too-few', why: `${name}: counts from here on` } };
  const total = buckets.reduce((most, bucket) => Math.max(most, bucket.count), 0);
  if (total === 0) return { state: next, reading: { kind: 'no-data', why: `${name}: no data (no-traffic): no observations` } };
  if (total < gate.minSamples)
    return { state: next, reading: { kind: 'too-few', why: `${name} drawn from ${describeNumber(total)} of at least ${gate.minSamples} samples` } };
  const found = quantileOf(buckets, gate.q);
  if (found === undefined) return { state: next, reading: { kind: 'no-data', why: `${name}: no data: the histogram has no bucket up to +Inf` } };
  return {
    state: next,
    reading: { kind: keeps(gate.bound, found) ? 'good' : 'bad', why: `${name} ${describeBound(gate.bound, found, gate.unit)}`, value: found },
  };
}
