import { compareReach, sameExposure, type Exposure } from './exposure.ts';

/** Where a journal entry stands: `intent` before the write, `applied` after it, `restored` when written back, `proven` when the evaluator says so, `void` when we never wrote it. */
export type Phase = 'intent' | 'applied' | 'restored' | 'proven' | 'void';

/** The order in which an entry may move; `void` is reached from `intent` only, and is final. */
export const PHASES = ['intent', 'applied', 'restored', 'proven'] as const;

/** What restoring one entry does with the flag as it stands. */
export type RestoreDecision =
  /** Write the snapshot. */
  | 'write'
  /** Move the revision by the cheapest write that nobody feels, so that a late write of ours is refused. */
  | 'fence'
  /** Nothing to do: it stands as in the snapshot. */
  | 'leave'
  /** A person narrowed it below the snapshot: never widened. */
  | 'keep'
  /** Someone else's value that cannot be compared with the snapshot: theirs stays, unproven. */
  | 'foreign';

/** What restore needs to know of an entry and of the flag as it stands now. */
export interface RestoreFacts {
  readonly phase: Phase;
  readonly snapshot: { readonly revision: string; readonly exposure: Exposure };
  /** The revision that the write under way expects, where it is not the snapshot's: the newest intent's own. */
  readonly expected?: string;
  /** Every exposure this launch meant to write to the flag. */
  readonly written: readonly Exposure[];
  readonly current: { readonly revision: string; readonly exposure: Exposure };
  /** The newest write at the vendor is one of ours (by its change id or revision), when that can be known. */
  readonly ours: boolean;
}

/**
 * The law of putting back. Ours, or a value we wrote: write the snapshot. The snapshot's value: leave it, but fence an
 * intent whose revision has not moved, since a frozen hand may still send. Someone else's: narrow it to the snapshot
 * where the snapshot is narrower, keep theirs where theirs is narrower, and give up where they cannot be compared.
 */
export function restoreDecision(facts: RestoreFacts): RestoreDecision {
  const { snapshot, current } = facts;
  if (sameExposure(current.exposure, snapshot.exposure)) {
    return facts.phase === 'intent' && current.revision === (facts.expected ?? snapshot.revision) ? 'fence' : 'leave';
  }
  if (facts.ours || facts.written.some((exposure) => sameExposure(exposure, current.exposure))) return 'write';
  switch (compareReach(current.exposure, snapshot.exposure)) {
    case 'same':
    case 'wider':
      return 'write';
    case 'narrower':
      return 'keep';
    case 'incomparable':
      return 'foreign';
  }
}

/** Whether a mark may be set: each is set only where the phase is the one before. */
export function mayMove(from: Phase, to: Phase): boolean {
  if (from === 'void') return false;
  if (to === 'void') return from === 'intent';
  if (to === 'restored') return from === 'intent' || from === 'applied';
  return PHASES.indexOf(to) === PHASES.indexOf(from) + 1;
}
