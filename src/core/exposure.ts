/** What a flag can answer: on or off, or one of a list of strings. */
export type FlagValue = boolean | string;

/** Subjects named one by one: those whose `attribute` is one of `values`. */
export interface Listed {
  readonly attribute: string;
  readonly values: readonly string[];
}

/**
 * Who gets `value`: the listed subjects, plus a stable `share` (percent, 0..100) of everyone else, drawn by the
 * attribute `by` (`key` is the subject's own key). Off is share 0 and nobody listed.
 */
export interface Exposure {
  readonly value: FlagValue;
  readonly share: number;
  readonly by: string;
  readonly listed: readonly Listed[];
}

/** How far one exposure reaches, set beside another. */
export type Reach = 'same' | 'narrower' | 'wider' | 'incomparable';

/** Nobody gets the value. */
export function isOff(exposure: Exposure): boolean {
  return exposure.share === 0 && exposure.listed.every((list) => list.values.length === 0);
}

/** The exposure that gives `value` to nobody. */
export function off(value: FlagValue): Exposure {
  return { value, share: 0, by: 'key', listed: [] };
}

/** The exposure that gives `value` to everyone. */
export function everyone(value: FlagValue): Exposure {
  return { value, share: 100, by: 'key', listed: [] };
}

function pairs(exposure: Exposure): Set<string> {
  return new Set(exposure.listed.flatMap((list) => list.values.map((value) => JSON.stringify([list.attribute, value]))));
}

/** One spelling for every way to write the same exposure: lists sorted and merged, `by` dropped where the share draws nobody or everybody. */
export function normalize(exposure: Exposure): Exposure {
  const lists = new Map<string, Set<string>>();
  for (const { attribute, values } of exposure.listed) {
    const merged = lists.get(attribute) ?? new Set<string>();
    for (const value of values) merged.add(value);
    if (merged.size > 0) lists.set(attribute, merged);
  }
  const listed = [...lists].sort(([a], [b]) => (a < b ? -1 : 1)).map(([attribute, values]) => ({ attribute, values: [...values].sort() }));
  const drawn = exposure.share > 0 && exposure.share < 100;
  return { value: exposure.value, share: exposure.share, by: drawn ? exposure.by : 'key', listed: exposure.share === 100 ? [] : listed };
}

/** How far `a` reaches beside `b`; two different values, or shares drawn by different attributes, cannot be compared. */
export function compareReach(a: Exposure, b: Exposure): Reach {
  const [left, right] = [normalize(a), normalize(b)];
  if (isOff(left) && isOff(right)) return 'same';
  if (isOff(left)) return 'narrower';
  if (isOff(right)) return 'wider';
  if (left.value !== right.value) return 'incomparable';
  const drawn = (e: Exposure) => e.share > 0 && e.share < 100;
  if (drawn(left) && drawn(right) && left.by !== right.by) return 'incomparable';
  const [inLeft, inRight] = [pairs(left), pairs(right)];
  const leftWithin = left.share <= right.share && (right.share === 100 || [...inLeft].every((pair) => inRight.has(pair)));
  const rightWithin = right.share <= left.share && (left.share === 100 || [...inRight].every((pair) => inLeft.has(pair)));
  if (leftWithin && rightWithin) return 'same';
  if (leftWithin) return 'narrower';
  return rightWithin ? 'wider' : 'incomparable';
}

/** The same people get the same value. */
export function sameExposure(a: Exposure, b: Exposure): boolean {
  return compareReach(a, b) === 'same' && (isOff(a) || a.value === b.value);
}

/** The exposure in words: `off`, `everyone`, `5 % by contract`, `segment internal`, `sse-only for everyone`. */
export function describe(exposure: Exposure): string {
  const e = normalize(exposure);
  if (isOff(e)) return 'off';
  const who: string[] = e.listed.map((list) => `${list.attribute} ${list.values.join(', ')}`);
  if (e.share === 100) who.push('everyone');
  else if (e.share > 0) who.push(`${e.share} %${e.by === 'key' ? '' : ` by ${e.by}`}`);
  return e.value === true ? who.join(' and ') : `${String(e.value)} for ${who.join(' and ')}`;
}
