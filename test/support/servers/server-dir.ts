import { chmodSync, mkdtempSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { removeFolder, sweepLeftovers } from '../../../src/embedded/leftovers.ts';

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
  return { dir, remove: () => removeFolder(dir) };
}

/** Ends the servers of test runs that were killed, and removes their folders. */
export const removeLeftovers = (): Promise<void> => sweepLeftovers(PREFIX);
