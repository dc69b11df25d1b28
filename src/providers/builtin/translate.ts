import { describe, type Exposure, type FlagValue } from '../../core/exposure.ts';
import type { FlagRef } from '../../core/plan.ts';
import type { Flag, FlagChangeEntry } from '../../flags/flag.ts';
import type { FlagRestore, FlagRestored } from '../../flags/restore.ts';
import type { FlagWrite } from '../../flags/store.ts';
import type { Change, LastChange, Problem, RestoreEntry, Restored, Snapshot } from '../provider.ts';

/** The store's flag as a snapshot; its own document is all that a write of ours can change. */
export function toSnapshot(flag: Flag): Snapshot {
  return { revision: flag.revision, exposure: flag.exposure, native: { exposure: flag.exposure, salt: flag.salt } };
}

/** A change in the store's words. */
export function toWrite(change: Change): FlagWrite {
  const { flag, to, expected, by, comment } = change;
  return { key: flag.key, to, expected: expected.revision, change: change.change, by, comment };
}

/** A journal entry in the store's words. */
export function toRestore(entry: RestoreEntry): FlagRestore {
  const { flag, snapshot, phase, written, revision, intent, change, by, comment, stillWanted } = entry;
  const was = { revision: snapshot.revision, exposure: snapshot.exposure };
  return { key: flag.key, snapshot: was, phase, written, revision, intent, change, by, comment, stillWanted };
}

/** What became of an entry, in the contract's words. */
export function fromRestored(flag: string, outcome: FlagRestored): Restored {
  switch (outcome.kind) {
    case 'restored':
      return { flag, kind: 'restored', revision: outcome.flag.revision, wrote: outcome.wrote };
    case 'kept':
    case 'foreign':
      return { flag, kind: outcome.kind, revision: outcome.flag.revision, exposure: outcome.flag.exposure, who: outcome.flag.updatedBy };
    case 'failed':
      return { flag, kind: 'failed', error: outcome.error };
  }
}

/** A line of the change log in the contract's words: `write: off -> 5 % (try it)`. */
export function toLastChange(entry: FlagChangeEntry): LastChange {
  const moved =
    entry.kind === 'fence' ? 'the revision alone' : [entry.old, entry.new].flatMap((each) => (each === undefined ? [] : [describe(each)])).join(' -> ');
  return { who: entry.who, what: `${entry.kind}: ${moved}${entry.comment === '' ? '' : ` (${entry.comment})`}`, at: entry.at };
}

/** Where the registry and the store disagree about a flag: a launch would shift something else than its plan says. */
export function disagreements(ref: FlagRef, flag: Flag): readonly Problem[] {
  const where = `flags.${ref.flag}`;
  const allowed: readonly FlagValue[] = ref.type === 'boolean' ? [false, true] : ref.type.oneOf;
  const unknown = allowed.filter((value) => !flag.allowed.includes(value));
  return [
    ...(unknown.length === 0
      ? []
      : [
          {
            where,
            message: `the flag store's ${flag.key} may not answer ${unknown.map(String).join(', ')}`,
            hint: `it answers ${flag.allowed.map(String).join(', ')}; mend the registry's type, or make the flag anew`,
          },
        ]),
    ...(ref.offValue === flag.offValue
      ? []
      : [
          {
            where,
            message: `off is ${String(flag.offValue)} in the flag store and ${String(ref.offValue)} in the registry`,
            hint: 'make the two agree before launching',
          },
        ]),
  ];
}

/** A shell word that holds any text. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The command that puts `exposure` back by hand; the token comes from the shell's own GONOGO_TOKEN. */
export function undoCommand(key: string, exposure: Exposure, server: string): string {
  const body = JSON.stringify({ exposure, comment: 'put back by hand' });
  return `curl -fsS -X PUT ${quoted(`${server.replace(/\/+$/, '')}/api/flags/${encodeURIComponent(key)}`)} -H "Authorization: Bearer $GONOGO_TOKEN" -H 'If-Match: *' -H 'Content-Type: application/json' -d ${quoted(body)}`;
}
