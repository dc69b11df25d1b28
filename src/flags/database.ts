import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { Retryable, Terminal } from '../core/failure.ts';
import { redact } from '../http.ts';

/** Something to say: pino understands it. */
export interface FlagLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** Connections of one purpose, with the limits that keep one frozen client from stopping others. Times in ms. */
export interface PoolOptions {
  readonly name: string;
  readonly size: number;
  /** From asking for a connection to the answer's last byte. */
  readonly deadline: number;
  /** The server gives up a statement after this long, and waiting for a lock after `lock`. */
  readonly statement: number;
  readonly lock: number;
  readonly log?: FlagLog;
}

/** A named statement: prepared once per connection. */
export interface Statement {
  readonly name: string;
  readonly text: string;
  readonly values: readonly unknown[];
}

/** Extras of one call. */
export interface Calling {
  readonly signal?: AbortSignal | undefined;
  /** Called when the connection is in hand, right before sending; what it throws stops the call. */
  readonly beforeSend?: (() => Promise<void>) | undefined;
  /** A statement to send after the answer, not waited for: what is lost here must be found in another way. */
  readonly afterwards?: ((rows: readonly unknown[]) => Statement | undefined) | undefined;
}

/** A pool that keeps its connections open. */
export interface Database {
  /** One statement within the pool's deadline, one attempt. Throws Terminal or Retryable; after a Retryable it may or may not have happened. */
  call(statement: Statement, calling?: Calling): Promise<readonly unknown[]>;
  /** Opens `count` connections and lets each prepare `statement`, so that the first real call pays for neither. */
  prime(statement: Statement, count: number): Promise<void>;
  close(): Promise<void>;
}

/** SQLSTATE classes and codes that pass by themselves: connection, out of resources, operator intervention, locks, serialization, read-only after a failover. */
const PASSING = /^(08|53|57|58|40|55P03|25006|XX)/;

/** How long (ms) closing waits for connections in use. */
const CLOSE_WITHIN = 2_000;

/** A driver's or server's error in our words; nothing of the connection string is in it. */
export function databaseFailure(error: unknown, url: string, what: string): Error {
  if (error instanceof Terminal || error instanceof Retryable) return error;
  const said = redact(error instanceof Error ? error.message || error.name : String(error), secretsOf(url));
  const code = error instanceof pg.DatabaseError ? (error.code ?? '') : '';
  if (code === '' || PASSING.test(code)) return new Retryable(`${what}: ${said}`);
  if (code.startsWith('28') || code === '3D000') return new Terminal('flag-store-refused', `${what}: ${said}; check the flag store's URL and its user`);
  if (code === '42501') return new Terminal('flag-store-forbidden', `${what}: ${said}; grant the flag store's user select, insert and update on its tables`);
  if (code === '42P01' || code === '42883')
    return new Terminal('flag-store-empty', `${what}: ${said}; this database holds no flag store yet, start the server once to make it`);
  return new Terminal('flag-store-failed', `${what}: ${said} (SQLSTATE ${code})`);
}

function secretsOf(url: string): readonly string[] {
  if (!URL.canParse(url)) return [url];
  const { password } = new URL(url);
  return password === '' ? [] : [password, decodeURIComponent(password)];
}

/** Throws Terminal where `url` is not a Postgres URL; the text itself is not repeated, it may hold a password. */
export function checkDatabaseUrl(url: string, where: string): void {
  if (URL.canParse(url) && /^postgres(ql)?:$/.test(new URL(url).protocol)) return;
  throw new Terminal('config', `${where}: the flag store's database URL cannot be read; expected postgres://user:password@host:port/database`);
}

/** Opens a pool; it connects at the first call, or at `prime`. */
export function openDatabase(url: string, options: PoolOptions): Database {
  const what = `flag store (${options.name})`;
  checkDatabaseUrl(url, what);
  const pool = new pg.Pool({
    connectionString: url,
    max: options.size,
    idleTimeoutMillis: 0,
    connectionTimeoutMillis: options.deadline,
    statement_timeout: options.statement,
    lock_timeout: options.lock,
    idle_in_transaction_session_timeout: 1_000,
    application_name: `gonogo ${options.name}`,
    keepAlive: true,
    allowExitOnIdle: true,
  });
  pool.on('error', (error) => {
    options.log?.warn({ pool: options.name, reason: databaseFailure(error, url, what).message }, 'a connection to the flag store was lost');
  });
  // The pool hears only idle connections; one that breaks while it is lent out and asks nothing would end the process. Its next query fails by itself.
  pool.on('connect', (client) => client.on('error', () => undefined));

  async function send(client: pg.PoolClient, statement: Statement): Promise<readonly unknown[]> {
    const result = await client.query<Record<string, unknown>>({ name: statement.name, text: statement.text, values: [...statement.values] });
    return result.rows;
  }

  async function call(statement: Statement, calling: Calling = {}): Promise<readonly unknown[]> {
    const started = performance.now();
    let client: pg.PoolClient;
    try {
      calling.signal?.throwIfAborted();
      client = await pool.connect();
    } catch (error) {
      throw databaseFailure(error, url, what);
    }
    let finished = false;
    const release = (broken: boolean): void => {
      if (finished) return;
      finished = true;
      client.release(broken);
    };
    const stop = AbortSignal.any([
      AbortSignal.timeout(Math.max(1, Math.ceil(options.deadline - (performance.now() - started)))),
      ...(calling.signal === undefined ? [] : [calling.signal]),
    ]);
    try {
      await calling.beforeSend?.();
      if (stop.aborted) throw new Retryable(`${what}: the time was up before anything was sent`);
    } catch (error) {
      release(false);
      throw error;
    }
    const stopped = Promise.withResolvers<never>();
    const onStop = (): void => stopped.reject(new Retryable(`${what}: no answer within ${options.deadline} ms, or stopped; it may or may not have happened`));
    stop.addEventListener('abort', onStop, { once: true });
    try {
      const rows = await Promise.race([send(client, statement), stopped.promise]);
      const next = calling.afterwards?.(rows);
      if (next === undefined) release(false);
      else {
        const late = setTimeout(() => release(true), options.deadline).unref();
        void send(client, next)
          .then(
            () => release(false),
            () => release(true),
          )
          .finally(() => clearTimeout(late));
      }
      return rows;
    } catch (error) {
      // Only a server's own error leaves the connection usable; after a deadline an answer may still be on its way.
      release(!(error instanceof pg.DatabaseError));
      throw databaseFailure(error, url, what);
    } finally {
      stop.removeEventListener('abort', onStop);
      stopped.promise.catch(() => undefined);
    }
  }

  return {
    call,
    async prime(statement, count) {
      const clients = await Promise.all(Array.from({ length: Math.min(count, options.size) }, () => pool.connect())).catch((error: unknown) => {
        throw databaseFailure(error, url, what);
      });
      await Promise.allSettled(
        clients.map((client) =>
          send(client, statement).then(
            () => client.release(),
            () => client.release(true),
          ),
        ),
      );
    },
    async close() {
      // A server that is frozen never says goodbye.
      const end = pool.end();
      await Promise.race([end, delay(CLOSE_WITHIN, undefined, { ref: false })]);
      end.catch(() => undefined);
    },
  };
}
