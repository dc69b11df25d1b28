import { sql } from 'kysely';
import type { Store } from './store.ts';

/** A time in which nothing new is turned on; everywhere when it names no environment. Times in ISO 8601. */
export interface Freeze {
  readonly environment?: string;
  readonly from: string;
  readonly to: string;
  readonly reason: string;
}

/** Makes the freezes those of the config: what is no longer there is lifted. A freeze never blocks a rollback. */
export async function setFreezes(store: Store, freezes: readonly Freeze[]): Promise<void> {
  await store.db.transaction().execute(async (tx) => {
    await sql`select pg_advisory_xact_lock(hashtext('gonogo freezes'))`.execute(tx);
    await tx.deleteFrom('freeze').execute();
    if (freezes.length === 0) return;
    await tx
      .insertInto('freeze')
      .values(freezes.map((one) => ({ environment: one.environment ?? null, starts_at: new Date(one.from), ends_at: new Date(one.to), reason: one.reason })))
      .execute();
  });
}
