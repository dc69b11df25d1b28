import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evidence, freshGate, gap, judge, staleAfter, type GateAct, type GateState, type Judged } from '../../src/core/gate.ts';
import type { Measurement } from '../../src/core/measurement.ts';
import type { Gate } from '../../src/core/plan.ts';
import { severity, worseOf, type Verdict } from '../../src/core/verdict.ts';
import { alert, compareRate, failed, noData, passing, probe, ratio, threshold, value } from './gates.ts';

const T = Date.parse('2026-03-01T03:12:04Z');
const after = (seconds: number): number => T + seconds * 1000;

function run(gate: Gate, ...measurements: readonly Measurement[]): Judged & { readonly acts: readonly GateAct[] } {
  const acts: GateAct[] = [];
  let state = freshGate(T - 1);
  let verdict: Verdict | undefined;
  for (const m of measurements) {
    const judged = judge(gate, state, m);
    state = judged.state;
    verdict = judged.verdict;
    if (judged.act !== undefined) acts.push(judged.act);
  }
  if (verdict === undefined) throw new Error('nothing was judged');
  return { state, verdict, acts };
}
const word = (verdict: Verdict): string => (verdict.kind === 'inconclusive' ? verdict.reason : verdict.kind);

describe('one measurement', () => {
  const table: readonly (readonly [string, Gate, Measurement, string])[] = [
    ['max at its limit', threshold(), value(T, 1), 'go'],
    ['max over its limit', threshold(), value(T, 1.0001), 'no-go'],
    ['min at its limit', threshold({ bound: { op: 'min', limit: 1 } }), value(T, 1), 'go'],
    ['min under its limit', threshold({ bound: { op: 'min', limit: 1 } }), value(T, 0.9), 'no-go'],
    ['below at its limit', threshold({ bound: { op: 'below', limit: 1 } }), value(T, 1), 'no-go'],
    ['below under its limit', threshold({ bound: { op: 'below', limit: 1 } }), value(T, 0.99), 'go'],
    ['above at its limit', threshold({ bound: { op: 'above', limit: 1 } }), value(T, 1), 'no-go'],
    ['above over its limit', threshold({ bound: { op: 'above', limit: 1 } }), value(T, 1.01), 'go'],
    ['a good value from enough samples', threshold({ minSamples: 5 }), value(T, 0, { samples: 5 }), 'go'],
    ['a good value from too few samples', threshold({ minSamples: 5 }), value(T, 0, { samples: 4 }), 'too-few'],
    ['a bad value from too few samples', threshold({ minSamples: 5 }), value(T, 9, { samples: 4 }), 'too-few'],
    ['a value whose samples nobody counted', threshold({ minSamples: 5 }), value(T, 0), 'too-few'],
    ['a value whose samples are NaN', threshold({ minSamples: 5 }), value(T, 0, { samples: NaN }), 'too-few'],
    ['a ratio under its limit', ratio(), value(T, 0.009, { samples: 200 }), 'go'],
    ['a ratio at its limit', ratio(), value(T, 0.01, { samples: 200 }), 'no-go'],
    ['a ratio from too few', ratio(), value(T, 0.5, { samples: 199 }), 'too-few'],
    ['a healthy probe', probe(), value(T, 1), 'go'],
    ['a failed probe', probe(), value(T, 0), 'no-go'],
    ['no alert', alert(), value(T, 0), 'go'],
    ['one alert', alert(), value(T, 1), 'no-go'],
    ['an empty vector', threshold(), noData(T, 'empty'), 'no-data'],
    ['NaN', threshold(), noData(T, 'nan'), 'no-data'],
    ['Inf', threshold(), noData(T, 'infinite'), 'no-data'],
    ['stale data', threshold(), noData(T, 'stale'), 'no-data'],
    ['no traffic', ratio(), noData(T, 'no-traffic'), 'no-data'],
    ['an error', threshold(), failed(T), 'error'],
    ['a NaN that slipped through as a value', threshold(), value(T, NaN), 'no-data'],
    ['an infinity that slipped through as a value', threshold({ bound: { op: 'min', limit: 1 } }), value(T, Infinity), 'no-data'],
  ];
  it.each(table)('%s', (_, gate, m, expected) => {
    expect(word(run(gate, m).verdict)).toBe(expected);
  });

  it('says value, limit and unit', () => {
    expect(run(threshold(), value(T, 0.42)).verdict.why).toBe('latency 0.42 s <= 1 s');
    expect(run(threshold({ title: 'p95' }), value(T, 1.31)).verdict.why).toBe('p95 1.31 s > 1 s, at 03:12:04');
    expect(run(ratio(), value(T, 0.021, { samples: 300 })).verdict.why).toBe('drop-rate 2.1 % >= 1 %, at 03:12:04');
    expect(run(ratio(), value(T, 0.5, { samples: 12 })).verdict.why).toBe('drop-rate drawn from 12 of at least 200 samples');
    expect(run(probe(), value(T, 0, { detail: 'status 503 after 4 ms; expected 200' })).verdict.why).toBe(
      'up /healthz failed: status 503 after 4 ms; expected 200, at 03:12:04',
    );
    expect(run(alert(), value(T, 2)).verdict.why).toBe('pages 2 firing with severity=page, at 03:12:04');
    expect(run(threshold(), noData(T, 'stale')).verdict.why).toBe('latency: no data (stale): nothing');
    expect(run(threshold(), failed(T)).verdict.why).toBe('latency: could not look (refused): nobody listens');
  });
});

describe('a breach', () => {
  it('asks for a rollback at once where the gate has no `for`, with the first bad sample as its start', () => {
    const { verdict, acts } = run(threshold(), value(T, 0.2), value(after(15), 1.5));
    expect(verdict).toMatchObject({ kind: 'no-go', value: 1.5, since: after(15) });
    expect(acts).toEqual([{ kind: 'rollback', cause: 'breach', why: verdict.why, since: after(15) }]);
  });

  it('asks again each time it is looked at, so that a hand that died loses nothing', () => {
    expect(run(threshold(), value(T, 2), value(after(15), 0.1), failed(after(30))).acts.map(({ kind, since }) => [kind, since])).toEqual([
      ['rollback', T],
      ['rollback', T],
      ['rollback', T],
    ]);
  });

  it('is not unseen by good data, missing data or errors', () => {
    const { state, verdict } = run(threshold(), value(T, 2), value(after(15), 0.1), noData(after(30)), failed(after(45)), value(after(60), 0.1));
    expect(verdict.kind).toBe('no-go');
    expect(state.last).toEqual(verdict);
    expect(passing(threshold(), state, after(60))).toBe(false);
  });
});

describe('`for`', () => {
  const gate = threshold({ for: 30_000 });
  it('waits until badness has lasted, and counts from the first bad sample', () => {
    expect(word(run(gate, value(T, 2), value(after(15), 2)).verdict)).toBe('pending');
    const { verdict } = run(gate, value(after(-15), 0), value(T, 1.1), value(after(15), 1.2), value(after(30), 1.31));
    expect(verdict).toMatchObject({ kind: 'no-go', since: T, why: 'latency 1.31 s > 1 s, 3 of 3 samples 03:12:04-03:12:34' });
  });
  it('is ended by one good sample', () => {
    const { verdict, state } = run(gate, value(T, 2), value(after(15), 0.5), value(after(30), 2));
    expect(word(verdict)).toBe('pending');
    expect(state.pending?.since).toBe(after(30));
  });
  const missing: readonly (readonly [string, (at: number) => Measurement])[] = [
    ['no data', noData],
    ['NaN', (at) => value(at, NaN)],
    ['an error', failed],
  ];
  it.each(missing)('is not ended by %s between two bad samples, nor confirmed by it', (_, make) => {
    const between = run(gate, value(T, 2), make(after(15)), make(after(30)), make(after(45)));
    expect(between.state.latched).toBeUndefined();
    expect(passing(gate, between.state, after(45))).toBe(false);
    const { verdict } = run(gate, value(T, 2), make(after(15)), make(after(30)), value(after(45), 2));
    expect(verdict).toMatchObject({ kind: 'no-go', since: T });
    expect(verdict.why).toContain('2 of 4 samples');
  });
  it('is not ended by a value from too few samples', () => {
    const few = threshold({ for: 30_000, minSamples: 10 });
    const { verdict } = run(few, value(T, 2, { samples: 10 }), value(after(15), 0, { samples: 9 }), value(after(30), 2, { samples: 10 }));
    expect(verdict).toMatchObject({ kind: 'no-go', since: T });
  });
  it('is not ended by a gap in which nobody asked', () => {
    const { state } = run(gate, value(T, 2));
    expect(judge(gate, gap(state, T, after(300)), value(after(300), 2)).verdict).toMatchObject({ kind: 'no-go', since: T });
  });
});

describe('late and repeated measurements', () => {
  it('change nothing when they are good, missing or errors', () => {
    const { state } = run(threshold({ for: 60_000 }), value(T, 0.1), value(after(15), 2), noData(after(30)));
    for (const m of [value(after(15), 0.1), value(T, 0.1), noData(after(30)), failed(after(20)), value(after(30), 0)]) {
      expect(judge(threshold({ for: 60_000 }), state, m)).toEqual({ state, verdict: state.last });
    }
  });
  it('count once', () => {
    const { state } = run(threshold({ for: 60_000 }), value(T, 2), value(T, 2), value(T, 2));
    expect(state.record).toMatchObject({ samples: 1, breaches: 1 });
  });
  it('breach where the gate has no `for`', () => {
    expect(run(threshold(), value(after(30), 0.1), value(after(15), 2)).verdict).toMatchObject({ kind: 'no-go', since: after(15) });
  });
  it('breach where a bad sample came late into a breach that had lasted', () => {
    expect(run(threshold({ for: 30_000 }), value(T, 2), noData(after(45)), value(after(30), 2)).verdict).toMatchObject({ kind: 'no-go', since: T });
  });
});

describe('no evidence', () => {
  const gate = threshold({ noData: { after: 60_000, then: 'hold' }, error: { after: 30_000, then: 'rollback' } });
  const each15 = (make: (at: number) => Measurement, count: number): readonly Measurement[] => Array.from({ length: count }, (_, i) => make(after(15 * i)));

  it('acts by its policy after the stated time, once', () => {
    expect(run(gate, ...each15(noData, 4)).acts).toEqual([]);
    expect(run(gate, ...each15(noData, 5)).acts).toMatchObject([{ kind: 'hold', cause: 'policy', since: T }]);
    expect(run(gate, ...each15(noData, 40)).acts).toHaveLength(1);
  });
  it('names its reason and how long we asked', () => {
    expect(run(gate, ...each15(noData, 5)).acts[0]?.why).toBe('latency: no data (empty): nothing; no evidence for 1m of asking');
  });
  it('counts errors by their own policy', () => {
    expect(run(gate, ...each15(failed, 3)).acts).toMatchObject([{ kind: 'rollback', cause: 'policy', since: T }]);
  });
  it('counts too few samples as no data', () => {
    const few = threshold({ minSamples: 9, noData: { after: 60_000, then: 'page' } });
    expect(run(few, ...each15((at) => value(at, 0, { samples: 1 }), 5)).acts).toMatchObject([{ kind: 'page' }]);
  });
  it('does not let no data and errors excuse each other', () => {
    const mixed = threshold({ noData: { after: 60_000, then: 'hold' }, error: { after: 60_000, then: 'hold' } });
    const acts = run(mixed, ...Array.from({ length: 6 }, (_, i) => (i % 2 === 0 ? noData(after(15 * i)) : failed(after(15 * i))))).acts;
    expect(acts.length).toBeGreaterThan(0);
  });
  it('does not act by the policy of errors for one error after long no data', () => {
    const { acts } = run(
      threshold({ noData: { after: 600_000, then: 'hold' }, error: { after: 30_000, then: 'rollback' } }),
      ...each15(noData, 10),
      failed(after(150)),
    );
    expect(acts).toEqual([]);
  });
  it('begins anew after evidence', () => {
    expect(run(gate, ...each15(noData, 4), value(after(60), 0), ...[75, 90, 105, 120].map((s) => noData(after(s)))).acts).toEqual([]);
    expect(run(gate, ...each15(noData, 5), value(after(75), 0), ...[90, 105, 120, 135, 150].map((s) => noData(after(s)))).acts).toHaveLength(2);
  });
  it('does not count a gap in which nobody asked', () => {
    const { state } = run(gate, ...each15(noData, 4));
    const later = judge(gate, gap(state, after(45), after(3600)), noData(after(3600)));
    expect(later.act).toBeUndefined();
    expect(later.state.record.blind).toBe(45_000);
  });
  it('counts no time twice that is looked back on after it was asked about', () => {
    const own = threshold({ noData: { after: 120_000, then: 'hold' }, error: { after: 120_000, then: 'hold' } });
    const live = run(own, value(T, 0), ...[15, 30, 45, 60].map((s) => failed(after(s)))).state;
    const back = run(own, ...[15, 30, 45, 60, 75].map((s) => noData(after(s))));
    expect(back.acts).toEqual([]);
    let state = live;
    for (const s of [15, 30, 45, 60]) state = judge(own, state, noData(after(s))).state;
    expect(state.blind).toMatchObject({ error: 45_000, noData: 0 });
    expect(judge(own, state, noData(after(75))).state.blind).toMatchObject({ error: 45_000, noData: 15_000 });
  });
  it('does not count time in which nobody asked, even when nobody says so', () => {
    const { acts, state } = run(threshold(), noData(T), noData(after(86_400)));
    expect(acts).toEqual([]);
    expect(state.record.blind).toBe(40_000);
  });
  it('does not move the cursor for an error, so that the outage is looked back on', () => {
    const { state } = run(gate, value(T, 0), failed(after(15)), failed(after(30)));
    expect(state.cursor).toBe(T);
    expect(judge(gate, state, value(after(10), 2)).verdict.kind).toBe('no-go');
  });
});

describe('looking back', () => {
  it('finds a breach that came and went, from the points in their order', () => {
    const gate = threshold({ for: 30_000 });
    const points = [15, 30, 45, 60, 75].map((s) => value(after(s), s >= 30 && s <= 60 ? 2 : 0.1));
    const { verdict, acts } = run(gate, value(T, 0.1), failed(after(80)), ...points, value(after(90), 0.1));
    expect(verdict).toMatchObject({ kind: 'no-go', since: after(30) });
    expect(acts[0]).toMatchObject({ kind: 'rollback', since: after(30) });
  });
});

describe('what must always be true', () => {
  const kinds: readonly Gate[] = [
    threshold(),
    threshold({ for: 40_000 }),
    threshold({ minSamples: 5, for: 20_000 }),
    ratio({ minSamples: 5 }),
    probe(),
    alert(),
    alert({ for: 30_000 }),
  ];
  const anyGate = fc.constantFrom(...kinds);
  const at = fc.integer({ min: 0, max: 40 }).map((i) => after(i * 10));
  const missing = fc.oneof(
    at.map((t) => noData(t)),
    at.map((t) => noData(t, 'stale')),
    at.map(failed),
    at.map((t) => value(t, NaN)),
    at.map((t) => value(t, -Infinity)),
  );
  const anything = fc.oneof(
    missing,
    fc
      .tuple(at, fc.constantFrom(0, 0.005, 0.5, 1, 2, 100), fc.constantFrom(undefined, 0, 4, 5, 500))
      .map(([t, v, samples]) => value(t, v, samples === undefined ? {} : { samples })),
  );
  type Happening = { readonly m: Measurement } | { readonly gap: readonly [number, number] };
  const happening: fc.Arbitrary<Happening> = fc.oneof(
    { weight: 8, arbitrary: anything.map((m) => ({ m })) },
    { weight: 1, arbitrary: fc.tuple(at, at).map(([a, b]) => ({ gap: [Math.min(a, b), Math.max(a, b)] as const })) },
  );
  function step(gate: Gate, state: GateState, h: Happening): GateState {
    if ('m' in h) return judge(gate, state, h.m).state;
    return gap(state, h.gap[0], h.gap[1]);
  }

  it('no order of events unlatches a breach', () => {
    fc.assert(
      fc.property(anyGate, fc.array(happening, { maxLength: 40 }), (gate, events) => {
        let state = freshGate(T);
        for (const event of events) {
          const before = state.latched;
          state = step(gate, state, event);
          if (before === undefined) continue;
          expect(state.latched).toEqual(before);
          expect(state.last?.kind).toBe('no-go');
          expect(judge(gate, state, value(after(100_000), gate.kind === 'probe' ? 1 : 0, { samples: 500 })).verdict.kind).toBe('no-go');
          expect(passing(gate, state, state.last?.at ?? 0)).toBe(false);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('no sequence without evidence ever yields go', () => {
    fc.assert(
      fc.property(anyGate, fc.array(missing, { minLength: 1, maxLength: 40 }), (gate, measurements) => {
        let state = freshGate(T);
        for (const m of measurements) {
          const judged = judge(gate, state, m);
          state = judged.state;
          expect(judged.verdict.kind).toBe('inconclusive');
          expect(passing(gate, state, m.at)).toBe(false);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('go is said only of a good value of this very moment', () => {
    fc.assert(
      fc.property(anyGate, fc.array(anything, { minLength: 1, maxLength: 30 }), (gate, measurements) => {
        let state = freshGate(T);
        for (const m of measurements) {
          const { verdict, state: next } = judge(gate, state, m);
          if (verdict.kind === 'go' && next !== state) expect([m.kind, m.at]).toEqual(['value', verdict.at]);
          state = next;
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('one more bad sample never improves the verdict', () => {
    const bad = (gate: Gate, t: number): Measurement => value(t, gate.kind === 'probe' ? 0 : 50, { samples: 500 });
    fc.assert(
      fc.property(anyGate, fc.array(anything, { minLength: 1, maxLength: 20 }), fc.nat(), (gate, measurements, where) => {
        const sorted = [...new Map(measurements.map((m) => [m.at, m])).values()].sort((a, b) => a.at - b.at);
        const index = where % sorted.length;
        const worse = sorted.map((m, i) => (i === index ? bad(gate, m.at) : m));
        expect(severity(run(gate, ...worse).verdict)).toBeGreaterThanOrEqual(severity(run(gate, ...sorted).verdict));
      }),
      { numRuns: 2000 },
    );
  });

  it('a failing gate never improves the verdict over all gates', () => {
    const verdictOf = (gate: Gate, ms: readonly Measurement[]): Verdict => run(gate, ...ms).verdict;
    fc.assert(
      fc.property(fc.array(fc.tuple(anyGate, fc.array(anything, { minLength: 1, maxLength: 8 })), { minLength: 1, maxLength: 5 }), (gates) => {
        const all = gates.map(([gate, ms]) => verdictOf(gate, ms));
        const worst = all.reduce(worseOf);
        const breach = verdictOf(threshold(), [value(T, 9)]);
        expect(worseOf(worst, breach).kind).toBe('no-go');
        expect(worseOf(breach, worst).kind).toBe('no-go');
        expect(all.every((verdict) => severity(worst) >= severity(verdict))).toBe(true);
      }),
    );
  });

  it('a policy never acts before its time of asking is up', () => {
    fc.assert(
      fc.property(fc.array(missing, { maxLength: 30 }), (measurements) => {
        let state = freshGate(T);
        for (const m of measurements) {
          const judged = judge(threshold({ noData: { after: 50_000, then: 'hold' }, error: { after: 50_000, then: 'hold' } }), state, m);
          if (judged.act !== undefined) expect((judged.state.blind?.noData ?? 0) + (judged.state.blind?.error ?? 0)).toBeGreaterThanOrEqual(50_000);
          state = judged.state;
        }
      }),
    );
  });

  it('the state is small, plain JSON', () => {
    fc.assert(
      fc.property(anyGate, fc.array(happening, { maxLength: 40 }), (gate, events) => {
        const state = events.reduce((s, event) => step(gate, s, event), freshGate(T));
        expect(JSON.parse(JSON.stringify(state))).toEqual(state);
        expect(JSON.stringify(state).length).toBeLessThan(1500);
      }),
    );
  });
});

describe('what others read', () => {
  it('passing means a go that is no older than 2 x every', () => {
    const { state } = run(threshold(), value(T, 0.1));
    expect([after(0), after(30), after(30.001)].map((now) => passing(threshold(), state, now))).toEqual([true, true, false]);
    expect(passing(threshold(), freshGate(T), T)).toBe(false);
  });
  it('the record tells samples, breaches, the worst value and the blind time', () => {
    const { state } = run(threshold({ for: 600_000 }), value(T, 0.1), value(after(15), 3), noData(after(30)), noData(after(45)), value(after(60), 0.2));
    expect(evidence(threshold(), state)).toMatchObject({ gate: 'latency', samples: 3, breaches: 1, worst: 3, blind: 15_000, last: { kind: 'go' } });
    const low = threshold({ bound: { op: 'min', limit: 0.1 } });
    expect(evidence(low, run(low, value(T, 0.9), value(after(15), 0.4), value(after(30), 0.7)).state).worst).toBe(0.4);
  });
  it('an unarmed gate has a record without a verdict', () => {
    expect(evidence(threshold(), freshGate(T))).toEqual({ gate: 'latency', samples: 0, breaches: 0, blind: 0 });
  });
  it('samples are stale after two intervals, and not before 10 s', () => {
    expect([1000, 15_000].map((every) => staleAfter(threshold({ every })))).toEqual([10_000, 30_000]);
  });
});

describe("a source's clock that was an hour ahead for one answer", () => {
  const gate = threshold({ for: 60_000 });
  const HOUR = 3_600_000;
  const after = (missing: (at: number) => Measurement): GateState => {
    let state = freshGate(T - 1);
    for (const m of [value(T, 0.4), value(T + HOUR, 0.4)]) ({ state } = judge(gate, state, m));
    for (let look = 1; look <= 44; look += 1) ({ state } = judge(gate, state, missing(T + look * 15_000)));
    return state;
  };
  it('hides no breach', () => {
    expect(after((at) => value(at, 9)).latched).toBeDefined();
  });
  it.each([
    ['no data', noData],
    ['errors', failed],
  ] as const)('is no go for %s that follow', (_, missing) => {
    const state = after(missing);
    expect(state.last?.kind).toBe('inconclusive');
    expect(state.blind?.acted).not.toEqual([]);
    expect(passing(gate, state, T + 44 * 15_000)).toBe(false);
  });
  it('does not pass on what it said of the future', () => {
    const { state } = judge(gate, judge(gate, freshGate(T - 1), value(T, 0.4)).state, value(T + HOUR, 0.4));
    expect(passing(gate, state, T + 15_000)).toBe(false);
  });
});

describe('what a gate that counts was not told', () => {
  const gate = compareRate({ tolerance: 1.2, floor: 0.001, minSamples: 1_000, alpha: 0.01 });
  it.each([
    ['errors', failed],
    ['answers without data', noData],
  ] as const)('during ten looks of %s is counted by the next answer', (_, missing) => {
    // From look 10 to 20 half of the exposed fail; then they are well again.
    const total = (look: number) => ({
      exposed: 1_000 * look,
      rest: 1_000 * look,
      restBad: 5 * look,
      exposedBad: 5 * look + 495 * Math.min(10, Math.max(0, look - 10)),
    });
    let state = freshGate(T);
    for (let look = 1; look <= 60; look += 1) {
      const at = T + look * 15_000;
      const since = state.counted ?? at;
      const [now, then] = [total(look), total((since - T) / 15_000)];
      const counts = {
        exposed: now.exposed - then.exposed,
        rest: now.rest - then.rest,
        restBad: now.restBad - then.restBad,
        exposedBad: now.exposedBad - then.exposedBad,
      };
      const answer: Measurement = { kind: 'value', value: 0, at, since, query: 'q', counts };
      ({ state } = judge(gate, state, look > 10 && look <= 20 ? missing(at) : answer));
    }
    expect(state.latched).toBeDefined();
  });
});
