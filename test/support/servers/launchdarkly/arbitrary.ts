import fc from 'fast-check';
import type { Account, Flag } from './account.ts';
import type { Context } from './evaluate.ts';

const names = ['user-1', 'user-2', 'user-3', 'user-4'] as const;
const countries = ['CH', 'GR', 'XX'] as const;

/** People who may meet any rule below, and some whom only the share can reach. */
export const PEOPLE: readonly Context[] = [
  ...names.flatMap((key) => countries.map((country) => ({ kind: 'user', key, country }))),
  ...Array.from({ length: 12 }, (_, i) => ({ kind: 'multi', user: { key: `crowd-${i}`, plan: i % 2 === 0 ? 'free' : 'paid' }, contract: { key: `c-${i}` } })),
];

const clause = fc.oneof(
  fc.record({ attribute: fc.constant('country'), op: fc.constant('in'), values: fc.subarray([...countries], { minLength: 1 }), negate: fc.boolean() }),
  fc.record({ attribute: fc.constant('key'), op: fc.constant('in'), values: fc.subarray([...names], { minLength: 1 }), negate: fc.constant(false) }),
  fc.record({ attribute: fc.constant('plan'), op: fc.constantFrom('startsWith', 'contains'), values: fc.constant(['fr']), negate: fc.constant(false) }),
  fc.record({ attribute: fc.constant('segmentMatch'), op: fc.constant('segmentMatch'), values: fc.constant(['beta']), negate: fc.boolean() }),
);
const serve = fc.oneof(
  fc.record({ variation: fc.constantFrom(0, 1) }),
  fc.record({ weight: fc.integer({ min: 0, max: 100_000 }), kind: fc.constantFrom('user', 'contract') }),
);

/** How a flag of two variations may stand: on or off, with targets, rules, a share, and a prerequisite that is on, off or missing. */
export const arbitrarySetting = fc.record({
  on: fc.boolean(),
  off: fc.constantFrom(0, 1),
  through: serve,
  targeted: fc.array(fc.record({ who: fc.constantFrom(...names), variation: fc.constantFrom(0, 1) }), { maxLength: 3 }),
  contracts: fc.array(fc.record({ who: fc.constantFrom('c-1', 'c-2'), variation: fc.constantFrom(0, 1) }), { maxLength: 2 }),
  rules: fc.array(fc.record({ clauses: fc.array(clause, { minLength: 1, maxLength: 2 }), serve }), { maxLength: 3 }),
  prerequisite: fc.constantFrom(undefined, 0, 1),
});

type Setting = typeof arbitrarySetting extends fc.Arbitrary<infer Value> ? Value : never;

/** The instructions that bring a new flag to stand so; `ahead` is the flag that may be its prerequisite. */
export function instructionsOf(account: Account, flag: Flag, setting: Setting): readonly unknown[] {
  const id = (index: number): string => flag.variations[index]?._id ?? '';
  const serving = (one: Setting['through']): Readonly<Record<string, unknown>> =>
    'variation' in one
      ? { variationId: id(one.variation) }
      : { rolloutContextKind: one.kind, rolloutWeights: { [id(0)]: one.weight, [id(1)]: 100_000 - one.weight } };
  // A key stands in one variation: the last word counts.
  const users = [...new Map(setting.targeted.map((one) => [one.who as string, one.variation]))];
  const contracts = [...new Map(setting.contracts.map((one) => [one.who as string, one.variation]))];
  const target =
    (contextKind: string) =>
    ([who, variation]: readonly [string, number]) => ({ kind: 'addTargets', contextKind, variationId: id(variation), values: [who] });
  const ahead = account.flags.get('ahead')?.variations[setting.prerequisite ?? 0]?._id;
  return [
    { kind: 'updateOffVariation', variationId: id(setting.off) },
    { kind: 'updateFallthroughVariationOrRollout', ...serving(setting.through) },
    ...users.map(target('user')),
    ...contracts.map(target('contract')),
    ...setting.rules.map((rule, i) => ({
      kind: 'addRule',
      description: `rule ${i}`,
      clauses: rule.clauses.map((one) => ({ contextKind: 'user', ...one })),
      ...serving(rule.serve),
    })),
    ...(setting.prerequisite === undefined || ahead === undefined ? [] : [{ kind: 'addPrerequisite', key: 'ahead', variationId: ahead }]),
    { kind: setting.on ? 'turnFlagOn' : 'turnFlagOff' },
  ];
}
