import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, readlinkSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** Takes one line for a person: what a server does, and which file holds its own log. */
export type Log = (line: string) => void;

/** What a server needs to be started as a process of its own. */
export interface Launchable {
  /** Names `<dir>/<name>.log` and `<dir>/<name>.pid`. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** An existing folder for its log and its pid file. */
  readonly dir: string;
  readonly cwd?: string;
  /** Its whole environment; ours when left out. */
  readonly env?: Readonly<Record<string, string>>;
  /** The user and group it runs as; ours when left out. */
  readonly as?: { readonly uid: number; readonly gid: number };
  /** Asked again and again until it answers true; what it throws counts as not yet. */
  readonly ready: () => Promise<boolean>;
  /** How long it may take to become ready, ms. */
  readonly readyWithin: number;
  /** The signal that asks it to end. */
  readonly stopSignal: NodeJS.Signals;
}

/** A running server. */
export interface ServerProcess {
  readonly pid: number;
  /** Asks it to end, waits until it is gone, and kills it after 20 s. Safe to call twice, and after it died by itself. */
  readonly stop: () => Promise<void>;
}

const STOP_WITHIN_MS = 20_000;

/**
 * Starts a server in a process group of its own, so that Ctrl-C reaches only the program that started it, and waits until it is ready.
 * It outlives that program when that is killed; its output goes to a file, as a pipe would break then.
 * Rejects with the end of its log when it ends before it is ready, or is not ready in time (it is killed then).
 */
export async function startProcess(server: Launchable): Promise<ServerProcess> {
  const logFile = path.join(server.dir, `${server.name}.log`);
  const pidFile = path.join(server.dir, `${server.name}.pid`);
  const out = openSync(logFile, 'a');
  const child = spawn(server.command, server.args, {
    cwd: server.cwd,
    ...(server.env === undefined ? {} : { env: server.env }),
    detached: true,
    stdio: ['ignore', out, out],
    ...server.as,
  });
  closeSync(out);
  let ended: string | undefined;
  child.once('error', (error) => (ended = `cannot be started: ${error.message}`));
  child.once('exit', (code, signal) => (ended = `ended with ${signal ?? String(code)}`));
  child.unref();
  const { pid } = child;
  if (pid !== undefined) writeFileSync(pidFile, `${pid}\n`);
  const deadline = Date.now() + server.readyWithin;
  while (ended === undefined && Date.now() < deadline) {
    if (await server.ready().catch(() => false)) {
      if (pid === undefined) break;
      return { pid, stop: () => stopProcess(pid, server.stopSignal, () => ended !== undefined, pidFile) };
    }
    await pause(20);
  }
  const what = ended ?? `was not ready after ${server.readyWithin / 1000} s`;
  if (pid !== undefined) await stopProcess(pid, 'SIGKILL', () => ended !== undefined, pidFile);
  throw new Error(`${server.name} ${what}; its log ${logFile} ends with: ${tail(logFile)}`);
}

/** Ends a process and waits until it is gone, killing it after `within` ms (20 s). `gone` says when a child of ours has been reaped: until then its id still exists. */
export async function stopProcess(
  pid: number,
  signal: NodeJS.Signals,
  gone: () => boolean = () => false,
  pidFile?: string,
  within = STOP_WITHIN_MS,
): Promise<void> {
  const over = (): boolean => gone() || !isAlive(pid);
  if (!over()) {
    send(pid, signal);
    // A frozen process hears a signal only once it goes on.
    send(pid, 'SIGCONT');
    const deadline = Date.now() + within;
    while (!over() && Date.now() < deadline) await pause(10);
    if (!over()) send(pid, 'SIGKILL');
    while (!over()) await pause(10);
  }
  if (pidFile !== undefined) rmSync(pidFile, { force: true });
}

/** Whether a process with this id exists, ours or not. A zombie does not count: it waits only for its parent. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
  const state = readText(`/proc/${pid}/stat`)?.split(') ').at(-1)?.[0];
  return state !== 'Z';
}

/** The command line of a process, its parts joined by blanks; undefined when there is no such process, or this system does not tell. */
export function commandLine(pid: number): string | undefined {
  return readText(`/proc/${pid}/cmdline`)?.replaceAll('\0', ' ').trim();
}

/** The folder that a process works in; undefined when there is no such process, or this system does not tell. */
function workingDir(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined;
  }
}

/** The id in a pid file, when such a process is alive and its command line or working folder holds `mark` (ids are used again). */
export function livePid(pidFile: string, mark: string): number | undefined {
  const pid = Number(readText(pidFile)?.split('\n')[0]);
  if (!Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return undefined;
  return (commandLine(pid) ?? mark).includes(mark) || workingDir(pid)?.includes(mark) === true ? pid : undefined;
}

/** A port of 127.0.0.1 that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (address === null || typeof address === 'string') reject(new Error('no port was given for 127.0.0.1'));
        else resolve(address.port);
      });
    });
  });
}

/** Makes a folder, with its parents, that others may pass through but not read, and answers its real path: a server left behind is known by it. */
export function makeDir(dir: string): string {
  mkdirSync(dir, { recursive: true, mode: 0o711 });
  return realpathSync(dir);
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone meanwhile, which is what is wanted.
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function tail(file: string): string {
  const lines = (readText(file) ?? '').trim().split('\n');
  return lines.slice(-5).join(' | ').slice(-800);
}
