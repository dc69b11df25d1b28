import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { migrate, openStore, type Store } from '../../src/store/store.ts';
import { freshDatabase, type FreshDatabase } from '../support/database.ts';

let database: FreshDatabase;
let store: Store;
beforeAll(async () => {
  database = await freshDatabase();
  store = openStore({ url: database.url, pool: 2, rollbackPool: 1 });
});
afterAll(async () => {
  await store.close();
  await database.drop();
});

describe('migrating', () => {
  it('is done also where the process stands still for more than a second between two statements', async () => {
    // Connecting has a limit of its own, which is not meant here.
    await Promise.all([1, 2].map(() => sql`select pg_sleep(0.2)`.execute(store.db)));
    const cell = new Int32Array(new SharedArrayBuffer(4));
    const stalls = setInterval(() => Atomics.wait(cell, 0, 0, 1_100), 1);
    try {
      await migrate(store);
    } finally {
      clearInterval(stalls);
    }
    const { rows } = await sql<{ idle: string; statement: string; launches: string }>`
      select current_setting('idle_in_transaction_session_timeout') as idle, current_setting('statement_timeout') as statement, (select count(*) from launch)::text as launches`.execute(
      store.db,
    );
    // Whoever uses the connection next has its limits again.
    expect(rows).toEqual([{ idle: '1s', statement: '15s', launches: '0' }]);
  }, 120_000);
});
