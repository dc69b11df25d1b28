import { chmodSync, mkdtempSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { InternalConnectionOptionsSymbol, type InternalConnectionOptions } from '@temporalio/client/lib/connection.js';
import { msToTs } from '@temporalio/common/lib/time.js';
import { NativeConnection } from '@temporalio/worker';
import pg from 'pg';
import { dropAtOnce, removeFolder, sweepLeftovers } from '../embedded/leftovers.ts';
import { startPostgres } from '../embedded/postgres.ts';
import { freePort, startProcess } from '../embedded/process.ts';
import { toolPath } from '../embedded/tools.ts';
import { openFlagStore } from '../flags/store.ts';
import { migrate, openStore } from '../store/store.ts';

/** What every rehearsal of one run shares: a time-skipping Temporal and a Postgres, both in a folder that goes with them. */
export interface RehearsalServers {
  readonly client: Client;
  readonly native: NativeConnection;
  /** Lets Temporal's timers (retries, a patrol's walk) follow a jump of `ms`. Waits a moment at most: see there. */
  readonly follow: (ms: number) => Promise<void>;
  /** An empty database with gonogo's schema, whose clock can be set on: see `setAhead`. */
  readonly database: () => Promise<RehearsalDatabase>;
  /** Ends both and removes the folder. */
  readonly stop: () => Promise<void>;
}

/** A database of one rehearsal. */
export interface RehearsalDatabase {
  readonly url: string;
  /** Sets the database's clock ahead of the real one, ms. */
  readonly setAhead: (ms: number) => Promise<void>;
  readonly drop: () => Promise<void>;
}

const TEMPLATE = 'rehearsed';
const PREFIX = 'gonogo-rehearsal-';

/**
 * Every time that the database takes comes from `clock_timestamp()`; here a function of that name stands before Postgres' own and answers in
 * skipped time, so that the waits which the database decides (a page after 2 min, `maxDuration`, the look after a proof) are skipped as well.
 */
const CLOCK = `
  create table skipped (ahead interval not null);
  insert into skipped values (interval '0');
  create function public.clock_timestamp() returns timestamptz language sql volatile as
    $$ select pg_catalog.clock_timestamp() + (select ahead from public.skipped) $$;`;

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

function named(url: string, database: string): string {
  const own = new URL(url);
  own.pathname = `/${database}`;
  return own.href;
}

/** The database that every rehearsal's is copied from: schema of launches and flags, and the clock that can be set on. */
async function prepare(admin: string): Promise<void> {
  // pg_catalog is looked through first unless it is named; the role's setting goes for every database made later.
  await withClient(admin, (client) => client.query(`alter role current_user set search_path = public, pg_catalog`));
  await withClient(admin, (client) => client.query(`create database ${TEMPLATE}`));
  const url = named(admin, TEMPLATE);
  await withClient(url, (client) => client.query(CLOCK));
  const store = openStore({ url, pool: 1, rollbackPool: 1 });
  try {
    await migrate(store);
  } finally {
    await store.close();
  }
  await (await openFlagStore(url, { primed: 0 })).close();
}

async function openDatabase(admin: string, name: string): Promise<RehearsalDatabase> {
  await withClient(admin, (client) => client.query(`create database ${name} template ${TEMPLATE}`));
  const url = named(admin, name);
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return {
    url,
    setAhead: async (ms) => {
      await client.query({ name: 'set_ahead', text: 'update skipped set ahead = make_interval(secs => $1)', values: [ms / 1_000] });
    },
    drop: async () => {
      await client.end().catch(() => undefined);
      await withClient(admin, (other) => other.query(`drop database if exists ${name} with (force)`));
    },
  };
}

/** How long (real ms) a jump of the server's time is waited for. */
const FOLLOWS_WITHIN = 250;

/**
 * The server skips time only while no task and no other activity than the watcher is under way, and now and then it keeps count of one that is
 * over. A rehearsal's own clock never waits for that: where the server does not follow, its retries take their real seconds.
 */
function follower({ testService }: Connection): RehearsalServers['follow'] {
  if (testService === undefined) throw new Error('the connection offers no test service; expected one to temporal-test-server');
  let isFollowing = false;
  return async (ms) => {
    if (isFollowing) return;
    isFollowing = true;
    const followed = testService
      .unlockTimeSkippingWithSleep({ duration: msToTs(Math.max(1, Math.round(ms))) })
      .catch(() => undefined)
      .finally(() => {
        isFollowing = false;
      });
    const late = Promise.withResolvers<undefined>();
    const timer = setTimeout(late.resolve, FOLLOWS_WITHIN, undefined);
    await Promise.race([followed, late.promise]);
    clearTimeout(timer);
  };
}

interface Stops {
  readonly add: (stop: () => Promise<unknown> | undefined) => void;
  readonly all: () => Promise<void>;
}

function stopsOf(): Stops {
  const stops: (() => Promise<unknown> | undefined)[] = [];
  return {
    add: (stop) => void stops.push(stop),
    all: async () => {
      for (const stop of stops.splice(0).reverse()) await Promise.resolve(stop()).catch(() => undefined);
    },
  };
}

async function startTime(dir: string, command: string): Promise<{ readonly address: string; readonly stop: () => Promise<void> }> {
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const answers = async (): Promise<boolean> => {
    const connection = await Connection.connect({ address, connectTimeout: 500 });
    await connection.close();
    return true;
  };
  const server = await startProcess({
    name: 'temporal-test-server',
    command,
    args: [String(port), '--enable-time-skipping'],
    dir,
    cwd: dir,
    ready: answers,
    readyWithin: 60_000,
    stopSignal: 'SIGTERM',
  });
  return { address, stop: server.stop };
}

/** A rehearsal needs a tool that is not there. */
export class MissingTool extends Error {}

/** Starts both servers, on 127.0.0.1 and in a temporary folder. Throws MissingTool with the remedy, and what a server says that cannot be started; nothing is left running then. */
export async function startServers(): Promise<RehearsalServers> {
  const tool = toolPath('temporal-test-server');
  if (tool === undefined)
    throw new MissingTool('temporal-test-server is missing; expected it in TEMPORAL_TEST_SERVER, .tools/ or on PATH. Run "npm run setup"');
  await sweepLeftovers(PREFIX);
  const stops = stopsOf();
  const dir = mkdtempSync(path.join(os.tmpdir(), `${PREFIX}${process.pid}-`));
  // A second Ctrl-C, or whatever else ends the program before it has cleaned up.
  const drop = (): void => dropAtOnce(dir);
  process.once('exit', drop);
  stops.add(() => {
    process.off('exit', drop);
    removeFolder(dir);
    return undefined;
  });
  // Postgres runs as another user where we are root.
  chmodSync(dir, 0o711);
  try {
    const [postgres, temporal] = await Promise.allSettled([
      startPostgres({ dataDir: path.join(dir, 'postgres'), fsync: false, log: () => undefined }).then(async (server) => {
        stops.add(server.stop);
        await prepare(server.url);
        return server;
      }),
      startTime(dir, tool).then((server) => {
        stops.add(server.stop);
        return server;
      }),
    ]);
    if (postgres.status === 'rejected') throw postgres.reason;
    if (temporal.status === 'rejected') throw temporal.reason;
    const { address } = temporal.value;
    // Without the SDK's retries: one that falls due after the channel was closed throws where nobody can catch it.
    const connection = await Connection.connect({ address, interceptors: [] });
    stops.add(() => connection.close());
    // A connection of its own: a call that is kept waiting must be in nobody's way.
    const options: InternalConnectionOptions = { address, interceptors: [], [InternalConnectionOptionsSymbol]: { supportsTestService: true } };
    const timing = await Connection.connect(options);
    stops.add(() => timing.close());
    const native = await NativeConnection.connect({ address });
    stops.add(() => native.close());
    const admin = postgres.value.url;
    let databases = 0;
    return {
      client: new Client({ connection }),
      native,
      follow: follower(timing),
      database: () => openDatabase(admin, `rehearsal_${(databases += 1)}`),
      stop: stops.all,
    };
  } catch (error) {
    await stops.all();
    throw error;
  }
}
