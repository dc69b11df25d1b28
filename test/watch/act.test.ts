import { describe, expect, it } from 'vitest';
import { everyone, type Exposure } from '../../src/core/exposure.ts';
import type { Gate } from '../../src/core/plan.ts';
import { tellShares } from '../../src/watch/act.ts';
import { watchGate } from '../../src/watch/gate-watch.ts';
import { compareRate, exposureCheck, threshold } from '../core/gates.ts';
import { order, stage } from '../support/orders.ts';

type Phase = 'pending' | 'clearance' | 'shifting' | 'live' | 'passed';

const share = (percent: number): Exposure => ({ value: true, share: percent, by: 'key', listed: [] });
const plan = order(
  [
    stage('some', { a: share(5) }, { gates: ['errors'] }),
    stage('all', { a: everyone(true) }, { onRollback: { scope: 'stage', set: [{ flag: 'b', to: share(20), narrows: true }] } }),
  ],
  [compareRate()],
);

/** What a gate is told while the two stages stand so. */
function told(gate: Gate, phases: readonly [Phase, Phase], requests: readonly { readonly scope: string; readonly proven: boolean }[] = []) {
  const stages = plan.plan.stages.map(({ id }, index) => {
    const phase = phases[index] ?? 'pending';
    return { stage: id, phase, round: 1, earned: 0, ...(phase === 'live' || phase === 'passed' ? { shiftedAt: 1 } : {}) };
  });
  const watch = watchGate(gate, 0, undefined);
  tellShares({ order: plan, state: { state: 'baking', lastSeq: 1, requests, journalled: 1, stages } }, watch);
  return [watch.exposed, watch.promised];
}

describe('a gate is told how many are exposed', () => {
  it.each([
    ['by nothing yet', ['clearance', 'pending'], [0, undefined]],
    ['by the stage that is live', ['live', 'pending'], [0.05, 0.05]],
    ['by the widest that has shifted', ['passed', 'live'], [1, 1]],
    ['by one that is shifting, which some see already; what its answers should be is that of before', ['passed', 'shifting'], [1, 0.05]],
  ] as const)('%s', (_, phases, expected) => {
    expect(told(compareRate(), phases)).toEqual(expected);
  });

  it('without a stage that was rolled back, once that is proven, and with its fallback', () => {
    expect(told(threshold(), ['passed', 'live'], [{ scope: 'stage:all', proven: false }])[0]).toBe(1);
    expect(told(threshold(), ['passed', 'live'], [{ scope: 'stage:all', proven: true }])[0]).toBe(0.2);
  });

  it('and what is promised to it only where it compares or checks an exposure', () => {
    expect(told(threshold(), ['passed', 'live'])).toEqual([1, undefined]);
    expect(told(exposureCheck({ flag: 'a' }), ['passed', 'live'])).toEqual([1, 1]);
  });
});
