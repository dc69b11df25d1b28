import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { postgresHome, reachableHome } from './postgres-home.ts';
import type { PostgresHome } from './postgres-home.ts';
import { commandLine, freePort, isAlive, makeDir, startProcess, stopProcess } from './process.ts';
import type { Log, ServerProcess } from './process.ts';

/** How the bundled Postgres is started. */
export interface PostgresOptions {
  /** Holds the cluster, its password and its log; made when missing, kept when stopped. */
  readonly dataDir: string;
  /** A free port when left out. One that is taken over keeps the port it has. */
  readonly port?: number;
  /** Whether an acknowledged commit survives a power cut; off only for tests. */
  readonly fsync?: boolean;
  readonly log: Log;
}

/** A running Postgres. */
export interface Postgres extends ServerProcess {
  /** The connection string of its superuser, password included: never to be logged. */
  readonly url: string;
  readonly port: number;
  /** Whether it ran already: left behind on this folder by a program that was killed. */
  readonly takenOver: boolean;
}

interface Cluster {
  readonly data: string;
  readonly password: string;
}

const READY_WITHIN_MS = 30_000;

/**
 * Starts the Postgres that comes with the npm packages on 127.0.0.1, and resolves when it takes queries.
 * The cluster is made on first use, with a password that only its file knows (0600). As root the server runs as nobody, since it refuses root.
 * A server that a killed program left behind on the same folder is taken over, whatever port it has; two programs may call this at once.
 * Rejects with the end of its log when it cannot be started.
 */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const home = postgresHome();
  const dir = reachableHome(makeDir(options.dataDir), home.as, options.log);
  if (home.as !== undefined) chownSync(dir, home.as.uid, home.as.gid);
  const cluster = await ensureCluster(dir, home, options.fsync ?? true);
  const deadline = Date.now() + READY_WITHIN_MS;
  for (;;) {
    const left = await takeOver(cluster, deadline);
    if (left !== undefined) {
      options.log(`Postgres at 127.0.0.1:${left.port} was left behind (pid ${left.pid}); taken over`);
      return left;
    }
    try {
      const started = await start(dir, home, cluster, options);
      options.log(`Postgres at 127.0.0.1:${started.port} (pid ${started.pid}), data in ${cluster.data}`);
      return started;
    } catch (error) {
      // Another program started it meanwhile, or the last backends of a killed server still hold its memory.
      const again = error instanceof Error && /lock file|shared memory block/.test(error.message);
      if (!again || Date.now() > deadline) throw error;
      await pause(100);
    }
  }
}

async function start(dir: string, home: PostgresHome, cluster: Cluster, options: PostgresOptions): Promise<Postgres> {
  const port = options.port ?? (await freePort());
  const url = urlOf(cluster, port);
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: '300',
    max_wal_size: '512MB',
    fsync: (options.fsync ?? true) ? 'on' : 'off',
    timezone: 'UTC',
    log_timezone: 'UTC',
  };
  const server = await startProcess({
    name: 'postgres',
    command: path.join(home.native, 'bin', 'postgres'),
    args: ['-D', cluster.data, '-p', String(port), ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    dir,
    cwd: '/',
    ...(home.as === undefined ? {} : { as: home.as }),
    ready: async () => (await dataDirectoryAt(url)) === cluster.data,
    readyWithin: READY_WITHIN_MS,
    stopSignal: 'SIGINT', // "fast": ends sessions, then checkpoints
  });
  return { ...server, url, port, takenOver: false };
}

/** The running server of this cluster; undefined when there is none. A stale postmaster.pid, its id used again by another program, is removed. */
async function takeOver(cluster: Cluster, deadline: number): Promise<Postgres | undefined> {
  const pidFile = path.join(cluster.data, 'postmaster.pid');
  for (;;) {
    const [pidLine, , , portLine] = readLines(pidFile);
    const pid = Number(pidLine);
    if (pidLine === undefined || !Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return undefined;
    const command = commandLine(pid);
    if (command !== undefined && !command.includes(cluster.data)) {
      rmSync(pidFile, { force: true });
      return undefined;
    }
    const port = Number(portLine);
    const url = urlOf(cluster, port);
    if (port > 0 && (await dataDirectoryAt(url).catch(() => undefined)) === cluster.data) {
      return { pid, url, port, takenOver: true, stop: () => stopProcess(pid, 'SIGINT') };
    }
    if (Date.now() > deadline) {
      throw new Error(
        `a Postgres (pid ${pid}) runs on ${cluster.data} but did not answer on 127.0.0.1:${port} for ${READY_WITHIN_MS / 1000} s; ` +
          `expected it to. See ${path.join(path.dirname(path.dirname(cluster.data)), 'postgres.log')}, or end it: kill -QUIT ${pid}`,
      );
    }
    await pause(50);
  }
}

/** Makes the cluster when there is none. It gets its name whole, with its password: an initdb that was killed is never mistaken for one. */
async function ensureCluster(dir: string, home: PostgresHome, fsync: boolean): Promise<Cluster> {
  const place = path.join(dir, 'cluster');
  if (!existsSync(place)) {
    const fresh = mkdtempSync(path.join(dir, 'making-'));
    const passwordFile = path.join(fresh, 'password');
    writeFileSync(passwordFile, `${randomBytes(24).toString('hex')}\n`, { mode: 0o600 });
    if (home.as !== undefined) for (const item of [fresh, passwordFile]) chownSync(item, home.as.uid, home.as.gid);
    await initialise(fresh, passwordFile, home, fsync);
    try {
      renameSync(fresh, place);
    } catch (error) {
      // Another program was quicker; its cluster counts.
      rmSync(fresh, { recursive: true, force: true });
      if (!existsSync(place)) throw error;
    }
  }
  const [password] = readLines(path.join(place, 'password'));
  if (password === undefined || password === '') {
    throw new Error(
      `${path.join(place, 'password')} is missing or empty; expected the password of the cluster beside it. Put it back, or move ${place} away to begin anew`,
    );
  }
  return { data: path.join(place, 'data'), password };
}

async function initialise(fresh: string, passwordFile: string, home: PostgresHome, fsync: boolean): Promise<void> {
  const args = ['-D', path.join(fresh, 'data'), '-U', 'postgres', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, '-E', 'UTF8', '--locale=C.UTF-8'];
  await home.run('initdb', fsync ? args : [...args, '--no-sync']);
}

async function dataDirectoryAt(url: string): Promise<string | undefined> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1000, query_timeout: 1000 });
  // A server that goes away while it is asked is not up; the query says so, this event must not end the program.
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ data_directory: string }>('show data_directory');
    return rows[0]?.data_directory;
  } finally {
    await client.end().catch(() => undefined);
  }
}

function urlOf(cluster: Cluster, port: number): string {
  // It speaks no TLS, whatever PGSSLMODE asks of other servers.
  return `postgres://postgres:${cluster.password}@127.0.0.1:${port}/postgres?sslmode=disable`;
}

function readLines(file: string): (string | undefined)[] {
  try {
    return readFileSync(file, 'utf8').split('\n');
  } catch {
    return [];
  }
}
