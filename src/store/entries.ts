import { sql } from 'kysely';
import type { Exposure, FlagValue } from '../core/exposure.ts';
import type { Candidate } from '../core/subject.ts';
import type { Snapshot } from '../providers/provider.ts';
import type { Db } from './events.ts';

/** An entry for the journal: what the flag was, before the touch. */
export interface NewEntry {
  readonly flag: string;
  readonly provider: string;
  readonly unit: string;
  readonly key: string;
  readonly snapshot: Snapshot;
  readonly target: Exposure;
  readonly before: Readonly<Record<string, FlagValue>>;
  readonly undo: string;
  readonly candidates: readonly Candidate[];
}

/** Writes entries and their flags' candidates, insert or leave: a retry never takes a second snapshot. What was never written (`void`) is remembered anew. Call it under the launch row's lock. */
export async function writeEntries(tx: Db, launch: string, stage: string, entries: readonly NewEntry[], fallback: boolean): Promise<void> {
  for (const entry of entries) {
    // A flag that was never written has no baseline of ours to keep.
    await sql`delete from candidate c where c.launch = ${launch} and c.flag = ${entry.flag}
      and exists (select 1 from journal j where j.launch = c.launch and j.flag = c.flag)
      and not exists (select 1 from journal j where j.launch = c.launch and j.flag = c.flag and j.phase <> 'void')`.execute(tx);
    await tx
      .insertInto('candidate')
      .values({ launch, flag: entry.flag, candidates: JSON.stringify(entry.candidates) })
      .onConflict((c) => c.doNothing())
      .execute();
    await tx
      .insertInto('journal')
      .values({
        launch,
        stage,
        flag: entry.flag,
        provider: entry.provider,
        unit: entry.unit,
        key: entry.key,
        fallback,
        snapshot: JSON.stringify(entry.snapshot),
        target: JSON.stringify(entry.target),
        before: JSON.stringify(entry.before),
        undo: entry.undo,
        witnesses: null,
        written_revision: null,
        restored_revision: null,
        restored_as: null,
        applied_at: null,
        touched_at: null,
        touched_by: null,
      })
      .onConflict((c) =>
        c
          .columns(['launch', 'stage', 'flag'])
          .doUpdateSet((row) => ({
            snapshot: row.ref('excluded.snapshot'),
            before: row.ref('excluded.before'),
            undo: row.ref('excluded.undo'),
            phase: 'intent',
          }))
          .where('journal.phase', '=', 'void'),
      )
      .execute();
  }
}
