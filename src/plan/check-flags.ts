import { compareReach, describe, isOff, off, sameExposure, type Exposure } from '../core/exposure.ts';
import type { FlagChange, Plan } from '../core/plan.ts';
import { defaultExposure, isProduction, offValue, takes, type FlagEntry, type Registry, type Requirement } from '../flags/registry.ts';
import type { Complain, Path } from './problem.ts';

/** Who sees what of each flag, as the stages go by. */
type Standing = Map<string, Exposure>;

/** The exposure as it works in an environment: giving a text flag's own off value to everyone is turning it off. */
export function effective(to: Exposure, entry: FlagEntry, environment: string): Exposure {
  const value = offValue(entry, environment);
  return isOff(to) || to.value === value ? off(value) : to;
}

/** Some who had the value lose it: a lower share, a listed subject dropped, a share drawn anew. Another value for as many is not narrowing. */
function narrows(before: Exposure, after: Exposure): boolean {
  const reach = compareReach(isOff(before) || isOff(after) ? after : { ...after, value: before.value }, before);
  return reach === 'narrower' || reach === 'incomparable';
}

/** Walks the stages in one environment, from what the registry says it is there before the launch. */
export function checkFlags(plan: Plan, registry: Registry, environment: string, complain: Complain): void {
  const standing: Standing = new Map();
  const now = (entry: FlagEntry) => standing.get(entry.key) ?? defaultExposure(entry, environment);
  plan.stages.forEach((stage, at) => {
    const path = ['stages', at, 'set'];
    const moved = stage.set.flatMap((change, index) => {
      const entry = checkChange(change, [...path, index], registry, environment, complain);
      if (entry === undefined) return [];
      if (stage.set.findIndex((other) => other.flag === change.flag) < index)
        complain([...path, index, 'flag'], `is ${change.flag}, which this stage sets already`, 'set it once in a stage');
      return [{ change, entry, at: [...path, index], before: now(entry), to: effective(change.to, entry, environment) }];
    });
    const before: Standing = new Map(standing);
    for (const { entry, to } of moved) standing.set(entry.key, to);
    for (const move of moved) {
      checkMove(move, environment, complain);
      if (!isOff(move.to)) checkRequirements(move, registry, environment, now, complain);
    }
    stage.onRollback?.set.forEach((change, index) => {
      const where: Path = ['stages', at, 'onRollback', 'set', index];
      const entry = checkChange(change, where, registry, environment, complain);
      if (entry === undefined) return;
      if (stage.onRollback?.set.findIndex((other) => other.flag === change.flag) !== index)
        complain([...where, 'flag'], `is ${change.flag}, which this fallback sets already`, 'set it once');
      if (stage.set.some((other) => other.flag === change.flag))
        complain([...where, 'flag'], `is ${change.flag}, which this stage sets and a rollback puts back`, 'fall back with another flag');
      const was = before.get(entry.key) ?? defaultExposure(entry, environment);
      const to = effective(change.to, entry, environment);
      if (sameExposure(was, to))
        complain(
          [...where, 'to'],
          `is ${saidOf(to, environment)}, which is how it stands before this stage; no witness could show it`,
          'fall back to something else',
        );
      checkProtection(entry, to, where, environment, complain);
    });
  });
}

/** The exposure in words; a text flag that is off gives everyone its off value. */
export function inWords(exposure: Exposure): string {
  return isOff(exposure) && typeof exposure.value === 'string' ? `${exposure.value} for everyone` : describe(exposure);
}

function saidOf(exposure: Exposure, environment: string): string {
  return `${inWords(exposure)} in ${environment}`;
}

/** What holds for any change, alone: the flag is known, lives here, can be proven, and takes the value. */
function checkChange(change: FlagChange, path: Path, registry: Registry, environment: string, complain: Complain): FlagEntry | undefined {
  const entry = registry.entries.get(change.flag);
  if (entry === undefined) {
    complain([...path, 'flag'], `is ${change.flag}, which is not in the registry`, nearest(change.flag, [...registry.entries.keys()]));
    return undefined;
  }
  if (entry.lives[environment] === undefined) {
    complain([...path, 'flag'], `is ${change.flag}, which does not live in ${environment}`, 'say in the registry where it lives');
    return undefined;
  }
  if (entry.proof.length === 0) complain([...path, 'flag'], `is ${change.flag}, which no evaluator can prove`, 'add a proof to its registry entry');
  const { type } = entry;
  const { value } = change.to;
  if (!isOff(change.to) && !takes(type, value)) {
    if (type === 'boolean') complain([...path, 'to', 'value'], 'is text; the flag is boolean', 'leave value out');
    else if (typeof value === 'boolean')
      complain(
        [...path, 'to'],
        `does not say which value: ${change.flag} takes ${type.oneOf.join(', ')}`,
        `write { value: ${type.oneOf.find((other) => other !== offValue(entry, environment)) ?? ''} }`,
      );
    else complain([...path, 'to', 'value'], `is none of ${type.oneOf.join(', ')}`, 'write one of them');
    return undefined;
  }
  if (!isOff(change.to) && entry.status !== 'active')
    complain([...path, 'flag'], `is ${change.flag}, which is ${entry.status}`, 'make it active in the registry first');
  return entry;
}

interface Move {
  readonly change: FlagChange;
  readonly entry: FlagEntry;
  readonly at: Path;
  readonly before: Exposure;
  readonly to: Exposure;
}

function checkMove({ change, entry, at, before, to }: Move, environment: string, complain: Complain): void {
  const path = [...at, 'to'];
  if (sameExposure(before, to))
    complain(path, `is ${saidOf(to, environment)}, as before; no witness could show the change`, 'take it out, or change something');
  else if (!change.narrows && narrows(before, to))
    complain(path, `is ${saidOf(to, environment)}, fewer than before (${inWords(before)})`, 'if that is meant, say narrows: true');
  checkProtection(entry, to, at, environment, complain);
}

function checkProtection(entry: FlagEntry, to: Exposure, at: Path, environment: string, complain: Complain): void {
  if (entry.kind !== 'protection' || !isProduction(environment) || (to.value === true && to.share === 100)) return;
  complain([...at, 'to'], `turns the protection ${entry.key} off in ${environment}`, 'protections stay on for everyone there');
}

function checkRequirements({ entry, at, to }: Move, registry: Registry, environment: string, now: (entry: FlagEntry) => Exposure, complain: Complain): void {
  for (const need of entry.requires) {
    if (need.when !== undefined && need.when !== to.value) continue;
    const wrong = need.kind === 'env' ? lacksVariable(need, registry, environment) : lacksFlag(need, to, registry, environment, now);
    if (wrong !== undefined) complain([...at, 'flag'], `is ${entry.key}, which ${wrong.message}`, wrong.hint);
  }
}

interface Lack {
  readonly message: string;
  readonly hint: string;
}

function lacksVariable(need: Requirement & { readonly kind: 'env' }, registry: Registry, environment: string): Lack | undefined {
  const { variable, when } = need;
  if (registry.variables[variable]?.includes(environment) === true) return undefined;
  return {
    message: `needs the environment variable ${variable}${when === undefined ? '' : ` for ${String(when)}`}; the registry does not have it in ${environment}`,
    hint: `set it there, then list ${environment} under variables.${variable}`,
  };
}

function lacksFlag(
  need: Requirement & { readonly kind: 'flag' },
  to: Exposure,
  registry: Registry,
  environment: string,
  now: (entry: FlagEntry) => Exposure,
): Lack | undefined {
  const other = registry.entries.get(need.flag);
  if (other === undefined) return undefined;
  const stands = now(other);
  const hint = `set ${need.flag} in this stage or an earlier one`;
  if (need.value !== undefined && need.value !== false) {
    const everyoneHas = stands.share === 100 ? stands.value : offValue(other, environment);
    const everyoneIs = isOff(stands) || stands.share === 100;
    return everyoneIs && everyoneHas === need.value
      ? undefined
      : { message: `needs ${need.flag} to be ${String(need.value)}; it is ${saidOf(stands, environment)} by then`, hint };
  }
  if (need.value === false) return isOff(stands) ? undefined : { message: `needs ${need.flag} to be off; it is ${saidOf(stands, environment)} by then`, hint };
  if (isOff(stands) && other.type === 'boolean') return { message: `needs ${need.flag}; it is ${saidOf(stands, environment)} by then`, hint };
  // Of flags with other values, only how many they reach counts.
  const reach = compareReach({ ...stands, value: to.value }, to);
  return other.type === 'boolean' && reach === 'narrower'
    ? { message: `needs ${need.flag}; it reaches fewer (${saidOf(stands, environment)})`, hint }
    : undefined;
}

/** A name close to what was written, for a slip of the finger. */
function nearest(written: string, known: readonly string[]): string {
  const close = known.map((name) => ({ name, away: distance(written, name) })).sort((a, b) => a.away - b.away)[0];
  return close !== undefined && close.away <= 3 ? `did you mean ${close.name}?` : 'add it to plans/flags.yaml';
}

/** Levenshtein's edit distance, one row at a time. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
