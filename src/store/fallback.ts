import { writeEntries, type NewEntry } from './entries.ts';
import { appendEvent } from './events.ts';
import type { FlagMark, LaunchEvent } from '../core/event.ts';
import { lockLaunch } from './launches.ts';
import type { Store } from './store.ts';

/** Journals a stage rollback's fallback before it is written: insert or return. False when the whole launch is asked for by now. */
export async function rememberFallback(store: Store, launch: string, stage: string, entries: readonly NewEntry[]): Promise<boolean> {
  return store.db.transaction().execute(async (tx) => {
    const row = await lockLaunch(tx, launch);
    const wide = await tx.selectFrom('rollback_request').select('scope').where('launch', '=', launch).where('scope', '=', 'launch').executeTakeFirst();
    if (row === undefined || (row.outcome !== null && row.outcome !== 'stuck') || wide !== undefined) return false;
    await writeEntries(tx, launch, `${stage}!fallback`, entries, true);
    return true;
  });
}

/** The fallback is on and seen: written down once, with what it wrote. */
export async function fallbackWritten(store: Store, launch: string, stage: string, by: string, at: string, flags: readonly FlagMark[]): Promise<void> {
  const event: LaunchEvent = {
    kind: 'restored',
    at,
    by,
    hand: by,
    scope: { kind: 'stage', stage },
    flags: flags.map((flag) => ({ ...flag, outcome: 'fallback' as const })),
  };
  await appendEvent(store.db, launch, `fallback:${stage}`, event);
}

/** Whether a fallback may still be written: nobody has asked for the whole launch, and it lives. */
export async function fallbackWanted(store: Store, launch: string): Promise<boolean> {
  const [row] = await store.urgent(
    `select outcome is null and not exists (select 1 from rollback_request r where r.launch = l.id and r.scope = 'launch') as wanted from launch l where id = $1`,
    [launch],
    'fallback_wanted',
  );
  return row?.['wanted'] === true;
}
