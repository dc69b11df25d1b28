import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { removeFolder } from '../../src/embedded/leftovers.ts';

/** A server that ends: it clears its own folder away, newest file first, and says when it begins. */
const ENDING = `
  const { rmSync } = require('node:fs');
  process.stdout.write('begins');
  for (let file = 1999; file >= 0; file -= 1) rmSync(process.argv[1] + '/' + file, { force: true });`;

it('a folder is removed while a server that ends removes its own files in it', async () => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'gonogo-leftovers-'));
  for (let file = 0; file < 2_000; file += 1) writeFileSync(path.join(dir, String(file)), '');
  const server = spawn(process.execPath, ['-e', ENDING, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(server, 'exit');
  await once(server.stdout, 'data');
  removeFolder(dir);
  expect(existsSync(dir)).toBe(false);
  expect(await ended).toEqual([0, null]);
});
