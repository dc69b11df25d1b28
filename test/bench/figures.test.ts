import { describe, expect, it } from 'vitest';
import { ceilingRow, latency, latencyRows, ms, percentile, table } from '../../bench/figures.ts';

const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);

describe('the figures of the bench', () => {
  it('takes the nearest rank, whatever the order', () => {
    expect([percentile(hundred, 0.5), percentile(hundred, 0.99), percentile(hundred, 1), percentile([7], 0.99)]).toEqual([50, 99, 100, 7]);
    expect(() => percentile([], 0.5)).toThrow('nothing was measured');
  });

  it('says of each latency how many times the floor it is, and whether its target stands', () => {
    const floor = latency([10, 10, 10]);
    const [p50, p99] = latencyRows('off', latency([2, 3, 9]), floor, { p50: 0.3, p99: 0.4 });
    expect(p50).toMatchObject({ value: '3.0 ms', ratio: '0.30 x', target: '<= 0.3 x', met: true });
    expect(p99).toMatchObject({ value: '9.0 ms', ratio: '0.90 x', target: '<= 0.4 x', met: false });
  });

  it('holds a latency against a limit in ms as well', () => {
    const rows = latencyRows('proven', latency([5, 300]), latency([400, 400]), { under: 250 });
    expect(rows.map((row) => row.met)).toEqual([undefined, false]);
  });

  it('holds a value against its ceiling, the ceiling itself included', () => {
    expect([ceilingRow('x', 500, 500, ms).met, ceilingRow('x', 501, 500, ms).met, ceilingRow('x', 501, undefined, ms).met]).toEqual([true, false, undefined]);
  });

  it('marks what was missed in the table', () => {
    expect(table([ceilingRow('last off', 900, 500, ms)])).toMatch(/last off\s+900 ms\s+<= 500 ms\s+MISSED/);
  });
});
