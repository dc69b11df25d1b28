import { isOff, type Exposure, type FlagValue, type Listed } from '../core/exposure.ts';

/** How people see a flag, derived from its exposure: off, on for everyone, on for named ones, on for a share. */
export type FlagState = 'disabled' | 'enabled' | 'listed' | 'share';

/** A flag as the store keeps it. */
export interface Flag {
  readonly key: string;
  readonly type: 'boolean' | 'string';
  /** Every value it may answer; `[false, true]` of a boolean. */
  readonly allowed: readonly FlagValue[];
  /** What those get who are not exposed. */
  readonly offValue: FlagValue;
  readonly exposure: Exposure;
  /** Set when the flag is made and never again: it keeps everyone's bucket. */
  readonly salt: string;
  /** Goes up by one with every write; a decimal number. */
  readonly revision: string;
  /** Public clients may see it. */
  readonly exposed: boolean;
  readonly owner: string;
  readonly description: string;
  readonly updatedBy: string;
  /** Id of the write that made the newest revision. */
  readonly changeId: string;
  /** ISO 8601, the database's clock. */
  readonly updatedAt: string;
}

/** What made a revision: `fence` changes nothing but the revision. */
export type ChangeKind = 'create' | 'write' | 'restore' | 'fence';

/** One line of a flag's change log. */
export interface FlagChangeEntry {
  readonly seq: string;
  readonly key: string;
  readonly kind: ChangeKind;
  readonly old: Exposure | undefined;
  readonly new: Exposure;
  readonly oldRevision: string | undefined;
  readonly newRevision: string;
  readonly who: string;
  /** ISO 8601, the database's clock. */
  readonly at: string;
  readonly changeId: string;
  readonly comment: string;
}

/** Subjects under one name: a flag listed for attribute `segment` reaches its members. */
export interface Segment {
  readonly name: string;
  readonly listed: readonly Listed[];
  readonly revision: string;
}

/** Every stored segment's members by its name. */
export type Segments = ReadonlyMap<string, readonly Listed[]>;

/** The flag's state in one word; a share beside a list is `share`. */
export function stateOf(exposure: Exposure): FlagState {
  if (isOff(exposure)) return 'disabled';
  if (exposure.share === 100) return 'enabled';
  return exposure.share > 0 ? 'share' : 'listed';
}
