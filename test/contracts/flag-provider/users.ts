import { expect } from 'vitest';
import { everyone, type Exposure } from '../../../src/core/exposure.ts';
import type { Measured } from './table.ts';
import { share, subjects, type Bench } from './bench.ts';

/** So many writes are timed. */
const WRITES = 50;
/** So many at once. */
const AT_ONCE = 10;

/** The value at the rank `p` of sorted values, nearest rank. */
function rank(sorted: readonly number[], p: number): number {
  return sorted[Math.max(0, Math.ceil((p / 100) * sorted.length) - 1)] ?? Number.NaN;
}

/** What the flag's users get, at their own evaluator. */
export function userRules(bench: Bench): void {
  const { rule, under, read, write1, change, entryOf, restore1, shifted } = bench;

  rule('shows its witnesses the old value before, the new one after the write, and the old one after the restore', async () => {
    const { can } = under().provider;
    const [ann, crowd] = [{ key: 'ann', attributes: {} }, subjects(60)];
    const to: Exposure = { ...share(can.share ? 50 : 0), listed: can.lists ? [{ attribute: 'key', values: ['ann'] }] : [] };
    const wide = can.share || can.lists ? to : everyone(true);
    const flag = await under().newFlag();
    const values = () => Promise.all(crowd.map((subject) => under().valueFor(flag, subject)));
    const baseline = await values();
    expect(baseline.every((value) => value === false)).toBe(true);
    const moved = await shifted(wide, undefined, flag);
    const witness = can.lists
      ? ann
      : await until(
          async () => (await values()).indexOf(true),
          (index) => index >= 0,
        );
    await bench.seen(flag, typeof witness === 'number' ? (crowd[witness] ?? ann) : witness, true);
    const during = await values();
    if (can.share) {
      const reached = during.filter((value) => value === true).length;
      expect(reached).toBeGreaterThan(12);
      expect(reached).toBeLessThan(48);
    } else if (can.lists) expect(during).toEqual(baseline);
    expect(await restore1(entryOf(moved))).toMatchObject({ kind: 'restored' });
    await bench.seen(flag, ann, false);
    expect(await values()).toEqual(baseline);
  });

  rule(
    `shows a write to the flag's users within the time it declares: p99 of ${WRITES} writes`,
    async () => {
      const { propagation } = under().provider.can;
      const times: number[] = [];
      const one = async (): Promise<void> => {
        const flag = await under().newFlag();
        const subject = { key: 'user-1', attributes: {} };
        expect(await under().valueFor(flag, subject)).toBe(false);
        const before = await read(flag);
        // The clock starts when the last request leaves: the answer may well come after the users have the value.
        let sent = 0;
        const stillWanted = (): Promise<void> => {
          sent = performance.now();
          return Promise.resolve();
        };
        const seen = async (): Promise<number> => {
          await bench.seen(flag, subject, true);
          return performance.now();
        };
        const [at] = await Promise.all([seen(), write1(change(flag, everyone(true), before, { stillWanted }))]);
        times.push(at - sent);
      };
      for (let done = 0; done < WRITES; done += AT_ONCE) await Promise.all(Array.from({ length: Math.min(AT_ONCE, WRITES - done) }, one));
      const sorted = times.sort((a, b) => a - b);
      const measured: Measured = { p50: rank(sorted, 50), p99: rank(sorted, 99), declared: propagation, writes: sorted.length };
      bench.measured = measured;
      expect(sorted).toHaveLength(WRITES);
      expect(measured.p99).toBeLessThanOrEqual(propagation);
    },
    300_000,
  );

  /** Looks until `right`, at most the declared propagation and a little. */
  async function until<T>(look: () => Promise<T>, right: (value: T) => boolean): Promise<T> {
    const end = performance.now() + under().provider.can.propagation + 500;
    for (;;) {
      const value = await look();
      if (right(value) || performance.now() > end) return value;
    }
  }
}
