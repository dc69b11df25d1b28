import { describe, expect, it } from 'vitest';
import { everyone, off, type Exposure } from '../../src/core/exposure.ts';
import { evaluate, type Asker, type Reason } from '../../src/flags/evaluate.ts';
import { stateOf, type FlagState } from '../../src/flags/flag.ts';
import { storedFlag } from './support.ts';

const listed = (attribute: string, ...values: string[]): Exposure => ({ value: true, share: 0, by: 'key', listed: [{ attribute, values }] });
const segments = new Map([
  [
    'internal',
    [
      { attribute: 'key', values: ['ann'] },
      { attribute: 'domain', values: ['our.example'] },
    ],
  ],
]);

describe('what a subject gets', () => {
  const table: readonly [string, Exposure, Asker, boolean, Reason][] = [
    ['the off value when the flag is off', off(true), { key: 'ann', attributes: {} }, false, 'DISABLED'],
    ['the value when everyone has it, without a key too', everyone(true), { attributes: {} }, true, 'STATIC'],
    ['the value when listed by key', listed('key', 'ann'), { key: 'ann', attributes: {} }, true, 'TARGETING_MATCH'],
    ['the value when listed by targetingKey', listed('targetingKey', 'ann'), { key: 'ann', attributes: {} }, true, 'TARGETING_MATCH'],
    ['the off value when others are listed', listed('key', 'ann'), { key: 'bob', attributes: {} }, false, 'DEFAULT'],
    ['the value when its team is listed', listed('team', 'dispute_ops'), { key: 'bob', attributes: { team: 'dispute_ops' } }, true, 'TARGETING_MATCH'],
    [
      'the value when one of its teams is listed',
      listed('team', 'dispute_ops'),
      { key: 'bob', attributes: { team: ['qa', 'dispute_ops'] } },
      true,
      'TARGETING_MATCH',
    ],
    ['the value when a stored segment holds its key', listed('segment', 'internal'), { key: 'ann', attributes: {} }, true, 'TARGETING_MATCH'],
    [
      'the value when a stored segment holds its domain',
      listed('segment', 'internal'),
      { key: 'x', attributes: { domain: 'our.example' } },
      true,
      'TARGETING_MATCH',
    ],
    ['the value when the caller says its segment', listed('segment', 'beta'), { key: 'x', attributes: { segment: 'beta' } }, true, 'TARGETING_MATCH'],
    ['the off value when the segment is unknown', listed('segment', 'beta'), { key: 'x', attributes: {} }, false, 'DEFAULT'],
    ['the value when listed, though outside the share', { ...listed('key', 'ann'), share: 0.0001 }, { key: 'ann', attributes: {} }, true, 'TARGETING_MATCH'],
    [
      'the off value when it lacks the attribute that the share is drawn by',
      { value: true, share: 99.99, by: 'contract', listed: [] },
      { key: 'ann', attributes: {} },
      false,
      'DEFAULT',
    ],
    ['nothing by an attribute that every object has', listed('constructor', 'x'), { key: 'ann', attributes: {} }, false, 'DEFAULT'],
  ];
  it.each(table)('%s', (_, exposure, asker, value, reason) => {
    expect(evaluate(storedFlag(exposure), asker, segments)).toEqual({ value, reason, variant: value ? 'on' : 'off' });
  });

  it('names a string by itself', () => {
    const flag = storedFlag(everyone('sse-only'), { type: 'string', allowed: ['full', 'sse-only'], offValue: 'full' });
    expect(evaluate(flag, { key: 'u', attributes: {} }, new Map())).toEqual({ value: 'sse-only', reason: 'STATIC', variant: 'sse-only' });
  });

  it('can turn a protection off for a few: the off value is true, the exposed one false', () => {
    const flag = storedFlag({ ...listed('key', 'ann'), value: false }, { offValue: true });
    expect(['ann', 'bob'].map((key) => evaluate(flag, { key, attributes: {} }, new Map()).value)).toEqual([false, true]);
  });
});

describe('the state people see', () => {
  it.each<[FlagState, Exposure]>([
    ['disabled', off(true)],
    ['enabled', everyone(true)],
    ['listed', listed('key', 'ann')],
    ['share', { value: true, share: 5, by: 'key', listed: [] }],
    ['share', { ...listed('key', 'ann'), share: 5 }],
  ])('%s', (state, exposure) => {
    expect(stateOf(exposure)).toBe(state);
  });
});
