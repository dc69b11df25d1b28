import { globSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { isAlive, livePid, stopProcess } from '../src/embedded/process.ts';

/** Ends the servers of demos that were killed, and removes their folders. A folder's name holds its owner's process id. */
export async function sweepLeftovers(prefix: string): Promise<void> {
  for (const name of readdirSync(os.tmpdir()).filter((entry) => entry.startsWith(prefix))) {
    const owner = Number(/^\d+(?=-)/.exec(name.slice(prefix.length))?.[0]);
    if (!Number.isInteger(owner) || isAlive(owner)) continue;
    const dir = path.join(os.tmpdir(), name);
    for (const file of globSync('**/*.pid', { cwd: dir })) {
      // Its command line must name this folder: the id may be another program's by now.
      const pid = livePid(path.join(dir, file), dir);
      if (pid !== undefined) await stopProcess(pid, 'SIGTERM');
    }
    rmSync(dir, { recursive: true, force: true });
  }
}
