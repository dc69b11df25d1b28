import { expect, test } from 'vitest';
import { timeOf } from '../../../src/cli/verbs/sign.ts';

const NOW = Date.parse('2026-04-23T10:00:00Z');

test.each([
  ['24h', '2026-04-24T10:00:00.000Z'],
  ['2026-04-24T10:00:00+03:00', '2026-04-24T07:00:00.000Z'],
])('a recheck %s is %s', (text, time) => {
  expect(timeOf(text, NOW)).toBe(time);
});

test.each(['tomorrow', '2026-04-24', '2026-04-24T10:00:00', '24'])('a recheck %s has no zone or no meaning', (text) => {
  expect(() => timeOf(text, NOW)).toThrow(
    `--recheck is ${JSON.stringify(text)}; expected a span like 24h, or a time with its zone like 2026-04-24T10:00:00+03:00`,
  );
});
