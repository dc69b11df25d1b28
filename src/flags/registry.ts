import { everyone, isOff, off, type Exposure, type FlagValue } from '../core/exposure.ts';
import type { FlagRef, ProofRef } from '../core/plan.ts';
import { readDocument } from '../plan/document.ts';
import { parseWith } from '../plan/load.ts';
import { spell, type Path, type Places, type Problem } from '../plan/problem.ts';
import { providerKeyProblem } from './naming.ts';
import { flagsForm, toEntry, variablesForm } from './registry-forms.ts';

/** Something a flag cannot do without: another flag (with a value, or on) or an environment variable; `when` limits it to one of this flag's own values. */
export type Requirement = { readonly when?: FlagValue } & (
  { readonly kind: 'flag'; readonly flag: string; readonly value?: FlagValue } | { readonly kind: 'env'; readonly variable: string }
);

/** What people set by hand in an environment, beside the default. */
export interface HandMade {
  readonly to: Exposure;
  readonly why: string;
}

/** A flag as the registry knows it, in all its environments. */
export interface FlagEntry {
  readonly key: string;
  readonly title: string;
  readonly owner: string;
  /** A feature is off until it is launched; a protection is on, and no plan turns it off in production. */
  readonly kind: 'feature' | 'protection';
  readonly type: 'boolean' | { readonly oneOf: readonly string[] };
  readonly status: 'active' | 'frozen' | 'retired';
  /** Environment -> where the flag lives there. */
  readonly lives: Readonly<Record<string, { readonly provider: string; readonly key: string }>>;
  /** Environment -> its value, or who has it, before any launch. */
  readonly default: Readonly<Record<string, FlagValue | Exposure>>;
  readonly why: Readonly<Record<string, string>>;
  readonly exposures: Readonly<Record<string, HandMade>>;
  readonly requires: readonly Requirement[];
  /** Public clients may see it. */
  readonly exposed: boolean;
  readonly purpose: string;
  readonly effect: string;
  /** The environment variable that the app reads it from. */
  readonly env?: string;
  readonly documentation?: string;
  /** Team admins may switch it for their team: during a launch that is drift, and shown as such. */
  readonly teamsCanManage: boolean;
  readonly proof: readonly ProofRef[];
  readonly population?: Readonly<Record<string, unknown>>;
}

/** Every flag by its key, and the environment variables known to be set: name -> environments. Names only, never values. */
export interface Registry {
  readonly entries: ReadonlyMap<string, FlagEntry>;
  readonly variables: Readonly<Record<string, readonly string[]>>;
}

/** A registry, or everything that is wrong with its text. */
export type LoadedRegistry = { readonly ok: true; readonly registry: Registry } | { readonly ok: false; readonly problems: readonly Problem[] };

/** Environments whose users are real: protections stay on there. */
export function isProduction(environment: string): boolean {
  return environment === 'prod' || environment === 'production';
}

/** What those get who are not exposed: false, or the text that the environment starts from. */
export function offValue(entry: FlagEntry, environment: string): FlagValue {
  const value = entry.default[environment];
  return typeof value === 'string' ? value : false;
}

/** Who sees the flag in an environment before any launch; off where the registry says nothing. */
export function defaultExposure(entry: FlagEntry, environment: string): Exposure {
  const value = entry.default[environment] ?? false;
  if (typeof value === 'object') return value;
  if (typeof value === 'string') return off(value);
  return value ? everyone(true) : off(true);
}

/** The flag with its environment chosen; undefined where it does not live there. */
export function flagRef(entry: FlagEntry, environment: string): FlagRef | undefined {
  const home = entry.lives[environment];
  if (home === undefined) return undefined;
  return {
    flag: entry.key,
    provider: home.provider,
    key: home.key,
    type: entry.type,
    offValue: offValue(entry, environment),
    proof: entry.proof,
    ...(entry.population === undefined ? {} : { population: entry.population }),
  };
}

/** Every environment in which some flag lives, sorted. */
export function environmentsOf(registry: Registry): string[] {
  return [...new Set([...registry.entries.values()].flatMap((entry) => Object.keys(entry.lives)))].sort();
}

/** Reads a registry from YAML: entries, and what must hold between them. Never throws. */
export function loadRegistry(text: string): LoadedRegistry {
  const read = readDocument(text);
  if (!read.ok) return read;
  const { variables, ...written } =
    typeof read.value === 'object' && read.value !== null && !Array.isArray(read.value) ? (read.value as Record<string, unknown>) : {};
  const flags = parseWith(flagsForm, { ...read, value: Object.keys(written).length > 0 ? written : read.value });
  const names = parseWith(variablesForm, { ...read, value: { variables } });
  if (!flags.ok || !names.ok) return { ok: false, problems: [flags, names].flatMap((part) => (part.ok ? [] : part.problems)) };
  const entries = new Map(Object.entries(flags.data).map(([key, entry]) => [key, toEntry(key, entry)]));
  const registry = { entries, variables: names.data.variables ?? {} };
  const problems = [...entries.values()].flatMap((entry) => inspect(entry, registry, read.places));
  return problems.length > 0 ? { ok: false, problems } : { ok: true, registry };
}

function inspect(entry: FlagEntry, registry: Registry, places: Places): Problem[] {
  const found: Problem[] = [];
  const complain = (path: Path, message: string, hint: string) =>
    found.push({ code: 'refused', path: spell(path), ...places.value(path), message: `${spell(path)} ${message}`, hint });
  const { key, type } = entry;
  const environments = Object.keys(entry.lives);
  if (environments.length === 0) complain([key, 'lives'], 'names no environment', 'say where the flag lives, e.g. { stage: builtin }');
  for (const environment of environments) {
    if (entry.default[environment] === undefined) complain([key, 'default'], `has nothing for ${environment}, where the flag lives`, `add ${environment}`);
    const home = entry.lives[environment];
    const wrong = home === undefined ? undefined : providerKeyProblem(home.provider, home.key);
    if (wrong !== undefined) complain([key, 'lives', environment], `names a key that ${wrong}`, 'name it as the provider does');
    const twin = [...registry.entries.values()].find(
      (other) => other.key < key && other.lives[environment]?.provider === home?.provider && other.lives[environment]?.key === home?.key,
    );
    if (twin !== undefined) complain([key, 'lives', environment], `is the home of ${twin.key} too`, 'one flag of a provider has one entry');
  }
  for (const [environment, value] of Object.entries(entry.default)) {
    const path = [key, 'default', environment];
    if (!environments.includes(environment)) complain(path, 'is for an environment where the flag does not live', 'add it to lives, or take it out');
    if (type === 'boolean' && typeof value === 'string') complain(path, 'is text; the flag is boolean', 'write true or false');
    if (type === 'boolean' && typeof value === 'object' && typeof value.value === 'string')
      complain(path, 'gives text; the flag is boolean', 'leave value out');
    if (type !== 'boolean' && (typeof value !== 'string' || !type.oneOf.includes(value)))
      complain(path, `is none of ${type.oneOf.join(', ')}`, 'write one of them');
    const on = type === 'boolean' && !isOff(defaultExposure(entry, environment));
    if (isProduction(environment) && entry.kind === 'feature' && on && entry.why[environment] === undefined)
      complain(path, 'is on; features are off by default', `say why in why.${environment}, or make it false`);
    if (isProduction(environment) && entry.kind === 'protection' && value !== true) complain(path, 'is not on; protections are on by default', 'make it true');
  }
  if (entry.kind === 'protection' && type !== 'boolean') complain([key, 'type'], 'is not boolean; a protection is on or off', 'make it boolean');
  for (const part of ['why', 'exposures'] as const) {
    for (const environment of Object.keys(entry[part]))
      if (!environments.includes(environment)) complain([key, part, environment], 'is for an environment where the flag does not live', 'take it out');
  }
  entry.requires.forEach((need, index) => {
    const path = [key, 'requires', index];
    if (need.when !== undefined && !takes(type, need.when)) complain(path, 'is for a value that the flag does not have', 'use one of its values');
    if (need.kind !== 'flag') return;
    const other = registry.entries.get(need.flag);
    if (other === undefined) complain(path, `names ${need.flag}, which is not in the registry`, 'add it, or mend the name');
    else if (need.value !== undefined && !takes(other.type, need.value))
      complain(path, `asks for a value that ${need.flag} does not have`, 'use one of its values');
    else if (needs(need.flag, key, registry, new Set())) complain(path, `names ${need.flag}, which requires ${key} in turn`, 'take one of the two out');
  });
  return found;
}

/** Whether a flag of this type can have the value. */
export function takes(type: FlagEntry['type'], value: FlagValue): boolean {
  return type === 'boolean' ? typeof value === 'boolean' : typeof value === 'string' && type.oneOf.includes(value);
}

function needs(from: string, target: string, registry: Registry, seen: Set<string>): boolean {
  if (from === target) return true;
  if (seen.has(from)) return false;
  seen.add(from);
  return (registry.entries.get(from)?.requires ?? []).some((need) => need.kind === 'flag' && needs(need.flag, target, registry, seen));
}
