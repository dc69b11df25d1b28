import { describe, expect, it } from 'vitest';
import { defaultPolicy } from '../../src/core/blind.ts';
import { freshGate, judge, type GateAct, type GateState } from '../../src/core/gate.ts';
import type { Measurement } from '../../src/core/measurement.ts';
import type { Gate } from '../../src/core/plan.ts';
import { burnRate, counted, exposureCheck, failed, noData, ratio, threshold, value } from './gates.ts';

const T = Date.parse('2026-03-01T03:12:00Z');
const MINUTE = 60_000;

/** A gate of which the plan does not say what to do when it is blind. */
function unsaid<G extends Gate>(gate: G): G {
  const { noData: _noData, error: _error, ...rest } = gate;
  return rest as G;
}

/** Asks each 15 s for so many minutes, and tells when (minutes) it acted. */
function act(gate: Gate, minutes: number, exposed: number, answer: (at: number, look: number) => Measurement): readonly (readonly [number, GateAct['kind']])[] {
  const acts: (readonly [number, GateAct['kind']])[] = [];
  let state: GateState = freshGate(T);
  for (let look = 0; look <= minutes * 4; look += 1) {
    const judged = judge(gate, state, answer(T + look * 15_000, look), exposed);
    // What is stored is what is gone on from, by any watcher.
    state = JSON.parse(JSON.stringify(judged.state)) as GateState;
    if (judged.act !== undefined) acts.push([look / 4, judged.act.kind]);
  }
  return acts;
}

describe('a gate without a policy of its own', () => {
  it.each([
    [0, 10, 'hold'],
    [0.05, 10, 'hold'],
    [0.5, 10, 'hold'],
    [0.501, 5, 'rollback'],
    [1, 5, 'rollback'],
  ] as const)('blind while %d of the users are exposed, acts after %d min: %s', (exposed, minutes, then) => {
    for (const answer of [(at: number) => noData(at), failed]) {
      expect(act(unsaid(threshold()), minutes - 0.25, exposed, answer)).toEqual([]);
      expect(act(unsaid(threshold()), 30, exposed, answer)).toEqual([[minutes, then]]);
    }
  });

  it('says how many were exposed', () => {
    let state = freshGate(T);
    const why: string[] = [];
    for (let look = 0; look <= 20; look += 1) {
      const judged = judge(unsaid(threshold()), state, noData(T + look * 15_000), 0.75);
      state = judged.state;
      if (judged.act !== undefined) why.push(judged.act.why);
    }
    expect(why).toEqual(['latency: no data (empty): nothing; no evidence for 5m of asking, with 75 % of the users exposed']);
  });

  it('takes what is exposed now, not when it went blind', () => {
    const gate = unsaid(threshold());
    let state = freshGate(T);
    for (let look = 0; look <= 24; look += 1) state = judge(gate, state, noData(T + look * 15_000), 0.25).state;
    expect(judge(gate, state, noData(T + 25 * 15_000), 0.75).act).toMatchObject({ kind: 'rollback' });
  });

  it('is rolled back for missing data and errors together', () => {
    expect(act(unsaid(threshold()), 30, 1, (at, look) => (look % 2 === 0 ? noData(at) : failed(at)))[0]).toEqual([5, 'rollback']);
  });

  it('is never rolled back for too few samples: who sees little is not blind', () => {
    const few = (at: number): Measurement => value(at, 0, { samples: 3 });
    expect(act(unsaid(ratio()), 30, 1, few)).toEqual([[10, 'hold']]);
    expect(act(unsaid(burnRate()), 30, 1, (at) => counted(at, [0, 1, 0, 0]))).toEqual([[10, 'hold']]);
  });

  it('is not rolled back for a moment of no data among too few samples, and is for five minutes of it', () => {
    const few = (at: number): Measurement => value(at, 0, { samples: 3 });
    const after = (minutes: number) => act(unsaid(ratio()), 9.75, 1, (at, look) => (look < 16 || look >= 16 + minutes * 4 ? few(at) : noData(at)));
    expect(after(4.75)).toEqual([]);
    expect(after(5.5)).toEqual([[9, 'rollback']]);
  });

  it('of a kind that knows nothing of health only ever holds', () => {
    expect(act(unsaid(exposureCheck()), 30, 1, (at) => noData(at))).toEqual([[10, 'hold']]);
    expect(defaultPolicy(exposureCheck(), 1)).toEqual({ after: 10 * MINUTE, then: 'hold' });
  });
});

it('a policy of the plan holds at any exposure', () => {
  const own = threshold({ noData: { after: 2 * MINUTE, then: 'page' } });
  for (const exposed of [0, 0.5, 1]) expect(act(own, 30, exposed, (at) => noData(at))).toEqual([[2, 'page']]);
});
