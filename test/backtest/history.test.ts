import { describe, expect, it } from 'vitest';
import type { Measurement, Series } from '../../src/core/measurement.ts';
import { historyOf } from '../../src/backtest/history.ts';
import { alert, burnRate, compareRate, compareUsers, noData, quantile, threshold, value } from '../core/gates.ts';

const EVERY = 15_000;
/** A series whose numbers are given; null is no data. */
const series = (...numbers: readonly (number | null)[]): Series => ({
  points: numbers.map((number, index) => (number === null ? noData((index + 1) * EVERY) : value((index + 1) * EVERY, number))),
  remembers: true,
});
const countsOf = (points: readonly Measurement[] | undefined) =>
  (points ?? []).map((point) =>
    point.kind === 'value' ? [point.counts?.exposedBad, point.counts?.exposed, point.counts?.restBad, point.counts?.rest] : point.kind,
  );

describe('running counts become rises', () => {
  it('from one answer to the next, a reset counting whole; the first is only where counting begins', () => {
    const history = historyOf(burnRate(), { bad: series(5, 7, 7, 1), total: series(100, 150, 210, 30) });
    expect(countsOf(history?.points)).toEqual([
      [2, 50, 0, 0],
      [0, 60, 0, 0],
      [1, 30, 0, 0],
    ]);
    expect(history?.points[0]).toMatchObject({ at: 2 * EVERY, since: EVERY });
    expect(history?.from).toBe(2 * EVERY);
  });

  it('what rose while there was no answer is told by the first one after it', () => {
    const history = historyOf(burnRate(), { bad: series(0, 1, null, 9), total: series(0, 10, null, 90) });
    expect(countsOf(history?.points)).toEqual([[1, 10, 0, 0], 'no-data', [8, 80, 0, 0]]);
  });

  it('rises of a source that keeps raw samples are left as they are', () => {
    const rises = (...each: readonly number[]): Series => ({
      points: each.map((number, index) => ({ kind: 'value', at: (index + 1) * EVERY, since: index * EVERY, value: number, query: 'q' })),
      remembers: true,
    });
    expect(countsOf(historyOf(burnRate(), { bad: rises(1, 2), total: rises(10, 20) })?.points)).toEqual([
      [1, 10, 0, 0],
      [2, 20, 0, 0],
    ]);
  });

  it('buckets each by their edge', () => {
    const buckets = (at: number, low: number, all: number): Measurement => ({
      kind: 'value',
      at,
      value: all,
      query: 'q',
      buckets: [
        { le: 1, count: low },
        { le: Infinity, count: all },
      ],
    });
    const history = historyOf(quantile(), { value: { points: [buckets(EVERY, 5, 8), buckets(2 * EVERY, 7, 11)], remembers: true } });
    expect(history?.points).toMatchObject([
      {
        since: EVERY,
        buckets: [
          { le: 1, count: 2 },
          { le: Infinity, count: 3 },
        ],
      },
    ]);
  });
});

describe('two sides', () => {
  it('are told apart, and together as the rest', () => {
    const history = historyOf(compareRate(), { exposedBad: series(0, 1), exposed: series(0, 10), restBad: series(0, 4), rest: series(0, 90) });
    expect(countsOf(history?.points)).toEqual([[1, 10, 4, 90]]);
    expect(countsOf(history?.pooled)).toEqual([[0, 0, 5, 100]]);
  });

  it('while the exposed are not there the rest is everyone', () => {
    const history = historyOf(compareRate(), {
      exposedBad: series(null, null, null),
      exposed: series(null, null, null),
      restBad: series(0, 4, 8),
      rest: series(0, 90, 180),
    });
    expect(countsOf(history?.points)).toEqual(['no-data', 'no-data']);
    expect(countsOf(history?.pooled)).toEqual([
      [0, 0, 4, 90],
      [0, 0, 4, 90],
    ]);
  });

  it('users at risk are a number of the moment, and only failures rise', () => {
    const history = historyOf(compareUsers(), { exposedBad: series(3, 4), exposed: series(50, 49), restBad: series(10, 12), rest: series(500, 498) });
    expect(countsOf(history?.points)).toEqual([[1, 49, 2, 498]]);
  });
});

describe('where a history begins', () => {
  it('is the first moment with anything in it', () => {
    const history = historyOf(threshold(), { value: series(null, null, 0.4, null, 0.5) });
    expect(history).toMatchObject({ from: 3 * EVERY, asked: EVERY });
    expect(history?.points.map(({ kind }) => kind)).toEqual(['value', 'no-data', 'value']);
  });

  it('nothing but missing data is no history', () => {
    expect(historyOf(threshold(), { value: series(null, null) })).toBeUndefined();
    expect(historyOf(alert(), { alerts: { points: [], remembers: true } })).toBeUndefined();
  });
});
