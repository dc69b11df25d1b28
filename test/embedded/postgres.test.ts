import { spawn } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterEach, describe, expect, test } from 'vitest';
import { startPostgres } from '../../src/embedded/postgres.ts';
import type { Postgres } from '../../src/embedded/postgres.ts';
import { isAlive } from '../../src/embedded/process.ts';
import { serverDir } from '../support/servers/server-dir.ts';

const starter = fileURLToPath(new URL('../support/servers/start-postgres.ts', import.meta.url));
const log = (): void => undefined;
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function dataDir(): string {
  const place = serverDir('embedded');
  cleanups.push(place.remove);
  return path.join(place.dir, 'data');
}

async function started(options: { dataDir: string; port?: number }): Promise<Postgres> {
  const postgres = await startPostgres({ ...options, fsync: false, log });
  cleanups.push(postgres.stop);
  return postgres;
}

async function query(url: string, statement: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ answer: unknown }>(statement);
    return rows[0]?.answer;
  } finally {
    await client.end();
  }
}

/** A program that starts Postgres and then waits for ever, as `gonogo start` does. */
async function startInAnotherProgram(dir: string): Promise<{ program: number; kill: () => Promise<void>; pid: number }> {
  const child = spawn(process.execPath, [starter, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  cleanups.push(kill);
  return { program: child.pid ?? 0, kill, pid: Number(chunk.toString()) };
}

describe('the bundled Postgres', () => {
  test('keeps what was committed when it is stopped and started again', async () => {
    const dir = dataDir();
    const first = await started({ dataDir: dir });
    await query(first.url, "create table kept as select 'yes' as answer");
    await first.stop();
    expect(isAlive(first.pid)).toBe(false);
    const second = await started({ dataDir: dir });
    expect(second.takenOver).toBe(false);
    expect(await query(second.url, 'select answer from kept')).toBe('yes');
  });

  test('is taken over when the program that started it was killed', async () => {
    const dir = dataDir();
    const other = await startInAnotherProgram(dir);
    await other.kill();
    expect(isAlive(other.pid)).toBe(true);
    const mine = await started({ dataDir: dir });
    expect(mine).toMatchObject({ pid: other.pid, takenOver: true });
    expect(await query(mine.url, 'select 1 as answer')).toBe(1);
    await mine.stop();
    expect(isAlive(mine.pid)).toBe(false);
  });

  test('is one server when two programs start it at once on an empty folder', async () => {
    const dir = dataDir();
    const both = await Promise.all([started({ dataDir: dir }), started({ dataDir: dir })]);
    expect(both[0].pid).toBe(both[1].pid);
    expect(both.map((one) => one.takenOver).sort()).toEqual([false, true]);
  });

  test('is started again, on the same port and data, after it was killed itself', async () => {
    const dir = dataDir();
    const first = await started({ dataDir: dir });
    await query(first.url, "create table kept as select 'yes' as answer");
    process.kill(first.pid, 'SIGKILL');
    const second = await started({ dataDir: dir, port: first.port });
    expect(second).toMatchObject({ port: first.port, takenOver: false });
    expect(second.pid).not.toBe(first.pid);
    expect(await query(second.url, 'select answer from kept')).toBe('yes');
  });

  test('is started although its pid file names a living program that is no Postgres', async () => {
    const dir = dataDir();
    const first = await started({ dataDir: dir });
    await first.stop();
    writeFileSync(path.join(dir, 'cluster', 'data', 'postmaster.pid'), `${process.pid}\n/nowhere\n0\n${first.port}\n\n127.0.0.1\n`);
    const second = await started({ dataDir: dir });
    expect(second.takenOver).toBe(false);
  });

  test('lets nobody in without the password, which only its owner can read', async () => {
    const dir = dataDir();
    const postgres = await started({ dataDir: dir });
    const stranger = new URL(postgres.url);
    stranger.password = 'guess';
    await expect(query(stranger.href, 'select 1 as answer')).rejects.toThrow(/password authentication failed/);
    expect(statSync(path.join(dir, 'cluster', 'password')).mode & 0o777).toBe(0o600);
  });

  test('listens on 127.0.0.1 alone', async () => {
    const postgres = await started({ dataDir: dataDir() });
    expect(await query(postgres.url, "select current_setting('listen_addresses') || current_setting('unix_socket_directories') as answer")).toBe('127.0.0.1');
  });

  test('says which file is missing when the password of a cluster is gone', async () => {
    const dir = dataDir();
    const postgres = await started({ dataDir: dir });
    await postgres.stop();
    rmSync(path.join(dir, 'cluster', 'password'));
    await expect(startPostgres({ dataDir: dir, log })).rejects.toThrow(/cluster\/password is missing or empty; expected/);
  });

  test.runIf(process.getuid?.() === 0)('keeps its data elsewhere, behind a link, for a root whose home is closed to others', async () => {
    const place = serverDir('closed');
    cleanups.push(place.remove);
    const home = path.join(place.dir, 'home');
    mkdirSync(home);
    chmodSync(home, 0o700);
    const dir = path.join(home, 'data');
    const postgres = await started({ dataDir: dir });
    const real = realpathSync(dir);
    cleanups.unshift(() => rmSync(real, { recursive: true, force: true }));
    expect(lstatSync(dir).isSymbolicLink()).toBe(true);
    expect(await query(postgres.url, 'select 1 as answer')).toBe(1);
    const again = await started({ dataDir: dir });
    expect(again).toMatchObject({ pid: postgres.pid, takenOver: true });
  });

  test('runs as nobody when root starts it, else as whoever does', async () => {
    const dir = dataDir();
    const postgres = await started({ dataDir: dir });
    const lockOwner = statSync(path.join(dir, 'cluster', 'data', 'postmaster.pid')).uid;
    expect(lockOwner).toBe(process.getuid?.() === 0 ? 65534 : process.getuid?.());
    expect(existsSync(path.join(dir, 'postgres.log'))).toBe(true);
    expect(readFileSync(path.join(dir, 'postgres.pid'), 'utf8').trim()).toBe(String(postgres.pid));
  });
});
