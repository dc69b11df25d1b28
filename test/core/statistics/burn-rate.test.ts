import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addBurn, burnOver, NO_BURN, type BurnHistory, type BurnWindow } from '../../../src/core/statistics/burn-rate.ts';

const WINDOWS: readonly BurnWindow[] = [
  { long: 3_600_000, short: 300_000, factor: 14.4 },
  { long: 21_600_000, short: 1_800_000, factor: 6 },
  { long: 259_200_000, short: 21_600_000, factor: 1 },
];
const EVERY = 15_000;

function run(looks: number, count: (look: number) => readonly [number, number], windows = WINDOWS): BurnHistory {
  let history = NO_BURN;
  for (let look = 0; look <= looks; look += 1) history = addBurn(windows, history, look * EVERY, ...count(look));
  return history;
}

test('a window is read to within an eighth of its length, however long the history', () => {
  const errors = (look: number): number => ((look * 7919) % 13 === 0 ? 3 : 0);
  const looks = 4 * 24 * 60 * 4;
  const history = run(looks, (look) => [errors(look), 100]);
  for (const { long, short } of WINDOWS)
    for (const window of [long, short]) {
      const { bad, total, over } = burnOver(history, 0.999, window);
      expect(over).toBeGreaterThanOrEqual(window);
      expect(over).toBeLessThanOrEqual(window * (1 + 2 / 8));
      // What it counts is exactly what happened in the time that it says.
      const first = looks - over / EVERY + 1;
      let sum = 0;
      for (let look = first; look <= looks; look += 1) sum += errors(look);
      expect([bad, total]).toEqual([sum, (over / EVERY) * 100]);
    }
});

test('three pairs of windows keep under 2 KB, at any time', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 30_000 }), (looks) => {
      let largest = 0;
      let history = NO_BURN;
      for (let look = 0; look <= looks; look += 1) {
        history = addBurn(WINDOWS, history, 1_772_000_000_000 + look * EVERY, 1234, 98_765);
        if (look > looks - 50) largest = Math.max(largest, JSON.stringify(history).length);
      }
      expect(largest).toBeLessThan(1900);
    }),
    { numRuns: 10 },
  );
});

test('1 is the rate that spends the budget in exactly its period', () => {
  const history = run(240, () => [1, 1000]);
  expect(burnOver(history, 0.999, 3_600_000).rate).toBeCloseTo(1, 10);
  expect(burnOver(history, 0.99, 300_000).rate).toBeCloseTo(0.1, 10);
});

test('the counts that came with the first look began before it and are left out', () => {
  expect(
    burnOver(
      run(0, () => [500, 1000]),
      0.99,
      300_000,
    ),
  ).toEqual({ rate: 0, bad: 0, total: 0, over: 0 });
  expect(burnOver(NO_BURN, 0.99, 300_000)).toEqual({ rate: 0, bad: 0, total: 0, over: 0 });
});

test('what a history younger than the window has spent is spread over the window', () => {
  const { rate, ...rest } = burnOver(
    run(4, () => [2, 100]),
    0.99,
    3_600_000,
  );
  expect(rate).toBeCloseTo(2 / 60, 10);
  expect(rest).toEqual({ bad: 8, total: 400, over: 60_000 });
});
