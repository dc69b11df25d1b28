import { describe, expect, it, test } from 'vitest';
import { freshGate, judge, type GateAct, type GateState } from '../../../src/core/gate.ts';
import { promisedShare } from '../../../src/core/judges/exposure-check.ts';
import type { Measurement } from '../../../src/core/measurement.ts';
import type { Gate, Plan } from '../../../src/core/plan.ts';
import type { Verdict } from '../../../src/core/verdict.ts';
import { burnRate, counted, exposureCheck, noData, passing, quantile } from '../gates.ts';

const T = Date.parse('2026-03-01T03:12:00Z');
const at = (look: number): number => T + look * 15_000;

function run(gate: Gate, measurements: readonly Measurement[]): { state: GateState; verdicts: readonly Verdict[]; acts: readonly GateAct[] } {
  let state = freshGate(T - 1);
  const [verdicts, acts]: [Verdict[], GateAct[]] = [[], []];
  for (const m of measurements) {
    const judged = judge(gate, state, m);
    state = JSON.parse(JSON.stringify(judged.state)) as GateState;
    verdicts.push(judged.verdict);
    if (judged.act !== undefined) acts.push(judged.act);
  }
  return { state, verdicts, acts };
}
const word = (verdict: Verdict | undefined): string | undefined => (verdict?.kind === 'inconclusive' ? verdict.reason : verdict?.kind);
const looks = (count: number, counts: readonly [number, number, number, number], from = 1, more: { promised?: number } = {}): readonly Measurement[] =>
  Array.from({ length: count }, (_, index) => counted(at(from + index), counts, more));

describe('burnRate', () => {
  it('says nothing before the shortest window was seen', () => {
    const { verdicts } = run(burnRate(), looks(6, [0, 100, 0, 0]));
    expect(verdicts.map(word)).toEqual(['too-few', 'too-few', 'too-few', 'too-few', 'go', 'go']);
    expect(verdicts[1]?.why).toBe('budget: 15s of the 1m it takes');
  });
  it('breaks when both windows burn too fast', () => {
    const { verdicts, acts } = run(burnRate(), looks(41, [10, 100, 0, 0]));
    expect(verdicts.slice(4, -1).map(word)).not.toContain('no-go');
    expect(word(verdicts.at(-1))).toBe('no-go');
    expect(verdicts.at(-1)?.why).toContain('budget burns its budget 10 x over 10m and 10 x over 1m, limit 10 x');
    expect(acts).toHaveLength(1);
  });
  it('breaks as soon as the budget of the long window is spent, when all fails', () => {
    const { verdicts } = run(burnRate(), [...looks(8, [0, 100, 0, 0]), ...looks(8, [100, 100, 0, 0], 9)]);
    expect(verdicts.map(word).indexOf('no-go')).toBe(11);
  });
  it('forgives what is over: the short window is quiet again', () => {
    const { verdicts } = run(burnRate(), [...looks(4, [0, 100, 0, 0]), ...looks(1, [60, 100, 0, 0], 5), ...looks(20, [0, 100, 0, 0], 6)]);
    expect(verdicts.slice(4).map(word)).not.toContain('no-go');
  });
  it('a short burst does not make the long window burn', () => {
    const { verdicts } = run(burnRate(), [...looks(40, [0, 100, 0, 0]), ...looks(4, [15, 100, 0, 0], 41)]);
    expect(word(verdicts.at(-1))).toBe('go');
  });
  it('too few requests are no evidence, and none are no data', () => {
    expect(word(run(burnRate(), looks(6, [0, 10, 0, 0])).verdicts.at(-1))).toBe('too-few');
    expect(word(run(burnRate(), looks(6, [0, 0, 0, 0])).verdicts.at(-1))).toBe('no-data');
  });
});

describe('quantile', () => {
  const buckets = (look: number, counts: readonly number[], since = true): Measurement => ({
    kind: 'value',
    at: at(look),
    ...(since ? { since: at(look - 1) } : {}),
    value: counts.at(-1) ?? 0,
    query: 'q',
    buckets: [0.5, 1, 2, Infinity].map((le, index) => ({ le, count: counts[index] ?? 0 })),
  });
  it.each([
    ['inside the limit', [90, 96, 100, 100], 'go'],
    ['over the limit', [50, 90, 100, 100], 'no-go'],
    ['in the last bucket: the highest edge', [50, 60, 70, 100], 'no-go'],
    ['from too few', [9, 9, 9, 9], 'too-few'],
    ['from none', [0, 0, 0, 0], 'no-data'],
  ] as const)('%s', (_, counts, expected) => {
    expect(word(run(quantile(), [buckets(1, counts)]).verdicts[0])).toBe(expected);
  });
  it('shows the quantile, not the count', () => {
    expect(run(quantile(), [buckets(1, [50, 90, 100, 100])]).verdicts[0]).toMatchObject({ value: 1.5 });
  });
  it('of running totals is that of what came since the last look', () => {
    const { verdicts } = run(quantile(), [buckets(1, [0, 0, 0, 900], false), buckets(2, [95, 100, 100, 1000], false), buckets(3, [95, 100, 200, 1100], false)]);
    expect(verdicts.map(word)).toEqual(['too-few', 'go', 'no-go']);
  });
  it('keeps at most 2 KB: more buckets than fit are refused by name', () => {
    const many = (count: number): Measurement => {
      const edges = Array.from({ length: count }, (_, index) => ({
        le: index === count - 1 ? Infinity : 0.001 * 1.1 ** index,
        count: 123_456_789_012 + index,
      }));
      return { kind: 'value', at: at(1), value: 1, query: 'q', buckets: edges };
    };
    expect(JSON.stringify(run(quantile(), [many(50)]).state.statistic).length).toBeLessThan(2_048);
    expect(run(quantile(), [many(51)]).verdicts[0]).toMatchObject({
      reason: 'no-data',
      why: expect.stringContaining('51 buckets; expected at most 50') as unknown,
    });
  });
});

describe('exposureCheck', () => {
  const settle = (promised: number, from = 1) => looks(9, [0, 50, 0, 950], from, { promised });
  it('passes at the promised share, and what comes while it settles is not counted', () => {
    const { verdicts } = run(exposureCheck(), [...looks(8, [0, 500, 0, 500], 1, { promised: 0.05 }), ...looks(30, [0, 50, 0, 950], 9, { promised: 0.05 })]);
    expect(verdicts.map(word).slice(0, 8)).toEqual(Array.from({ length: 8 }, () => 'undecided'));
    expect(new Set(verdicts.map(word).slice(8))).toEqual(new Set(['go']));
  });
  it('counts nobody while the flag is being changed, and settles anew afterwards', () => {
    const moving = looks(40, [0, 500, 0, 500], 30);
    const { verdicts } = run(exposureCheck(), [
      ...settle(0.05),
      ...looks(20, [0, 50, 0, 950], 10, { promised: 0.05 }),
      ...moving,
      ...looks(60, [0, 500, 0, 500], 70, { promised: 0.5 }),
    ]);
    expect(new Set(verdicts.slice(29, 69).map(word))).toEqual(new Set(['undecided']));
    expect(word(verdicts.at(-1))).toBe('go');
  });
  it('holds at another share, once, and never rolls back', () => {
    const { verdicts, acts, state } = run(exposureCheck(), [...settle(0.05), ...looks(20, [0, 200, 0, 800], 10, { promised: 0.05 })]);
    expect(word(verdicts.at(-1))).toBe('mismatch');
    expect(verdicts.at(-1)?.why).toMatch(/^share: 1\d\.?\d* % of \d+ users see chat.enabled; promised 5 %$/);
    expect(acts).toMatchObject([{ kind: 'hold', cause: 'policy' }]);
    expect(passing(exposureCheck(), state, at(29))).toBe(false);
  });
  it('holds anew when it was over and comes again', () => {
    const gate = exposureCheck({ alpha: 0.05 });
    const { verdicts, acts } = run(gate, [
      ...settle(0.05),
      ...looks(2, [0, 100, 0, 900], 10, { promised: 0.05 }),
      ...looks(60, [0, 50, 0, 950], 12, { promised: 0.05 }),
      ...looks(60, [0, 200, 0, 800], 72, { promised: 0.05 }),
    ]);
    expect(verdicts.map(word)).toContain('go');
    expect(word(verdicts.at(-1))).toBe('mismatch');
    expect(acts.length).toBe(2);
  });
  it('a new promise is counted afresh, and the share before it stands', () => {
    const { verdicts } = run(exposureCheck(), [
      ...settle(0.05),
      ...looks(20, [0, 50, 0, 950], 10, { promised: 0.05 }),
      ...looks(40, [0, 250, 0, 750], 30, { promised: 0.25 }),
    ]);
    expect(word(verdicts.at(-1))).toBe('go');
    expect(verdicts.map(word)).not.toContain('mismatch');
  });
  it('without a promise it has nothing to check', () => {
    expect(word(run(exposureCheck(), looks(1, [0, 50, 0, 950])).verdicts[0])).toBe('no-data');
  });
  it('missing data does not make a mismatch of it', () => {
    expect(word(run(exposureCheck(), [...settle(0.05), noData(at(10))]).verdicts.at(-1))).toBe('no-data');
  });
});

test('the promised share is that of the last stage that set the flag', () => {
  const change = (flag: string, share: number) => ({ flag, to: { value: true, share, by: 'key', listed: [] }, narrows: false });
  const stage = (...set: ReturnType<typeof change>[]) => ({ id: 's', checklist: [], signOff: [], set, bake: 0, gates: [] });
  const plan: Plan = {
    name: 'p',
    environments: [],
    maxDuration: 1,
    rollback: { within: 1 },
    checklist: [],
    gates: [],
    stages: [stage(change('a', 5)), stage(change('b', 10)), stage(change('a', 100))],
    watch: 0,
  };
  expect([0, 1, 2].map((index) => promisedShare(plan, index, 'a'))).toEqual([0.05, 0.05, 1]);
  expect(promisedShare(plan, 0, 'b')).toBeUndefined();
});
