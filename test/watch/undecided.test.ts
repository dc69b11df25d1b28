import { describe, expect, it } from 'vitest';
import { freshGate, judge } from '../../src/core/gate.ts';
import type { Gate } from '../../src/core/plan.ts';
import { WATCH } from '../../src/core/state.ts';
import { undecided } from '../../src/watch/undecided.ts';
import { watchGate } from '../../src/watch/gate-watch.ts';
import { compareRate, counted, noData, ratio, threshold, value } from '../core/gates.ts';
import { order, stage } from '../support/orders.ts';

const HOUR = 3_600_000;
const T = Date.parse('2026-03-01T03:00:00Z');
const HEALTHY = [3, 600, 57, 11_400] as const;

type Given = Parameters<typeof undecided>[0];

/** A launch whose only stage has been live since `T` under gates that said this last. */
function live(
  gates: readonly (readonly [Gate, Parameters<typeof judge>[2]])[],
  more: Partial<Given['state']> = {},
  bake: Given['bake'] = { stage: 'one', cursor: T, earned: HOUR / 4 },
): Given {
  const states = gates.map(([gate, m]) => ({ gate, state: judge(gate, freshGate(T), m).state }));
  const stages = [
    { stage: 'one', phase: 'live' as const, round: 1, earned: 0, shiftedAt: T },
    { stage: WATCH, phase: 'pending' as const, round: 0, earned: 0 },
  ];
  return {
    order: order(
      [stage('one', ['a'], { bake: HOUR, gates: gates.map(([gate]) => gate.id) })],
      gates.map(([gate]) => gate),
      { watch: HOUR },
    ),
    state: { state: 'baking', lastSeq: 1, requests: [], journalled: 1, stages, ...more },
    gates: new Map(states.map(({ gate, state }) => [gate.id, watchGate(gate, T, state)])),
    bake,
  };
}

const unproven = [compareRate({ maxRatio: 1.5 }), counted(T + 15_000, HEALTHY)] as const;
const healthy = [threshold(), value(T + 15_000, 0)] as const;

describe('a stage that is undecided', () => {
  it('bakes on past its bake, up to twice of it or what the plan says, and then a person is asked', () => {
    expect(undecided(live([unproven, healthy]), T + 2 * HOUR - 1)).toBeUndefined();
    expect(undecided(live([unproven, healthy]), T + 2 * HOUR)).toMatchObject({ stage: 'one', again: HOUR });
    const given = live([unproven]);
    const longer = {
      ...given,
      order: { ...given.order, plan: { ...given.order.plan, stages: given.order.plan.stages.map((one) => ({ ...one, maxBake: 5 * HOUR })) } },
    };
    expect(undecided(longer, T + 5 * HOUR - 1)).toBeUndefined();
    expect(undecided(longer, T + 5 * HOUR)).toBeDefined();
  });

  it('tells the gate, its numbers, what was earned, and what a person may do', () => {
    expect(undecided(live([unproven, healthy]), T + 2 * HOUR)?.reason).toMatch(
      /^one is undecided, 15m of 1h earned in 2h: errors: 0\.5 % of the exposed failed against .*; not shown yet to be below 1\.5 x; resume to let it bake on \(you are asked again after 1h\), or roll back: no time makes a go of it$/,
    );
  });

  it('is one with too few samples too', () => {
    expect(undecided(live([[ratio(), value(T, 0, { samples: 3 })]]), T + 2 * HOUR)?.reason).toContain('drawn from 3 of at least 200 samples');
    expect(undecided(live([[compareRate({ minSamples: 9_999 }), counted(T + 15_000, HEALTHY)]]), T + 2 * HOUR)?.reason).toContain('600 of at least 9999');
  });

  it('is asked about in the watch after the last stage too', () => {
    const stages = [
      { stage: 'one', phase: 'passed' as const, round: 1, earned: HOUR, shiftedAt: T - HOUR },
      { stage: WATCH, phase: 'live' as const, round: 1, earned: 0, shiftedAt: T },
    ];
    expect(undecided(live([unproven], { stages }, { stage: WATCH, cursor: T, earned: 0 }), T + 2 * HOUR)?.reason).toMatch(
      /^the watch after the last stage is undecided/,
    );
  });

  it.each([
    ['whose bake is earned', live([unproven], {}, { stage: 'one', cursor: T, earned: HOUR, bakedAt: T })],
    ['whose gates all pass: it is only behind', live([healthy])],
    ['that is blind: its policy has that say', live([[threshold(), noData(T)]])],
    ['that is held already', live([unproven], { held: { reason: 'wait', cause: 'person', by: 'Anna', at: '' } })],
    ['that is rolling back', live([unproven], { requests: [{ scope: 'launch', proven: false }] })],
    ['that is not live', live([unproven], { stages: [{ stage: 'one', phase: 'shifting', round: 1, earned: 0 }] })],
  ])('is none %s', (_, given) => {
    expect(undecided(given, T + 48 * HOUR)).toBeUndefined();
  });
});
