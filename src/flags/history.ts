import type { Exposure } from '../core/exposure.ts';
import type { Database } from './database.ts';
import type { ChangeKind, FlagChangeEntry } from './flag.ts';
import { refuse } from './rules.ts';

/** How many changes, 1 to 500 (default 50), the seq to page on from, and what stops the asking. */
export interface HistoryPage {
  readonly limit?: number;
  readonly before?: string;
  readonly signal?: AbortSignal;
}

interface HistoryRow {
  readonly seq: string;
  readonly kind: ChangeKind;
  readonly old: Exposure | null;
  readonly new: Exposure;
  readonly old_revision: string | null;
  readonly new_revision: string;
  readonly who: string;
  readonly at: Date;
  readonly change_id: string;
  readonly comment: string;
}

/** A flag's newest changes first; none where there is no such flag. Throws Terminal, Retryable. */
export async function readHistory(database: Database, key: string, page: HistoryPage): Promise<readonly FlagChangeEntry[]> {
  const limit = Math.min(Math.max(Math.trunc(page.limit ?? 50), 1), 500);
  if (page.before !== undefined && !/^\d{1,18}$/.test(page.before))
    refuse(`flag ${key}: before is "${page.before.slice(0, 40)}"; expected a seq from an earlier answer`);
  const rows = (await database.call(
    {
      name: 'gonogo_flag_history',
      text: `select seq, kind, old, new, old_revision, new_revision, who, at, change_id, comment from flag_change
               where key = $1 and ($2::bigint is null or seq < $2::bigint) order by seq desc limit $3`,
      values: [key, page.before ?? null, limit],
    },
    { signal: page.signal },
  )) as readonly HistoryRow[];
  return rows.map((row) => ({
    seq: row.seq,
    key,
    kind: row.kind,
    old: row.old ?? undefined,
    new: row.new,
    oldRevision: row.old_revision ?? undefined,
    newRevision: row.new_revision,
    who: row.who,
    at: row.at.toISOString(),
    changeId: row.change_id,
    comment: row.comment,
  }));
}
