import { describeMillis } from '../bound.ts';
import type { Value } from '../measurement.ts';
import type { BurnRateGate } from '../plan.ts';
import { addBurn, burnOver, NO_BURN, type BurnHistory } from '../statistics/burn-rate.ts';
import { interval, type Counted } from './counted.ts';
import type { Read } from './judge.ts';
import { brief } from './words.ts';

/** 1 - 0.99 is not quite 0.01: what burns exactly at the factor burns at it. */
const EXACTLY = 1 - 1e-9;

/** What a burn rate remembers. */
export interface BurnState extends Counted {
  readonly history?: BurnHistory;
}

/**
 * Judges `burnRate`: bad when the error budget burns at least `factor` times too fast over a pair's long window and its
 * short one (Google, "The Site Reliability Workbook", chapter 5, multiwindow multi-burn-rate alerts), the series
 * being the stage's own and young. Nothing is said before the shortest window was seen, or from fewer than `minSamples` in the longest.
 */
export function judgeBurnRate(gate: BurnRateGate, before: BurnState | undefined, value: Value): Read<BurnState> {
  const { counts, next } = interval(before, value);
  const history = addBurn(gate.windows, before?.history ?? NO_BURN, value.at, counts?.exposedBad ?? 0, counts?.exposed ?? 0);
  const state: BurnState = { ...next, history };
  const name = gate.title ?? gate.id;
  const pairs = gate.windows.map((pair) => ({
    ...pair,
    slow: burnOver(history, gate.objective, pair.long),
    fast: burnOver(history, gate.objective, pair.short),
  }));
  const seen = Math.max(...pairs.map(({ slow }) => slow.total));
  const worst = pairs.reduce((a, b) => (Math.min(b.slow.rate, b.fast.rate) / b.factor > Math.min(a.slow.rate, a.fast.rate) / a.factor ? b : a));
  const shown = Math.min(worst.slow.rate, worst.fast.rate);
  const shortest = Math.min(...gate.windows.map(({ short }) => short));
  if (pairs.every(({ fast }) => fast.over < shortest)) {
    const why = `${name}: ${describeMillis(Math.max(...pairs.map(({ fast }) => fast.over)))} of the ${describeMillis(shortest)} it takes`;
    return { state, reading: { kind: 'too-few', why, value: shown } };
  }
  if (seen === 0) return { state, reading: { kind: 'no-data', why: `${name}: no data (no-traffic): no traffic for ${describeMillis(worst.slow.over)}` } };
  if (seen < gate.minSamples)
    return { state, reading: { kind: 'too-few', why: `${name} drawn from ${brief(seen)} of at least ${gate.minSamples} samples`, value: shown } };
  const why = `${name} burns its budget ${brief(worst.slow.rate)} x over ${describeMillis(worst.long)} and ${brief(worst.fast.rate)} x over ${describeMillis(worst.short)}, limit ${brief(worst.factor)} x`;
  const over = pairs.some(({ slow, fast, factor, short }) => fast.over >= short && slow.rate >= factor * EXACTLY && fast.rate >= factor * EXACTLY);
  return { state, reading: { kind: over ? 'bad' : 'good', why, value: shown } };
}
