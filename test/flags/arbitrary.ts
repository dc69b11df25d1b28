import fc from 'fast-check';
import type { Exposure, FlagValue } from '../../src/core/exposure.ts';

const names = fc.constantFrom('ann', 'bob', 'eve', 'zoë', "o'hara", 'x"y', 'Ünïcode', 'a b');

/** Any exposure that gives `value`: off, everyone, shares with fractions, lists by several attributes. */
export function exposures(value: FlagValue): fc.Arbitrary<Exposure> {
  return fc.record({
    value: fc.constant(value),
    share: fc.oneof(fc.constantFrom(0, 0.1, 5, 25, 99.99, 100), fc.double({ min: 0, max: 100, noNaN: true })),
    by: fc.constantFrom('key', 'contract'),
    listed: fc.array(fc.record({ attribute: fc.constantFrom('key', 'team', 'segment'), values: fc.uniqueArray(names, { maxLength: 3 }) }), { maxLength: 3 }),
  });
}
