import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { livePid } from './process.ts';

/**
 * Takes a folder for this process: the file holds its id. One left by a process that was killed is replaced. Returns how to let go.
 * Throws when another live process of the same program has it.
 */
export function takeLock(file: string, mark: string): () => void {
  for (;;) {
    try {
      const handle = openSync(file, 'wx', 0o600);
      writeSync(handle, `${process.pid}\n`);
      closeSync(handle);
      return () => rmSync(file, { force: true });
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    const holder = livePid(file, mark);
    if (holder !== undefined && holder !== process.pid) throw new Error(`${file} is held by process ${holder}; expected it to be free. Stop that one (kill ${holder}), or use another folder`);
    rmSync(file, { force: true });
  }
}
