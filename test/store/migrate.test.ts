import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { migrate, openStore, type Store } from '../../src/store/store.ts';
import { freshDatabase, type FreshDatabase } from '../support/database.ts';

let database: FreshDatabase;
let stores: readonly Store[];
beforeAll(async () => {
  database = await freshDatabase();
  stores = [openStore({ url: database.url, pool: 2, rollbackPool: 1 }), openStore({ url: database.url, pool: 2, rollbackPool: 1 })];
});
afterAll(async () => {
  for (const store of stores) await store.close();
  await database.drop();
});

describe('migrating', () => {
  it('is done once by two who start at once, also where their machine stands still for more than a second between statements', async () => {
    const cell = new Int32Array(new SharedArrayBuffer(4));
    const stalls = setInterval(() => Atomics.wait(cell, 0, 0, 1_100), 1);
    try {
      await Promise.all(stores.map((store) => migrate(store)));
    } finally {
      clearInterval(stalls);
    }
    for (const { db } of stores) {
      const { rows } = await sql<{ idle: string; statement: string; launches: string }>`
        select current_setting('idle_in_transaction_session_timeout') as idle, current_setting('statement_timeout') as statement, (select count(*) from launch)::text as launches`.execute(db);
      // Whoever uses the connection next has its limits again.
      expect(rows).toEqual([{ idle: '1s', statement: '15s', launches: '0' }]);
    }
  }, 120_000);
});
