import { describe, expect, test } from 'vitest';
import { everyone } from '../../src/core/exposure.ts';
import type { Measurement, Series } from '../../src/core/measurement.ts';
import type { Gate, Stage } from '../../src/core/plan.ts';
import type { Finding, GateSeen } from '../../src/core/finding.ts';
import { findingsOf } from '../../src/core/preflight.ts';
import { measurementsOf } from '../../src/core/query.ts';
import { compareRate, compareSlow, ratio, threshold } from './gates.ts';

const HOUR = 3_600_000;
const T = Date.UTC(2026, 0, 5, 12);
const FROM = T - 3 * HOUR;

const stage = (bake: number, percent: number): Stage => ({
  id: 'beta',
  checklist: [],
  signOff: [],
  set: [{ flag: 'chat', to: { ...everyone(true), share: percent }, narrows: false }],
  bake,
  gates: [],
});
const value = (at: number, number: number, more: object = {}): Measurement => ({ kind: 'value', at, query: 'q', value: number, ...more });
/** One point each 15 s over the last 3 h. */
const past = (point: (at: number, i: number) => Measurement): Series => ({
  points: Array.from({ length: 721 }, (_, i) => point(FROM + i * 15_000, i)),
  remembers: true,
});
/** A pre-flight of one gate: the same answers to each of its queries unless given. */
function seen(gate: Gate, now: (name: string) => Measurement, back?: (name: string) => Series, more: Partial<GateSeen> = {}): readonly Finding[] {
  const names = measurementsOf(gate).map(({ name }) => name);
  return findingsOf({
    gate,
    stage: stage(HOUR, 5),
    next: true,
    answers: Object.fromEntries(names.map((name) => [name, now(name)])),
    span: 3 * HOUR,
    told: false,
    ...(back === undefined ? {} : { back: Object.fromEntries(names.map((name) => [name, back(name)])) }),
    ...more,
  });
}
const brief = (findings: readonly Finding[]): readonly string[] => findings.map(({ severity, found }) => `${severity}: ${found}`);

describe('a gate that reads each value by itself', () => {
  const gate = threshold({ for: 60_000 });
  test('has nothing found of it when it is and was healthy', () => {
    expect(
      seen(
        gate,
        () => value(T, 0.4),
        () => past((at) => value(at, 0.4)),
      ),
    ).toEqual([]);
  });
  test('is refused when it is breached already, and says for how long', () => {
    const found = seen(
      gate,
      () => value(T, 1.5),
      () => past((at) => value(at, at > T - 90_000 ? 1.5 : 0.4)),
    );
    expect(brief(found)).toEqual(['error: breached already: latency 1.5 s > 1 s, for 1m15s']);
    expect(found[0]).toMatchObject({ where: 'gates.latency', expected: 'healthy before beta arms it; it counts after 1m' });
  });
  test('is only warned of while the breach has not lasted, and of a gate that a later stage arms', () => {
    expect(
      brief(
        seen(
          gate,
          () => value(T, 1.5),
          () => past((at) => value(at, at > T - 30_000 ? 1.5 : 0.4)),
        ),
      ),
    ).toEqual(['warning: bad now: latency 1.5 s > 1 s, for 15s']);
    const later = seen(
      gate,
      () => value(T, 1.5),
      () => past((at) => value(at, 1.5)),
      { next: false },
    );
    expect(brief(later)).toEqual(['warning: breached already: latency 1.5 s > 1 s, for 3h']);
  });
  test('is refused with the time of a false alarm on the past, and says from when on it would not be', () => {
    const spike = (at: number): boolean => at >= T - HOUR && at <= T - HOUR + 120_000;
    const [alarm, ...rest] = seen(
      gate,
      () => value(T, 0.4),
      () => past((at) => value(at, spike(at) ? 2 : 0.4)),
    );
    expect(rest).toEqual([]);
    expect(alarm).toMatchObject({ severity: 'error', found: expect.stringContaining('false alarm at 2026-01-05T11:01:00.000Z') as string });
    expect(alarm?.hint).toContain('launch after 14:01:00 UTC');
  });
  test('is not refused for a past that nobody tells: no history is a note', () => {
    const kinds = (found: readonly Finding[]) => found.map(({ severity }) => severity);
    const well = (): Measurement => value(T, 0.4);
    expect(kinds(seen(gate, well))).toEqual(['note']);
    expect(kinds(seen(gate, well, () => ({ points: [], remembers: false })))).toEqual(['note']);
    expect(kinds(seen(gate, well, () => past((at) => ({ kind: 'no-data', reason: 'empty', at, query: 'q', detail: 'none' }))))).toEqual(['note']);
    expect(seen(gate, well, () => past((at) => value(at, 0.4)), { span: 0 })).toEqual([]);
  });
  test('is tried on what came after another launch alone, breached or not before; where nothing came after, a note says why', () => {
    const until = T - HOUR;
    const other = () => past((at) => value(at, at < until ? 2 : 0.4));
    const well = (): Measurement => value(T, 0.4);
    expect(brief(seen(gate, well, other))).toEqual([expect.stringMatching(/^error: false alarm/) as string]);
    expect(seen(gate, well, other, { since: until, span: HOUR })).toEqual([]);
    expect(brief(seen(gate, well, other, { since: T, span: 0, noPast: 'chat-1 goes on' }))).toEqual(['note: not tried on the past: chat-1 goes on']);
  });
  test('is refused when it is breached and was all along, whatever was launched meanwhile', () => {
    const found = seen(
      gate,
      () => value(T, 1.5),
      () => past((at) => value(at, 1.5)),
      { since: T, span: 0, noPast: 'chat-1 goes on' },
    );
    expect(brief(found)).toEqual(['error: breached already: latency 1.5 s > 1 s, for 3h']);
  });
  test('is noted when it has no data yet, and no more', () => {
    const found = seen(
      gate,
      () => ({ kind: 'no-data', reason: 'empty', at: T, query: 'q', detail: 'the answer has no series' }),
      () => ({ points: [], remembers: false }),
    );
    expect(brief(found)[0]).toBe('note: no data yet (empty): the answer has no series');
    expect(found.every(({ severity }) => severity === 'note')).toBe(true);
  });
  test('is warned of when its samples never suffice, with the window that would', () => {
    const counted = ratio({ minSamples: 200 });
    const found = seen(
      counted,
      (name) => value(T, name === 'total' ? 40 : 0),
      (name) => past((at) => value(at, name === 'total' ? 40 : 0)),
    );
    expect(brief(found)).toEqual(['warning: drop-rate drawn from 40 of at least 200 samples']);
    expect(found[0]?.hint).toBe('ask over a window 5 times as long, or lower minSamples');
  });
});

describe('a gate that compares', () => {
  const gate = compareRate({ alpha: 0.01, tolerance: 1.2, floor: 0.001, minSamples: 1_000 });
  /** Running totals of so many a look on either side, and how many of them go wrong. */
  const totals = (exposed: number, exposedBad: number, rest: number, restBad: number) => {
    const each: Readonly<Record<string, number>> = { exposed, exposedBad, rest, restBad };
    return (name: string): Series => past((at, i) => value(at, i * (each[name] ?? 0)));
  };
  const now = (back: (name: string) => Series) => (name: string) => back(name).points.at(-1) ?? value(T, 0);

  test('says how soon it would find a doubling, and is not refused for its past without a difference', () => {
    const back = totals(150, 1, 2_850, 19);
    const found = seen(gate, now(back), back);
    expect(brief(found)).toEqual([
      expect.stringMatching(/^note: twice as many failures are found after about \d+m.* at 5 % of 12000 a minute, 0\.\d+ % of them wrong$/),
    ]);
  });
  test('is refused when both sides differ without the flag, with the ratio to tolerate', () => {
    const back = totals(150, 3, 2_850, 19);
    const alarm = seen(gate, now(back), back).find(({ severity }) => severity === 'error');
    expect(alarm?.found).toMatch(/^false alarm at 2026-01-05T09:\d\d:\d\d\.000Z on the past/);
    expect(alarm?.hint).toContain('raise tolerance above 3');
  });
  test('is warned of when it cannot decide within the bake, with what it needs', () => {
    const back = totals(1, 0, 19, 1);
    const found = seen(gate, now(back), back, { stage: stage(HOUR, 5) });
    expect(found[0]).toMatchObject({ severity: 'warning', expected: 'a decision within the bake of beta, 1h' });
    expect(found[0]?.found).toMatch(/^needs 4h10m for a go at 5 % of 80 a minute, 5 % of them wrong$/);
    expect(found[0]?.hint).toContain('lengthen the bake to 4h10m');
  });
  test('is warned of when a doubling lies below its floor', () => {
    const back = totals(150, 0, 2_850, 1);
    const found = seen(gate, now(back), back);
    expect(brief(found)[0]).toMatch(/^warning: twice as many failures would not be found/);
  });
  test('tells its traffic from the rest alone while nobody is exposed: that is a note, never a refusal', () => {
    const some = totals(0, 0, 3_000, 20);
    const none: Series = past((at) => ({ kind: 'no-data', reason: 'empty', at, query: 'q', detail: 'none' }));
    const back = (name: string): Series => (name.startsWith('exposed') ? none : some(name));
    const found = seen(gate, now(back), back);
    expect(found.every(({ severity }) => severity === 'note')).toBe(true);
    expect(brief(found).join('\n')).toContain('5 % of 12000 a minute');
  });
  test('is refused when its answers do not fit together: an edge that the histogram does not have', () => {
    const slow = compareSlow({ over: 0.4 });
    const buckets = [
      { le: 0.25, count: 1 },
      { le: 0.5, count: 2 },
      { le: Infinity, count: 3 },
    ];
    const found = seen(slow, () => value(T, 3, { buckets }));
    expect(brief(found)[0]).toBe('error: could not look (malformed): exposed: no bucket ends at 0.4; the nearest are 0.25 and 0.5');
    expect(found[0]?.expected).toBe('the counts of both sides');
  });
});

test('an answer that failed is said once: by its source, or as a warning where that found nothing wrong', () => {
  const failed = (): Measurement => ({ kind: 'error', reason: 'timeout', at: T, query: 'q', detail: 'no answer' });
  expect(brief(seen(threshold(), failed, undefined, { told: true, span: 0 }))).toEqual([]);
  expect(brief(seen(threshold(), failed, undefined, { span: 0 }))).toEqual(['warning: could not look (timeout): no answer']);
});
