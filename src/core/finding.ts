import type { CompareGate, Gate, Millis, Stage } from './plan.ts';
import type { Answers } from './query.ts';
import type { Histories } from './traffic.ts';

/**
 * What was seen of a gate before it is armed, and what to do about it. An `error` stands in the launch's way, a `warning` is
 * shown, a `note` says what could not be tried yet.
 */
export interface Finding {
  readonly severity: 'error' | 'warning' | 'note';
  /** `gates.errors`, or the source and the query. */
  readonly where: string;
  readonly found: string;
  readonly expected: string;
  readonly hint: string;
}

/** A gate before it is armed, and what its source says. */
export interface GateSeen {
  readonly gate: Gate;
  /** The stage that arms it, and whether that is the next one to shift: only then a breach of now would be the launch's. */
  readonly stage: Stage;
  readonly next: boolean;
  /** The answers of now, one for each of its queries. */
  readonly answers: Answers;
  /** The answers of the last hours over one grid, oldest first; undefined where they were not asked for, or did not come in time. */
  readonly back?: Histories;
  /** Since when (ms) nothing was launched: what came before tells a breach, and no false alarm. Left out: all of it. */
  readonly since?: number;
  /** How long that is (ms); 0 is not at all. */
  readonly span: Millis;
  /** Why it is 0, where not because nothing was asked for. */
  readonly noPast?: string;
  /** The source was found wanting already: what it cannot answer is said once. */
  readonly told: boolean;
}

/** The gate as one that compares the exposed with the rest; undefined of any other. */
export function comparison(gate: Gate): CompareGate | undefined {
  return gate.kind === 'compareRate' || gate.kind === 'compareSlow' || gate.kind === 'compareUsers' ? gate : undefined;
}
