import { expect, test } from 'vitest';
import { quantileOf, slowOf, type Bucket } from '../../../src/core/statistics/buckets.ts';
import published from '../../fixtures/golden/published.json' with { type: 'json' };

const buckets = (pairs: readonly (readonly [number | string, number])[]): readonly Bucket[] =>
  pairs.map(([le, count]) => ({ le: le === '+Inf' ? Infinity : Number(le), count }));
const PUBLISHED = buckets(published.histogramQuantile.buckets as [number | string, number][]);

test('the published quantile', () => {
  expect(quantileOf(PUBLISHED, published.histogramQuantile.q)).toBeCloseTo(published.histogramQuantile.value, 12);
});

test.each<[string, readonly Bucket[], number, number | undefined]>([
  ['in the last bucket it is the highest finite edge', PUBLISHED, 0.99, 1],
  [
    'in the first bucket of positive edges it begins at 0',
    buckets([
      [0.5, 10],
      ['+Inf', 10],
    ]),
    0.5,
    0.25,
  ],
  ['in a first bucket at or below 0 it is that edge', PUBLISHED, 0.1, 0],
  [
    'buckets may come in any order',
    buckets([
      ['+Inf', 19],
      [1, 14],
      [0, 6],
      [0.5, 11],
    ]),
    0.5,
    0.35,
  ],
  [
    'without observations there is none',
    buckets([
      [1, 0],
      ['+Inf', 0],
    ]),
    0.5,
    undefined,
  ],
  [
    'without a bucket to +Inf there is none',
    buckets([
      [1, 3],
      [2, 4],
    ]),
    0.5,
    undefined,
  ],
  ['with only +Inf there is none', buckets([['+Inf', 4]]), 0.5, undefined],
  ['without buckets there is none', [], 0.5, undefined],
])('%s', (_, given, q, expected) => {
  const found = quantileOf(given, q);
  if (expected === undefined) expect(found).toBeUndefined();
  else expect(found).toBeCloseTo(expected, 12);
});

test('slow are all but those up to the edge, exactly', () => {
  expect(slowOf(PUBLISHED, 0.5)).toEqual({ kind: 'counts', slow: 8, total: 19 });
  expect(
    slowOf(
      buckets([
        [0.30000000000000004, 3],
        ['+Inf', 4],
      ]),
      0.3,
    ),
  ).toEqual({ kind: 'counts', slow: 1, total: 4 });
});

test.each([
  [0.4, [0, 0.5]],
  [7, [1]],
  [-1, [0]],
])('an edge of %s that does not exist names the nearest', (edge, nearest) => {
  expect(slowOf(PUBLISHED, edge)).toEqual({ kind: 'no-edge', nearest });
});

test('without a bucket to +Inf nothing says how many there were', () => {
  expect(
    slowOf(
      buckets([
        [0.5, 3],
        [1, 4],
      ]),
      0.5,
    ),
  ).toMatchObject({ kind: 'no-edge' });
  expect(slowOf([], 0.5)).toEqual({ kind: 'no-edge', nearest: [] });
});
