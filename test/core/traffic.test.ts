import { describe, expect, test } from 'vitest';
import type { Measurement, Series } from '../../src/core/measurement.ts';
import { paceOf, timeToCatch, timeToGo } from '../../src/core/traffic.ts';
import { compareRate, compareSlow, compareUsers, quantile, threshold } from './gates.ts';

const MINUTE = 60_000;
const series = (count: number, value: (i: number) => number, more: (i: number) => object = () => ({})): Series => ({
  points: Array.from({ length: count }, (_, i): Measurement => ({ kind: 'value', at: i * MINUTE, query: 'q', value: value(i), ...more(i) })),
  remembers: true,
});
const nobody: Series = { points: [{ kind: 'no-data', reason: 'empty', at: 0, query: 'q', detail: 'none' }], remembers: true };

describe('the pace of a gate', () => {
  test('is what running counts rose by in one interval, resets included, both sides together', () => {
    const gate = compareRate({ every: 15_000 });
    const total = series(5, (i) => (i < 3 ? i * 400 : (i - 2) * 400));
    const pace = paceOf(gate, { exposed: total, exposedBad: series(5, (i) => i * 4), rest: total, restBad: series(5, () => 0) });
    expect(pace).toEqual({ perLook: 200, wrong: 0.005 });
  });
  test('takes rises as they are', () => {
    const rises = (each: number) =>
      series(
        4,
        () => each,
        (i) => ({ since: (i - 1) * MINUTE }),
      );
    expect(paceOf(compareRate({ every: MINUTE }), { exposed: rises(10), rest: rises(90), exposedBad: rises(1), restBad: rises(9) })).toEqual({
      perLook: 100,
      wrong: 0.1,
    });
  });
  test('is that of the rest alone while nobody is exposed', () => {
    const told = paceOf(compareRate({ every: MINUTE }), {
      exposed: nobody,
      exposedBad: nobody,
      rest: series(3, (i) => i * 50),
      restBad: series(3, (i) => i * 5),
    });
    expect(told).toEqual({ perLook: 50, wrong: 0.1 });
  });
  test('counts slow ones past the edge, and users at risk as they are now', () => {
    const buckets = series(
      3,
      (i) => i * 100,
      (i) => ({
        buckets: [
          { le: 0.5, count: i * 90 },
          { le: Infinity, count: i * 100 },
        ],
      }),
    );
    expect(paceOf(compareSlow({ every: MINUTE, over: 0.5 }), { exposed: nobody, rest: buckets })).toEqual({ perLook: 100, wrong: 0.1 });
    const users = paceOf(compareUsers({ every: MINUTE }), {
      exposed: nobody,
      rest: series(3, () => 500),
      restBad: series(3, (i) => i * 5),
      exposedBad: nobody,
    });
    expect(users).toEqual({ perLook: 500, wrong: 0.01 });
    expect(paceOf(quantile({ every: 30_000 }), { value: buckets })?.perLook).toBeCloseTo(50, 9);
  });
  test('is not known where the source told nothing twice, and not asked of a gate that reads each value by itself', () => {
    expect(paceOf(compareRate(), { exposed: nobody, rest: nobody })).toBeUndefined();
    expect(paceOf(threshold(), { value: series(3, () => 1) })).toBeUndefined();
  });
});

describe('the time a comparison needs', () => {
  const gate = compareRate({ every: MINUTE, tolerance: 1, alpha: 0.05, floor: 0.001, minSamples: 1_000 });
  const pace = { perLook: 12_000, wrong: 0.005 };
  // The medians that were simulated for this traffic at 5 %: x1.5 13 min, x2 4, x4 1, x10 1 (a path of expectations has no chance in it).
  test.each([
    [1.5, 10, 18],
    [2, 3, 6],
    [4, 1, 2],
    [10, 1, 1],
  ])('to catch x%s lies between %s and %s minutes at 5 %% of 12,000 a minute', (times, low, high) => {
    const minutes = (timeToCatch(gate, pace, 0.05, times) ?? NaN) / MINUTE;
    expect(minutes).toBeGreaterThanOrEqual(low);
    expect(minutes).toBeLessThanOrEqual(high);
  });
  test('is longer with less traffic and a smaller alpha', () => {
    const usual = timeToCatch(gate, pace, 0.05, 2) ?? NaN;
    expect(timeToCatch(gate, { ...pace, perLook: 1_200 }, 0.05, 2) ?? NaN).toBeGreaterThan(5 * usual);
    expect(timeToCatch({ ...gate, alpha: 0.001 }, pace, 0.05, 2) ?? NaN).toBeGreaterThan(usual);
  });
  test('is not known of what lies below floor or is tolerated', () => {
    expect(timeToCatch({ ...gate, floor: 0.01 }, pace, 0.05, 2)).toBeUndefined();
    expect(timeToCatch({ ...gate, tolerance: 2 }, pace, 0.05, 2)).toBeUndefined();
  });
  test('until a go is that of the smaller side, and of the proof where one is asked for', () => {
    expect(timeToGo(gate, { perLook: 100, wrong: 0.01 }, 0.05)).toBe(200 * MINUTE);
    expect(timeToGo(gate, { perLook: 100, wrong: 0.01 }, 0.95)).toBe(200 * MINUTE);
    const proof = { ...gate, minSamples: 0, maxRatio: 1.5 };
    expect(timeToGo(proof, pace, 0.05) ?? NaN).toBeGreaterThan(5 * MINUTE);
    expect(timeToGo({ ...proof, maxRatio: 3 }, pace, 0.05) ?? NaN).toBeLessThan(timeToGo(proof, pace, 0.05) ?? NaN);
    expect(timeToGo(gate, { perLook: 0, wrong: 0 }, 0.05)).toBeUndefined();
  });
});
