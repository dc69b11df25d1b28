import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Account, Flag, Rule, Serve, Setting, Target } from './account.ts';

/** A patch that LaunchDarkly would refuse with 400. */
export class Refused extends Error {}

const id = z.string().min(1);
const clause = z.strictObject({
  _id: z.string().optional(),
  attribute: z.string(),
  op: z.enum(['in', 'endsWith', 'startsWith', 'matches', 'contains', 'lessThan', 'greaterThan', 'segmentMatch']),
  values: z.array(z.union([z.string(), z.number(), z.boolean()])),
  contextKind: z.string().optional(),
  negate: z.boolean().optional(),
});
const serve = {
  variationId: id.optional(),
  rolloutWeights: z.record(z.string(), z.int().min(0).max(100_000)).optional(),
  rolloutBucketBy: z.string().optional(),
  rolloutContextKind: z.string().optional(),
};
const target = z.strictObject({ contextKind: z.string().optional(), variationId: id, values: z.array(z.string()) });
const newRule = z.strictObject({ ...serve, clauses: z.array(clause).min(1), description: z.string().optional(), trackEvents: z.boolean().optional() });
const values = z.array(z.string());
const kind = <Name extends string, Shape extends z.ZodRawShape>(name: Name, shape: Shape) => z.strictObject({ kind: z.literal(name), ...shape });

const instruction = z.discriminatedUnion('kind', [
  kind('turnFlagOn', {}),
  kind('turnFlagOff', {}),
  kind('updateFallthroughVariationOrRollout', serve),
  kind('updateOffVariation', { variationId: id }),
  kind('addTargets', target.shape),
  kind('removeTargets', target.shape),
  kind('replaceTargets', { targets: z.array(target) }),
  kind('clearTargets', { variationId: id }),
  kind('addRule', { ...newRule.shape, beforeRuleId: id.optional() }),
  kind('removeRule', { ruleId: id }),
  kind('replaceRules', { rules: z.array(newRule) }),
  kind('reorderRules', { ruleIds: z.array(id) }),
  kind('updateRuleVariationOrRollout', { ruleId: id, ...serve }),
  kind('updateRuleDescription', { ruleId: id, description: z.string() }),
  kind('updateRuleTrackEvents', { ruleId: id, trackEvents: z.boolean() }),
  kind('addValuesToClause', { ruleId: id, clauseId: id, values }),
  kind('removeValuesFromClause', { ruleId: id, clauseId: id, values }),
  kind('addPrerequisite', { key: id, variationId: id }),
  kind('updatePrerequisite', { key: id, variationId: id }),
  kind('removePrerequisite', { key: id }),
  kind('replacePrerequisites', { prerequisites: z.array(z.strictObject({ key: id, variationId: id })) }),
  kind('updateTrackEvents', { trackEvents: z.boolean() }),
  kind('updateTrackEventsFallthrough', { trackEvents: z.boolean() }),
  kind('updateName', { value: z.string() }),
  kind('updateDescription', { value: z.string() }),
  kind('addTags', { values }),
  kind('removeTags', { values }),
  kind('archiveFlag', {}),
  kind('restoreFlag', {}),
  kind('deprecateFlag', {}),
  kind('restoreDeprecatedFlag', {}),
]);

/** One instruction of a semantic patch. */
export type Instruction = z.infer<typeof instruction>;

/** Parses the instructions of a patch; throws Refused. */
export function parseInstructions(found: unknown): readonly Instruction[] {
  const parsed = z.array(instruction).min(1).safeParse(found);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Refused(`instructions.${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`);
}

/** The action of a role that an instruction needs. */
export function actionOf({ kind: name }: Instruction): string {
  if (name.startsWith('turnFlag')) return 'updateOn';
  if (name === 'updateFallthroughVariationOrRollout') return 'updateFallthrough';
  if (name === 'updateOffVariation') return 'updateOffVariation';
  if (name.endsWith('Targets')) return 'updateTargets';
  if (name.includes('Prerequisite')) return 'updatePrerequisites';
  if (name.includes('TrackEvents')) return 'updateTrackEvents';
  if (name.includes('Rule') || name.includes('Clause')) return 'updateRules';
  if (name === 'archiveFlag' || name === 'restoreFlag') return 'updateGlobalArchived';
  if (name === 'updateName') return 'updateName';
  if (name.endsWith('Tags')) return 'updateTags';
  return name === 'updateDescription' ? 'updateDescription' : 'updateDeprecated';
}

function indexOf(flag: Flag, variationId: string): number {
  const index = flag.variations.findIndex((variation) => variation._id === variationId);
  if (index < 0) throw new Refused(`no variation ${variationId} on flag ${flag.key}`);
  return index;
}

function serving(
  flag: Flag,
  asked: {
    variationId?: string | undefined;
    rolloutWeights?: Record<string, number> | undefined;
    rolloutBucketBy?: string | undefined;
    rolloutContextKind?: string | undefined;
  },
): Serve {
  if (asked.variationId !== undefined) return { variation: indexOf(flag, asked.variationId) };
  if (asked.rolloutWeights === undefined) throw new Refused('either variationId or rolloutWeights is required');
  const parts = Object.entries(asked.rolloutWeights).map(([one, weight]) => ({ variation: indexOf(flag, one), weight }));
  if (parts.reduce((sum, part) => sum + part.weight, 0) !== 100_000) throw new Refused('rolloutWeights must sum to 100000');
  return {
    rollout: {
      variations: parts.sort((a, b) => a.variation - b.variation),
      contextKind: asked.rolloutContextKind ?? 'user',
      ...(asked.rolloutBucketBy === undefined ? {} : { bucketBy: asked.rolloutBucketBy }),
    },
  };
}

function ruleOf(flag: Flag, asked: z.infer<typeof newRule>): Rule {
  return {
    _id: randomUUID(),
    ...serving(flag, asked),
    clauses: asked.clauses.map((one) => ({
      _id: randomUUID(),
      attribute: one.attribute,
      op: one.op,
      values: one.values,
      contextKind: one.contextKind ?? 'user',
      negate: one.negate ?? false,
    })),
    trackEvents: asked.trackEvents ?? false,
    ...(asked.description === undefined ? {} : { description: asked.description }),
  };
}

/** Users stand in `targets`, other kinds in `contextTargets`, where users are named again, empty. */
function setTargets(setting: Setting, all: readonly Target[]): void {
  const some = all.filter((one) => one.values.length > 0);
  const seen = new Map<string, number>();
  for (const one of some)
    for (const value of one.values) {
      const before = seen.get(`${one.contextKind} ${value}`);
      if (before !== undefined && before !== one.variation) throw new Refused(`${one.contextKind} ${value} is targeted in two variations`);
      seen.set(`${one.contextKind} ${value}`, one.variation);
    }
  const users = some.filter((one) => one.contextKind === 'user');
  const others = some.filter((one) => one.contextKind !== 'user');
  setting.targets = users;
  setting.contextTargets = others.length === 0 ? [] : [...users.map((one) => ({ ...one, values: [] })), ...others];
}

function allTargets(setting: Setting): Target[] {
  return [...setting.targets, ...setting.contextTargets.filter((one) => one.contextKind !== 'user')].map((one) => ({ ...one, values: [...one.values] }));
}

function ruleAt(setting: Setting, ruleId: string): Rule {
  const found = setting.rules.find((rule) => rule._id === ruleId);
  if (found === undefined) throw new Refused(`no rule ${ruleId}`);
  return found;
}

function prerequisiteOf(account: Account, key: string, variationId: string): { key: string; variation: number } {
  const other = account.flags.get(key);
  if (other === undefined) throw new Refused(`no flag ${key} for a prerequisite`);
  return { key, variation: indexOf(other, variationId) };
}

function moveTargets(flag: Flag, setting: Setting, asked: z.infer<typeof target>, add: boolean): void {
  const variation = indexOf(flag, asked.variationId);
  const contextKind = asked.contextKind ?? 'user';
  const all = allTargets(setting);
  const found = all.find((one) => one.variation === variation && one.contextKind === contextKind);
  if (add && found === undefined) all.push({ variation, contextKind, values: [...new Set(asked.values)] });
  else if (found !== undefined)
    found.values = add ? [...new Set([...found.values, ...asked.values])] : found.values.filter((value) => !asked.values.includes(value));
  setTargets(setting, all);
}

/** Applies one instruction to `flag` (and its setting in the environment, where one is named). Throws Refused; the caller keeps the flag as it was. */
export function apply(account: Account, flag: Flag, setting: Setting | undefined, asked: Instruction): void {
  switch (asked.kind) {
    case 'updateName':
      flag.name = asked.value;
      return;
    case 'updateDescription':
      flag.description = asked.value;
      return;
    case 'addTags':
      flag.tags = [...new Set([...flag.tags, ...asked.values])];
      return;
    case 'removeTags':
      flag.tags = flag.tags.filter((tag) => !asked.values.includes(tag));
      return;
    case 'archiveFlag':
    case 'restoreFlag':
      flag.archived = asked.kind === 'archiveFlag';
      for (const each of Object.values(flag.environments)) each.archived = flag.archived;
      return;
    case 'deprecateFlag':
    case 'restoreDeprecatedFlag':
      flag.deprecated = asked.kind === 'deprecateFlag';
      return;
    default:
      if (setting === undefined) throw new Refused(`${asked.kind} needs environmentKey`);
      applyIn(account, flag, setting, asked);
  }
}

type InEnvironment = Exclude<
  Instruction,
  { kind: 'updateName' | 'updateDescription' | 'addTags' | 'removeTags' | 'archiveFlag' | 'restoreFlag' | 'deprecateFlag' | 'restoreDeprecatedFlag' }
>;

function applyIn(account: Account, flag: Flag, setting: Setting, asked: InEnvironment): void {
  switch (asked.kind) {
    case 'turnFlagOn':
    case 'turnFlagOff':
      setting.on = asked.kind === 'turnFlagOn';
      return;
    case 'updateFallthroughVariationOrRollout':
      setting.fallthrough = serving(flag, asked);
      return;
    case 'updateOffVariation':
      setting.offVariation = indexOf(flag, asked.variationId);
      return;
    case 'addTargets':
    case 'removeTargets':
      moveTargets(flag, setting, asked, asked.kind === 'addTargets');
      return;
    case 'replaceTargets':
      setTargets(
        setting,
        asked.targets.map((one) => ({ variation: indexOf(flag, one.variationId), contextKind: one.contextKind ?? 'user', values: one.values })),
      );
      return;
    case 'clearTargets':
      setTargets(
        setting,
        allTargets(setting).filter((one) => one.variation !== indexOf(flag, asked.variationId)),
      );
      return;
    case 'addRule': {
      const { beforeRuleId, kind: _, ...rest } = asked;
      const at = beforeRuleId === undefined ? setting.rules.length : setting.rules.indexOf(ruleAt(setting, beforeRuleId));
      setting.rules.splice(at, 0, ruleOf(flag, rest));
      return;
    }
    case 'removeRule':
      setting.rules = setting.rules.filter((rule) => rule._id !== asked.ruleId);
      return;
    case 'replaceRules':
      setting.rules = asked.rules.map((rule) => ruleOf(flag, rule));
      return;
    case 'reorderRules':
      if (new Set(asked.ruleIds).size !== setting.rules.length) throw new Refused('ruleIds must name every rule once');
      setting.rules = asked.ruleIds.map((ruleId) => ruleAt(setting, ruleId));
      return;
    case 'updateRuleVariationOrRollout': {
      const rule = ruleAt(setting, asked.ruleId);
      delete rule.variation;
      delete rule.rollout;
      Object.assign(rule, serving(flag, asked));
      return;
    }
    case 'updateRuleDescription':
      ruleAt(setting, asked.ruleId).description = asked.description;
      return;
    case 'updateRuleTrackEvents':
      ruleAt(setting, asked.ruleId).trackEvents = asked.trackEvents;
      return;
    case 'addValuesToClause':
    case 'removeValuesFromClause': {
      const found = ruleAt(setting, asked.ruleId).clauses.find((one) => one._id === asked.clauseId);
      if (found === undefined) throw new Refused(`no clause ${asked.clauseId}`);
      found.values =
        asked.kind === 'addValuesToClause'
          ? [...new Set([...found.values, ...asked.values])]
          : found.values.filter((value) => !asked.values.includes(String(value)));
      return;
    }
    case 'addPrerequisite':
      if (setting.prerequisites.some((one) => one.key === asked.key)) throw new Refused(`${asked.key} is a prerequisite already`);
      setting.prerequisites.push(prerequisiteOf(account, asked.key, asked.variationId));
      return;
    case 'updatePrerequisite': {
      const at = setting.prerequisites.findIndex((one) => one.key === asked.key);
      if (at < 0) throw new Refused(`no prerequisite ${asked.key}`);
      setting.prerequisites[at] = prerequisiteOf(account, asked.key, asked.variationId);
      return;
    }
    case 'removePrerequisite':
      setting.prerequisites = setting.prerequisites.filter((one) => one.key !== asked.key);
      return;
    case 'replacePrerequisites':
      setting.prerequisites = asked.prerequisites.map((one) => prerequisiteOf(account, one.key, one.variationId));
      return;
    case 'updateTrackEvents':
      setting.trackEvents = asked.trackEvents;
      return;
    case 'updateTrackEventsFallthrough':
      setting.trackEventsFallthrough = asked.trackEvents;
      return;
  }
}
