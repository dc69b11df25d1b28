import { expect, it } from 'vitest';
import { linearOf, type Term } from '../../../src/sources/prometheus/linear.ts';

const term = (selector: string, more: Partial<Term> = {}): Term => ({ selector, name: selector.replace(/\{.*/, ''), times: 1, optional: false, ...more });

it.each<[string, readonly Term[]]>([
  ['a', [term('a')]],
  ['sum(a{code=~"5.."})', [term('a{code=~"5.."}')]],
  ['sum by (pod) (a)', [term('a')]],
  ['sum(a) by (pod)', [term('a')]],
  ['sum without (pod) (a)', [term('a')]],
  ['a + b', [term('a'), term('b')]],
  ['sum(a + a) + (b)', [term('a', { times: 2 }), term('b')]],
  ['sum(a) or vector(0)', [term('a', { optional: true })]],
  ['(sum(a) or vector(0.0)) + sum(a)', [term('a', { times: 2 })]],
  ['(sum(a) or vector(0)) + sum(b)', [term('a', { optional: true }), term('b')]],
  ['sum # of all\n(a)', [term('a')]],
  ['job:errors:sum', [term('job:errors:sum')]],
])('%s adds up its counters', (query, terms) => {
  expect(linearOf(query, 'counter')).toEqual({ kind: 'terms', terms });
});

it('takes a selector without a name', () => {
  expect(linearOf('sum({"my.metric", job="a"})', 'counter')).toEqual({
    kind: 'terms',
    terms: [{ selector: '{"my.metric", job="a"}', times: 1, optional: false }],
  });
});

it.each([
  ['sum(rate(a{x="1"}[5m]))', 'rate() is worked out over a window', 'sum(a{x="1"})'],
  ['sum(increase(a[1m])) + sum(b)', 'increase()', 'sum(a) + sum(b)'],
  ['sum(sum_over_time(a[1m]))', 'sum_over_time()', 'sum(a)'],
  ['histogram_count(a)', 'is no count', 'sum(a)'],
  ['abs(a)', 'abs() is no running count', 'sum(a)'],
  ['vector(0)', 'vector() is no running count', 'sum('],
  ['avg(a)', 'avg(...) does not add', 'sum(a)'],
  ['count by (pod) (a)', 'count(...) does not add', 'sum(a)'],
  ['a / b', 'is a quotient', 'both counts'],
  ['a - b', 'is a difference', 'label matchers'],
  ['2 * a', 'is no sum', 'sum(a)'],
  ['a > 5', 'is no sum', 'sum(a)'],
  ['a + on (pod) b', 'matches series with each other', 'sum(a) + sum(b)'],
  ['a + 5', '5 is a constant', 'sum(a)'],
  ['sum(a) or vector(1)', 'or vector(1)', 'sum(a)'],
  ['sum(a) or b', '"or b"', 'sum(a) + sum(b)'],
  ['a offset 5m', 'another time', 'sum(a)'],
  ['sum(a @ end())', 'another time', 'sum(a)'],
  ['a[5m]', 'a matrix', 'sum(a)'],
  ['max_over_time(a[1h:1m])', 'max_over_time()', 'sum(a)'],
  ['-a', 'not understood as a sum', 'sum(a)'],
  ['"text"', 'a string', 'sum('],
  ['1', 'a scalar', 'sum('],
  ['job:errors:rate5m', 'recorded as a rate', 'made from'],
  ['sum(', 'PromQL not understood', 'Prometheus'],
  ['', 'PromQL not understood', 'Prometheus'],
])('%s does not, and says what to write', (query, message, hint) => {
  const found = linearOf(query, 'counter');
  expect(found).toMatchObject({ kind: 'not-linear', message: expect.stringContaining(message) as string, hint: expect.stringContaining(hint) as string });
});

it.each([
  ['h_bucket', true],
  ['sum by (le) (h_bucket)', true],
  ['sum by (pod, le) (h_bucket)', true],
  ['sum without (pod) (h_bucket)', true],
  ['sum by (le) (a_bucket) + sum by (le) (b_bucket)', true],
  ['sum(h_bucket)', false],
  ['sum by (pod) (h_bucket)', false],
  ['sum without (le) (h_bucket)', false],
])('buckets keep their label le: %s', (query, kept) => {
  const found = linearOf(query, 'buckets');
  expect(found.kind).toBe(kept ? 'terms' : 'not-linear');
  if (found.kind === 'not-linear') expect(found.hint).toBe('write sum by (le) (h_bucket)');
});
