import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareReach, describe, everyone, isOff, normalize, off, sameExposure, type Exposure, type Reach } from '../../src/core/exposure.ts';

const attribute = fc.constantFrom('team', 'segment', 'contract');
const member = fc.constantFrom('a', 'b', 'c', 'd');
const listed = fc.array(fc.record({ attribute, values: fc.array(member, { maxLength: 4 }) }), { maxLength: 3 });
const share = fc.constantFrom(0, 5, 25, 50, 100);
const exposure: fc.Arbitrary<Exposure> = fc.record({ value: fc.constantFrom(true, 'sse-only'), share, by: fc.constantFrom('key', 'contract'), listed });

/** Who has the value: the subject of bucket `at` on each line, with one attribute. The meaning, spelled out, to judge the law by. */
function has(e: Exposure, at: { readonly key: number; readonly contract: number }, attributes: Readonly<Record<string, string>>): boolean {
  if (e.listed.some((list) => list.values.includes(attributes[list.attribute] ?? ''))) return true;
  return (e.by === 'contract' ? at.contract : at.key) < e.share;
}

const subject = fc.tuple(
  fc.record({ key: fc.double({ min: 0, max: 99.99, noNaN: true }), contract: fc.double({ min: 0, max: 99.99, noNaN: true }) }),
  fc.dictionary(attribute, member, { maxKeys: 2 }),
);

test('the normal form reaches the same subjects', () => {
  fc.assert(
    fc.property(exposure, subject, (e, [at, attributes]) => {
      expect(has(normalize(e), at, attributes)).toBe(has(e, at, attributes));
    }),
  );
});

test('the normal form of a normal form is itself', () => {
  fc.assert(
    fc.property(exposure, (e) => {
      expect(normalize(normalize(e))).toEqual(normalize(e));
    }),
  );
});

test('the order of lists and of their members does not matter', () => {
  fc.assert(
    fc.property(exposure, (e) => {
      const turned = { ...e, listed: e.listed.map((list) => ({ ...list, values: list.values.toReversed() })).toReversed() };
      expect(normalize(turned)).toEqual(normalize(e));
      expect(sameExposure(turned, e)).toBe(true);
    }),
  );
});

test('narrower one way is wider the other', () => {
  const mirror: Record<Reach, Reach> = { same: 'same', narrower: 'wider', wider: 'narrower', incomparable: 'incomparable' };
  fc.assert(
    fc.property(exposure, exposure, (a, b) => {
      expect(compareReach(b, a)).toBe(mirror[compareReach(a, b)]);
    }),
  );
});

test('whoever has the narrower one has the wider one too', () => {
  fc.assert(
    fc.property(exposure, exposure, subject, (a, b, [at, attributes]) => {
      fc.pre(compareReach(a, b) === 'narrower' && has(a, at, attributes));
      expect(has(b, at, attributes)).toBe(true);
    }),
  );
});

test('narrower than narrower is narrower', () => {
  fc.assert(
    fc.property(exposure, exposure, fc.array(exposure, { minLength: 20, maxLength: 20 }), (a, b, more) => {
      const chain = [a, b, ...more].filter((e) => compareReach(a, e) === 'narrower');
      for (const middle of chain) for (const c of [b, ...more]) if (compareReach(middle, c) === 'narrower') expect(compareReach(a, c)).toBe('narrower');
    }),
  );
});

test('nothing is narrower than off, and nothing wider than everyone with that value', () => {
  fc.assert(
    fc.property(exposure, (e) => {
      expect(['same', 'narrower']).toContain(compareReach(off(e.value), e));
      expect(['same', 'wider']).toContain(compareReach(everyone(e.value), e));
    }),
  );
});

test('off is share 0 and nobody listed, and an empty list names nobody', () => {
  expect(isOff({ ...off(true), listed: [{ attribute: 'team', values: [] }] })).toBe(true);
  expect(isOff({ ...off(true), listed: [{ attribute: 'team', values: ['a'] }] })).toBe(false);
  expect(isOff({ ...off(true), share: 0.1 })).toBe(false);
});

test.each<[Exposure, Exposure, Reach]>([
  [{ ...off(true), share: 5, by: 'contract' }, { ...off(true), share: 25, by: 'contract' }, 'narrower'],
  [{ ...off(true), share: 5, by: 'contract' }, { ...off(true), share: 25, by: 'key' }, 'incomparable'],
  [everyone('full'), everyone('sse-only'), 'incomparable'],
  [everyone(true), { ...everyone(true), by: 'contract' }, 'same'],
  [
    { ...off(true), listed: [{ attribute: 'team', values: ['a', 'b'] }] },
    { ...off(true), listed: [{ attribute: 'team', values: ['b', 'c'] }] },
    'incomparable',
  ],
])('%j is beside %j: %s', (a, b, reach) => {
  expect(compareReach(a, b)).toBe(reach);
});

test.each<[Exposure, string]>([
  [off(true), 'off'],
  [everyone(true), 'everyone'],
  [{ ...off(true), share: 5, by: 'contract' }, '5 % by contract'],
  [{ ...off(true), listed: [{ attribute: 'segment', values: ['internal'] }] }, 'segment internal'],
  [everyone('sse-only'), 'sse-only for everyone'],
])('in words', (e, words) => {
  expect(describe(e)).toBe(words);
});
