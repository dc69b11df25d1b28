import { isOff, type FlagValue, type Listed } from '../core/exposure.ts';
import { bucket } from './bucket.ts';
import type { Flag, Segments } from './flag.ts';

/** Someone a flag is asked for; `key` is absent where the caller gave no targeting key. A list is an attribute with several values. */
export interface Asker {
  readonly key?: string | undefined;
  readonly attributes: Readonly<Record<string, string | readonly string[]>>;
}

/** OpenFeature's words for why a value was given. */
export type Reason = 'DISABLED' | 'STATIC' | 'TARGETING_MATCH' | 'SPLIT' | 'DEFAULT';

/** What one subject gets, why, and the value's name. */
export interface Answer {
  readonly value: FlagValue;
  readonly reason: Reason;
  readonly variant: string;
}

/** A segment cannot hold another one. */
const NO_SEGMENTS: Segments = new Map();
/** Attribute names that mean the subject's own key. */
const OWN_KEY = new Set(['key', 'targetingKey']);

/** A value's name: `on` and `off` of a boolean, the text itself of a string. */
function variantOf(value: FlagValue): string {
  return typeof value === 'string' ? value : value ? 'on' : 'off';
}

function attribute(asker: Asker, name: string): readonly string[] {
  const found = OWN_KEY.has(name) ? asker.key : Object.hasOwn(asker.attributes, name) ? asker.attributes[name] : undefined;
  if (found === undefined) return [];
  return typeof found === 'string' ? [found] : found;
}

function matches(list: Listed, asker: Asker, segments: Segments): boolean {
  if (attribute(asker, list.attribute).some((value) => list.values.includes(value))) return true;
  if (list.attribute !== 'segment') return false;
  return list.values.some((name) => segments.get(name)?.some((members) => matches(members, asker, NO_SEGMENTS)) === true);
}

/** The share cannot be drawn without the subject's key: the caller gave none, and neither lists nor the share's ends decide. */
export function needsKey(flag: Flag, asker: Asker, segments: Segments): boolean {
  const { share, by, listed } = flag.exposure;
  return asker.key === undefined && OWN_KEY.has(by) && share > 0 && share < 100 && !listed.some((list) => matches(list, asker, segments));
}

/** What `asker` gets: the exposed value when listed, then when inside the share, else the off value. Pure. */
export function evaluate(flag: Flag, asker: Asker, segments: Segments): Answer {
  const { value, share, by, listed } = flag.exposure;
  const answer = (given: FlagValue, reason: Reason): Answer => ({ value: given, reason, variant: variantOf(given) });
  if (isOff(flag.exposure)) return answer(flag.offValue, 'DISABLED');
  if (share === 100) return answer(value, 'STATIC');
  if (listed.some((list) => matches(list, asker, segments))) return answer(value, 'TARGETING_MATCH');
  if (share === 0) return answer(flag.offValue, 'DEFAULT');
  const [drawn, ...more] = attribute(asker, by);
  if (drawn === undefined || more.length > 0) return answer(flag.offValue, 'DEFAULT');
  return answer(bucket(flag.salt, flag.key, drawn) < share ? value : flag.offValue, 'SPLIT');
}
