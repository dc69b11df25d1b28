import { readFileSync } from 'node:fs';
import type { Plan } from '../core/plan.ts';
import { loadRegistry, type Registry } from '../flags/registry.ts';
import { loadPlan } from '../plan/load.ts';
import { formatProblem, type Places, type Problem } from '../plan/problem.ts';
import { EXIT, Exit, usage } from './exit.ts';

/** The registry that is read when none is named. */
export const REGISTRY = 'plans/flags.yaml';

/** A file of text for a command; `-` is stdin. Throws Exit. */
export function textOf(file: string, what: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw usage(`${file} cannot be read (${code}); expected ${what}`);
  }
}

/** The registry; its own problems end the command with 2. */
export function registryOf(file: string): Registry {
  const loaded = loadRegistry(textOf(file, 'the registry of flags; name it with --registry'));
  if (loaded.ok) return loaded.registry;
  throw new Exit(EXIT.usage, loaded.problems.map((problem) => formatProblem(file, problem)).join('\n'));
}

/** A plan that could be read, or its problems. */
export function planOf(file: string): { readonly ok: true; readonly plan: Plan; readonly places: Places } | { readonly ok: false; readonly problems: readonly Problem[] } {
  return loadPlan(textOf(file, 'a plan'));
}
