import type { Plan } from '../core/plan.ts';
import { loadRegistry, type Registry } from '../flags/registry.ts';
import { loadPlan } from '../plan/load.ts';
import { formatProblem, type Places, type Problem } from '../plan/problem.ts';
import { EXIT, Exit } from './exit.ts';
import { textOf } from './input.ts';

/** The registry; its own problems end the command with 2. */
export function registryOf(file: string): Registry {
  const loaded = loadRegistry(textOf(file, 'the registry of flags; name it with --registry'));
  if (loaded.ok) return loaded.registry;
  throw new Exit(EXIT.usage, loaded.problems.map((problem) => formatProblem(file, problem)).join('\n'));
}

/** A plan that could be read, or its problems. */
export function planOf(
  file: string,
): { readonly ok: true; readonly plan: Plan; readonly places: Places } | { readonly ok: false; readonly problems: readonly Problem[] } {
  return loadPlan(textOf(file, 'a plan'));
}
