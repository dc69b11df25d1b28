import { z } from 'zod';

const serve = {
  variation: z.int().optional(),
  rollout: z
    .object({
      variations: z.array(z.object({ variation: z.int(), weight: z.int() })),
      bucketBy: z.string().optional(),
      contextKind: z.string().optional(),
      experimentAllocation: z.unknown().optional(),
    })
    .optional(),
};
const target = z.object({ values: z.array(z.string()), variation: z.int(), contextKind: z.string().optional() });
const clause = z.object({
  attribute: z.string(),
  op: z.string(),
  values: z.array(z.unknown()),
  contextKind: z.string().optional(),
  negate: z.boolean().default(false),
});
const rule = z.object({
  _id: z.string().optional(),
  ...serve,
  clauses: z.array(clause),
  description: z.string().optional(),
  disabled: z.boolean().optional(),
});

const setting = z.object({
  on: z.boolean(),
  version: z.int(),
  lastModified: z.number(),
  targets: z.array(target).default([]),
  contextTargets: z.array(target).default([]),
  rules: z.array(rule).default([]),
  fallthrough: z.object(serve).default({}),
  offVariation: z.int().optional(),
  prerequisites: z.array(z.object({ key: z.string(), variation: z.int() })).default([]),
});

/** The parts of LaunchDarkly's flag that are read here; everything else in the answer is left alone. */
export const ldFlag = z.object({
  key: z.string(),
  variations: z.array(z.object({ _id: z.string(), value: z.unknown() })),
  archived: z.boolean(),
  deprecated: z.boolean().default(false),
  tags: z.array(z.string()).default([]),
  environments: z.record(z.string(), setting).default({}),
});

/** A flag as LaunchDarkly tells it. */
export type LdFlag = z.infer<typeof ldFlag>;
/** How a flag stands in one environment. */
export type LdSetting = z.infer<typeof setting>;
/** What a rule or the fallthrough serves: a variation by index, or a percentage rollout in thousandths of a percent. */
export type LdServe = Pick<z.infer<typeof rule>, 'variation' | 'rollout'>;
/** One targeting rule. */
export type LdRule = z.infer<typeof rule>;
/** Individual targets of one variation and one context kind. */
export interface LdTarget {
  readonly variation: number;
  readonly contextKind: string;
  readonly values: readonly string[];
}

/** A flag in one environment: what a snapshot keeps and a rollback compares. */
export interface Standing {
  readonly key: string;
  readonly variations: LdFlag['variations'];
  readonly setting: LdSetting;
}

/** Who is served what, of one context kind: LaunchDarkly keeps users and other kinds apart and repeats the users empty among the others. */
export function targetsOf(setting: LdSetting): readonly LdTarget[] {
  const merged = new Map<string, LdTarget>();
  for (const { values, variation, contextKind = 'user' } of [...setting.targets, ...setting.contextTargets]) {
    const name = `${variation} ${contextKind}`;
    merged.set(name, { variation, contextKind, values: [...new Set([...(merged.get(name)?.values ?? []), ...values])] });
  }
  return [...merged.values()].filter((one) => one.values.length > 0);
}

/** Rules of ours carry this at the start of their description, then the attribute they list by. */
const OURS = 'gonogo: listed by ';

/** The description that marks a rule as ours. */
export function describeOurs(attribute: string): string {
  return `${OURS}${attribute}`;
}

/** Whether the rule is one that gonogo made. */
export function isOurs(rule: LdRule): boolean {
  return rule.description?.startsWith(OURS) === true;
}
