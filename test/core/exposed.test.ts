import { describe, expect, it } from 'vitest';
import { everyone, off, type Exposure } from '../../src/core/exposure.ts';
import { exposedShare, promisedTo } from '../../src/core/exposed.ts';
import type { Stage } from '../../src/core/plan.ts';
import { order, stage } from '../support/orders.ts';
import { compareRate, compareUsers, exposureCheck, threshold } from './gates.ts';

const share = (percent: number): Exposure => ({ value: true, share: percent, by: 'key', listed: [] });
const listed: Exposure = { value: true, share: 0, by: 'key', listed: [{ attribute: 'segment', values: ['internal'] }] };
const planOf = (...stages: readonly Stage[]) => order(stages).plan;
const shares = (...stages: readonly Stage[]) => [-1, ...stages.keys()].map((index) => exposedShare(planOf(...stages), index));

describe('the share that is exposed', () => {
  it.each([
    ['grows with the stages', [stage('one', { a: share(5) }), stage('two', { a: share(50) }), stage('three', { a: everyone(true) })], [0, 0.05, 0.5, 1]],
    ['of lists alone is less than half', [stage('one', { a: listed })], [0, 0]],
    ['is that of the widest flag', [stage('one', { a: listed, b: share(60) }), stage('two', { c: share(5) })], [0, 0.6, 0.6]],
    ['falls when a flag is narrowed', [stage('one', { a: share(60) }), stage('two', { a: share(10) })], [0, 0.6, 0.1]],
    ['of a flag that is turned off is nothing', [stage('one', { a: off(true) })], [0, 0]],
  ])('%s', (_, stages, expected) => {
    expect(shares(...stages)).toEqual(expected);
  });

  it('after the rollback of a stage is what was before it, and its fallback', () => {
    const fallback = (to: Exposure) =>
      planOf(stage('one', { a: share(10) }), stage('two', { a: everyone(true) }, { onRollback: { scope: 'stage', set: [{ flag: 'b', to, narrows: true }] } }));
    expect(exposedShare(fallback(share(20)), 1)).toBe(1);
    expect(exposedShare(fallback(share(20)), 1, new Set(['two']))).toBe(0.2);
    expect(exposedShare(fallback(off(true)), 1, new Set(['two']))).toBe(0.1);
  });
});

describe('the share that a comparison has to expect', () => {
  const gates = { gates: ['errors'] };
  const growing = [stage('one', { a: share(5) }, gates), stage('two', { a: share(50) }), stage('three', { a: everyone(true) }), stage('four', { b: share(5) })];
  const expect4 = (...gate: Parameters<typeof promisedTo>[2][]) => gate.map((one) => [0, 1, 2, 3].map((index) => promisedTo(planOf(...growing), index, one)));

  it('follows the flags of the stages that list it, whatever others do later', () => {
    expect(expect4(compareRate(), compareUsers({ id: 'errors' }))).toEqual([
      [0.05, 0.5, 1, 1],
      [0.05, 0.5, 1, 1],
    ]);
  });

  it('is that of the flag it names', () => {
    expect(expect4(compareRate({ flag: 'b' }), compareRate({ flag: 'a' }))).toEqual([
      [undefined, undefined, undefined, 0.05],
      [0.05, 0.5, 1, 1],
    ]);
  });

  it('is the smallest, where several flags move: as long as one is kept from some, there is somebody to compare with', () => {
    const plan = planOf(stage('one', { master: everyone(true), a: listed }, gates), stage('two', { a: everyone(true) }));
    expect([0, 1].map((index) => promisedTo(plan, index, compareRate()))).toEqual([0, 1]);
  });

  it('leaves flags out that are turned off', () => {
    const plan = planOf(stage('one', { old: off(true), a: everyone(true) }, gates));
    expect(promisedTo(plan, 0, compareRate())).toBe(1);
  });

  it('is nothing to gates that compare nobody, and the share of its flag to a check of the exposure', () => {
    expect(promisedTo(planOf(...growing), 1, threshold({ id: 'errors' }))).toBeUndefined();
    expect(promisedTo(planOf(...growing), 1, exposureCheck({ flag: 'a' }))).toBe(0.5);
  });
});
