import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareReach, everyone, off, sameExposure, type Exposure } from '../../src/core/exposure.ts';
import { mayMove, restoreDecision, type Phase, type RestoreDecision } from '../../src/core/journal.ts';
import { exposures } from '../flags/arbitrary.ts';

const share = (percent: number, by = 'key'): Exposure => ({ value: true, share: percent, by, listed: [] });
const people = (...values: string[]): Exposure => ({ value: true, share: 0, by: 'key', listed: [{ attribute: 'key', values }] });

describe('what restore does with a flag', () => {
  const table: readonly [string, Phase, Exposure, Exposure[], { revision: string; exposure: Exposure }, boolean, RestoreDecision][] = [
    ['writes the snapshot over our write', 'applied', off(true), [share(5)], { revision: '2', exposure: share(5) }, true, 'write'],
    ['writes over a value of ours though another revision holds it', 'applied', off(true), [share(5)], { revision: '9', exposure: share(5) }, false, 'write'],
    ['writes over an earlier value of ours', 'applied', off(true), [share(5), share(25)], { revision: '9', exposure: share(5) }, false, 'write'],
    ['fences an intent that nobody has moved', 'intent', off(true), [share(5)], { revision: '1', exposure: off(true) }, false, 'fence'],
    [
      'leaves an intent whose revision has moved: a late write is refused already',
      'intent',
      off(true),
      [share(5)],
      { revision: '2', exposure: off(true) },
      false,
      'leave',
    ],
    ['writes an intent whose write arrived unmarked', 'intent', off(true), [share(5)], { revision: '2', exposure: share(5) }, false, 'write'],
    ['leaves what stands as in the snapshot', 'applied', share(5), [share(25)], { revision: '7', exposure: share(5) }, false, 'leave'],
    ['narrows what somebody widened', 'applied', share(5), [share(25)], { revision: '7', exposure: everyone(true) }, false, 'write'],
    ['keeps what a person narrowed', 'applied', share(50), [everyone(true)], { revision: '7', exposure: share(10) }, false, 'keep'],
    ['keeps off, the narrowest of all', 'applied', people('ann'), [everyone(true)], { revision: '7', exposure: off(true) }, false, 'keep'],
    ['leaves other people to whoever listed them', 'applied', people('ann'), [share(5)], { revision: '7', exposure: people('eve') }, false, 'foreign'],
    ['leaves a share drawn by something else', 'applied', share(50), [everyone(true)], { revision: '7', exposure: share(10, 'contract') }, false, 'foreign'],
    ['leaves another value', 'applied', everyone('full'), [everyone('sse-only')], { revision: '7', exposure: everyone('poll') }, false, 'foreign'],
    [
      'writes when the newest revision is ours, whatever it holds',
      'applied',
      people('ann'),
      [share(5)],
      { revision: '7', exposure: people('eve') },
      true,
      'write',
    ],
  ];
  it.each(table)('%s', (_, phase, snapshot, written, current, ours, decision) => {
    expect(restoreDecision({ phase, snapshot: { revision: '1', exposure: snapshot }, written, current, ours })).toBe(decision);
  });

  it('never widens what somebody else set, and never leaves one of our values standing', () => {
    fc.assert(
      fc.property(
        exposures(true),
        fc.array(exposures(true), { maxLength: 3 }),
        exposures(true),
        fc.constantFrom<Phase>('intent', 'applied', 'restored', 'proven'),
        (snapshot, written, current, phase) => {
          const decision = restoreDecision({
            phase,
            snapshot: { revision: '1', exposure: snapshot },
            written,
            current: { revision: '2', exposure: current },
            ours: false,
          });
          const ours = written.some((exposure) => sameExposure(exposure, current));
          if (ours && !sameExposure(current, snapshot)) expect(decision).toBe('write');
          if (!ours && decision === 'write') expect(compareReach(snapshot, current)).toBe('narrower');
        },
      ),
    );
  });
});

describe('how an entry may move', () => {
  const phases: readonly Phase[] = ['intent', 'applied', 'restored', 'proven', 'void'];
  const allowed = new Set(['intent>applied', 'intent>restored', 'applied>restored', 'restored>proven', 'intent>void']);
  it.each(phases.flatMap((from) => phases.map((to) => [from, to] as const)))('%s to %s', (from, to) => {
    expect(mayMove(from, to)).toBe(allowed.has(`${from}>${to}`));
  });
});
