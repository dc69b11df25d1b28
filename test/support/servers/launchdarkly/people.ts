import type { Exposure } from '../../../../src/core/exposure.ts';
import type { FlagRef } from '../../../../src/core/plan.ts';
import type { Flag, Serve } from './account.ts';
import type { LaunchdarklyServer } from './server.ts';

/** Types text that stands for a reference of the registry to a flag of the fake. */
export function flagOfFake(key: string, type: FlagRef['type'] = 'boolean'): FlagRef {
  return { flag: `registry.${key}`, provider: 'prod', key, type, offValue: type === 'boolean' ? false : (type.oneOf[0] ?? ''), proof: [] };
}

function idOf(flag: Flag, value: unknown): string {
  const found = flag.variations.find((variation) => variation.value === value);
  if (found === undefined) throw new Error(`flag ${flag.key} has no variation ${JSON.stringify(value)}`);
  return found._id;
}

/** What somebody sends who sets the whole exposure in LaunchDarkly's own page: people by user key, a share by user, no rules touched. */
export function instructionsFor(flag: Flag, to: Exposure, offValue: unknown): readonly unknown[] {
  const [on, off] = [idOf(flag, to.value), idOf(flag, offValue)];
  const values = to.listed.flatMap((list) => list.values);
  if (to.share === 0 && values.length === 0) return [{ kind: 'turnFlagOff' }];
  const weight = Math.round(to.share * 1_000);
  const rules = to.listed.filter((list) => list.attribute !== 'key');
  const targets = to.listed.filter((list) => list.attribute === 'key');
  return [
    { kind: 'replaceTargets', targets: targets.map((list) => ({ contextKind: 'user', variationId: on, values: list.values })) },
    {
      kind: 'replaceRules',
      rules: rules.map((list) => ({ variationId: on, clauses: [{ contextKind: 'user', attribute: list.attribute, op: 'in', values: list.values }] })),
    },
    weight === 0 || weight === 100_000
      ? { kind: 'updateFallthroughVariationOrRollout', variationId: weight === 0 ? off : on }
      : { kind: 'updateFallthroughVariationOrRollout', rolloutWeights: { [on]: weight, [off]: 100_000 - weight } },
    { kind: 'turnFlagOn' },
  ];
}

/** Sets the exposure as somebody else would. */
export function expose(server: LaunchdarklyServer, ref: FlagRef, to: Exposure): void {
  const flag = server.account.flags.get(ref.key);
  if (flag === undefined) throw new Error(`no flag ${ref.key}`);
  server.edit(ref.key, instructionsFor(flag, to, ref.offValue));
}

/** What gonogo owns of a flag in production, in one spelling: values in the place of variation ids, no ids of rules and clauses, no seeds. */
export function ownedOf(server: LaunchdarklyServer, key: string): unknown {
  const flag = server.account.flags.get(key);
  const setting = flag?.environments['production'];
  if (flag === undefined || setting === undefined) throw new Error(`no flag ${key} in production`);
  const value = (index: number | undefined): unknown => (index === undefined ? undefined : flag.variations[index]?.value);
  const serving = ({ variation, rollout }: Serve): unknown =>
    rollout === undefined
      ? value(variation)
      : {
          kind: rollout.contextKind ?? 'user',
          by: rollout.bucketBy ?? 'key',
          parts: rollout.variations
            .filter((part) => part.weight > 0)
            .map((part) => [value(part.variation), part.weight])
            .sort(),
        };
  return {
    on: setting.on,
    fallthrough: serving(setting.fallthrough),
    off: value(setting.offVariation),
    targets: [...setting.targets, ...setting.contextTargets]
      .filter((target) => target.values.length > 0)
      .map((target) => [target.contextKind, value(target.variation), [...target.values].sort()])
      .sort(),
    rules: setting.rules.map((rule) => ({
      description: rule.description,
      disabled: rule.disabled === true,
      serves: serving(rule),
      trackEvents: rule.trackEvents,
      clauses: rule.clauses.map((clause) => [clause.contextKind, clause.attribute, clause.op, clause.negate, clause.values]),
    })),
    prerequisites: setting.prerequisites.map((one) => [one.key, one.variation]),
    trackEvents: [setting.trackEvents, setting.trackEventsFallthrough],
    archived: flag.archived,
    tags: flag.tags,
  };
}
