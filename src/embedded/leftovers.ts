import { existsSync, globSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { isAlive, livePid, stopProcess } from './process.ts';

/** Ends the servers of programs that were killed, and removes their temporary folders: those named `<prefix><process id of the owner>-...`. */
export async function sweepLeftovers(prefix: string): Promise<void> {
  for (const name of readdirSync(os.tmpdir()).filter((entry) => entry.startsWith(prefix))) {
    const owner = Number(/^\d+(?=-)/.exec(name.slice(prefix.length))?.[0]);
    if (!Number.isInteger(owner) || isAlive(owner)) continue;
    const dir = path.join(os.tmpdir(), name);
    for (const file of globSync('**/*.pid', { cwd: dir })) {
      // It must name this folder or work in it: the id may be another program's by now.
      const pid = livePid(path.join(dir, file), dir);
      if (pid !== undefined) await stopProcess(pid, 'SIGQUIT', undefined, undefined, 2_000);
    }
    removeFolder(dir);
  }
}

/** Ends every server of a folder at once, without waiting, and removes it: for a program that has no time left. */
export function dropAtOnce(dir: string): void {
  for (const file of globSync('**/*.pid', { cwd: dir })) {
    const pid = Number(readFileSync(path.join(dir, file), 'utf8').split('\n')[0]);
    // Postgres (its own file is postmaster.pid) ends at once at SIGQUIT and gives its memory back; nobody else needs a farewell.
    const signal = ['postgres.pid', 'postmaster.pid'].includes(path.basename(file)) ? 'SIGQUIT' : 'SIGKILL';
    try {
      if (pid > 0) process.kill(pid, signal);
    } catch {
      // Gone already.
    }
  }
  removeFolder(dir);
}

const REMOVED_WITHIN = 2_000;

/**
 * Removes a folder whose servers may still be ending. Node's rmSync (24) gives up without a word where another program removes a file while it
 * walks, and throws where one adds a file: so it is asked again until the folder is gone, for 2 s at most.
 */
export function removeFolder(dir: string): void {
  const deadline = Date.now() + REMOVED_WITHIN;
  do {
    try {
      rmSync(dir, { recursive: true, force: true });
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  } while (existsSync(dir) && Date.now() <= deadline);
}
