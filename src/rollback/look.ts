import type { Exposure, FlagValue } from '../core/exposure.ts';
import { Retryable } from '../core/failure.ts';
import type { FlagRef, Plan } from '../core/plan.ts';
import type { Candidate } from '../core/subject.ts';
import { draw, idOf, type Drawn } from '../core/witness.ts';
import type { House } from '../house.ts';
import type { FlagProvider, Snapshot } from '../providers/provider.ts';
import type { NewEntry } from '../store/entries.ts';
import { agreed, ask } from './ask.ts';

/** Every exposure that a plan may ever give a flag, its fallbacks included. */
export function exposuresOf(plan: Plan, flag: string) {
  return plan.stages
    .flatMap((stage) => [...stage.set, ...(stage.onRollback?.set ?? [])])
    .filter((change) => change.flag === flag)
    .map((change) => change.to);
}

/** Draws a flag's candidates for a plan that begins while the flag stands at `now`. */
export function drawFor(plan: Plan, flag: FlagRef, now: Exposure): readonly Drawn[] {
  return draw([...exposuresOf(plan, flag.flag), now]);
}

/** What each drawn subject gets right now, where all instances agree; those who are gone are left out. Throws Retryable when an evaluator is silent or split. */
export async function look(
  house: House,
  wanted: readonly { readonly flag: FlagRef; readonly drawn: readonly Drawn[] }[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly Candidate[]>> {
  const answers = await ask(
    house,
    wanted.map((one) => ({ flag: one.flag, subjects: one.drawn.map((drawn) => drawn.subject) })),
    signal,
  );
  const found = new Map<string, readonly Candidate[]>();
  for (const { flag, drawn } of wanted) {
    const candidates: Candidate[] = [];
    for (const one of drawn) {
      const said = agreed(answers.get(flag.flag)?.get(idOf(one.subject)) ?? []);
      if (said.kind === 'gone') continue;
      if (said.kind !== 'value') throw new Retryable(`${flag.flag}: the evaluators do not answer as one: ${said.detail}`);
      candidates.push({ ...one, baseline: said.value });
    }
    if (candidates.length === 0) throw new Retryable(`${flag.flag}: no subject is left to ask for`);
    found.set(flag.flag, candidates);
  }
  return found;
}

/** Values by subject, as the journal keeps them. */
function valuesOf(candidates: readonly Candidate[]): Readonly<Record<string, FlagValue>> {
  return Object.fromEntries(candidates.map((candidate) => [idOf(candidate.subject), candidate.baseline]));
}

/** What the journal keeps of a flag before it is touched: as it stands, what its candidates get, and how a person takes the change back. */
export function newEntry(flag: FlagRef, provider: FlagProvider, snapshot: Snapshot, target: Exposure, candidates: readonly Candidate[]): NewEntry {
  return {
    flag: flag.flag,
    provider: flag.provider,
    unit: provider.unit(flag),
    key: flag.key,
    snapshot,
    target,
    before: valuesOf(candidates),
    undo: provider.undo(flag, snapshot),
    candidates,
  };
}
