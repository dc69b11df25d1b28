import { sql, type Kysely, type Transaction } from 'kysely';
import type { LaunchEvent, LoggedEvent, State } from '../core/event.ts';
import { bodyOf } from './chain.ts';
import type { Database } from './schema.ts';

/** A connection, or a transaction that others decide. */
export type Db = Kysely<Database> | Transaction<Database>;

/** Where an event stands once it is written down. `fresh` is false when its key was known: nothing changed then. */
export interface Appended {
  readonly seq: number;
  readonly recordedAt: string;
  readonly hash: string;
  readonly fresh: boolean;
}

/** Writes an event down, once per key, with the launch's new state where it has one. One SQL call; durable when it returns. */
export async function appendEvent(db: Db, launch: string, key: string, event: LaunchEvent, state?: State): Promise<Appended> {
  const { rows } = await sql<{ seq: number; recorded_at: Date; hash: Buffer; fresh: boolean }>`
    select * from append_event(${launch}, ${key}, ${bodyOf(event)}, ${state ?? null})`.execute(db);
  const row = rows[0];
  if (row === undefined) throw new Error(`event ${key} of ${launch} was not written`);
  return { seq: row.seq, recordedAt: row.recorded_at.toISOString(), hash: row.hash.toString('hex'), fresh: row.fresh };
}

/** A launch's events after number `after`, in order. */
export async function eventsOf(db: Db, launch: string, after = 0): Promise<readonly LoggedEvent[]> {
  const rows = await db.selectFrom('event').selectAll().where('launch', '=', launch).where('seq', '>', after).orderBy('seq').execute();
  return rows.map((row) => ({
    launch: row.launch,
    seq: row.seq,
    key: row.key,
    recordedAt: row.recorded_at.toISOString(),
    event: JSON.parse(row.body) as LaunchEvent,
    hash: row.hash.toString('hex'),
    prev: row.prev_hash.toString('hex'),
  }));
}

/** The log's head: the number and hash of its last event. */
export async function headOf(db: Db, launch: string): Promise<{ readonly seq: number; readonly hash: string } | undefined> {
  const row = await db.selectFrom('launch').select(['last_seq', 'head']).where('id', '=', launch).executeTakeFirst();
  return row === undefined ? undefined : { seq: row.last_seq, hash: row.head.toString('hex') };
}
