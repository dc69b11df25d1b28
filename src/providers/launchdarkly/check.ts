import { Terminal } from '../../core/failure.ts';
import type { FlagRef } from '../../core/plan.ts';
import type { FlagValue } from '../../core/exposure.ts';
import type { Places } from '../../flags/places.ts';
import type { Problem } from '../provider.ts';
import type { LaunchdarklyClient } from './client.ts';
import { describeOurs, type LdFlag, type Standing } from './document.ts';
import type { Hand } from './hand.ts';
import { idOf, indexOf, nameOfRule, readExposure, unnameable } from './reading.ts';
import type { Instruction } from './translate.ts';

type Approvals = Awaited<ReturnType<LaunchdarklyClient['environment']>>['approvalSettings'];

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const REMEDIES: Readonly<Record<string, string>> = {
  unauthorized: 'make a new token for the service account, and put it where the config says',
  forbidden: "give the token's role the actions that the provider's page lists",
  'approval-required': "let the token's role bypass required approvals (bypassRequiredApproval), or a rollback waits for a person",
  'flag-missing': 'make it in LaunchDarkly, or mend its key in the registry; gonogo never makes one',
  'flag-archived': 'restore it in LaunchDarkly, or take it out of the plan',
  'not-found': 'mend project and environment in the config: they are keys, not names',
};

function problem(where: string, error: unknown, otherwise: string): Problem {
  return { where, message: words(error), hint: (error instanceof Terminal ? REMEDIES[error.code] : undefined) ?? otherwise };
}

/** Every kind of change that a launch or its rollback may send, of which nothing is kept: a dry run shows whether this token may. */
function rehearsal(flag: Standing, ref: FlagRef): readonly Instruction[] {
  const off = idOf(flag, indexOf(flag, ref.offValue));
  const clauses = [{ contextKind: 'user', attribute: 'key', op: 'in', negate: false, values: ['gonogo-check'] }];
  return [
    { kind: flag.setting.on ? 'turnFlagOff' : 'turnFlagOn' },
    { kind: 'updateFallthroughVariationOrRollout', variationId: off },
    { kind: 'addTargets', contextKind: 'user', variationId: off, values: ['gonogo-check'] },
    { kind: 'addRule', description: describeOurs('check'), variationId: off, clauses },
  ];
}

function shape(ref: FlagRef, flag: Standing, places: Places): readonly Problem[] {
  const where = `flags.${ref.flag}`;
  const allowed: readonly FlagValue[] = ref.type === 'boolean' ? [false, true] : ref.type.oneOf;
  const missing = allowed.filter((value) => !flag.variations.some((variation) => variation.value === value));
  if (missing.length > 0) {
    const has = flag.variations.map((variation) => JSON.stringify(variation.value)).join(', ');
    return [
      {
        where,
        message: `flag ${flag.key} has no variation ${missing.map((value) => JSON.stringify(value)).join(', ')}; it has ${has}`,
        hint: "add it, or mend the registry's type",
      },
    ];
  }
  const offIndex = indexOf(flag, ref.offValue);
  const read = readExposure(ref, flag, places);
  const wakes = unnameable(flag, offIndex, places);
  return [
    ...(flag.setting.offVariation === offIndex
      ? []
      : [
          {
            where,
            message: `flag ${flag.key} serves ${JSON.stringify(flag.variations[flag.setting.offVariation ?? -1]?.value)} when it is off, and off is ${JSON.stringify(ref.offValue)} in the registry`,
            hint: 'make the two agree: the rollback turns the flag off',
          },
        ]),
    ...('obstacle' in read ? [{ where, ...read.obstacle }] : []),
    ...(flag.setting.on || wakes.length === 0
      ? []
      : [
          {
            where,
            message: `flag ${flag.key} is off, and turning it on would serve people by ${wakes.map(nameOfRule).join('; ')}, whom no plan can name`,
            hint: 'remove or disable the rule, let it serve off, or turn it into one clause: a segment, or "is one of"',
          },
        ]),
  ];
}

async function prerequisites({ client, config }: Hand, ref: FlagRef, flag: Standing, signal: AbortSignal): Promise<readonly Problem[]> {
  const found = await Promise.all(
    flag.setting.prerequisites.map(async ({ key }): Promise<readonly Problem[]> => {
      const where = `flags.${ref.flag}`;
      try {
        const other = await client.flag(key, signal);
        if (!other.archived && other.environments[config.environment]?.on === true) return [];
        const state = other.archived ? 'archived' : 'off';
        return [
          {
            where,
            message: `flag ${flag.key} has the prerequisite ${key}, which is ${state}: nobody gets its value`,
            hint: 'turn the prerequisite on first, or remove it',
          },
        ];
      } catch (error) {
        return [problem(where, error, 'the prerequisite must be readable')];
      }
    }),
  );
  return found.flat();
}

async function secondPath({ client, config }: Hand, ref: FlagRef, signal: AbortSignal): Promise<readonly Problem[]> {
  if (config.triggers[ref.key] === undefined) return [];
  const where = `flags.${ref.flag}`;
  const hint = 'make a generic trigger that turns the flag off, and put its URL where the config says; or take it out of triggers';
  try {
    const all = await client.triggers(ref.key, signal);
    const usable = all.some((one) => one.enabled && one.instructions.some((instruction) => instruction.kind === 'turnFlagOff'));
    return usable ? [] : [{ where, message: `flag ${ref.key} has no enabled trigger that turns it off, and the config names one`, hint }];
  } catch (error) {
    return [problem(where, error, hint)];
  }
}

async function checkFlag(hand: Hand, ref: FlagRef, settings: Approvals, signal: AbortSignal): Promise<readonly Problem[]> {
  const where = `flags.${ref.flag}`;
  try {
    const found = await hand.client.flag(ref.key, signal);
    const flag = hand.standing(ref, found);
    const wrong = shape(ref, flag, hand.places);
    if (wrong.length > 0) return wrong;
    const comment = `gonogo check of providers.${hand.instance}`;
    const [ahead, second] = await Promise.all([
      prerequisites(hand, ref, flag, signal),
      secondPath(hand, ref, signal),
      hand.client.patch(ref.key, { instructions: rehearsal(flag, ref), comment, dryRun: true, rollback: true }, signal),
    ]);
    return [
      ...(found.deprecated
        ? [{ where, message: `flag ${ref.key} is deprecated in LaunchDarkly`, hint: 'restore it there before launching on it, or take it out of the plan' }]
        : []),
      ...approvals(hand, ref, found, settings),
      ...ahead,
      ...second,
    ];
  } catch (error) {
    return [problem(where, error, 'a rollback writes this flag: it must be possible before a launch begins')];
  }
}

/** Settings asked for by themselves: nobody promises that a dry run is refused where the real write would wait for an approval. */
function approvals({ config }: Hand, ref: FlagRef, flag: LdFlag, settings: Approvals): readonly Problem[] {
  if (config.approvals === 'bypassed' || settings?.required !== true) return [];
  const { requiredApprovalTags: tags } = settings;
  if (tags.length > 0 && !tags.some((tag) => flag.tags.includes(tag))) return [];
  return [
    {
      where: `flags.${ref.flag}`,
      message: `${config.environment} asks for an approval of every change of flag ${ref.key}: a rollback would wait for a person`,
      hint: "give the token's role bypassRequiredApproval, try it once by hand, and write `approvals: bypassed` into the config; or take the flag out of the approvals",
    },
  ];
}

/** Whether this token may launch and roll back these flags here; empty is ready. Nothing is changed. */
export async function checkFlags(hand: Hand, flags: readonly FlagRef[], signal: AbortSignal): Promise<readonly Problem[]> {
  const where = `providers.${hand.instance}`;
  let settings: Approvals;
  try {
    const [{ approvalSettings }] = await Promise.all([hand.client.environment(signal), hand.client.caller(signal)]);
    settings = approvalSettings;
  } catch (error) {
    return [problem(where, error, 'LaunchDarkly must answer before a launch begins')];
  }
  return (await Promise.all(flags.map((ref) => checkFlag(hand, ref, settings, signal)))).flat();
}
