import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  addRates,
  excessShare,
  logClear,
  logHarm,
  NO_RATES,
  observedRatio,
  type RateBatch,
  type RateQuestion,
} from '../../../src/core/statistics/rate-ratio.ts';
import golden from '../../fixtures/golden/rate-ratio.json' with { type: 'json' };

const batch = ([exposedBad = 0, exposed = 0, restBad = 0, rest = 0]: readonly number[]): RateBatch => ({ exposedBad, exposed, restBad, rest });
const fold = (question: RateQuestion, batches: readonly RateBatch[]) => batches.reduce((evidence, each) => addRates(question, evidence, each), NO_RATES);

describe('the golden paths', () => {
  it.each(golden.cases)('$name', ({ batches, r0, logE, shownAtFivePercent }) => {
    const question = { tolerance: r0, late: 0 };
    const path = batches.map((_, index) => logHarm(question, fold(question, batches.slice(0, index + 1).map(batch))));
    for (const [index, log] of path.entries()) expect(Math.abs(log - (logE[index] ?? NaN)), `look ${index + 1}`).toBeLessThanOrEqual(golden.tolerance);
    expect(path.map((log) => log >= Math.log(20))).toEqual(shownAtFivePercent);
  });

  it('goes on from its JSON as if it had never left', () => {
    const question = { tolerance: 1, maxRatio: 1.5, late: 0.1 };
    const [a, b] = [batch([6, 600, 57, 11_400]), batch([60, 6000, 30, 6000])];
    const stored = JSON.parse(JSON.stringify(addRates(question, NO_RATES, a))) as typeof NO_RATES;
    expect(addRates(question, stored, b)).toEqual(fold(question, [a, b]));
  });
});

/** The chance of k failures among n: exact, for small n. */
function binomial(n: number, p: number, k: number): number {
  let [chance] = [(1 - p) ** n];
  for (let i = 0; i < k; i += 1) chance *= ((n - i) / (i + 1)) * (p / (1 - p));
  return chance;
}

/** The mean of e after two looks over everything that can happen, when the exposed fail with `here` and the rest with `there`. */
function expected(
  question: RateQuestion,
  sizes: readonly (readonly [number, number])[],
  here: number,
  there: number,
  read: (of: typeof NO_RATES) => number,
): number {
  const walk = (evidence: typeof NO_RATES, depth: number): number => {
    const size = sizes[depth];
    if (size === undefined) return Math.exp(read(evidence));
    const [n, m] = size;
    let sum = 0;
    for (let x = 0; x <= n; x += 1)
      for (let y = 0; y <= m; y += 1)
        sum += binomial(n, here, x) * binomial(m, there, y) * walk(addRates(question, evidence, { exposedBad: x, exposed: n, restBad: y, rest: m }), depth + 1);
    return sum;
  };
  return walk(NO_RATES, 0);
}

describe('the mean of e, counted out over everything that can happen, is at most 1', () => {
  const sizes = [
    [2, 9],
    [5, 5],
  ] as const;
  it.each([
    ['at the null', { tolerance: 1, late: 0 }, 0.2, 0.2],
    ['with a part for a late start', { tolerance: 1, late: 0.3 }, 0.2, 0.2],
    ['at the tolerated ratio', { tolerance: 1.5, late: 0.1 }, 0.3, 0.2],
    ['under the tolerated ratio', { tolerance: 2, late: 0.1 }, 0.1, 0.2],
  ])('%s', (_, question, here, there) => {
    const mean = expected(question, sizes, here, there, (evidence) => logHarm(question, evidence));
    expect(mean).toBeLessThanOrEqual(1 + 1e-12);
    expect(mean).toBeGreaterThan(0.1);
  });
  it.each([
    ['at maxRatio', 0.3],
    ['over it', 0.5],
  ])('of the mirrored test %s', (_, here) => {
    const question = { tolerance: 1, maxRatio: 1.5, late: 0 };
    expect(expected(question, sizes, here, 0.2, logClear)).toBeLessThanOrEqual(1 + 1e-12);
  });
  it('and it is more than 1 when the exposed are worse than tolerated', () => {
    const question = { tolerance: 1, late: 0 };
    expect(expected(question, sizes, 0.6, 0.1, (evidence) => logHarm(question, evidence))).toBeGreaterThan(2);
  });
});

const counts = fc.record({
  exposedBad: fc.integer({ min: 0, max: 50 }),
  exposed: fc.integer({ min: 50, max: 5000 }),
  restBad: fc.integer({ min: 0, max: 50 }),
  rest: fc.integer({ min: 50, max: 5000 }),
});

test('cutting the same traffic in other intervals of the same split does not change the evidence', () => {
  fc.assert(
    fc.property(counts, fc.integer({ min: 2, max: 5 }), (whole, parts) => {
      const question = { tolerance: 1.2, maxRatio: 3, late: 0 };
      const cut = Array.from({ length: parts }, (): RateBatch => ({
        exposedBad: whole.exposedBad / parts,
        exposed: whole.exposed / parts,
        restBad: whole.restBad / parts,
        rest: whole.rest / parts,
      }));
      const [one, many] = [fold(question, [whole]), fold(question, cut)];
      expect(logHarm(question, many)).toBeCloseTo(logHarm(question, one), 8);
      expect(logClear(many)).toBeCloseTo(logClear(one), 8);
    }),
  );
});

test('one more failure of the exposed never lowers the evidence of harm, one more of the rest never raises it', () => {
  const question = { tolerance: 1, late: 0.1 };
  fc.assert(
    fc.property(fc.array(counts, { minLength: 1, maxLength: 6 }), fc.nat(), (batches, which) => {
      const at = which % batches.length;
      const more = (field: 'exposedBad' | 'restBad') => batches.map((each, index) => (index === at ? { ...each, [field]: each[field] + 1 } : each));
      const harm = logHarm(question, fold(question, batches));
      expect(logHarm(question, fold(question, more('exposedBad')))).toBeGreaterThanOrEqual(harm - 1e-9);
      expect(logHarm(question, fold(question, more('restBad')))).toBeLessThanOrEqual(harm + 1e-9);
    }),
  );
});

test('harm that begins after a day of health is found within the hour with a part for a late start, and not without', () => {
  const healthy = batch([3, 600, 57, 11_400]);
  const ill = batch([6, 600, 57, 11_400]);
  const minutes = (late: number): number => {
    const question = { tolerance: 1, late };
    let evidence = NO_RATES;
    for (let minute = 0; minute < 1440; minute += 1) evidence = addRates(question, evidence, healthy);
    let minute = 0;
    while (logHarm(question, evidence) < Math.log(20) && minute < 600) {
      evidence = addRates(question, evidence, ill);
      minute += 1;
    }
    return minute;
  };
  expect(minutes(0.1)).toBeLessThanOrEqual(20);
  expect(minutes(0)).toBeGreaterThan(120);
});

test('the excess and the ratio are those of the intervals, not of the sums', () => {
  // 1 % against 1 % at a small share in a bad hour, 0.1 % against 0.1 % at a large one in a good hour: no excess, though the sums differ.
  const evidence = fold({ tolerance: 1, late: 0 }, [batch([1, 100, 99, 9900]), batch([5, 5000, 5, 5000])]);
  expect(excessShare(evidence)).toBeCloseTo(0, 12);
  expect(observedRatio(evidence)).toBeCloseTo(1, 12);
  expect(observedRatio(NO_RATES)).toBeUndefined();
});
