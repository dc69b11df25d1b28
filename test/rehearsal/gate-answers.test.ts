import { describe, expect, it } from 'vitest';
import { freshGate, judge, type GateState } from '../../src/core/gate.ts';
import type { Bound, Gate } from '../../src/core/plan.ts';
import { compose, measurementsOf } from '../../src/core/query.ts';
import { cannotBreach, isAsked, type Reads } from '../../src/rehearsal/gate-answers.ts';
import { gateSource } from '../../src/rehearsal/script-source.ts';

const EVERY = 15_000;
const policy = { after: 600_000, then: 'hold' } as const;
const base = { id: 'g', every: EVERY, for: 0, noData: policy, error: policy };
const compared = { ...base, source: 's', tolerance: 1.2, floor: 0.001, minSamples: 200, alpha: 0.01 };
const sides = { exposed: { bad: 'eb', total: 'et' }, rest: { bad: 'rb', total: 'rt' } };

const threshold = (bound: Bound): Gate => ({ ...base, kind: 'threshold', source: 's', query: 'q', bound, samples: 'n', minSamples: 20 });
const ratio = (bound: Bound): Gate => ({ ...base, kind: 'ratio', source: 's', bad: 'b', total: 't', bound, minSamples: 100 });

const GATES: readonly (readonly [name: string, gate: Gate])[] = [
  ...(['max', 'min', 'below', 'above'] as const).flatMap((op) => [1, 0, -5].map((limit) => [`threshold ${op} ${limit}`, threshold({ op, limit })] as const)),
  ['ratio below', ratio({ op: 'below', limit: 0.01 })],
  ['ratio min', ratio({ op: 'min', limit: 0.99 })],
  ['probe', { ...base, kind: 'probe', source: 's', path: '/health', status: [200] }],
  ['alert', { ...base, kind: 'alert', source: 's', labels: { severity: 'page' } }],
  ['compareRate', { ...compared, kind: 'compareRate', ...sides }],
  ['compareRate with proof', { ...compared, kind: 'compareRate', ...sides, maxRatio: 1.5 }],
  ['compareSlow', { ...compared, kind: 'compareSlow', exposed: 'e', rest: 'r', over: 0.5 }],
  ['compareUsers', { ...compared, kind: 'compareUsers', exposed: { failed: 'ef', atRisk: 'ea' }, rest: { failed: 'rf', atRisk: 'ra' } }],
  [
    'burnRate',
    {
      ...base,
      kind: 'burnRate',
      source: 's',
      bad: 'b',
      total: 't',
      objective: 0.999,
      windows: [{ long: 3_600_000, short: 300_000, factor: 14.4 }],
      minSamples: 100,
    },
  ],
  ['quantile', { ...base, kind: 'quantile', source: 's', buckets: 'h', q: 0.95, bound: { op: 'max', limit: 1 }, minSamples: 20 }],
];

/** What the gate says when it is asked each interval for an hour and a half and reads so all the time. */
async function verdicts(gate: Gate, reads: Reads, promised?: number): Promise<readonly string[]> {
  const now = { at: 1_700_000_000_000 };
  const source = gateSource(gate, () => Promise.resolve(now.at), { reads: () => reads, promised: () => promised });
  let state: GateState = freshGate(now.at);
  const said: string[] = [];
  for (let n = 0; n < 360; n += 1) {
    now.at += EVERY;
    const answers = await Promise.all(
      measurementsOf(gate).map(async ({ name, text, with: more, rises }) => {
        const rise = rises === undefined ? {} : { rise: { of: rises, ...(state.newest === undefined ? {} : { since: state.newest }) } };
        const query = { text, staleAfter: 30_000, ...(more === undefined ? {} : { with: more }), ...rise };
        return [name, await source.measure(query, AbortSignal.timeout(1_000))] as const;
      }),
    );
    const judged = judge(gate, state, { ...compose(gate, Object.fromEntries(answers)), ...(promised === undefined ? {} : { promised }) });
    state = judged.state;
    said.push(judged.verdict.kind === 'inconclusive' ? judged.verdict.reason : judged.verdict.kind);
  }
  return said;
}

describe('scripted numbers, judged as real ones are', () => {
  it.each(GATES)('%s: healthy numbers end in go and never breach', async (_, gate) => {
    const said = await verdicts(gate, 'healthy');
    expect(said).not.toContain('no-go');
    expect(said.at(-1)).toBe('go');
  });

  it.each(GATES)('%s: breaching numbers breach within five minutes', async (_, gate) => {
    expect(cannotBreach(gate)).toBeUndefined();
    // A burn rate needs its short window first.
    expect(await verdicts(gate, 'breach').then((said) => said.slice(0, 24))).toContain('no-go');
  });

  it.each(GATES)('%s: without data it never passes', async (_, gate) => {
    const said = await verdicts(gate, 'no-data');
    expect(new Set(said)).toEqual(new Set(['no-data']));
  });

  it('a check of the exposure sees the promised share, and cannot be made to breach', async () => {
    const gate: Gate = { ...base, kind: 'exposureCheck', source: 's', flag: 'f', exposed: 'e', rest: 'r', tolerance: 0.01, alpha: 0.001 };
    expect((await verdicts(gate, 'healthy', 0.05)).at(-1)).toBe('go');
    expect(cannotBreach(gate)).toMatch(/holds and is no breach/);
  });

  it('an alert that is only heard can neither be made to breach nor to miss data', () => {
    const gate: Gate = { ...base, kind: 'alert', labels: { severity: 'page' } };
    expect(cannotBreach(gate)).toMatch(/only hears/);
    expect(isAsked(gate)).toBe(false);
  });

  it('a share that is below 1 by nature cannot break a bound of 1', () => {
    expect(cannotBreach(ratio({ op: 'max', limit: 1 }))).toMatch(/no number breaks/);
  });
});
