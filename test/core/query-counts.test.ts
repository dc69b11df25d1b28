import { describe, expect, it } from 'vitest';
import type { Measurement } from '../../src/core/measurement.ts';
import { compose, measurementsOf, type Answers } from '../../src/core/query.ts';
import type { Bucket } from '../../src/core/statistics/buckets.ts';
import { burnRate, compareRate, compareSlow, compareUsers, exposureCheck, failed, noData, quantile, value } from './gates.ts';

const T = 1_772_334_724_000;
const rise = (number: number, since = T - 15_000): Measurement => ({ kind: 'value', at: T, since, value: number, query: 'q' });
const histogram = (counts: readonly number[], edges: readonly number[] = [0.25, 0.5, Infinity]): Measurement => {
  const buckets: readonly Bucket[] = edges.map((le, index) => ({ le, count: counts[index] ?? 0 }));
  return { kind: 'value', at: T, since: T - 15_000, value: counts.at(-1) ?? 0, query: 'h', buckets };
};
const SIDES: Answers = { exposedBad: rise(6), exposed: rise(600), restBad: rise(57), rest: rise(11_400) };

describe('what a gate that counts asks', () => {
  it.each([
    [compareRate(), ['exposedBad counter', 'exposed counter', 'restBad counter', 'rest counter']],
    [compareSlow(), ['exposed buckets', 'rest buckets']],
    [compareUsers(), ['exposedBad counter', 'exposed ', 'restBad counter', 'rest ']],
    [burnRate(), ['bad counter', 'total counter']],
    [quantile(), ['value buckets']],
    [exposureCheck(), ['exposed counter', 'rest counter']],
  ])('$kind', (gate, asked) => {
    expect(measurementsOf(gate).map((query) => `${query.name} ${query.rises ?? ''}`)).toEqual(asked);
    expect(measurementsOf({ ...gate, alive: 'up' }).every((query) => query.alive === 'up')).toBe(true);
  });
});

it('a comparison is vouched for by the traffic of the rest, until that is to end', () => {
  const vouched = (promised?: number) =>
    measurementsOf(compareRate(), promised).flatMap((query) => (query.with === undefined ? [] : [`${query.name} by ${String(query.with['beside'])}`]));
  for (const promised of [undefined, 0.05, 0.99]) expect(vouched(promised)).toEqual(['exposedBad by et', 'exposed by rt', 'restBad by rt']);
  expect(vouched(1)).toEqual(['exposedBad by et', 'restBad by rt']);
});

describe('the answers as one', () => {
  it('are the counts of both sides', () => {
    expect(compose(compareRate(), SIDES)).toMatchObject({
      kind: 'value',
      value: 0.01,
      samples: 600,
      since: T - 15_000,
      counts: { exposedBad: 6, exposed: 600, restBad: 57, rest: 11_400 },
    });
  });
  it('an error is the answer, before missing data', () => {
    expect(compose(compareRate(), { ...SIDES, exposed: noData(T), rest: failed(T) })).toMatchObject({ kind: 'error', detail: 'rest: nobody listens' });
    expect(compose(compareRate(), { ...SIDES, restBad: noData(T, 'stale') })).toMatchObject({ kind: 'no-data', reason: 'stale', detail: 'restBad: nothing' });
  });
  it('where only the rest is missing they say so, if the exposed had traffic', () => {
    const missing = (more: Answers) => compose(compareRate(), { ...SIDES, rest: noData(T), restBad: noData(T), ...more });
    expect(missing({})).toMatchObject({ kind: 'no-data', missing: 'rest', detail: 'restBad: nothing' });
    for (const more of [{ exposed: rise(0) }, { exposed: noData(T) }, { exposedBad: noData(T) }, { rest: failed(T) }])
      expect(missing(more)).not.toHaveProperty('missing');
  });
  it.each([
    ['a count below 0', { exposedBad: rise(-1) }, 'exposedBad is -1; expected a count of 0 or more'],
    ['a count that is NaN', { rest: rise(NaN) }, 'rest is NaN; expected a count of 0 or more'],
    ['rises beside totals', { rest: value(T, 5) }, 'some counts are rises and others totals, or they begin at different times; expected all of one look'],
    [
      'rises of different looks',
      { rest: rise(5, T - 30_000) },
      'some counts are rises and others totals, or they begin at different times; expected all of one look',
    ],
  ])('%s is an error', (_, more, detail) => {
    expect(compose(compareRate(), { ...SIDES, ...more })).toMatchObject({ kind: 'error', reason: 'malformed', detail });
  });
  it('users at risk are no counter, so they have no beginning', () => {
    const answers = { ...SIDES, exposed: value(T, 500), rest: value(T, 9500) };
    expect(compose(compareUsers(), answers)).toMatchObject({ since: T - 15_000, counts: { exposedBad: 6, exposed: 500, restBad: 57, rest: 9500 } });
  });
  it('slow ones are those above the edge', () => {
    const found = compose(compareSlow(), { exposed: histogram([80, 95, 100]), rest: histogram([1000, 1990, 2000]) });
    expect(found).toMatchObject({ kind: 'value', value: 0.05, counts: { exposedBad: 5, exposed: 100, restBad: 10, rest: 2000 } });
  });
  it('an edge that is not there names the nearest', () => {
    const found = compose(compareSlow({ over: 0.3 }), { exposed: histogram([80, 95, 100]), rest: histogram([1000, 1990, 2000]) });
    expect(found).toMatchObject({ kind: 'error', reason: 'malformed', detail: 'exposed: no bucket ends at 0.3; the nearest are 0.25 and 0.5' });
  });
  it('a source without buckets has no edge', () => {
    expect(compose(compareSlow(), { exposed: rise(5), rest: rise(5) })).toMatchObject({
      kind: 'error',
      detail: 'exposed: no bucket ends at 0.5; there is none',
    });
  });
  it('a budget and a share have one side, or two totals', () => {
    expect(compose(burnRate(), { bad: rise(1), total: rise(100) })).toMatchObject({ counts: { exposedBad: 1, exposed: 100 } });
    expect(compose(exposureCheck(), { exposed: rise(50), rest: rise(950) })).toMatchObject({ since: T - 15_000, counts: { exposed: 50, rest: 950 } });
  });
});
