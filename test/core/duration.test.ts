import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatDuration, LONGEST, parseDuration } from '../../src/core/duration.ts';

test.each([
  ['30s', 30_000],
  ['5m', 300_000],
  ['24h', 86_400_000],
  ['14d', 1_209_600_000],
  ['1m30s', 90_000],
  ['1d12h', 129_600_000],
  ['800ms', 800],
  ['0s', 0],
])('%s is %d ms', (text, span) => {
  expect(parseDuration(text)).toBe(span);
});

test.each(['', '5', 's', '-5m', '1.5h', '5 m', '30s1m', '1m1m', '1000y', '366d', '99999999999999d', '5M', '1e3s', '٣s'])('%j is no duration', (text) => {
  expect(parseDuration(text)).toBeUndefined();
});

test.each([
  [0, '0s'],
  [86_400_000, '24h'],
  [129_600_000, '36h'],
  [172_800_000, '2d'],
  [90_000, '1m30s'],
  [1_500, '1s500ms'],
  [-60_000, '-1m'],
])('%d ms is written %s', (span, text) => {
  expect(formatDuration(span)).toBe(text);
});

test('what is written is read back to the millisecond', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: LONGEST }), (span) => {
      expect(parseDuration(formatDuration(span))).toBe(span);
    }),
  );
});

test('a longer span never reads as a shorter one', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 9999 }), fc.integer({ min: 0, max: 9999 }), fc.constantFrom('s', 'm'), (a, b, unit) => {
      const [left, right] = [parseDuration(`${a}${unit}`), parseDuration(`${b}${unit}`)];
      expect(Math.sign((left ?? NaN) - (right ?? NaN))).toBe(Math.sign(a - b));
    }),
  );
});
