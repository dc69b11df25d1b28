import { linkSync, rmSync, writeFileSync } from 'node:fs';
import { livePid } from './process.ts';

/**
 * Takes a folder for this process: the file holds its id. One left by a process that was killed is replaced; two that come at once do not both get it.
 * `mark` is part of every holder's command line (ids are used again). Returns how to let go. Throws when another live process has it.
 */
export function takeLock(file: string, mark: string): () => void {
  const mine = `${file}.${process.pid}`;
  writeFileSync(mine, `${process.pid}\n`, { mode: 0o600 });
  try {
    for (;;) {
      try {
        // A link is made whole or not at all: the file is never seen empty.
        linkSync(mine, file);
        return () => rmSync(file, { force: true });
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
      }
      const holder = livePid(file, mark);
      if (holder !== undefined)
        throw new Error(`${file} is held by process ${holder}; expected it to be free. Stop that one (kill ${holder}), or use another folder`);
      rmSync(file, { force: true });
    }
  } finally {
    rmSync(mine, { force: true });
  }
}
