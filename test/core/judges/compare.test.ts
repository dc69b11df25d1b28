import { describe, expect, it, test } from 'vitest';
import { freshGate, judge, type GateAct, type GateState } from '../../../src/core/gate.ts';
import type { Measurement } from '../../../src/core/measurement.ts';
import type { Gate } from '../../../src/core/plan.ts';
import type { Verdict } from '../../../src/core/verdict.ts';
import { kayenta, normalQuantile, shiftOf } from '../../../bench/gates/kayenta.ts';
import { argo, naive, ours, rateGate, usersGate } from '../../../bench/gates/rules.ts';
import { independent, sharedNoise, STAGES, sticky } from '../../../bench/gates/traffic.ts';
import { clopperPearson } from '../../../bench/gates/proportions.ts';
import { minutesTo, stopped, trial } from '../../../bench/gates/trial.ts';
import published from '../../fixtures/golden/published.json' with { type: 'json' };
import { compareRate, compareUsers, counted, failed, noData, passing } from '../gates.ts';

const T = Date.parse('2026-03-01T03:12:00Z');
const at = (look: number): number => T + look * 15_000;

function run(
  gate: Gate,
  measurements: readonly Measurement[],
  from: GateState = freshGate(T - 1),
): { state: GateState; verdict: Verdict; acts: readonly GateAct[] } {
  const acts: GateAct[] = [];
  let state = from;
  let verdict: Verdict | undefined;
  for (const m of measurements) {
    const judged = judge(gate, state, m);
    // What is stored is what is gone on from.
    state = JSON.parse(JSON.stringify(judged.state)) as GateState;
    verdict = judged.verdict;
    if (judged.act !== undefined) acts.push(judged.act);
  }
  if (verdict === undefined) throw new Error('nothing was judged');
  return { state, verdict, acts };
}
const looks = (count: number, counts: readonly [number, number, number, number], from = 1): readonly Measurement[] =>
  Array.from({ length: count }, (_, index) => counted(at(from + index), counts));
const word = (verdict: Verdict): string => (verdict.kind === 'inconclusive' ? verdict.reason : verdict.kind);

const HEALTHY = [3, 600, 57, 11_400] as const;
const TWICE = [6, 600, 57, 11_400] as const;

describe('a comparison', () => {
  it('rolls back at the look at which the odds reach 1/alpha, and says what it saw', () => {
    const { verdict, acts } = run(compareRate(), looks(5, TWICE));
    expect(verdict.kind).toBe('no-go');
    expect(acts[0]).toMatchObject({ kind: 'rollback', cause: 'breach' });
    expect(verdict.why).toMatch(/^errors: 1 % of the exposed failed against 0.5 % at the rest's rate \(2 x\); odds 52.1 of the 20 it takes, at /);
    expect(word(run(compareRate(), looks(3, TWICE)).verdict)).toBe('go');
  });

  it('a stricter budget takes longer', () => {
    expect(run(compareRate({ alpha: 0.001 }), looks(5, TWICE)).verdict.kind).toBe('go');
    expect(run(compareRate({ alpha: 0.001 }), looks(9, TWICE)).verdict.kind).toBe('no-go');
  });

  it('the breach is never unseen', () => {
    const { verdict, state } = run(compareRate(), [...looks(6, TWICE), ...looks(500, [0, 600, 57, 11_400], 7), noData(at(600)), failed(at(601))]);
    expect(verdict.kind).toBe('no-go');
    expect(passing(compareRate(), state, at(601))).toBe(false);
  });

  it('what is tolerated is no breach, and what is under the floor neither', () => {
    expect(run(compareRate({ tolerance: 2 }), looks(100, TWICE)).verdict.kind).toBe('go');
    expect(run(compareRate({ floor: 0.006 }), looks(100, TWICE)).verdict.kind).toBe('go');
    expect(run(compareRate({ floor: 0.004 }), looks(100, TWICE)).verdict.kind).toBe('no-go');
  });

  it('goes on over stages with other shares as over one', () => {
    const { verdict } = run(compareRate(), [...looks(3, TWICE), ...looks(1, [60, 6000, 30, 6000], 4)]);
    expect(verdict.kind).toBe('no-go');
  });
});

describe('a go', () => {
  it('needs so many on either side', () => {
    const gate = compareRate({ minSamples: 1200 });
    expect(word(run(gate, looks(1, HEALTHY)).verdict)).toBe('too-few');
    expect(word(run(gate, looks(2, HEALTHY)).verdict)).toBe('go');
    expect(word(run(gate, looks(1, [30, 6000, 3, 600])).verdict)).toBe('too-few');
  });

  it('by proof needs the proof: undecided until then, for ever if need be, and never a go by time', () => {
    const gate = compareRate({ maxRatio: 1.5 });
    expect(word(run(gate, looks(5, HEALTHY)).verdict)).toBe('undecided');
    expect(word(run(gate, looks(100, HEALTHY)).verdict)).toBe('go');
    // Without a failure on either side nothing is proven of their ratio.
    expect(word(run(gate, looks(5000, [0, 600, 0, 11_400])).verdict)).toBe('undecided');
  });

  it('what was proven stays proven, and harm is looked for all the same', () => {
    const gate = compareRate({ maxRatio: 1.5 });
    const proven = run(gate, looks(100, HEALTHY));
    expect(word(run(gate, looks(1, [5, 600, 57, 11_400], 101), proven.state).verdict)).toBe('go');
    expect(word(run(gate, looks(60, [12, 600, 57, 11_400], 101), proven.state).verdict)).toBe('no-go');
  });

  it('an undecided gate does not pass, and asks for nothing', () => {
    const { state, acts } = run(compareRate({ maxRatio: 1.5 }), looks(5, HEALTHY));
    expect(passing(compareRate({ maxRatio: 1.5 }), state, at(5))).toBe(false);
    expect(acts).toEqual([]);
  });
});

describe('without traffic', () => {
  it.each([
    ['nobody exposed', [0, 0, 57, 11_400], 'nobody exposed had traffic'],
    ['nobody else', [3, 600, 0, 0], 'nobody is left to compare with'],
    ['nobody at all', [0, 0, 0, 0], 'no traffic on either side'],
  ] as const)('%s is no data, from the first look', (_, counts, why) => {
    const { verdict } = run(compareRate(), looks(1, counts));
    expect(word(verdict)).toBe('no-data');
    expect(verdict.why).toContain(why);
  });

  it('an empty interval of little traffic is lived through, a silence is not', () => {
    const silence = looks(5, [0, 0, 57, 11_400], 11);
    expect(word(run(compareRate(), [...looks(10, HEALTHY), ...silence.slice(0, 4)]).verdict)).toBe('go');
    expect(word(run(compareRate(), [...looks(10, HEALTHY), ...silence]).verdict)).toBe('no-data');
  });

  it('a silence holds when the policy says so', () => {
    const { acts } = run(compareRate({ noData: { after: 60_000, then: 'hold' } }), [...looks(10, HEALTHY), ...looks(12, [0, 0, 0, 0], 11)]);
    expect(acts).toMatchObject([{ kind: 'hold', cause: 'policy' }]);
  });
});

describe('when everyone is exposed', () => {
  const EVERYBODY = [9, 12_000, 0, 0] as const;
  const after = (count: number, from: number, more: { promised?: number } = { promised: 1 }): readonly Measurement[] =>
    Array.from({ length: count }, (_, index) => counted(at(from + index), EVERYBODY, more));
  const gone = (look: number, promised: number): Measurement => ({ ...noData(at(look), 'stale'), missing: 'rest', promised }) as Measurement;

  it('rests at go on what was seen before, and says so', () => {
    const { verdict, acts } = run(compareRate({ minSamples: 1000 }), [...looks(10, HEALTHY), ...after(40, 11)]);
    expect(verdict.kind).toBe('go');
    expect(verdict.why).toMatch(/odds .* it takes; everyone is exposed: nobody is left to compare with; judged on what was seen before$/);
    expect(acts).toEqual([]);
  });

  it('the same when the series of the rest have ended', () => {
    const { verdict, acts } = run(compareRate(), [...looks(10, HEALTHY), ...Array.from({ length: 60 }, (_, index) => gone(11 + index, 1))]);
    expect(verdict).toMatchObject({ kind: 'go', why: expect.stringContaining('nobody is left to compare with') as string });
    expect(acts).toEqual([]);
  });

  it.each([
    ['nothing was seen before', compareRate(), 0, 'nothing was seen before'],
    ['too little was', compareRate({ minSamples: 100_000 }), 10, 'what was seen before is not enough'],
    ['nothing was proven', compareRate({ maxRatio: 1.5 }), 5, 'what was seen before is not enough'],
  ])('is no free pass: where %s, it holds for a person, once, and earns nothing', (_, gate, before, why) => {
    for (const alone of [after(60, 1 + before), Array.from({ length: 60 }, (__, index) => gone(1 + before + index, 1))]) {
      const { state, verdict, acts } = run(gate, [...looks(before, HEALTHY), ...alone]);
      expect(word(verdict)).toBe('undecided');
      expect(verdict.why).toContain(why);
      expect(passing(gate, state, at(60 + before))).toBe(false);
      expect(acts).toMatchObject([{ kind: 'hold', cause: 'policy', why: verdict.why }]);
    }
  });

  it('a breach of before stays one', () => {
    expect(run(compareRate(), [...looks(5, TWICE), ...after(5, 6)]).verdict.kind).toBe('no-go');
  });

  it('without traffic at all it is blind, and does not rest', () => {
    const silence = Array.from({ length: 6 }, (_, index) => counted(at(14 + index), [0, 0, 0, 0], { promised: 1 }));
    const { verdict } = run(compareRate(), [...looks(10, HEALTHY), ...after(3, 11), ...silence]);
    expect(word(verdict)).toBe('no-data');
  });

  it('goes on comparing while there is a rest all the same', () => {
    const mixed = looks(10, [6, 600, 57, 11_400], 11).map((one) => ({ ...one, promised: 1 }));
    expect(run(compareRate(), [...looks(10, HEALTHY), ...mixed]).verdict.kind).toBe('no-go');
  });

  it.each([0.5, 0.999])('where %d is promised, an absent rest is no data', (promised) => {
    expect(word(run(compareRate(), [...looks(10, HEALTHY), ...after(6, 11, { promised })]).verdict)).toBe('no-data');
    expect(word(run(compareRate(), [...looks(10, HEALTHY), gone(11, promised)]).verdict)).toBe('no-data');
  });
});

it('while samples gather it waits for them, and is not blind: no policy acts', () => {
  const gate = compareRate({ minSamples: 100_000, noData: { after: 60_000, then: 'rollback' } });
  const { verdict, acts, state } = run(gate, looks(60, HEALTHY));
  expect([word(verdict), acts, state.blind]).toEqual(['too-few', [], undefined]);
  expect(word(run(gate, looks(167, HEALTHY)).verdict)).toBe('go');
});

describe('what was counted once', () => {
  it('is not counted again when the same answer comes again, or an older one', () => {
    const once = run(compareRate(), looks(3, TWICE)).state;
    const again = run(compareRate(), [counted(at(3), TWICE), counted(at(2), TWICE), counted(at(1), TWICE)], once);
    expect(again.state.statistic).toEqual(once.statistic);
  });

  it('makes an answer that reaches back over it an error', () => {
    const state = run(compareRate(), looks(3, TWICE)).state;
    const { verdict } = run(compareRate(), [{ ...counted(at(4), TWICE), since: at(2) }], state);
    expect(word(verdict)).toBe('error');
    expect(verdict.why).toBe('errors: could not look (malformed): counts from 03:12:30 on; expected only what came after the last look at 03:12:45');
  });

  it('after an outage the next answer spans it', () => {
    const state = run(compareRate(), [...looks(2, TWICE), failed(at(3)), failed(at(4))]).state;
    expect(run(compareRate(), [{ ...counted(at(5), [18, 1800, 171, 34_200]), since: at(2) }], state).verdict.kind).toBe('no-go');
  });
});

describe('running totals, from a source that keeps no samples', () => {
  const total = (look: number, counts: readonly [number, number, number, number]): Measurement => {
    const { since: _since, ...plain } = counted(at(look), counts);
    return plain;
  };
  it('are counted from the first look on', () => {
    const first = run(compareRate(), [total(1, [600, 600, 0, 11_400])]);
    expect(word(first.verdict)).toBe('too-few');
    expect(first.verdict.why).toBe('errors: counts from here on');
  });
  it('say the same as rises', () => {
    const totals = Array.from({ length: 6 }, (_, index) => total(index + 1, [6 * index, 600 * index, 57 * index, 11_400 * index]));
    expect(run(compareRate(), totals).verdict).toMatchObject({ kind: 'no-go' });
    expect(run(compareRate(), totals.slice(0, 4)).verdict.kind).toBe('go');
  });
  it('that fall were reset and count from 0', () => {
    const { state } = run(compareRate(), [total(1, [100, 9000, 900, 90_000]), total(2, [6, 600, 57, 11_400])]);
    expect(state.statistic).toMatchObject({ evidence: { totals: { exposedBad: 6, exposed: 600, restBad: 57, rest: 11_400 } } });
  });
  it('users at risk are a number of the moment', () => {
    const { state } = run(compareUsers(), [total(1, [2, 500, 20, 9500]), total(2, [5, 497, 60, 9460])]);
    expect(state.statistic).toMatchObject({ evidence: { totals: { exposedBad: 3, exposed: 500, restBad: 40, rest: 9500 } } });
  });
});

test('the state stays under 2 KB however long it goes on', () => {
  const { state } = run(compareRate({ maxRatio: 1.5 }), looks(3000, [3.14159, 601.2718, 57.777, 11_399.123]));
  expect(JSON.stringify(state).length).toBeLessThan(2048);
});

describe('the published numbers of the other methods', () => {
  it("Kayenta's Mann-Whitney interval", () => {
    const { experiment, control, confidence, interval, estimate, tolerance } = published.kayenta;
    const differences = new Float64Array(experiment.flatMap((x) => control.map((y) => x - y))).sort();
    const shift = shiftOf(differences, experiment.length, control.length, confidence);
    expect(Math.abs((shift?.low ?? NaN) - (interval[0] ?? NaN))).toBeLessThanOrEqual(tolerance);
    expect(Math.abs((shift?.high ?? NaN) - (interval[1] ?? NaN))).toBeLessThanOrEqual(tolerance);
    expect(Math.abs((shift?.estimate ?? NaN) - estimate)).toBeLessThanOrEqual(tolerance);
    expect(normalQuantile(0.01)).toBeCloseTo(published.kayenta.zQuantAtOnePercent, 6);
  });
  it.each(Object.entries(published.armitage.falsePositives))(
    'what %s looks do to a two-sided test at 5 %: %s of healthy launches are stopped',
    (looks, share) => {
      const setting = { shares: Array.from({ length: Number(looks) }, () => 0.5), requests: 400_000, base: 0.0025, times: 1, from: 0 };
      const [outcomes = []] = trial([naive(1.96, 2)], independent, setting, 4000, 1_000_000);
      const { low, high } = clopperPearson(stopped(outcomes), outcomes.length);
      expect(low).toBeLessThanOrEqual(share);
      expect(high).toBeGreaterThanOrEqual(share);
    },
  );
  it('the exact interval of a proportion', () => {
    // Clopper and Pearson of 5 in 50, and the rule of three.
    expect(clopperPearson(5, 50).low).toBeCloseTo(0.03327509, 6);
    expect(clopperPearson(5, 50).high).toBeCloseTo(0.21813537, 6);
    expect(clopperPearson(0, 4000).high).toBeCloseTo(1 - 0.025 ** (1 / 4000), 8);
  });
});

describe('on traffic that is drawn, with fixed seeds', () => {
  const healthy = { shares: STAGES, requests: 12_000, base: 0.005, times: 1, from: 0 };
  const plain = ours('ours', rateGate({ alpha: 0.05 }));
  const upper = (outcomes: readonly { readonly rolledBack?: number }[] = []): number => clopperPearson(stopped(outcomes), outcomes.length).high;

  it.each([
    ['independent requests', independent, plain],
    ['noise shared by both sides', sharedNoise, plain],
    ['sticky users, by their first failures', sticky, ours('users', usersGate({ alpha: 0.05 }))],
  ])('healthy launches of four stages, looked at every minute, stay inside the budget: %s', (_, traffic, rule) => {
    const [outcomes] = trial([rule], traffic, healthy, 600, 77_000);
    expect(upper(outcomes)).toBeLessThanOrEqual(0.05);
  });

  it('regressions at 5 % of 12,000 requests a minute are found in time, and before the others find them', () => {
    const at5 = { ...healthy, shares: Array.from({ length: 60 }, () => 0.05) };
    const rules = [plain, kayenta(), argo(0.01)];
    const [ours2 = [], kayenta2 = [], argo2 = []] = trial(rules, independent, { ...at5, times: 2 }, 300, 88_000);
    expect(minutesTo(ours2, 0.5)).toBeLessThanOrEqual(5);
    expect(minutesTo(ours2, 0.9)).toBeLessThanOrEqual(10);
    expect(minutesTo(kayenta2, 0.5)).toBeGreaterThan(5);
    expect(minutesTo(argo2, 0.5)).toBeGreaterThan(5);
    const [ours10 = []] = trial([plain], independent, { ...at5, times: 10 }, 300, 89_000);
    expect(minutesTo(ours10, 0.9)).toBe(1);
  });

  it('the same seeds give the same launches', () => {
    const twice = [1, 2].map(() => trial([plain], sticky, { ...healthy, times: 4 }, 10, 5));
    expect(twice[0]).toEqual(twice[1]);
  });
});

describe('harm that begins after a day of health', () => {
  /** 12,000 requests a minute, half of them exposed, 0.5 % go wrong: the defaults of a plan. */
  const gate = compareRate({ tolerance: 1.2, floor: 0.001, minSamples: 1_000, alpha: 0.01 });
  const look = (index: number, times: number): Measurement => ({
    kind: 'value',
    value: 0,
    at: T + index * 15_000,
    since: T + (index - 1) * 15_000,
    query: 'q',
    counts: { exposedBad: 7.5 * times, exposed: 1_500, restBad: 7.5, rest: 1_500 },
  });
  const minutesToCatch = (healthyHours: number, times: number): number => {
    let state = freshGate(T);
    const healthy = healthyHours * 240;
    for (let index = 1; index <= healthy; index += 1) ({ state } = judge(gate, state, look(index, 1)));
    for (let index = 1; index <= 2_880; index += 1) {
      const judged = judge(gate, state, look(healthy + index, times));
      ({ state } = judged);
      if (judged.verdict.kind === 'no-go') return index / 4;
    }
    return Infinity;
  };
  it.each([
    [2, 20],
    [4, 6],
    [10, 2],
  ])('x%d is found within %d minutes, as the floor is asked of the harm and not of the day', (times, minutes) => {
    expect(minutesToCatch(24, times)).toBeLessThanOrEqual(minutes);
    expect(minutesToCatch(72, times)).toBeLessThanOrEqual(minutes);
  });
  it('what stays below the floor is left alone, however sure it is', () => {
    // Six times as often, and yet only 0.05 % of the requests.
    let state = freshGate(T);
    const rare = (index: number): Measurement =>
      ({ ...look(index, 1), counts: { exposedBad: 0.9, exposed: 1_500, restBad: 0.15, rest: 1_500 } }) as Measurement;
    for (let index = 1; index <= 5_760; index += 1) ({ state } = judge(gate, state, rare(index)));
    expect(state.latched).toBeUndefined();
  });
});
