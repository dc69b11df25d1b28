import pg from 'pg';
import { checkDatabaseUrl, databaseFailure } from './database.ts';
import { FLAG_SCHEMA, FLAG_SCHEMA_VERSION } from './schema.ts';

/** Makes or brings up the schema; safe in two processes at once, and leaves a newer one alone. */
export async function migrateFlagStore(url: string): Promise<void> {
  checkDatabaseUrl(url, 'flag store');
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000, statement_timeout: 30_000 });
  try {
    await client.connect();
    const known = await client.query<{ present: boolean }>(`select to_regclass('flag_schema') is not null as present`);
    if (known.rows[0]?.present === true) {
      const version = await client.query<{ version: number }>('select version from flag_schema');
      if ((version.rows[0]?.version ?? 0) >= FLAG_SCHEMA_VERSION) return;
    }
    await client.query(FLAG_SCHEMA);
  } catch (error) {
    throw databaseFailure(error, url, 'flag store (schema)');
  } finally {
    await client.end().catch(() => undefined);
  }
}
