import type { Exposure, FlagValue } from '../../core/exposure.ts';
import { normalize, off } from '../../core/exposure.ts';
import { Terminal } from '../../core/failure.ts';
import type { FlagRef } from '../../core/plan.ts';
import type { Places } from '../../flags/places.ts';
import { isOurs, targetsOf, type LdRule, type LdServe, type LdSetting, type Standing } from './document.ts';

/** The whole of a rollout, in thousandths of a percent. */
export const WHOLE = 100_000;

/** The attribute by which a plan lists the members of a LaunchDarkly segment. */
const SEGMENT = 'segment';

/** Why a flag's state, or a change of it, cannot be told as an exposure, and what a person can do. */
export interface Obstacle {
  readonly message: string;
  readonly hint: string;
}

/** The index of the variation that answers `value`. Throws Terminal `value`. */
export function indexOf(flag: Standing, value: FlagValue): number {
  const index = flag.variations.findIndex((variation) => variation.value === value);
  if (index < 0)
    throw new Terminal(
      'value',
      `flag ${flag.key} has no variation ${JSON.stringify(value)}; it has ${flag.variations.map((variation) => JSON.stringify(variation.value)).join(', ')}`,
    );
  return index;
}

/** The variation's id, by which semantic patches name it. Throws Terminal `value`. */
export function idOf(flag: Standing, index: number): string {
  const found = flag.variations[index];
  if (found === undefined) throw new Terminal('value', `flag ${flag.key} has no variation of index ${index}; it has ${flag.variations.length}`);
  return found._id;
}

/** The variations that some people may be served, by index. */
export function served(serve: LdServe): readonly number[] {
  if (serve.variation !== undefined) return [serve.variation];
  return serve.rollout?.variations.filter((part) => part.weight > 0).map((part) => part.variation) ?? [];
}

/** The rule in words, for people who must find it. */
export function nameOfRule(rule: LdRule): string {
  const says = rule.clauses
    .map((clause) => `${clause.attribute} ${clause.negate ? 'not ' : ''}${clause.op} ${clause.values.map(String).join(', ')}`)
    .join(' and ');
  return `rule ${JSON.stringify(rule.description === undefined || rule.description === '' ? says : rule.description)}`;
}

/** Whom a rule lists, where an exposure can say it: one clause, `in` or a segment, not negated. */
export function listedBy(rule: LdRule, places: Places): { readonly attribute: string; readonly values: readonly string[] } | undefined {
  const [only, ...more] = rule.clauses;
  if (only === undefined || more.length > 0 || only.negate || rule.variation === undefined) return undefined;
  const values = only.values.filter((value) => typeof value === 'string');
  if (values.length !== only.values.length) return undefined;
  if (only.op === 'segmentMatch') return { attribute: SEGMENT, values };
  if (only.op !== 'in') return undefined;
  return { attribute: places.nameOf({ kind: only.contextKind ?? 'user', attribute: only.attribute }), values };
}

/** Rules in force that may serve something other than off. */
function widening(setting: LdSetting, offIndex: number): readonly LdRule[] {
  return setting.rules.filter((rule) => rule.disabled !== true && served(rule).some((index) => index !== offIndex));
}

/** Rules of other people that would serve more than `everyone` of one value, or people that no list can name: they stand in the way of anything narrower. */
export function unnameable(flag: Standing, offIndex: number, places: Places): readonly LdRule[] {
  return widening(flag.setting, offIndex).filter((rule) => listedBy(rule, places) === undefined);
}

/** What somebody else keeps on the flag: it survives whatever gonogo writes and puts back. */
export function foreign(flag: Standing, offValue: FlagValue): readonly string[] {
  const { setting } = flag;
  const show = (index: number): string => JSON.stringify(flag.variations[index]?.value);
  return [
    ...setting.prerequisites.map((one) => `prerequisite ${one.key}`),
    ...targetsOf(setting)
      .filter((target) => flag.variations[target.variation]?.value === offValue)
      .map((target) => `${target.values.length} ${target.contextKind} targeted to ${show(target.variation)}`),
    ...setting.rules.filter((rule) => !isOurs(rule)).map((rule) => `${nameOfRule(rule)} serves ${served(rule).map(show).join(' or ')}`),
  ];
}

type Read = { readonly exposure: Exposure } | { readonly obstacle: Obstacle; readonly bound: Exposure };

/**
 * Who gets which value, never narrower than it is: people whom somebody's rule, target or prerequisite keeps off are
 * counted as if they were not. Where no exposure says it, `obstacle` says why, and `bound` is everyone.
 */
export function readExposure(ref: FlagRef, flag: Standing, places: Places): Read {
  const { setting } = flag;
  const offIndex = indexOf(flag, ref.offValue);
  const valueAt = (index: number): FlagValue => flag.variations[index]?.value as FlagValue;
  const onValue: FlagValue = ref.type === 'boolean' ? !ref.offValue : (ref.type.oneOf.find((value) => value !== ref.offValue) ?? '');
  const everyoneGets = (index: number): Exposure => ({ value: valueAt(index), share: 100, by: 'key', listed: [] });
  const cannot = (message: string, hint: string, value = onValue): Read => ({
    obstacle: { message: `flag ${flag.key} ${message}`, hint },
    bound: { value, share: 100, by: 'key', listed: [] },
  });

  if (!setting.on) {
    if (setting.offVariation === undefined)
      return cannot('has no off variation: while it is off each app decides', 'choose an off variation for it in LaunchDarkly');
    return { exposure: setting.offVariation === offIndex ? off(onValue) : everyoneGets(setting.offVariation) };
  }
  if (setting.prerequisites.length > 0 && setting.offVariation !== offIndex)
    return cannot('serves another value than off where a prerequisite fails', `make ${JSON.stringify(ref.offValue)} its off variation`);

  const targets = targetsOf(setting).filter((target) => target.variation !== offIndex);
  const rules = widening(setting, offIndex);
  const through = served(setting.fallthrough);
  const values = new Set([...targets.map((target) => target.variation), ...rules.flatMap(served), ...through].filter((index) => index !== offIndex));
  const [only, ...others] = values;
  if (through.length === 0) return cannot('has no default rule', 'choose what its default rule serves');
  if (only === undefined) return { exposure: off(onValue) };
  if (others.length > 0) {
    const shown = [...values].map((index) => JSON.stringify(valueAt(index))).join(' and ');
    return cannot(`serves ${shown} at once`, 'leave one value besides off in its targets, rules and default rule');
  }
  const value = valueAt(only);
  if (setting.fallthrough.rollout?.experimentAllocation !== undefined)
    return cannot('runs an experiment in its default rule', 'stop the experiment before launching', value);
  const parts = setting.fallthrough.rollout?.variations ?? [{ variation: setting.fallthrough.variation, weight: WHOLE }];
  const weight = parts.filter((part) => part.variation === only).reduce((sum, part) => sum + part.weight, 0);
  if (weight === WHOLE) return { exposure: everyoneGets(only) };
  const nameless = rules.filter((rule) => listedBy(rule, places) === undefined);
  if (nameless.length > 0)
    return cannot(
      `gives ${JSON.stringify(value)} to people whom no list can name (${nameless.map(nameOfRule).join('; ')})`,
      'remove or disable the rule, let it serve off, or turn it into one clause: a segment, or "is one of"',
      value,
    );
  const by = places.nameOf({
    kind: setting.fallthrough.rollout?.contextKind ?? 'user',
    attribute: setting.fallthrough.rollout?.bucketBy ?? 'key',
  });
  const listed = [
    ...targets.map((target) => ({ attribute: places.nameOf({ kind: target.contextKind, attribute: 'key' }), values: target.values })),
    ...rules.flatMap((rule) => listedBy(rule, places) ?? []),
  ];
  return { exposure: normalize({ value, share: (weight * 100) / WHOLE, by, listed }) };
}
