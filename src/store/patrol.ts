import { sql } from 'kysely';
import type { LaunchEvent } from '../core/event.ts';
import { bodyOf } from './chain.ts';
import type { Db } from './events.ts';
import type { Store } from './store.ts';

/** For how long (s) after its end a rollback in doubt keeps its locks: the patrol's quarter of an hour, and time to finish. */
const KEPT_FOR = 960;

/** One journal entry by name. */
export interface EntryName {
  readonly stage: string;
  readonly flag: string;
}

/** A hand is about to send a write of these entries, whose answer may be lost. Throws when it cannot be written down: then nothing may be sent. */
export async function sendBegins(store: Store, launch: string, entries: readonly EntryName[]): Promise<void> {
  await count(store, 'sends', launch, entries);
}

/** The answer has come, whatever it said. One that comes only after the flag was put back settles nothing: what it tells of may have landed on top. */
export async function sendAnswered(store: Store, launch: string, entries: readonly EntryName[]): Promise<void> {
  await count(store, 'answers', launch, entries);
}

async function count(store: Store, column: 'sends' | 'answers', launch: string, entries: readonly EntryName[]): Promise<void> {
  await store.urgent(
    `update journal j set ${column} = ${column} + 1 from jsonb_array_elements($2::jsonb) e where j.launch = $1 and j.stage = e->>'stage' and j.flag = e->>'flag'
       and ('${column}' = 'sends' or j.phase in ('intent', 'applied', 'void'))`,
    [launch, JSON.stringify(entries.map(({ stage, flag }) => ({ stage, flag })))],
    `count_${column}`,
  );
}

/** Lets a launch's locks go with its end; where a hand of its rollback may still be frozen they are kept until the patrol has walked. Call it under the launch row's lock. */
export async function releaseLocks(tx: Db, launch: string, outcome: 'launched' | 'rolled-back' | 'aborted'): Promise<void> {
  const doubt = outcome === 'rolled-back' ? sql<boolean>`exists (select 1 from journal where launch = ${launch} and sends > answers)` : sql<boolean>`false`;
  await sql`delete from flag_lock where launch = ${launch} and not ${doubt}`.execute(tx);
  await sql`update flag_lock set kept_until = clock_timestamp() + make_interval(secs => ${KEPT_FOR}) where launch = ${launch}`.execute(tx);
}

/** The patrol is over: locks that were kept for it are free. */
export async function releaseKept(store: Store, launch: string): Promise<void> {
  await store.db.deleteFrom('flag_lock').where('launch', '=', launch).where('kept_until', 'is not', null).execute();
}

/** Whether a launch that has ended still keeps its locks. */
export async function keepsLocks(store: Store, launch: string): Promise<boolean> {
  return (await store.db.selectFrom('flag_lock').select('key').where('launch', '=', launch).limit(1).executeTakeFirst()) !== undefined;
}

/** Takes a proven rollback up again, also after its end: its flags are put back anew, its clocks begin now. False when nothing is proven, or the flags are no longer this launch's. */
export async function takeUpAgain(store: Store, launch: string, scope: string, flags: readonly string[], event: LaunchEvent): Promise<boolean> {
  const { rows } = await sql<{ done: boolean }>`
    select take_up_again(${launch}, ${scope}, ${JSON.stringify(flags)}::jsonb, ${bodyOf(event)}) as done`.execute(store.db);
  return rows[0]?.done === true;
}
