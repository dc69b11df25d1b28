import { describe, expect, it } from 'vitest';
import type { Measurement } from '../../src/core/measurement.ts';
import type { Gate } from '../../src/core/plan.ts';
import type { RateBatch } from '../../src/core/statistics/rate-ratio.ts';
import type { History } from '../../src/backtest/history.ts';
import { hasOwnSides, healthy, memoryOf, regress } from '../../src/backtest/regress.ts';
import { alert, burnRate, compareRate, compareUsers, counted, exposureCheck, noData, probe, quantile, ratio, threshold, value } from '../core/gates.ts';

const EVERY = 15_000;
const over = (length: number, point: (at: number, index: number) => Measurement): readonly Measurement[] =>
  Array.from({ length }, (_, index) => point((index + 1) * EVERY, index));
const past = (points: readonly Measurement[], pooled?: readonly Measurement[]): History => ({
  points,
  from: EVERY,
  asked: EVERY,
  ...(pooled === undefined ? {} : { pooled }),
});
/** Everyone's counts of a gate with two sides, none of them exposed. */
const pooled = (length: number, bad: number, all: number): History => {
  const points = over(length, (at) => counted(at, [0, 0, bad, all]));
  return past(
    over(length, (at) => noData(at)),
    points,
  );
};

function told(gate: Gate, history: History, factor: number, share: number, since = Infinity): readonly Measurement[] {
  const altered = regress(gate, history, { factor, share });
  if (altered.kind === 'cannot') throw new Error(altered.why);
  return history.points.flatMap((_, index) => altered.at(index, since) ?? []);
}

function sum(points: readonly Measurement[]): RateBatch {
  const add = (name: keyof RateBatch): number => points.reduce((all, point) => all + (point.kind === 'value' ? (point.counts?.[name] ?? 0) : 0), 0);
  return { exposedBad: add('exposedBad'), exposed: add('exposed'), restBad: add('restBad'), rest: add('rest') };
}

describe('a regression put into one number of everyone', () => {
  it.each([
    ['a gauge that must stay low rises by the part that is exposed', threshold(), 0.4, 4, 0.5, 0.4 * 2.5],
    ['a gauge that must stay high falls to a part', threshold({ bound: { op: 'min', limit: 1 } }), 10, 2, 1, 5],
    ['a gauge that must stay high falls by the part that is exposed', threshold({ bound: { op: 'above', limit: 1 } }), 10, 2, 0.5, 7.5],
    ['nothing changes when it is no worse', threshold(), 0.4, 1, 0.5, 0.4],
    ['a ratio that must stay low is multiplied', ratio(), 0.004, 10, 0.05, 0.004 * 1.45],
    ['a ratio never passes 1', ratio(), 0.4, 10, 1, 1],
    ['of a ratio that must stay high the failures are multiplied', ratio({ bound: { op: 'min', limit: 0.99 } }), 0.99, 4, 1, 0.96],
    ['a ratio that must stay high never falls below 0', ratio({ bound: { op: 'min', limit: 0.99 } }), 0.5, 10, 1, 0],
  ])('%s', (_, gate, before, factor, share, after) => {
    const [point] = told(gate, past([value(EVERY, before, { samples: 500 })]), factor, share);
    expect(point).toMatchObject({ kind: 'value', samples: 500 });
    expect(point?.kind === 'value' ? point.value : NaN).toBeCloseTo(after, 12);
  });

  it('what was no evidence stays none', () => {
    expect(told(threshold(), past([value(EVERY, 1), noData(2 * EVERY, 'stale')]), 10, 1)[1]).toEqual(noData(2 * EVERY, 'stale'));
  });

  it('comes in little by little where the query looks back, and at once where it does not', () => {
    const slow = threshold({ query: 'sum(rate(a[10m])) / sum(rate(b[5m:15s]))' });
    expect(memoryOf(slow)).toBe(600_000);
    expect(memoryOf(threshold({ query: 'max(a)' }))).toBe(0);
    expect(memoryOf(ratio({ bad: 'increase(a[2m])', total: 'increase(b[1h])' }))).toBe(3_600_000);
    const at = (since: number): number => {
      const [point] = told(slow, past([value(EVERY, 1)]), 3, 1, since);
      return point?.kind === 'value' ? point.value : NaN;
    };
    expect([at(0), at(300_000), at(600_000), at(Infinity)]).toEqual([1, 2, 3, 3]);
  });
});

describe('a regression put into counts', () => {
  it('the exposed are as many as their share, and go wrong so many times as often; the rest as before', () => {
    const history = pooled(2_000, 20, 4_000);
    const { exposedBad, exposed, restBad, rest } = sum(told(compareRate(), history, 4, 0.05));
    expect(exposed + rest).toBe(2_000 * 4_000);
    // 0.05 of 8,000,000 with a standard deviation of 616; 0.5 % of the rest wrong, and 4 times that of the exposed.
    expect(exposed / (exposed + rest)).toBeCloseTo(0.05, 2);
    expect(restBad / rest).toBeCloseTo(0.005, 4);
    expect(exposedBad / exposed).toBeGreaterThan(0.0195);
    expect(exposedBad / exposed).toBeLessThan(0.0205);
  });

  it('a factor that is no whole number is met on average', () => {
    const { exposedBad, exposed } = sum(told(compareRate(), pooled(2_000, 20, 4_000), 1.5, 0.5));
    expect(exposedBad / exposed).toBeGreaterThan(0.0073);
    expect(exposedBad / exposed).toBeLessThan(0.0077);
  });

  it('never more go wrong than there are', () => {
    for (const point of told(compareRate(), pooled(200, 30, 60), 10, 0.3)) {
      const counts = point.kind === 'value' ? point.counts : undefined;
      expect(counts?.exposedBad).toBeLessThanOrEqual(counts?.exposed ?? -1);
    }
  });

  it('users at risk are split apart from those who failed', () => {
    const { exposedBad, exposed, restBad, rest } = sum(told(compareUsers(), pooled(1_000, 10, 1_000), 1, 0.2));
    expect([exposed + rest, exposedBad + restBad]).toEqual([1_000_000, 10_000]);
    expect(exposed / 1_000_000).toBeCloseTo(0.2, 2);
    expect(exposedBad / 10_000).toBeCloseTo(0.2, 1);
  });

  it('what burns a budget is multiplied by the part that is exposed', () => {
    const points = over(1_000, (at) => counted(at, [10, 1_000, 0, 0]));
    const { exposedBad, exposed } = sum(told(burnRate(), past(points), 3, 0.5));
    expect([exposedBad, exposed]).toEqual([20_000, 1_000_000]);
  });

  it('the same history gives the same counts, another factor and another share others', () => {
    const history = pooled(50, 20, 4_000);
    expect(told(compareRate(), history, 2, 0.05)).toEqual(told(compareRate(), history, 2, 0.05));
    expect(sum(told(compareRate(), history, 2, 0.05))).not.toEqual(sum(told(compareRate(), history, 4, 0.05)));
    expect(sum(told(compareRate(), history, 2, 0.05))).not.toEqual(sum(told(compareRate(), history, 2, 0.1)));
  });

  it('says which share is promised, so that an exposure check has something to check', () => {
    expect(told(compareRate(), pooled(1, 20, 4_000), 2, 0.05)[0]).toMatchObject({ promised: 0.05 });
  });
});

describe('a regression put into a histogram', () => {
  const buckets = [
    { le: 0.5, count: 50 },
    { le: 1, count: 90 },
    { le: 2, count: 100 },
    { le: Infinity, count: 100 },
  ];
  const point: Measurement = { kind: 'value', at: EVERY, since: 0, value: 100, query: 'q', buckets };
  const after = (factor: number, share: number): readonly number[] => {
    const [found] = told(quantile(), past([point]), factor, share);
    return found?.kind === 'value' ? (found.buckets ?? []).map(({ count }) => count) : [];
  };

  it('twice as slow is at each edge what was at half of it, the counts between lying evenly', () => {
    // 0.25 lies half-way into the first bucket, 0.5 and 1 are edges.
    expect(after(2, 1)).toEqual([25, 50, 90, 100]);
  });

  it('only the exposed part of it moves, and none at the factor 1', () => {
    expect(after(2, 0.5)).toEqual([37.5, 70, 95, 100]);
    expect(after(1, 1)).toEqual([50, 90, 100, 100]);
  });

  it('counts never fall from one edge to the next', () => {
    for (const factor of [1.5, 2, 4, 10]) {
      const counts = after(factor, 0.7);
      expect(counts).toEqual([...counts].sort((a, b) => a - b));
    }
  });
});

describe('what cannot be told is said', () => {
  it.each([
    ['an alert', alert(), past([value(EVERY, 0)]), 0.5, /decided by its own rule/],
    ['a probe', probe(), past([value(EVERY, 1)]), 0.5, /healthy or not/],
    ['a check of who sees the flag', exposureCheck(), pooled(5, 0, 10), 0.5, /and holds/],
    ['a gauge that was 0 all along', threshold(), past([value(EVERY, 0), value(2 * EVERY, 0)]), 0.5, /multiple of 0 is 0/],
    ['a gauge below 0', threshold(), past([value(EVERY, -1), value(2 * EVERY, 3)]), 0.5, /below 0/],
    ['a ratio without a failure', ratio(), past([value(EVERY, 0, { samples: 300 })]), 0.5, /nothing went wrong/],
    ['a success ratio without a failure', ratio({ bound: { op: 'min', limit: 0.9 } }), past([value(EVERY, 1, { samples: 300 })]), 0.5, /nothing went wrong/],
    ['a comparison without a failure', compareRate(), pooled(5, 0, 100), 0.5, /nothing went wrong/],
    ['a comparison with nobody left', compareRate(), pooled(5, 2, 100), 1, /nobody is left/],
    ['a budget that was never touched', burnRate(), past([counted(EVERY, [0, 100, 0, 0])]), 0.5, /nothing went wrong/],
  ])('%s', (_, gate, history, share, why) => {
    const altered = regress(gate, history, { factor: 2, share });
    expect(altered.kind === 'cannot' ? altered.why : 'told').toMatch(why);
  });
});

describe('a healthy launch', () => {
  const own = past(
    over(10, (at) => counted(at, [1, 50, 9, 950])),
    over(10, (at) => counted(at, [0, 0, 10, 1_000])),
  );

  it('sees the sides as they were, where the exposed had traffic of their own in most of the history', () => {
    expect(hasOwnSides(own)).toBe(true);
    const told = healthy(compareRate(), own, undefined);
    expect(told.kind === 'points' ? told.at(3, 0) : undefined).toEqual(own.points[3]);
  });

  it('sees everyone split at random at its share where they had none, and nothing where nobody knows the share', () => {
    const history = pooled(1_000, 20, 1_000);
    expect(hasOwnSides(history)).toBe(false);
    const told = healthy(compareRate(), history, 0.1);
    if (told.kind === 'cannot') throw new Error(told.why);
    const all = sum(history.points.flatMap((_, index) => told.at(index, 0) ?? []));
    expect(all.exposed / (all.exposed + all.rest)).toBeCloseTo(0.1, 2);
    expect(all.exposedBad / all.exposed).toBeCloseTo(0.02, 2);
    expect(healthy(compareRate(), history, undefined)).toMatchObject({ kind: 'cannot' });
  });

  it('a few moments with exposed traffic are no history of their own', () => {
    const few = past(
      over(10, (at, index) => (index < 5 ? counted(at, [0, 5, 9, 950]) : noData(at))),
      over(10, (at) => counted(at, [0, 0, 10, 1_000])),
    );
    expect(hasOwnSides(few)).toBe(false);
  });
});
