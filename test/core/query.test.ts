import { describe, expect, it } from 'vitest';
import type { Measurement } from '../../src/core/measurement.ts';
import { compose, composeSeries, measurementsOf, ratioOf } from '../../src/core/query.ts';
import { alert, failed, noData, probe, ratio, threshold, value } from './gates.ts';

const T = 1_800_000_000_000;
const outcome = (m: Measurement): string => (m.kind === 'value' ? `value ${m.value}` : `${m.kind} ${m.reason}`);

describe('what a gate asks', () => {
  it('is one query, with what keeps it honest', () => {
    expect(measurementsOf(threshold({ alive: 'up' }))).toEqual([{ name: 'value', text: 'q', alive: 'up' }]);
    expect(measurementsOf(threshold({ samples: 'n' })).map(({ name, text }) => [name, text])).toEqual([
      ['value', 'q'],
      ['samples', 'n'],
    ]);
    expect(measurementsOf(probe({ every: 5_000, maxLatency: 300, contains: 'ok' }))).toEqual([
      { name: 'value', text: '/healthz', with: { status: [200], within: 4_750, maxLatency: 300, contains: 'ok' } },
    ]);
    expect(measurementsOf(alert())).toEqual([{ name: 'alerts', text: '', with: { alerts: { severity: 'page' } } }]);
  });
  it('is two queries of a ratio, and traffic vouches for the bad ones', () => {
    expect(measurementsOf(ratio())).toEqual([
      { name: 'bad', text: 'b', with: { beside: 't' } },
      { name: 'total', text: 't' },
    ]);
  });
  it('is nothing where the gate only listens', () => {
    const { source: _source, ...deaf } = alert();
    expect(measurementsOf(deaf)).toEqual([]);
  });
});

describe('a ratio', () => {
  const table: readonly (readonly [string, Measurement, Measurement, string])[] = [
    ['is bad / total', value(T, 3), value(T, 300), 'value 0.01'],
    ['of nothing bad is 0', value(T, 0), value(T, 300), 'value 0'],
    ['without traffic is no traffic', value(T, 0), value(T, 0), 'no-data no-traffic'],
    ['without traffic is no traffic, whatever the bad ones say', noData(T), value(T, 0), 'no-data no-traffic'],
    ['with bad ones and a total of 0 is no traffic, not infinite', value(T, 3), value(T, 0), 'no-data no-traffic'],
    ['with an error in the bad ones is that error', failed(T), value(T, 300), 'error refused'],
    ['with an error in the total is that error', value(T, 0), failed(T), 'error refused'],
    ['prefers an error to missing data', failed(T), noData(T), 'error refused'],
    ['with no data in the bad ones is no data', noData(T), value(T, 300), 'no-data empty'],
    ['with a stale total is stale', value(T, 0), noData(T, 'stale'), 'no-data stale'],
    ['with a negative count is malformed', value(T, -1), value(T, 300), 'error malformed'],
  ];
  it.each(table)('%s', (_, bad, total, expected) => {
    expect(outcome(ratioOf(bad, total))).toBe(expected);
  });
  it('is as old as the older of its parts and drawn from its total', () => {
    expect(ratioOf(value(T, 3, { age: 10 }), value(T + 5, 300, { age: 70 }))).toMatchObject({ at: T + 5, age: 70, samples: 300 });
  });
});

describe('composing', () => {
  it('puts the count beside the value', () => {
    expect(compose(threshold({ samples: 'n' }), { value: value(T, 1), samples: value(T, 250) })).toMatchObject({ value: 1, samples: 250 });
    expect(outcome(compose(threshold({ samples: 'n' }), { value: value(T, 1), samples: noData(T) }))).toBe('no-data empty');
    expect(outcome(compose(threshold({ samples: 'n' }), { value: failed(T), samples: noData(T) }))).toBe('error refused');
  });
  it('throws when an answer is missing', () => {
    expect(() => compose(ratio(), { bad: value(T, 1) })).toThrow('drop-rate: no answer to its query "total"');
  });
  it('goes point by point over a range', () => {
    const series = (...points: readonly Measurement[]) => ({ points, remembers: true });
    const { points } = composeSeries(ratio(), { bad: series(value(T, 1), noData(T + 1)), total: series(value(T, 100), value(T + 1, 100)) });
    expect(points.map(outcome)).toEqual(['value 0.01', 'no-data empty']);
    expect(composeSeries(ratio(), { bad: series(), total: { points: [], remembers: false } })).toEqual({ points: [], remembers: false });
    expect(composeSeries(ratio(), {})).toEqual({ points: [], remembers: false });
  });
});
