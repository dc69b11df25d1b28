import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Connection } from '@temporalio/client';
import { freePort, livePid, makeDir, startProcess, stopProcess } from './process.ts';
import type { Log, ServerProcess } from './process.ts';

/** How a Temporal dev server is started. */
export interface TemporalOptions {
  /** The program: `toolPath('temporal')`. */
  readonly cli: string;
  /** The SQLite file that keeps the running launches; its folder is made when missing and gets the log. */
  readonly dbFile: string;
  /** A free port when left out. */
  readonly port?: number;
  /** The port of its web page; not served when `headless`. */
  readonly uiPort?: number;
  readonly headless: boolean;
  /** Names and types, e.g. `{ GonogoState: 'Keyword' }`. */
  readonly searchAttributes?: Readonly<Record<string, string>>;
  readonly log: Log;
}

/** A running Temporal. */
export interface Temporal extends ServerProcess {
  /** host:port of its gRPC API. */
  readonly address: string;
  readonly namespace: string;
  /** Whether it ran already: left behind on this file by a program that was killed. */
  readonly takenOver: boolean;
}

const NAMESPACE = 'default';

/**
 * Starts Temporal's dev server on 127.0.0.1 with its data in a file, and resolves when it answers for its namespace.
 * One that a killed program left behind on the same file is taken over, or ended first when it does not answer or another port is asked for:
 * two servers on one SQLite file lose launches.
 */
export async function startTemporal(options: TemporalOptions): Promise<Temporal> {
  const dir = makeDir(path.dirname(options.dbFile));
  const dbFile = path.join(dir, path.basename(options.dbFile));
  const name = path.basename(dbFile);
  const left = await takeOver(dir, name, dbFile, options);
  if (left !== undefined) return left;
  const port = options.port ?? (await freePort());
  const address = `127.0.0.1:${port}`;
  const server = await startProcess({
    name,
    command: options.cli,
    args: argumentsOf(options, dbFile, port),
    dir,
    ready: () => answers(address),
    readyWithin: 60_000,
    stopSignal: 'SIGTERM',
  });
  const portFile = path.join(dir, `${name}.port`);
  writeFileSync(portFile, `${port}\n`);
  options.log(`Temporal at ${address} (pid ${server.pid}), data in ${dbFile}`);
  const stop = async (): Promise<void> => {
    await server.stop();
    rmSync(portFile, { force: true });
  };
  return { pid: server.pid, address, namespace: NAMESPACE, takenOver: false, stop };
}

async function takeOver(dir: string, name: string, dbFile: string, options: TemporalOptions): Promise<Temporal | undefined> {
  const pidFile = path.join(dir, `${name}.pid`);
  const pid = livePid(pidFile, dbFile);
  if (pid === undefined) return undefined;
  const port = portIn(path.join(dir, `${name}.port`));
  const address = `127.0.0.1:${String(port)}`;
  if (port !== undefined && (options.port ?? port) === port && (await answers(address).catch(() => false))) {
    options.log(`Temporal at ${address} was left behind (pid ${pid}); taken over`);
    return { pid, address, namespace: NAMESPACE, takenOver: true, stop: () => stopProcess(pid, 'SIGTERM', undefined, pidFile) };
  }
  options.log(`Temporal was left behind on ${dbFile} (pid ${pid}) and is of no use; ended`);
  await stopProcess(pid, 'SIGTERM', undefined, pidFile);
  return undefined;
}

function argumentsOf(options: TemporalOptions, dbFile: string, port: number): string[] {
  const page = options.headless ? ['--headless'] : options.uiPort === undefined ? [] : ['--ui-port', String(options.uiPort)];
  const attributes = Object.entries(options.searchAttributes ?? {}).flatMap(([key, type]) => ['--search-attribute', `${key}=${type}`]);
  return [
    ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port), '--namespace', NAMESPACE],
    ...['--db-filename', dbFile, '--log-format', 'json', '--log-level', 'warn'],
    // An activity is handed to the worker in the answer to its workflow task: half the time from signal to effect.
    ...['--dynamic-config-value', 'system.enableActivityEagerExecution=true'],
    ...page,
    ...attributes,
  ];
}

async function answers(address: string): Promise<boolean> {
  const connection = await Connection.connect({ address, connectTimeout: 1000 });
  try {
    await connection.withDeadline(Date.now() + 1000, () => connection.workflowService.describeNamespace({ namespace: NAMESPACE }));
    return true;
  } finally {
    await connection.close();
  }
}

function portIn(file: string): number | undefined {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}
