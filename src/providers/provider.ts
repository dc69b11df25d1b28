import type { Exposure } from '../core/exposure.ts';
import type { Phase } from '../core/journal.ts';
import type { FlagRef } from '../core/plan.ts';

/** What a provider can do; a plan that asks for more is refused at launch. */
export interface Capabilities {
  readonly share: boolean;
  /** The smallest step of a share, percent; undefined where any share can be drawn. */
  readonly shareStep?: number;
  readonly lists: boolean;
  readonly values: boolean;
  /** Writes are refused by the vendor when the flag is not at the expected revision. */
  readonly guarded: boolean;
  /** A write that users do not feel exists, so that restoring an intent fences a late write; otherwise it is patrolled. */
  readonly fences: boolean;
  /** Longest time (ms) for a write to reach the evaluators. */
  readonly propagation: number;
  /** Longest time (ms) that one write takes; a hand leaves a unit alone that another touched within it. */
  readonly writeTakes: number;
}

/** Something that stands in a launch's way: where, what is wrong, and what to do. */
export interface Problem {
  readonly where: string;
  readonly message: string;
  readonly hint: string;
}

/** A flag as it stands: `revision` moves with every write; `native` is the vendor's own document, enough to restore exactly, and holds no neighbour's value. */
export interface Snapshot {
  readonly revision: string;
  readonly exposure: Exposure;
  readonly native: unknown;
}

/** One flag's write. `expected` is the journal's snapshot, never a fresh read. A repeat with the same `change` id is the same write. */
export interface Change {
  readonly flag: FlagRef;
  readonly to: Exposure;
  readonly expected: Snapshot;
  readonly change: string;
  readonly by: string;
  readonly comment: string;
  /** Called right before sending; throws when the launch is no longer alive or the deadline has passed. */
  readonly stillWanted: () => Promise<void>;
}

/** One flag to be put back to `snapshot`. `written` are the exposures this launch wrote, oldest first; `revision` the newest of ours, when known. */
export interface RestoreEntry {
  readonly flag: FlagRef;
  readonly snapshot: Snapshot;
  readonly phase: Phase;
  readonly written: readonly Exposure[];
  readonly revision?: string;
  /** The flag as the write under way found it, while `phase` is `intent`: a frozen hand may still send that write. */
  readonly intent?: { readonly revision: string; readonly exposure: Exposure };
  readonly change: string;
  readonly by: string;
  readonly comment: string;
  /** Called right before EACH sending, a second try's too; throws when a wider rollback, or the launch's end, has overtaken this hand: let that pass as it is, and send nothing. Missing where nobody can be asked. */
  readonly stillWanted?: () => Promise<void>;
}

/**
 * What became of an entry. `restored`: the flag stands as in the snapshot (also when it already did). `kept`: a person
 * narrowed it below the snapshot, theirs stays. `foreign`: someone else's value that cannot be compared, theirs stays
 * and the entry counts as unproven. `failed`: this one could not be written now; others may have been.
 */
export type Restored =
  | { readonly flag: string; readonly kind: 'restored'; readonly revision: string; readonly wrote: boolean }
  | { readonly flag: string; readonly kind: 'kept' | 'foreign'; readonly revision: string; readonly exposure: Exposure; readonly who: string }
  | { readonly flag: string; readonly kind: 'failed'; readonly error: Error };

/** A flag's newest change at the vendor, as far as the vendor tells. `what` is the vendor's own words for it, `at` an ISO instant. */
export interface LastChange {
  readonly who: string;
  readonly what: string;
  readonly at?: string;
}

/** Where flags live. */
export interface FlagProvider {
  readonly kind: string;
  readonly can: Capabilities;
  /** Credentials, reachability, and whether THIS identity may roll back here. Empty is ready. */
  check(flags: readonly FlagRef[], signal: AbortSignal): Promise<readonly Problem[]>;
  /** The flag as it stands. Throws Terminal `flag-missing` (never creates), Retryable. */
  read(flag: FlagRef, signal: AbortSignal): Promise<Snapshot>;
  /** Flags with the same unit are written together. */
  unit(flag: FlagRef): string;
  /** One unit's changes at once, all or none. Returns each flag as it then stands. Throws Drift, Terminal, Retryable. */
  write(changes: readonly Change[], signal: AbortSignal): Promise<readonly Snapshot[]>;
  /** One unit's entries put back; decides by `restoreDecision` of core/journal. Throws Retryable when nothing could be done. */
  restore(entries: readonly RestoreEntry[], signal: AbortSignal): Promise<readonly Restored[]>;
  /** Who changed the flag last, and what they did; undefined when the vendor does not say. Asked when a flag is not as we left it. Throws Terminal, Retryable. */
  lastChange(flag: FlagRef, signal: AbortSignal): Promise<LastChange | undefined>;
  /** The command that a person can paste when we cannot. Holds references to secrets, never a secret. */
  undo(flag: FlagRef, snapshot: Snapshot): string;
  close(): Promise<void>;
}

/** What a provider, source, notifier or evaluator is given when it is opened from its config. */
export interface OpenContext {
  /** Its name in the config, for errors, logs and metrics. */
  readonly instance: string;
  readonly log: {
    info(fields: Readonly<Record<string, unknown>>, message: string): void;
    warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  };
  /** The secret behind `${ENV_NAME}` or `file:/path`; text that is no reference is returned as it is. Throws Terminal `config`. */
  readonly secret: (reference: string) => string;
  /** gonogo's own database, for kinds that live there unless told otherwise. */
  readonly databaseUrl?: string;
  /** Where the API answers, for commands that people paste. */
  readonly serverUrl?: string;
  /** It will only be read: nothing is made or changed at opening either. */
  readonly readOnly?: boolean;
}
