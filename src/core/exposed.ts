import { isOff } from './exposure.ts';
import { promisedShare } from './judges/exposure-check.ts';
import type { FlagChange, Gate, Plan } from './plan.ts';

const NOBODY: ReadonlySet<string> = new Set();

/**
 * The largest share (0..1) of the users that any flag of the launch is promised after the stage of this index, leaving out
 * stages that were rolled back (their fallback is counted in). Listed subjects are no share: a launch shown to lists alone
 * exposes less than half. Before the first stage it is 0.
 */
export function exposedShare(plan: Plan, stage: number, without: ReadonlySet<string> = NOBODY): number {
  const shares = new Map<string, number>();
  const set = ({ flag, to }: FlagChange): void => void shares.set(flag, to.share / 100);
  const shifted = plan.stages.slice(0, stage + 1);
  for (const one of shifted) if (!without.has(one.id)) one.set.forEach(set);
  for (const one of shifted) if (without.has(one.id)) one.onRollback?.set.forEach(set);
  return Math.max(0, ...shares.values());
}

/** The flags that a gate compares by: the one it names, else all that the stages listing it have given to anybody so far. */
function comparedFlags(plan: Plan, stage: number, gate: Gate & { readonly flag?: string }): readonly string[] {
  if (gate.flag !== undefined) return [gate.flag];
  const listing = plan.stages.slice(0, stage + 1).filter((one) => one.gates.includes(gate.id));
  return [...new Set(listing.flatMap((one) => one.set.filter(({ to }) => !isOff(to)).map(({ flag }) => flag)))];
}

/**
 * The share (0..1) of the users that a gate has to expect among the exposed after the stage of this index: of an exposure
 * check that of its flag, of a comparison the smallest of the flags that it compares by, so that 1 means that nobody is left
 * to compare with. Undefined for any other gate, and where no stage has set those flags.
 */
export function promisedTo(plan: Plan, stage: number, gate: Gate): number | undefined {
  switch (gate.kind) {
    case 'exposureCheck':
      return promisedShare(plan, stage, gate.flag);
    case 'compareRate':
    case 'compareSlow':
    case 'compareUsers': {
      const shares = comparedFlags(plan, stage, gate).flatMap((flag) => promisedShare(plan, stage, flag) ?? []);
      return shares.length === 0 ? undefined : Math.min(...shares);
    }
    case 'threshold':
    case 'ratio':
    case 'probe':
    case 'alert':
    case 'burnRate':
    case 'quantile':
      return undefined;
    default:
      return gate satisfies never;
  }
}
