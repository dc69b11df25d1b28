import fc from 'fast-check';
import { expect, it } from 'vitest';
import { lookWithin, silentAfter } from '../../src/core/deadlines.ts';

it('gives a look as long as its gate rests, at least 1 s and at most 8 s', () => {
  expect([0, 1_000, 5_000, 15_000, 3_600_000].map((every) => lookWithin({ every }))).toEqual([1_000, 1_000, 5_000, 8_000, 8_000]);
});

it('ends a probe before the look that asked for it, so that silence is told and not cut off', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1_000, max: 86_400_000 }), (every) => {
      expect(silentAfter({ every })).toBeGreaterThan(0);
      expect(silentAfter({ every })).toBeLessThan(lookWithin({ every }));
    }),
  );
});
