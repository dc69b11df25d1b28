import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { describe as inWords, everyone, isOff, off, sameExposure, type Exposure } from '../../../src/core/exposure.ts';
import { Terminal } from '../../../src/core/failure.ts';
import { placesOf } from '../../../src/flags/places.ts';
import { addressOf } from '../../../src/providers/launchdarkly/config.ts';
import { ldFlag, type Standing } from '../../../src/providers/launchdarkly/document.ts';
import { readExposure } from '../../../src/providers/launchdarkly/reading.ts';
import { nativeOf, toInstructions, toRestoring, toSnapshot } from '../../../src/providers/launchdarkly/translate.ts';
import { toUndo, undoCommand } from '../../../src/providers/launchdarkly/undo.ts';
import { newAccount, newFlag, type Account } from '../../support/servers/launchdarkly/account.ts';
import { arbitrarySetting, instructionsOf, PEOPLE } from '../../support/servers/launchdarkly/arbitrary.ts';
import { evaluate, type Context } from '../../support/servers/launchdarkly/evaluate.ts';
import { apply, parseInstructions } from '../../support/servers/launchdarkly/instructions.ts';
import { flagOfFake } from '../../support/servers/launchdarkly/people.ts';
import { flagRep } from '../../support/servers/launchdarkly/representations.ts';

const places = placesOf({ subject: 'user', attributes: { contract: 'contract.key' } });
const ref = flagOfFake('chat');

describe("a LaunchDarkly flag in the launch's words", () => {
  let account: Account;
  beforeEach(() => {
    account = newAccount('api-x');
    newFlag(account, 'ahead');
    newFlag(account, 'chat');
    const now = Date.now();
    account.environments.get('production')?.segments.set('beta', {
      key: 'beta',
      name: 'beta',
      version: 1,
      included: ['user-1', 'user-2'],
      excluded: [],
      creationDate: now,
      lastModifiedDate: now,
    });
  });

  const flagOf = (key = 'chat') => {
    const found = account.flags.get(key);
    if (found === undefined) throw new Error(`no flag ${key}`);
    return found;
  };
  /** As the adapter gets it: through the REST document and its parser. */
  function standing(): Standing {
    const flag = ldFlag.parse(flagRep(account, flagOf()));
    const setting = flag.environments['production'];
    if (setting === undefined) throw new Error('no production');
    return { key: flag.key, variations: flag.variations, setting };
  }
  function send(instructions: readonly unknown[]): void {
    if (instructions.length === 0) return;
    const next = structuredClone(flagOf());
    const setting = next.environments['production'];
    for (const one of parseInstructions(instructions)) apply(account, next, setting, one);
    if (setting !== undefined) setting.version += 1;
    account.flags.set('chat', next);
  }
  const id = (value: unknown): string => flagOf().variations.find((variation) => variation.value === value)?._id ?? '';
  const environment = () => {
    const found = account.environments.get('production');
    if (found === undefined) throw new Error('no production');
    return found;
  };
  const valueFor = (person: Context): unknown => evaluate(account.flags, environment(), flagOf(), person).value;
  const clause = (attribute: string, op: string, ...values: string[]) => ({ contextKind: 'user', attribute, op, negate: false, values });

  describe('reading', () => {
    it.each<[string, () => readonly unknown[], Exposure]>([
      ['off, whatever is dormant', () => [{ kind: 'addTargets', variationId: id(true), values: ['ann'] }], off(true)],
      ['everyone', () => [{ kind: 'turnFlagOn' }], everyone(true)],
      [
        'off where it is on and serves off only',
        () => [{ kind: 'updateFallthroughVariationOrRollout', variationId: id(false) }, { kind: 'turnFlagOn' }],
        off(true),
      ],
      [
        'a share by the kind and attribute that the config names',
        () => [
          { kind: 'updateFallthroughVariationOrRollout', rolloutContextKind: 'contract', rolloutWeights: { [id(true)]: 12_500, [id(false)]: 87_500 } },
          { kind: 'turnFlagOn' },
        ],
        { value: true, share: 12.5, by: 'contract', listed: [] },
      ],
      [
        'people by targets, attributes and segments, whoever wrote the rules',
        () => [
          { kind: 'addTargets', variationId: id(true), values: ['ann'] },
          { kind: 'addTargets', contextKind: 'contract', variationId: id(true), values: ['c-1'] },
          { kind: 'addRule', variationId: id(true), clauses: [clause('country', 'in', 'CH')] },
          { kind: 'addRule', variationId: id(true), clauses: [clause('segmentMatch', 'segmentMatch', 'beta')] },
          { kind: 'updateFallthroughVariationOrRollout', variationId: id(false) },
          { kind: 'turnFlagOn' },
        ],
        {
          value: true,
          share: 0,
          by: 'key',
          listed: [
            { attribute: 'contract', values: ['c-1'] },
            { attribute: 'country', values: ['CH'] },
            { attribute: 'key', values: ['ann'] },
            { attribute: 'segment', values: ['beta'] },
          ],
        },
      ],
      [
        'everyone, though somebody is kept off by hand: never narrower than it is',
        () => [{ kind: 'addTargets', variationId: id(false), values: ['eve'] }, { kind: 'turnFlagOn' }],
        everyone(true),
      ],
    ])('reads %s', (_, instructions, exposure) => {
      send(instructions());
      expect(inWords(toSnapshot(ref, standing(), places).exposure)).toBe(inWords(exposure));
    });

    it.each<[string, () => readonly unknown[], string]>([
      [
        'a rule of two clauses that serves the value beside a share',
        () => [
          { kind: 'addRule', description: 'friends', variationId: id(true), clauses: [clause('country', 'in', 'CH'), clause('plan', 'in', 'paid')] },
          { kind: 'updateFallthroughVariationOrRollout', variationId: id(false) },
          { kind: 'turnFlagOn' },
        ],
        'gives true to people whom no list can name (rule "friends")',
      ],
      [
        'a rule that is negated',
        () => [
          { kind: 'addRule', variationId: id(true), clauses: [{ ...clause('country', 'in', 'CH'), negate: true }] },
          { kind: 'updateFallthroughVariationOrRollout', variationId: id(false) },
          { kind: 'turnFlagOn' },
        ],
        'rule "country not in CH"',
      ],
      [
        'a rule with a share of its own',
        () => [
          { kind: 'addRule', clauses: [clause('country', 'in', 'CH')], rolloutWeights: { [id(true)]: 50_000, [id(false)]: 50_000 } },
          { kind: 'updateFallthroughVariationOrRollout', variationId: id(false) },
          { kind: 'turnFlagOn' },
        ],
        'whom no list can name',
      ],
      [
        'prerequisites beside an off variation that is not off',
        () => [
          { kind: 'addPrerequisite', key: 'ahead', variationId: flagOf('ahead').variations[0]?._id },
          { kind: 'updateOffVariation', variationId: id(true) },
          { kind: 'turnFlagOn' },
        ],
        'where a prerequisite fails',
      ],
    ])('says that no exposure tells of %s, and what to do', (_, instructions, message) => {
      send(instructions());
      const read = readExposure(ref, standing(), places);
      expect('obstacle' in read && read.obstacle.message).toContain(message);
      expect('bound' in read && read.bound).toEqual(everyone(true));
      expect(() => toSnapshot(ref, standing(), places)).toThrow(Terminal);
    });

    it('says that several values at once are no exposure', () => {
      const many = flagOfFake('many', { oneOf: ['off', 'full', 'sse-only'] });
      const flag = newFlag(account, 'many', ['full', 'sse-only', 'off']);
      const setting = flag.environments['production'];
      if (setting === undefined) throw new Error('no production');
      Object.assign(setting, { on: true, targets: [{ variation: 1, contextKind: 'user', values: ['ann'] }] });
      const parsed = ldFlag.parse(flagRep(account, flag));
      const found = { key: 'many', variations: parsed.variations, setting: parsed.environments['production'] ?? setting };
      expect(() => toSnapshot(many, found, places)).toThrow('serves "sse-only" and "full" at once');
    });

    it('is never narrower than what people get, however the flag stands', () => {
      fc.assert(
        fc.property(arbitrarySetting, (setting) => {
          account.flags.delete('chat');
          newFlag(account, 'chat');
          send(instructionsOf(account, flagOf(), setting));
          const read = readExposure(ref, standing(), places);
          if (!('exposure' in read)) return;
          const { exposure } = read;
          for (const person of PEOPLE) {
            if (valueFor(person) !== true || exposure.share > 0) continue;
            const user = (person.kind === 'multi' ? person['user'] : person) as Readonly<Record<string, string>>;
            const contract = (person['contract'] as { key: string } | undefined)?.key;
            const has = (attribute: string, value: string): boolean =>
              attribute === 'contract'
                ? contract === value
                : attribute === 'segment'
                  ? ['user-1', 'user-2'].includes(user['key'] ?? '')
                  : user[attribute] === value;
            expect(
              exposure.listed.some((list) => list.values.some((value) => has(list.attribute, value))),
              `${JSON.stringify(person)} gets true of a flag that reads ${inWords(exposure)}`,
            ).toBe(true);
          }
        }),
        { numRuns: 500 },
      );
    });
  });

  const arbitraryExposure: fc.Arbitrary<Exposure> = fc
    .record({
      share: fc.constantFrom(0, 0.5, 5, 50, 99.999, 100),
      by: fc.constantFrom('key', 'contract'),
      listed: fc.uniqueArray(
        fc.record({
          attribute: fc.constantFrom('key', 'contract', 'country', 'segment'),
          values: fc.uniqueArray(fc.constantFrom('user-1', 'user-2', 'beta', 'c-1', 'CH'), { minLength: 1, maxLength: 3 }),
        }),
        { selector: (list) => list.attribute, maxLength: 3 },
      ),
    })
    .map((one) => ({ ...one, value: true }));

  it('comes to read as the plan says, or is refused; and stands as before, for everyone, when it is put back', () => {
    let [written, refused] = [0, 0];
    fc.assert(
      fc.property(arbitrarySetting, fc.array(arbitraryExposure, { minLength: 1, maxLength: 3 }), (setting, wanted) => {
        account.flags.delete('chat');
        newFlag(account, 'chat');
        send(instructionsOf(account, flagOf(), setting));
        const before = standing();
        const read = readExposure(ref, before, places);
        if (!('exposure' in read)) return;
        const native = nativeOf(toSnapshot(ref, before, places));
        const values = PEOPLE.map(valueFor);
        const rules = before.setting.rules;
        for (const to of wanted) {
          let instructions: readonly unknown[];
          try {
            instructions = toInstructions(ref, standing(), to, places);
          } catch (error) {
            expect(error).toBeInstanceOf(Terminal);
            refused += 1;
            continue;
          }
          send(instructions);
          written += 1;
          const after = toSnapshot(ref, standing(), places).exposure;
          expect(sameExposure(after, to) ? to : after).toEqual(to);
          expect(toInstructions(ref, standing(), to, places)).toEqual([]);
          expect(standing().setting.rules.filter((rule) => rules.some((one) => one._id === rule._id))).toEqual(rules);
        }
        send(toRestoring(ref, standing(), native));
        expect(toRestoring(ref, standing(), native)).toEqual([]);
        expect(PEOPLE.map(valueFor)).toEqual(values);
        expect(toSnapshot(ref, standing(), places).exposure).toEqual(read.exposure);
      }),
      { numRuns: 500 },
    );
    expect(written).toBeGreaterThan(100);
    expect(refused).toBeGreaterThan(10);
  });

  it('is put back for everyone by the command that people paste, whatever it has become', () => {
    fc.assert(
      fc.property(arbitrarySetting, arbitrarySetting, (setting, later) => {
        account.flags.delete('chat');
        newFlag(account, 'chat');
        send(instructionsOf(account, flagOf(), { ...setting, off: 1, prerequisite: undefined }));
        const read = readExposure(ref, standing(), places);
        if (!('exposure' in read)) return;
        const native = nativeOf(toSnapshot(ref, standing(), places));
        const values = PEOPLE.map(valueFor);
        send([
          { kind: 'replaceTargets', targets: [] },
          { kind: 'replaceRules', rules: [] },
        ]);
        send(instructionsOf(account, flagOf(), { ...later, off: 1, prerequisite: undefined }));
        send(toUndo(native));
        expect(PEOPLE.map(valueFor)).toEqual(values);
      }),
      { numRuns: 200 },
    );
  });

  describe('writing', () => {
    it('refuses to wake a rule that no plan can name, and says how to mend it', () => {
      send([{ kind: 'addRule', description: 'friends', variationId: id(true), clauses: [clause('country', 'in', 'CH'), clause('plan', 'in', 'paid')] }]);
      const share: Exposure = { value: true, share: 5, by: 'key', listed: [] };
      expect(() => toInstructions(ref, standing(), share, places)).toThrow(
        'would reach more people than the plan says, by rule "friends"; remove or disable the rule, or let it serve off',
      );
      expect(toInstructions(ref, standing(), everyone(true), places)).not.toEqual([]);
    });

    it("refuses to reach whom somebody's rule lists and the plan does not, and uses the rule where the plan does", () => {
      send([{ kind: 'addRule', description: 'beta', variationId: id(true), clauses: [clause('segmentMatch', 'segmentMatch', 'beta')] }]);
      const listed = (...values: string[]): Exposure => ({ value: true, share: 0, by: 'key', listed: [{ attribute: 'segment', values }] });
      expect(() => toInstructions(ref, standing(), listed('internal'), places)).toThrow(
        'would reach segment beta by rule "beta", which the plan does not list',
      );
      const both = toInstructions(ref, standing(), listed('beta', 'internal'), places);
      expect(both.filter((one) => one.kind === 'addRule')).toMatchObject([{ description: 'gonogo: listed by segment', clauses: [{ values: ['internal'] }] }]);
    });

    it('refuses to list somebody whom somebody else keeps off by hand', () => {
      send([{ kind: 'addTargets', variationId: id(false), values: ['eve'] }]);
      const to: Exposure = { value: true, share: 0, by: 'key', listed: [{ attribute: 'key', values: ['ann', 'eve'] }] };
      expect(() => toInstructions(ref, standing(), to, places)).toThrow('keeps user eve off by hand');
    });

    it('refuses a flag whose off variation is not off: a rollback that turns it off would turn it on', () => {
      send([{ kind: 'updateOffVariation', variationId: id(true) }]);
      expect(() => toInstructions(ref, standing(), everyone(true), places)).toThrow('serves true when it is off; make false its off variation');
    });

    it('refuses a share that LaunchDarkly cannot draw', () => {
      expect(() => toInstructions(ref, standing(), { value: true, share: 0.0005, by: 'key', listed: [] }, places)).toThrow(
        "finer than LaunchDarkly's thousandth",
      );
    });

    it('turns off by one instruction, and leaves the rest for when it is turned on again', () => {
      send([{ kind: 'turnFlagOn' }]);
      expect(toInstructions(ref, standing(), off(true), places)).toEqual([{ kind: 'turnFlagOff' }]);
      send([{ kind: 'turnFlagOff' }]);
      expect(toInstructions(ref, standing(), off(true), places)).toEqual([]);
    });
  });

  it('names in the snapshot what somebody else keeps on the flag', () => {
    send([
      { kind: 'addTargets', variationId: id(false), values: ['eve'] },
      { kind: 'addRule', description: 'embargo', variationId: id(false), clauses: [clause('country', 'in', 'XX')] },
      { kind: 'addPrerequisite', key: 'ahead', variationId: flagOf('ahead').variations[0]?._id },
      { kind: 'turnFlagOn' },
    ]);
    expect(nativeOf(toSnapshot(ref, standing(), places)).foreign).toEqual(['prerequisite ahead', '1 user targeted to false', 'rule "embargo" serves false']);
  });

  it('gives a command whose words survive any shell, and that names the variable of the config', () => {
    send([
      { kind: 'addTargets', variationId: id(true), values: ["o'hara"] },
      { kind: 'updateFallthroughVariationOrRollout', variationId: id(false) },
      { kind: 'turnFlagOn' },
    ]);
    const native = nativeOf(toSnapshot(ref, standing(), places));
    expect(isOff(toSnapshot(ref, standing(), places).exposure)).toBe(false);
    const target = { address: 'https://app.launchdarkly.com', project: 'shop', environment: 'production', token: '${SHOP_TOKEN}' };
    expect(undoCommand(native, target)).toContain('"Authorization: $SHOP_TOKEN"');
    expect(undoCommand(native, target)).toContain("o'\\''hara");
    expect(undoCommand(native, { ...target, token: 'file:/run/secrets/ld' })).toContain('$LAUNCHDARKLY_TOKEN');
  });

  it.each([
    ['us', 'https://app.launchdarkly.com'],
    ['eu', 'https://app.eu.launchdarkly.com'],
    ['federal', 'https://app.launchdarkly.us'],
    ['https://proxy.example/', 'https://proxy.example'],
  ] as const)('finds the host %s at %s', (host, address) => {
    expect(addressOf(host)).toBe(address);
  });
});
