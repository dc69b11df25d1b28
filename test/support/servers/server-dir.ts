import { chmodSync, existsSync, globSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { isAlive, livePid, stopProcess } from '../../../src/embedded/process.ts';

const PREFIX = 'gonogo-test-';

/** A temporary folder for one server, and how to be rid of it. */
export interface ServerDir {
  readonly dir: string;
  readonly remove: () => void;
}

/** Makes a temporary folder whose name tells which process owns it. */
export function serverDir(name: string): ServerDir {
  const dir = mkdtempSync(path.join(os.tmpdir(), `${PREFIX}${process.pid}-${name}-`));
  chmodSync(dir, 0o711); // Postgres runs as another user when the tests run as root
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

/** Ends the servers of test runs that were killed, and removes their folders. */
export async function removeLeftovers(): Promise<void> {
  for (const name of readdirSync(os.tmpdir()).filter((entry) => entry.startsWith(PREFIX))) {
    const owner = Number(name.slice(PREFIX.length).split('-')[0]);
    if (isAlive(owner)) continue;
    const dir = path.join(os.tmpdir(), name);
    for (const pidFile of globSync('**/*.pid', { cwd: dir }).map((file) => path.join(dir, file))) {
      // Its command line must name this folder: the id may be another program's by now.
      const pid = livePid(pidFile, dir);
      if (pid !== undefined) await stopProcess(pid, 'SIGQUIT');
    }
    if (existsSync(dir)) rmSync(dir, { recursive: true, force: true });
  }
}
