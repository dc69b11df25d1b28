import { createHash } from 'node:crypto';
import type { Clause, Environment, Flag, Serve, Setting } from './account.ts';

/** A context as LaunchDarkly takes it: one kind, or several under `multi`. */
export type Context = Readonly<Record<string, unknown>> & { readonly kind: string };

/** What a context gets, and why. */
export interface Detail {
  readonly value: unknown;
  readonly reason: {
    readonly kind: string;
    readonly ruleIndex?: number;
    readonly ruleID?: string;
    readonly prerequisiteKey?: string;
    readonly errorKind?: string;
  };
}

function part(context: Context, kind: string): Readonly<Record<string, unknown>> | undefined {
  if (context.kind === kind) return context;
  const found = context.kind === 'multi' ? context[kind] : undefined;
  return typeof found === 'object' && found !== null ? (found as Readonly<Record<string, unknown>>) : undefined;
}

/** LaunchDarkly's own hash: the first 15 hex digits of SHA-1 over flag, salt and value, as a part of the whole. */
function bucket(flag: Flag, setting: Setting, value: string): number {
  const digits = createHash('sha1').update(`${flag.key}.${setting.salt}.${value}`).digest('hex').slice(0, 15);
  return Number.parseInt(digits, 16) / (16 ** 15 - 1);
}

function pick(flag: Flag, setting: Setting, serve: Serve, context: Context): number | undefined {
  if (serve.variation !== undefined) return serve.variation;
  const { variations = [], contextKind = 'user', bucketBy = 'key' } = serve.rollout ?? {};
  const by = part(context, contextKind)?.[bucketBy];
  const at = typeof by === 'string' ? bucket(flag, setting, by) : 0;
  let sum = 0;
  for (const { variation, weight } of variations) {
    sum += weight / 100_000;
    if (at < sum) return variation;
  }
  return variations.at(-1)?.variation;
}

function matches(environment: Environment, clause: Clause, context: Context): boolean {
  if (clause.op === 'segmentMatch') {
    const key = part(context, 'user')?.['key'];
    const inside = clause.values.some((name) => environment.segments.get(String(name))?.included.includes(String(key)) === true);
    return inside !== clause.negate;
  }
  const value = part(context, clause.contextKind)?.[clause.attribute];
  if (value === undefined) return false;
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const tests: Readonly<Record<string, (wanted: unknown) => boolean>> = {
    in: (wanted) => wanted === value,
    startsWith: (wanted) => text.startsWith(String(wanted)),
    endsWith: (wanted) => text.endsWith(String(wanted)),
    contains: (wanted) => text.includes(String(wanted)),
  };
  const test = tests[clause.op];
  if (test === undefined) throw new Error(`the fake does not evaluate ${clause.op}`);
  return clause.values.some(test) !== clause.negate;
}

/** What LaunchDarkly would answer this context; checked against its own SDK by the fake's tests. */
export function evaluate(flags: ReadonlyMap<string, Flag>, environment: Environment, flag: Flag, context: Context): Detail {
  const setting = flag.environments[environment.key];
  if (setting === undefined || flag.archived) return { value: null, reason: { kind: 'ERROR', errorKind: 'FLAG_NOT_FOUND' } };
  const valueOf = (index: number | undefined): unknown => (index === undefined ? null : flag.variations[index]?.value);
  if (!setting.on) return { value: valueOf(setting.offVariation), reason: { kind: 'OFF' } };
  for (const { key, variation } of setting.prerequisites) {
    const other = flags.get(key);
    const passes =
      other?.environments[environment.key]?.on === true && evaluate(flags, environment, other, context).value === other.variations[variation]?.value;
    if (!passes) return { value: valueOf(setting.offVariation), reason: { kind: 'PREREQUISITE_FAILED', prerequisiteKey: key } };
  }
  for (const { contextKind, values, variation } of [...setting.targets, ...setting.contextTargets])
    if (values.includes(String(part(context, contextKind)?.['key']))) return { value: valueOf(variation), reason: { kind: 'TARGET_MATCH' } };
  const rules = setting.rules.filter((rule) => rule.disabled !== true);
  for (const [ruleIndex, rule] of rules.entries())
    if (rule.clauses.every((clause) => matches(environment, clause, context)))
      return { value: valueOf(pick(flag, setting, rule, context)), reason: { kind: 'RULE_MATCH', ruleIndex, ruleID: rule._id } };
  return { value: valueOf(pick(flag, setting, setting.fallthrough, context)), reason: { kind: 'FALLTHROUGH' } };
}
