import { describe, expect, it } from 'vitest';
import { memberOf, toContext } from '../../../src/evaluators/launchdarkly-sdk/translate.ts';
import { placesOf } from '../../../src/flags/places.ts';
import type { Subject } from '../../../src/core/subject.ts';

const places = placesOf({ subject: 'user', attributes: { contract: 'contract.key', model: 'device.model' } });
const nobody = () => undefined;

describe('a subject as a context of LaunchDarkly', () => {
  it.each<[string, Subject, unknown]>([
    ['its own key and attributes', { key: 'ann', attributes: { country: 'CH' } }, { kind: 'user', key: 'ann', country: 'CH' }],
    ['a context of another kind beside it', { key: 'ann', attributes: { contract: 'c-1' } }, { kind: 'multi', user: { key: 'ann' }, contract: { key: 'c-1' } }],
    [
      "another kind's attribute, under the subject's own key",
      { key: 'ann', attributes: { model: 'x', 'device.os': 'y' } },
      { kind: 'multi', user: { key: 'ann' }, device: { key: 'ann', model: 'x', os: 'y' } },
    ],
  ])('is %s', (_, subject, context) => {
    expect(toContext(subject, places, nobody)).toEqual(context);
  });

  it('is somebody of the segment, in the place of a subject that was made up for it', () => {
    const member = (name: string) => (name === 'internal' ? { kind: 'user', key: 'ann' } : undefined);
    expect(toContext({ key: 'gonogo-segment-internal', attributes: { segment: 'internal' } }, places, member)).toEqual({ kind: 'user', key: 'ann' });
    expect(toContext({ key: 'x', attributes: { segment: 'other' } }, places, member)).toEqual({ nobodyIn: 'other' });
  });

  it.each<[unknown, string, unknown]>([
    [{ included: ['ann', 'bob'] }, 'user', { kind: 'user', key: 'ann' }],
    [{ included: ['ann'], includedContexts: [{ contextKind: 'contract', values: ['c-1'] }] }, 'contract', { kind: 'contract', key: 'c-1' }],
    [{ included: [], includedContexts: [{ contextKind: 'contract', values: [] }] }, 'user', undefined],
    [{ included: ['ann'] }, 'contract', { kind: 'user', key: 'ann' }],
    [undefined, 'user', undefined],
  ])('the segment %j of %ss lists %j', (segment, subject, found) => {
    expect(memberOf(segment, subject)).toEqual(found);
  });
});
