import { randomUUID } from 'node:crypto';
import { Kysely, PostgresDialect, sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import pg from 'pg';
import { batched } from '../batch.ts';
import type { Database } from './schema.ts';
import * as first from './migrations/0001-first.ts';
import * as others from './migrations/0002-others.ts';
import { openListener, type Listener } from './listener.ts';

/** How to open the store. `url` is a Postgres connection string. */
export interface StoreOptions {
  readonly url: string;
  /** Connections for everything but rollbacks. Default 10. */
  readonly pool?: number;
  /** Connections that only rollbacks use, kept open. Default 16. */
  readonly rollbackPool?: number;
  /** Told of errors on idle connections; they are replaced by themselves. */
  readonly onError?: (error: Error) => void;
}

/** gonogo's own database: queries, the rollback's own pool, and what it announces. */
export interface Store {
  readonly db: Kysely<Database>;
  /** One attempt, 1 s deadline, its own connections: nothing else can keep a rollback waiting. */
  readonly urgent: (text: string, values: readonly unknown[], name: string) => Promise<Record<string, unknown>[]>;
  /** `urgent` for what two hundred launches do at once when they breach together: calls made while others run share a commit with them. */
  readonly together: (call: Call) => Promise<unknown>;
  readonly listener: Listener;
  /** Opens the rollback's connections and prepares its statements, so that the first rollback is as fast as the next. */
  readonly prime: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** One call for one launch: the SQL function's name, and its parameters after the launch's id. */
export interface Call {
  readonly call: 'request' | 'finish';
  readonly launch: string;
  readonly with: readonly unknown[];
}

/** How each call is made alone. */
const ALONE: Readonly<Record<Call['call'], string>> = {
  request: 'select request_rollback($1, $2, $3, $4, $5, $6, $7) as answer',
  finish: 'select finish_rollback($1, $2, $3, $4, $5, $6, $7) as answer',
};

const GUARDS = { idle_in_transaction_session_timeout: 1_000, application_name: 'gonogo' } as const;

/** All that a rollback calls, on a launch that is never committed: each connection has then planned every statement inside. */
const REHEARSAL = [
  `insert into launch (id, plan_name, environment, launch_order, plan_hash, state, started_by, deadline) values ($1, '', '', '{}', '', 'waiting', '', clock_timestamp())`,
  `select request_rollback($1, 'launch', '{}', '', null, '{"kind":"none","at":"2000-01-01T00:00:00Z"}', '')`,
  `select touch_unit($1, '', '', '', 0)`,
  `select mark_restored($1, '[]', '', null)`,
  `select mark_proven($1, 'launch', '[]', null, '{"kind":"none","at":"2000-01-01T00:00:00Z"}')`,
  `select finish_rollback($1, '[]', null, 'launch', '[]', null, '{"kind":"none","at":"2000-01-01T00:00:00Z"}')`,
  `select many(jsonb_build_array(jsonb_build_object('key', $1::text, 'call', 'finish', 'with', '[]'::jsonb)))`,
];

async function rehearse(client: pg.PoolClient): Promise<void> {
  try {
    await client.query('begin');
    const launch = `rehearsal ${randomUUID()}`;
    for (const text of REHEARSAL) await client.query(text, [launch]);
    await client.query('rollback');
    client.release();
  } catch (error) {
    client.release(true);
    throw error;
  }
}

/** Opens pools and the listener. Nothing is migrated: see `migrate`. Connections are made on first use. */
export function openStore(options: StoreOptions): Store {
  const report = options.onError ?? (() => undefined);
  const rollbackPool = options.rollbackPool ?? 16;
  const main = new pg.Pool({
    connectionString: options.url,
    max: options.pool ?? 10,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 60_000,
    statement_timeout: 15_000,
    query_timeout: 16_000,
    ...GUARDS,
  });
  const rollback = new pg.Pool({
    connectionString: options.url,
    max: rollbackPool,
    idleTimeoutMillis: 0,
    connectionTimeoutMillis: 1_000,
    statement_timeout: 1_000,
    query_timeout: 1_000,
    ...GUARDS,
  });
  for (const pool of [main, rollback]) {
    pool.on('error', report);
    // The pool hears only idle connections; one that breaks while it is lent out and asks nothing would end the process.
    pool.on('connect', (client) => client.on('error', report));
  }
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool: main }) });
  const listener = openListener(options.url, report);
  const urgent: Store['urgent'] = async (text, values, name) => (await rollback.query<Record<string, unknown>>({ text, values: [...values], name })).rows;
  // Announcing commits take turns in Postgres, fsync and all; a few that carry many launches each are soon done.
  const shared = batched({ slots: 4, most: 64 }, async (calls: readonly (Call & { readonly key: string })[]) => {
    const rows = await urgent('select * from many($1)', [JSON.stringify(calls)], 'many');
    return rows.map((row) => ({ key: row['launch'] as string, answer: row['answer'], failed: row['failed'] as string | null }));
  });
  const alone = async ({ call, launch, with: given }: Call): Promise<unknown> => {
    const values = given.map((value) => (typeof value === 'object' && value !== null ? JSON.stringify(value) : value));
    return (await urgent(ALONE[call], [launch, ...values], call))[0]?.['answer'];
  };
  return {
    db,
    listener,
    urgent,
    together: async (call) => {
      const [done] = await shared([{ ...call, key: call.launch }]);
      // Its row was locked, or it is wrong: alone it waits, and fails for itself.
      return done === undefined || done.failed !== null ? alone(call) : done.answer;
    },
    prime: async () => {
      const primed = await Promise.allSettled(Array.from({ length: rollbackPool }, async () => rehearse(await rollback.connect())));
      const failed = primed.find((one) => one.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
    },
    close: async () => {
      await listener.close();
      await db.destroy();
      await rollback.end();
    },
  };
}

/** Brings the schema up to date; two processes that start at once take turns. Throws when a migration fails. */
export async function migrate(store: Store): Promise<void> {
  // Kysely's own lock needs its tables; creating those races too, so the whole is behind one advisory lock.
  await store.db.connection().execute(async (connection) => {
    // The pool's limits keep one frozen client from stopping others. Nobody else holds these locks, and a process that starts on a busy machine may pause for seconds between two statements.
    await sql`set idle_in_transaction_session_timeout = 0`.execute(connection);
    await sql`set statement_timeout = 0`.execute(connection);
    await sql`select pg_advisory_lock(hashtext('gonogo migrations'))`.execute(connection);
    try {
      const migrator = new Migrator({ db: connection, provider: { getMigrations: () => Promise.resolve({ '0001-first': first, '0002-others': others }) } });
      const { error } = await migrator.migrateToLatest();
      if (error !== undefined) throw error instanceof Error ? error : new Error('the database could not be migrated', { cause: error });
    } finally {
      await sql`select pg_advisory_unlock(hashtext('gonogo migrations'))`.execute(connection);
      await sql`reset idle_in_transaction_session_timeout`.execute(connection);
      await sql`reset statement_timeout`.execute(connection);
    }
  });
}
