import type { Exposure, FlagValue, Listed } from '../core/exposure.ts';
import { Terminal } from '../core/failure.ts';
import type { Flag } from './flag.ts';
import { keyProblem, LONGEST_NAME, valueProblem } from './naming.ts';

/** Longest description or comment, in characters. */
export const LONGEST_TEXT = 2_000;
/** Most subjects one flag or segment may list. */
const MOST_LISTED = 10_000;

/** Refuses with Terminal `flag-invalid`. */
export function refuse(message: string): never {
  throw new Terminal('flag-invalid', message);
}

/** What makes `text` unusable, in words that follow its name, or undefined: too long (never cut), empty where it must not be, control characters or half a character. */
export function textProblem(text: string, longest: number = LONGEST_NAME): string | undefined {
  if (text.length > longest) return `has ${text.length} characters; at most ${longest} are allowed`;
  if (!text.isWellFormed()) return 'holds half a character';
  return /\p{Cc}|\p{Zl}|\p{Zp}/u.test(text) ? 'holds a control character' : undefined;
}

function checkText(where: string, text: string): void {
  const problem = text === '' ? valueProblem(text) : textProblem(text);
  if (problem !== undefined) refuse(`${where} ${problem}`);
}

/** Refuses a key that breaks the naming rules. */
export function checkKey(key: string): void {
  const problem = keyProblem(key);
  if (problem !== undefined) refuse(`flag key "${key.slice(0, 60)}${key.length > 60 ? '...' : ''}" ${problem}, e.g. chat.enabled or dispute_tools_v2`);
}

/** Refuses lists of subjects that cannot be kept. */
export function checkListed(where: string, listed: readonly Listed[], nested: boolean): void {
  let count = 0;
  for (const list of listed) {
    checkText(`${where}.listed: attribute`, list.attribute);
    if (!nested && list.attribute === 'segment') refuse(`${where}.listed names a segment; a segment cannot hold another one, list its members`);
    for (const value of list.values) checkText(`${where}.listed.${list.attribute}: a value`, value);
    count += list.values.length;
  }
  if (count > MOST_LISTED) refuse(`${where}.listed names ${count} subjects; expected at most ${MOST_LISTED}, use a segment attribute instead`);
}

function shown(value: FlagValue): string {
  return typeof value === 'string' ? `"${value.slice(0, 40)}"` : String(value);
}

/** Refuses a value that the flag may not answer. */
function checkValue(where: string, value: FlagValue, allowed: readonly FlagValue[]): void {
  if (!allowed.includes(value)) refuse(`${where} is ${shown(value)}; expected one of ${allowed.slice(0, 20).map(shown).join(', ')}`);
}

/** Refuses an exposure that the flag may not have. */
export function checkExposure(flag: Pick<Flag, 'key' | 'allowed'>, exposure: Exposure): void {
  const where = `flag ${flag.key}: exposure`;
  checkValue(`${where}.value`, exposure.value, flag.allowed);
  if (!Number.isFinite(exposure.share) || exposure.share < 0 || exposure.share > 100)
    refuse(`${where}.share is ${exposure.share}; expected a percentage from 0 to 100`);
  checkText(`${where}.by`, exposure.by);
  if (exposure.by === 'segment') refuse(`${where}.by is "segment"; a share is drawn by an attribute with one value, e.g. key or contract`);
  checkListed(where, exposure.listed, true);
}

/** A flag as it is asked to be made. */
export interface NewFlag {
  readonly key: string;
  /** `boolean`, or the allowed strings. */
  readonly type: 'boolean' | { readonly oneOf: readonly string[] };
  /** Default: false of a boolean, the first of the strings. */
  readonly offValue?: FlagValue;
  /** Default: off. */
  readonly exposure?: Exposure;
  /** Default: 16 random hex digits. */
  readonly salt?: string;
  readonly exposed?: boolean;
  readonly owner?: string;
  readonly description?: string;
}

/** The flag that `asked` describes, whole, without what the database adds. Throws Terminal `flag-invalid`. */
export function completeFlag(
  asked: NewFlag,
  salt: string,
): Pick<Flag, 'key' | 'type' | 'allowed' | 'offValue' | 'exposure' | 'salt' | 'exposed' | 'owner' | 'description'> {
  checkKey(asked.key);
  const allowed: readonly FlagValue[] = asked.type === 'boolean' ? [false, true] : asked.type.oneOf;
  for (const value of allowed) if (typeof value === 'string') checkText(`flag ${asked.key}: an allowed value`, value);
  const [first] = allowed;
  if (first === undefined || allowed.length < 2 || allowed.length > 100 || new Set(allowed).size !== allowed.length) {
    refuse(`flag ${asked.key}: type.oneOf has ${allowed.length} values; expected 2 to 100 different ones`);
  }
  const offValue = asked.offValue ?? first;
  checkValue(`flag ${asked.key}: offValue`, offValue, allowed);
  const on = allowed.find((value) => value !== offValue) ?? first;
  const exposure = asked.exposure ?? { value: on, share: 0, by: 'key', listed: [] };
  checkExposure({ key: asked.key, allowed }, exposure);
  for (const [name, text, longest] of [
    ['salt', asked.salt ?? salt, LONGEST_NAME],
    ['owner', asked.owner ?? '', LONGEST_NAME],
    ['description', asked.description ?? '', LONGEST_TEXT],
  ] as const) {
    const problem = textProblem(text, longest);
    if (problem !== undefined) refuse(`flag ${asked.key}: ${name} ${problem}`);
  }
  return {
    key: asked.key,
    type: asked.type === 'boolean' ? 'boolean' : 'string',
    allowed,
    offValue,
    exposure,
    salt: asked.salt ?? salt,
    exposed: asked.exposed ?? false,
    owner: asked.owner ?? '',
    description: asked.description ?? '',
  };
}
