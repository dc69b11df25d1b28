import { describe, expect, it } from 'vitest';
import type { Exposure } from '../../src/core/exposure.ts';
import { bandSample, canWitness, draw, idOf, mustGet, pickWitnesses, sampleSize, shareBand } from '../../src/core/witness.ts';
import type { Candidate } from '../../src/core/subject.ts';

const share = (percent: number): Exposure => ({ value: true, share: percent, by: 'contract', listed: [] });
const listed: Exposure = { value: true, share: 0, by: 'key', listed: [{ attribute: 'segment', values: ['internal'] }] };
const someone = (key: string, baseline: boolean, standing: Candidate['standing'] = 'sampled'): Candidate => ({
  subject: { key, attributes: { contract: key } },
  standing,
  baseline,
});

describe('a change can be witnessed', () => {
  it.each([
    ['nobody to a share', share(5), [someone('a', false)], true],
    ['everyone narrowed to a share', share(25), [someone('a', true)], true],
    ['nobody to everyone', share(100), [someone('a', false)], true],
    ['everyone to everyone', share(100), [someone('a', true)], false],
    ['a list that none of the candidates is in', listed, [someone('a', false)], false],
  ])('%s', (_name, to, candidates, can) => {
    expect(canWitness(to, candidates, false)).toBe(can);
  });
});

describe('candidates', () => {
  it('are the listed, and as many sampled as a share needs to be missed once in ten thousand', () => {
    const drawn = draw([listed, share(5)]);
    expect(drawn.filter((one) => one.standing === 'listed').map((one) => one.subject.attributes)).toEqual([{ segment: 'internal' }]);
    expect(drawn.filter((one) => one.standing === 'sampled')).toHaveLength(sampleSize(5));
    expect(0.95 ** sampleSize(5)).toBeLessThanOrEqual(1e-4);
  });

  it('must get what the exposure says, where anyone can tell without the vendor’s draw', () => {
    const internal = { subject: { key: 'x', attributes: { segment: 'internal' } } };
    expect(mustGet(listed, internal, false)).toBe(true);
    expect(mustGet(listed, someone('a', false), false)).toBe(false);
    expect(mustGet(share(5), someone('a', false), false)).toBeUndefined();
  });

  it('that flipped are picked as witnesses, the listed first', () => {
    expect(pickWitnesses([someone('a', false), someone('b', false, 'listed')]).map((one) => one.key)).toEqual(['b', 'a']);
  });
});

it('a share’s band holds 99.9 % of the draws: 5 % of 1,000 lie between 2.7 and 7.3 %', () => {
  const { low, high } = shareBand(5, 1_000);
  expect(low).toBeCloseTo(2.68, 1);
  expect(high).toBeCloseTo(7.32, 1);
});

it('a share is told by other subjects at each look: a draw that leaves the band by chance is not the last word', () => {
  const [first, second, late] = [0, 100, 119_900].map((since) => bandSample('user', since).map(idOf));
  expect(new Set([...(first ?? []), ...(second ?? []), ...(late ?? [])]).size).toBe(3_000);
  expect(bandSample('user', 99).map(idOf)).toEqual(first);
});
