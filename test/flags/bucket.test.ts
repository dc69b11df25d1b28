import fc from 'fast-check';
import pg from 'pg';
import { inject, describe, expect, it } from 'vitest';
import { bucket } from '../../src/flags/bucket.ts';
import { evaluate } from '../../src/flags/evaluate.ts';
import { storedFlag } from './support.ts';

describe('a bucket', () => {
  it('is stable: these never change, or every share would be drawn anew', () => {
    expect(bucket('s', 'chat.enabled', 'u-1')).toBeCloseTo(17.644757, 5);
  });

  it('is the same number that SQL draws', async () => {
    const client = new pg.Client({ connectionString: inject('pgUrl') });
    await client.connect();
    try {
      for (const subject of ['u-1', 'zoë', '', '汉字']) {
        const { rows } = await client.query<{ drawn: string }>(
          `select ((('x' || substr(encode(sha256(convert_to($1, 'utf8')), 'hex'), 1, 8))::bit(32)::bigint & 4294967295) / 4294967296.0 * 100)::text as drawn`,
          [`s:chat.enabled:${subject}`],
        );
        expect(bucket('s', 'chat.enabled', subject)).toBeCloseTo(Number(rows[0]?.drawn), 8);
      }
    } finally {
      await client.end();
    }
  });

  it('spreads subjects evenly: 100,000 over 100 bins, within the 99.9 % bound of chi-squared with 99 degrees of freedom', () => {
    const bins = new Array<number>(100).fill(0);
    for (let i = 0; i < 100_000; i += 1) {
      const bin = Math.floor(bucket('salt', 'some.flag', `user-${i}`));
      bins[bin] = (bins[bin] ?? 0) + 1;
    }
    const chiSquared = bins.reduce((sum, count) => sum + (count - 1_000) ** 2 / 1_000, 0);
    expect(chiSquared).toBeLessThan(148.23);
  });

  it('keeps everyone who has the value when the share grows', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.double({ min: 0, max: 100, noNaN: true }), fc.double({ min: 0, max: 100, noNaN: true }), (salt, key, a, b) => {
        const [less, more] = [Math.min(a, b), Math.max(a, b)];
        const at = (share: number) => evaluate(storedFlag({ value: true, share, by: 'key', listed: [] }, { salt }), { key, attributes: {} }, new Map()).value;
        if (at(less) === true) expect(at(more)).toBe(true);
      }),
    );
  });

  it('gives 5 % of subjects the value at 5, and each of them still has it at 25', () => {
    const people = Array.from({ length: 20_000 }, (_, i) => ({ key: `k-${i}`, attributes: { contract: `c-${i}` } }));
    const at = (share: number) => people.map((who) => evaluate(storedFlag({ value: true, share, by: 'contract', listed: [] }), who, new Map()).value);
    const [five, twentyFive] = [at(5), at(25)];
    expect(five.filter(Boolean).length / 200).toBeGreaterThan(4.4);
    expect(five.filter(Boolean).length / 200).toBeLessThan(5.6);
    expect(five.every((value, i) => value === false || twentyFive[i] === true)).toBe(true);
  });
});
