import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeBound, describeMillis, describeNumber, keeps, worseValue } from '../../src/core/bound.ts';

const op = fc.constantFrom('max', 'min', 'below', 'above');
const finite = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 });

describe('a bound', () => {
  it('is kept by no NaN', () => {
    fc.assert(fc.property(op, finite, (o, limit) => !keeps({ op: o, limit }, NaN)));
  });
  it('that a value keeps is kept by every better value', () => {
    fc.assert(
      fc.property(op, finite, finite, finite, (o, limit, a, b) => {
        const bound = { op: o, limit };
        if (keeps(bound, worseValue(bound, a, b))) expect(keeps(bound, a) && keeps(bound, b)).toBe(true);
      }),
    );
  });
  it('is described truly: the sign says whether it is kept, and the numbers shown are as far apart as it says', () => {
    fc.assert(
      fc.property(op, finite, finite, (o, limit, value) => {
        const [shown = '', sign = '', shownLimit = ''] = describeBound({ op: o, limit }, value, undefined).split(' ');
        const holds = {
          '<=': Number(shown) <= Number(shownLimit),
          '<': Number(shown) < Number(shownLimit),
          '>=': Number(shown) >= Number(shownLimit),
          '>': Number(shown) > Number(shownLimit),
        }[sign];
        expect(holds).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
  it.each([
    [{ op: 'max', limit: 1 } as const, 1.31, 's', false, '1.31 s > 1 s'],
    [{ op: 'max', limit: 1 } as const, 1, 's', false, '1 s <= 1 s'],
    [{ op: 'max', limit: 1 } as const, 1.0000001, 's', false, '1.0000001 s > 1 s'],
    [{ op: 'below', limit: 0.01 } as const, 0.021, undefined, true, '2.1 % >= 1 %'],
    [{ op: 'min', limit: 200 } as const, 12, '', false, '12 < 200'],
  ])('reads well: %j with %d', (bound, value, unit, percent, text) => {
    expect(describeBound(bound, value, unit, percent)).toBe(text);
  });
});

it.each([
  [0.123456, '0.1235'],
  [1234.56, '1234.6'],
  [0, '0'],
  [-3, '-3'],
])('a number for people: %d', (value, text) => {
  expect(describeNumber(value)).toBe(text);
});
it.each([
  [350, '350ms'],
  [15_000, '15s'],
  [90_200, '1m30s'],
  [86_400_000, '24h'],
])('a time for people: %d', (ms, text) => {
  expect(describeMillis(ms)).toBe(text);
});
