import { describe, expect, it, test } from 'vitest';
import { logGamma } from '../../../src/core/statistics/logarithms.ts';
import { addCounts, logMismatch, NO_SHARES, type ShareEvidence } from '../../../src/core/statistics/share-mismatch.ts';
import { randomOf } from '../../../bench/gates/random.ts';

const choose = (n: number, k: number): number => Math.exp(logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1));

test('ln Gamma', () => {
  for (let n = 1, log = 0; n <= 60; n += 1, log += Math.log(n - 1)) expect(logGamma(n)).toBeCloseTo(log, 10);
  expect(logGamma(0.5)).toBeCloseTo(0.5 * Math.log(Math.PI), 12);
});

describe('the mean of e, counted out over everything that can happen, is at most 1', () => {
  const mean = (share: number, promised: number, tolerance: number): number => {
    let sum = 0;
    for (let x = 0; x <= 12; x += 1)
      for (let y = 0; y <= 8; y += 1) {
        const evidence = addCounts(addCounts(NO_SHARES, [x, 12 - x], [promised, 1 - promised], tolerance), [y, 8 - y], [promised, 1 - promised], tolerance);
        sum += choose(12, x) * choose(8, y) * share ** (x + y) * (1 - share) ** (20 - x - y) * Math.exp(logMismatch(evidence, tolerance));
      }
    return sum;
  };
  it('exactly 1 at the promised share, without a tolerance', () => expect(mean(0.2, 0.2, 0)).toBeCloseTo(1, 10));
  it.each([0.15, 0.2, 0.25])('at most 1 at a share of %s when 0.05 are tolerated', (share) => expect(mean(share, 0.2, 0.05)).toBeLessThanOrEqual(1 + 1e-12));
  it('more than 1 at another share', () => expect(mean(0.5, 0.2, 0.05)).toBeGreaterThan(2));
});

test('evidence stays when the share changes, and the new share is counted afresh', () => {
  const ill = addCounts(NO_SHARES, [120, 880], [0.05, 0.95], 0.01);
  const later = addCounts(ill, [250, 750], [0.25, 0.75], 0.01);
  expect(logMismatch(ill, 0.01)).toBeGreaterThan(10);
  expect(later).toMatchObject({ counts: [250, 750], before: logMismatch(ill, 0.01) });
  expect(logMismatch(later, 0.01)).toBeGreaterThan(logMismatch(ill, 0.01) - 5);
});

test('three classes: the one that is off is found, the others are only what is left', () => {
  const shares = [0.1, 0.3, 0.6];
  expect(logMismatch(addCounts(NO_SHARES, [300, 900, 1800], shares, 0.02), 0.02)).toBeLessThan(0);
  expect(logMismatch(addCounts(NO_SHARES, [600, 900, 1500], shares, 0.02), 0.02)).toBeGreaterThan(20);
});

test('one user on a side where nobody is promised is proof', () => {
  expect(logMismatch(addCounts(NO_SHARES, [1, 99], [0, 1], 0), 0)).toBe(Infinity);
  expect(logMismatch(addCounts(NO_SHARES, [0, 99], [0, 1], 0), 0)).toBeLessThanOrEqual(0);
});

test('of 2,000 healthy launches, looked at 100 times at three shares, at most 1 % raise an alarm at 1 %; at 3 % for 5 % nearly all do', () => {
  const alarms = (factor: number): number => {
    let found = 0;
    for (let launch = 0; launch < 2000; launch += 1) {
      const random = randomOf(launch, 3);
      let evidence: ShareEvidence = NO_SHARES;
      for (let look = 0; look < 100; look += 1) {
        const share = look < 40 ? 0.05 : look < 70 ? 0.2 : 0.5;
        evidence = addCounts(evidence, [random.poisson(100 * share * factor), random.poisson(100 * (1 - share * factor))], [share, 1 - share], 0.005);
        if (logMismatch(evidence, 0.005) >= Math.log(100)) {
          found += 1;
          break;
        }
      }
    }
    return found / 2000;
  };
  expect(alarms(1)).toBeLessThanOrEqual(0.01);
  expect(alarms(0.6)).toBeGreaterThan(0.99);
});
