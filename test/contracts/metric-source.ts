import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Measurement } from '../../src/core/measurement.ts';
import type { MetricSource, Query } from '../../src/sources/source.ts';

/** A source beside a real server, and questions whose answers are known. */
export interface SourceStand {
  readonly source: MetricSource;
  /** Answers `value`. */
  readonly good: Query;
  readonly value: number;
  /** Answers that there is nothing; left out where a source cannot say so. */
  readonly nothing?: Query;
  /** A question that cannot be asked. */
  readonly broken: Query;
  /** Takes the server away; it does not come back. */
  takeAway(): Promise<void>;
  /** What `good` answers then: an error, or the value 0 of a probe. */
  readonly whenAway: string;
  close(): Promise<void>;
}

const never = new AbortController().signal;
const outcome = (m: Measurement): string => (m.kind === 'value' ? `value ${m.value}` : m.kind);

/** What every source promises, whatever its kind. */
export function metricSourceContract(kind: string, stand: () => Promise<SourceStand>): void {
  describe(`the ${kind} source keeps the contract of sources`, () => {
    let s: SourceStand;
    beforeAll(async () => {
      s = await stand();
    });
    afterAll(async () => {
      await s.source.close();
      await s.close();
    });

    it('names its kind', () => {
      expect(s.source.kind).toBe(kind);
    });
    it('answers a good question with its value, its text and the time', async () => {
      const before = Date.now();
      const m = await s.source.measure(s.good, never);
      expect(outcome(m)).toBe(`value ${s.value}`);
      expect(m.query).toContain(s.good.text);
      expect(m.at).toBeGreaterThanOrEqual(before - 50);
      expect(m.at).toBeLessThanOrEqual(Date.now() + 50);
    });
    it('says that there is nothing where there is nothing', async () => {
      if (s.nothing === undefined) return;
      const m = await s.source.measure(s.nothing, never);
      expect(outcome(m)).toBe('no-data');
    });
    it('answers a broken question with an error that has a detail', async () => {
      const m = await s.source.measure(s.broken, never);
      expect(m.kind === 'error' && m.detail !== '').toBe(true);
    });
    it('looks back on exactly the grid, or says that it cannot', async () => {
      const to = Date.now();
      const { points, remembers } = await s.source.series(s.good, to - 45_000, to, 10_000, never);
      if (!remembers) expect(points).toEqual([]);
      else expect(points.map(({ at }) => at - to)).toEqual([-45_000, -35_000, -25_000, -15_000, -5000]);
      if (!s.source.remembers) expect(remembers).toBe(false);
    });
    it('has nothing against a good question and something against a broken one', async () => {
      expect(await s.source.check([s.good], never)).toEqual([]);
      const problems = await s.source.check([s.good, s.broken], never);
      expect(problems).toHaveLength(1);
      expect(problems[0]?.message).not.toBe('');
      expect(problems[0]?.hint).not.toBe('');
    });
    it('answers an error, and does not throw, when it is stopped before it asks', async () => {
      expect((await s.source.measure(s.good, AbortSignal.abort())).kind).toBe('error');
    });
    it('answers forty questions at once', async () => {
      const answers = await Promise.all(Array.from({ length: 40 }, () => s.source.measure(s.good, never)));
      expect(new Set(answers.map(outcome))).toEqual(new Set([`value ${s.value}`]));
    });
    it('does not throw, and gives no value of before, when its server is away', async () => {
      await s.takeAway();
      expect(outcome(await s.source.measure(s.good, never))).toBe(s.whenAway);
      const { points } = await s.source.series(s.good, Date.now() - 20_000, Date.now(), 10_000, never);
      expect(points.every(({ kind: answered }) => answered === 'error')).toBe(true);
    });
  });
}
