import { fork, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import pg from 'pg';
import { startPostgres, type Postgres } from '../src/embedded/postgres.ts';
import { startTemporal, type Temporal } from '../src/embedded/temporal.ts';
import { toolPath } from '../src/embedded/tools.ts';
import { openFlagStore, type FlagStore } from '../src/flags/store.ts';
import { migrate, openStore, type Store } from '../src/store/store.ts';
import { openObserver, type Observer } from './observer.ts';
import { openPage, type Page } from './page.ts';
import type { WorkerAnswer, WorkerQuestion, WorkerStart } from './worker-messages.ts';

/** The embedded servers as `gonogo start` runs them: Temporal's dev server on a SQLite file with eager dispatch, Postgres with fsync on. */
export interface Embedded {
  readonly temporal: Temporal;
  readonly postgres: Postgres;
  readonly client: Client;
  readonly logFile: string;
  /** The last lines that warn of something in the workers' log. */
  warnings(): string;
  /** An empty database's URL. */
  database(): Promise<string>;
  close(): Promise<void>;
}

/** Starts both servers in a temporary folder that goes with them. */
export async function startEmbedded(): Promise<Embedded> {
  const cli = toolPath('temporal');
  if (cli === undefined) throw new Error('the Temporal CLI is missing; expected it in .tools/ or on PATH. Run "npm run setup"');
  const dir = mkdtempSync(path.join(os.tmpdir(), 'gonogo-bench-'));
  chmodSync(dir, 0o711); // Postgres runs as another user when this runs as root
  const log = (): void => undefined;
  const logFile = path.join(dir, 'worker.log');
  const [postgres, temporal] = await Promise.all([
    startPostgres({ dataDir: path.join(dir, 'postgres'), fsync: true, log }),
    startTemporal({ cli, dbFile: path.join(dir, 'temporal', 'temporal.db'), headless: true, log }),
  ]);
  const connection = await Connection.connect({ address: temporal.address });
  return {
    temporal,
    postgres,
    client: new Client({ connection }),
    logFile,
    warnings: () =>
      (existsSync(logFile) ? readFileSync(logFile, 'utf8') : '')
        .split('\n')
        .filter((line) => /"level":"(warn|error)"/.test(line) && !line.includes('this worker shuts down'))
        .slice(-20)
        .join('\n'),
    async database() {
      const name = `bench_${randomBytes(4).toString('hex')}`;
      const admin = new pg.Client({ connectionString: postgres.url });
      await admin.connect();
      await admin.query(`create database ${name}`);
      await admin.end();
      const url = new URL(postgres.url);
      url.pathname = `/${name}`;
      return url.href;
    },
    async close() {
      await connection.close();
      await Promise.all([temporal.stop(), postgres.stop()]);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A measured worker process. */
export interface WorkerProcess {
  readonly pid: number;
  /** Where its API listens. */
  readonly url: string;
  memory(): Promise<{ readonly rss: number; readonly heap: number }>;
  stop(): Promise<void>;
}

/** Starts a worker process. With `profileDir` it leaves a CPU profile there when it stops. */
export async function startWorkerProcess(start: WorkerStart, profileDir?: string): Promise<WorkerProcess> {
  const profile = profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`];
  const child: ChildProcess = fork(fileURLToPath(new URL('./worker.ts', import.meta.url)), [JSON.stringify(start)], { execArgv: ['--expose-gc', ...profile] });
  const exited = new Promise<never>((_, reject) =>
    child.once('exit', (code) => reject(new Error(`the worker process ended with ${String(code)}; its log is ${start.logFile}`))),
  );
  exited.catch(() => undefined);
  const next = <K extends WorkerAnswer['kind']>(kind: K): Promise<Extract<WorkerAnswer, { kind: K }>> =>
    new Promise((resolve) => {
      const hear = (answer: WorkerAnswer): void => {
        if (answer.kind !== kind) return;
        child.off('message', hear);
        resolve(answer as Extract<WorkerAnswer, { kind: K }>);
      };
      child.on('message', hear);
    });
  const ask = (question: WorkerQuestion): void => void child.send(question);
  const { url } = await Promise.race([next('ready'), exited]);
  return {
    pid: child.pid ?? 0,
    url,
    async memory() {
      const answer = next('memory');
      ask({ kind: 'memory' });
      return Promise.race([answer, exited]);
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      ask({ kind: 'stop' });
      const late = setTimeout(() => child.kill('SIGKILL'), 20_000);
      await gone;
      clearTimeout(late);
    },
  };
}

/** Everything one part of the bench works on: a fresh database, a worker process, the page, and the observer. */
export interface Setting {
  readonly embedded: Embedded;
  readonly store: Store;
  readonly flags: FlagStore;
  readonly page: Page;
  readonly observer: Observer;
  readonly worker: WorkerProcess;
  readonly taskQueue: string;
  readonly hookToken: string;
  close(): Promise<void>;
}

/** Opens a setting with `slots` sources. */
export async function openSetting(
  embedded: Embedded,
  options: { readonly slots: number; readonly serve: boolean; readonly profileDir?: string },
): Promise<Setting> {
  const databaseUrl = await embedded.database();
  const store = openStore({ url: databaseUrl });
  await migrate(store);
  const flags = await openFlagStore(databaseUrl);
  const page = await openPage();
  const observer = await openObserver(databaseUrl);
  const hookToken = randomBytes(32).toString('base64url');
  const taskQueue = `bench-${randomBytes(3).toString('hex')}`;
  const start = {
    temporal: embedded.temporal.address,
    databaseUrl,
    taskQueue,
    page: page.url,
    slots: options.slots,
    hookToken,
    logFile: embedded.logFile,
    serve: options.serve,
  };
  const worker = await startWorkerProcess(start, options.profileDir);
  return {
    embedded,
    store,
    flags,
    page,
    observer,
    worker,
    taskQueue,
    hookToken,
    async close() {
      await worker.stop();
      await observer.close();
      await page.close();
      await flags.close();
      await store.close();
    },
  };
}
