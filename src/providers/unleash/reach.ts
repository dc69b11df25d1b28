import { everyone, normalize, off, type Exposure, type FlagValue, type Listed } from '../../core/exposure.ts';
import type { FlagRef } from '../../core/plan.ts';
import type { Feature, Strategy, Variant } from './document.ts';

/** The attributes that mean a subject's own key, in plans and in Unleash's context. */
const OWN_KEY = new Set(['key', 'targetingKey', 'userId']);

/** What Unleash's context calls a plan's attribute. */
export function contextName(attribute: string): string {
  return OWN_KEY.has(attribute) ? 'userId' : attribute;
}

/** What a plan calls a field of Unleash's context. */
function attributeOf(name: string): string {
  return OWN_KEY.has(name) ? 'key' : name;
}

/** The exposure with Unleash's spelling of its attributes, so that what was written equals what is read. */
export function canonical(exposure: Exposure): Exposure {
  const listed = exposure.listed.map(({ attribute, values }) => ({ attribute: attributeOf(attribute), values }));
  return normalize({ ...exposure, by: attributeOf(exposure.by), listed });
}

/** Whom one strategy lets in, at most: a share drawn in one group, or listed ones. `exact` is false where it lets in fewer. */
export interface Reach {
  readonly value: FlagValue;
  readonly who: { readonly share: number; readonly stickiness: string; readonly group: string } | { readonly listed: Listed };
  readonly exact: boolean;
}

/** The value that those get who are exposed, where nothing says otherwise. */
export function onValue(flag: Pick<FlagRef, 'type' | 'offValue'>): FlagValue {
  return flag.type === 'boolean' ? true : (flag.type.oneOf.find((value) => value !== flag.offValue) ?? '');
}

function valueOf(flag: FlagRef, variants: readonly Variant[]): { readonly value: FlagValue; readonly exact: boolean } {
  if (flag.type === 'boolean') return { value: true, exact: true };
  const live = variants.filter((variant) => variant.weight > 0);
  const values = live.map((variant) => variant.payload?.value ?? variant.name);
  // Without a variant the app falls back to what it was built with: the off value.
  return { value: values.find((value) => value !== flag.offValue) ?? flag.offValue, exact: values.length <= 1 };
}

/** `rollout` as Unleash's SDKs draw it: in 100 buckets; what is no number lets in nobody here, and who knows whom elsewhere. */
function percent(text: string | undefined): { readonly share: number; readonly exact: boolean } {
  const number = Number(text);
  if (text === undefined || Number.isNaN(number)) return { share: 100, exact: false };
  return { share: Math.min(100, Math.max(0, Math.floor(number))), exact: true };
}

function drawn(strategy: Strategy, key: string): { readonly who: Reach['who']; readonly exact: boolean } {
  const { name, parameters } = strategy;
  switch (name) {
    case 'default':
      return { who: { share: 100, stickiness: 'default', group: key }, exact: true };
    case 'flexibleRollout': {
      const { share, exact } = percent(parameters['rollout']);
      return { who: { share, stickiness: parameters['stickiness'] ?? 'default', group: parameters['groupId'] ?? key }, exact };
    }
    case 'gradualRolloutUserId': {
      const { share, exact } = percent(parameters['percentage']);
      return { who: { share, stickiness: 'userId', group: parameters['groupId'] ?? '' }, exact };
    }
    case 'userWithId': {
      const values = (parameters['userIds'] ?? '').split(',').map((id) => id.trim());
      return { who: { listed: { attribute: 'key', values: values.filter((id) => id !== '') } }, exact: true };
    }
    default:
      return { who: { share: 100, stickiness: 'default', group: key }, exact: false };
  }
}

/** Whom the strategy lets in, at most: of several conditions any one is a bound. */
export function reachOf(strategy: Strategy, flag: FlagRef, variants: readonly Variant[]): Reach {
  const { value, exact: clear } = valueOf(flag, strategy.variants.length > 0 ? strategy.variants : variants);
  const { who, exact } = drawn(strategy, flag.key);
  const conditions = strategy.constraints.length + strategy.segments.length;
  if (conditions === 0) return { value, who, exact: exact && clear };
  const list = strategy.constraints.find((each) => each.operator === 'IN' && each.inverted !== true && each.values !== undefined);
  const everybody = 'share' in who && who.share === 100;
  if (list === undefined || ('share' in who && who.share === 0)) return { value, who, exact: false };
  const listed = { attribute: attributeOf(list.contextName), values: list.values ?? [] };
  return { value, who: { listed }, exact: exact && clear && conditions === 1 && everybody };
}

/** A flag's exposure, never narrower than what its users get. `unclear` names the strategies that may let in fewer. */
export interface Reading {
  readonly exposure: Exposure;
  readonly unclear: readonly string[];
}

/** What a person calls a strategy. */
export function nameOf(strategy: Strategy): string {
  return strategy.title === '' ? `${strategy.name} ${strategy.id}` : JSON.stringify(strategy.title);
}

/** Reads whom the flag reaches: strategies are alternatives, shares of one draw overlap, shares of several add up. */
export function readingOf(feature: Feature, flag: FlagRef): Reading {
  if (!feature.enabled) return { exposure: off(onValue(flag)), unclear: [] };
  const active = feature.strategies.filter((strategy) => !strategy.disabled);
  // To an SDK, enabled without a strategy is everyone.
  if (active.length === 0) return { exposure: everyone(valueOf(flag, feature.variants).value), unclear: [] };
  const reaches = active.map((strategy) => reachOf(strategy, flag, feature.variants));
  const draws = new Map<string, { share: number; by: string }>();
  for (const { who } of reaches) {
    if ('listed' in who) continue;
    const draw = `${who.stickiness}\n${who.group}`;
    const by = who.stickiness === 'default' ? 'key' : attributeOf(who.stickiness);
    draws.set(draw, { share: Math.max(who.share, draws.get(draw)?.share ?? 0), by });
  }
  const shares = [...draws.values()].filter(({ share }) => share > 0);
  const values = new Set(reaches.map((reach) => reach.value));
  return {
    exposure: normalize({
      value: [...values].find((value) => value !== flag.offValue) ?? flag.offValue,
      share: Math.min(
        100,
        shares.reduce((sum, { share }) => sum + share, 0),
      ),
      by: shares[0]?.by ?? 'key',
      listed: reaches.flatMap(({ who }) => ('listed' in who ? [who.listed] : [])),
    }),
    unclear: active.filter((_, i) => reaches[i]?.exact === false || values.size > 1).map(nameOf),
  };
}

/** Whether everyone whom the strategy may let in has the same from `to`, drawn in gonogo's own group. */
export function within(reach: Reach, to: Exposure, key: string): boolean {
  if (reach.value !== to.value) return false;
  if (to.share === 100) return true;
  const { who } = reach;
  if ('share' in who) {
    if (who.share === 0) return true;
    return who.share <= to.share && who.group === key && who.stickiness === contextName(to.by);
  }
  const named = to.listed.filter((list) => attributeOf(list.attribute) === attributeOf(who.listed.attribute)).flatMap((list) => list.values);
  return who.listed.values.every((value) => named.includes(value));
}
