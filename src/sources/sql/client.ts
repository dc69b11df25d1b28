import pg from 'pg';
import { redact, timedOut } from '../../http.ts';
import { failing, type Failing } from '../ask.ts';
import type { SqlConfig } from './config.ts';

/** The first two rows as text, and the type of the columns by Postgres' own numbers. */
export interface Table {
  readonly types: readonly number[];
  readonly rows: readonly (readonly (string | null)[])[];
}

/** One query's answer, or why there is none. */
export type TableReply = { readonly ok: true; readonly table: Table } | { readonly ok: false; readonly failing: Failing };

/** Answers to one text at several moments (ms), all in one transaction; `at` is the database's time. */
export type SqlReply = { readonly ok: true; readonly at: number; readonly replies: readonly TableReply[] } | { readonly ok: false; readonly failing: Failing };

export interface SqlClient {
  /** `moments` undefined: once, at the database's own time. */
  ask(texts: readonly string[], moments: readonly number[] | undefined, signal: AbortSignal): Promise<SqlReply>;
  close(): Promise<void>;
}

/** Everything as the text that Postgres sent: no number is rounded or parsed on the way. */
const AS_TEXT: pg.CustomTypesConfig = { getTypeParser: () => (value: string) => value };
const CONNECTIONS = 4;
/** Postgres' class for statements cut short by statement_timeout. */
const CANCELED = '57014';

/** Whether the text takes the moment as `$1`. */
export function takesMoment(text: string): boolean {
  return /\$1(?!\d)/.test(text);
}

function failingOf(error: unknown, secrets: readonly string[], stopped?: AbortSignal): Failing {
  const { reason, detail } = failing(error);
  const said = redact(detail, secrets);
  if (stopped?.aborted === true) return failing(new Error(`stopped before it answered${timedOut(stopped) ? ', its time was up' : ''}`));
  if (error instanceof pg.DatabaseError) {
    const text = `Postgres said ${error.code ?? ''}: ${said}`;
    return { reason: error.code === CANCELED ? 'timeout' : error.code?.startsWith('22') === true ? 'malformed' : 'status', detail: text };
  }
  return { reason: reason === 'malformed' ? 'refused' : /terminated unexpectedly/.test(said) ? 'refused' : reason, detail: said };
}

/** Opens a small pool. Never rejects: what goes wrong is in the reply. */
export function sqlClient(name: string, config: SqlConfig): SqlClient {
  const secrets = [config.url, new URL(config.url).password].filter((secret) => secret !== '');
  const pool = new pg.Pool({
    connectionString: config.url,
    max: CONNECTIONS,
    connectionTimeoutMillis: config.timeout,
    query_timeout: config.timeout + 500,
    idleTimeoutMillis: 60_000,
    allowExitOnIdle: true,
    application_name: `gonogo source ${name}`,
  });
  pool.on('error', () => undefined); // an idle connection that the server closed is replaced when it is needed

  async function one(client: pg.PoolClient, text: string, moment: number): Promise<TableReply> {
    // As a sub-select it can be nothing but a SELECT, and two rows are enough to know that there are several. The
    // extended protocol takes one statement and no more. The line break ends a comment at the end of the text.
    const values = takesMoment(text) ? [new Date(moment).toISOString()] : [];
    const query = {
      text: `select * from (${text.replace(/[;\s]+$/, '')}\n) as q limit 2`,
      values,
      rowMode: 'array' as const,
      queryMode: 'extended',
      types: AS_TEXT,
    };
    try {
      await client.query('savepoint asked');
      const result = await client.query<(string | null)[]>(query);
      return { ok: true, table: { types: result.fields.map((field) => field.dataTypeID), rows: result.rows } };
    } catch (error) {
      if (!(error instanceof pg.DatabaseError)) throw error;
      await client.query('rollback to savepoint asked');
      return { ok: false, failing: failingOf(error, secrets) };
    }
  }

  async function within(client: pg.PoolClient, texts: readonly string[], moments: readonly number[] | undefined): Promise<SqlReply> {
    await client.query('begin read only');
    const settings = await client.query<{ at: string }>({
      text: `select set_config('statement_timeout', $1, true), extract(epoch from clock_timestamp()) * 1000 as at`,
      values: [String(config.timeout)],
    });
    const at = Math.round(Number(settings.rows[0]?.at));
    const replies: TableReply[] = [];
    for (const moment of moments ?? [at]) for (const text of texts) replies.push(await one(client, text, moment));
    await client.query('rollback');
    return { ok: true, at, replies };
  }

  return {
    async ask(texts, moments, signal) {
      if (signal.aborted) return { ok: false, failing: { reason: 'other', detail: 'stopped before it was asked' } };
      let client: pg.PoolClient | undefined;
      const stop = Promise.withResolvers<never>();
      const onAbort = (): void => {
        stop.reject(new Error('stopped'));
      };
      signal.addEventListener('abort', onAbort, { once: true });
      stop.promise.catch(() => undefined);
      try {
        const connecting = pool.connect();
        client = await Promise.race([connecting, stop.promise]).catch((error: unknown) => {
          connecting.then(
            (late) => late.release(),
            () => undefined,
          );
          throw error;
        });
        const reply = await Promise.race([within(client, texts, moments), stop.promise]);
        client.release();
        return reply;
      } catch (error) {
        // A connection that failed or was left in the middle is not used again.
        client?.release(true);
        return { ok: false, failing: failingOf(error, secrets, signal) };
      } finally {
        signal.removeEventListener('abort', onAbort);
      }
    },
    close: () => pool.end(),
  };
}
