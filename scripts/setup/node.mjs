// The Node that runs TypeScript as it is: this one when new enough, else the one among the npm packages.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { root } from './paths.mjs';

/** The oldest Node that strips types without a flag. */
export const wanted = '22.18 or later';

/** "24.21.0" of a Node program, or undefined when it cannot be run. */
export function versionOf(file) {
  if (!fs.existsSync(file)) return undefined;
  const { status, stdout } = spawnSync(file, ['--version'], { encoding: 'utf8' });
  return status === 0 ? stdout.trim().replace(/^v/, '') : undefined;
}

/** Whether a version is new enough. */
export function satisfies(version) {
  if (version === undefined) return false;
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 22 || (major === 22 && minor >= 18);
}

/** The path of a Node new enough. Throws with the remedy when there is none. */
export function findNode() {
  const bundled = path.join(root, 'node_modules', 'node', 'bin', 'node');
  // The bundled one first: everybody then runs what the tests ran.
  if (fs.existsSync(bundled)) return bundled;
  if (satisfies(process.versions.node)) return process.execPath;
  throw new Error(`this is Node ${process.versions.node}; expected ${wanted}. Run "npm run setup", which brings one, or install it`);
}

/**
 * How glibc gives memory back (mallopt(3)): by default every thread keeps an arena of its own, and what Temporal's threads and Node's buffers
 * free stays in them, 100 KB a launch and more. The image's Dockerfile says the same; other C libraries ignore it.
 */
const allocator = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '65536', MALLOC_TRIM_THRESHOLD_: '131072' };

/**
 * Runs Node with inherited streams and resolves to its exit code; TERM, HUP and INT are passed on.
 * Its bin folder comes first on PATH, so that what it starts runs under it too.
 */
export function runNode(args, { env } = {}) {
  const node = findNode();
  const PATH = `${path.dirname(node)}${path.delimiter}${process.env['PATH'] ?? ''}`;
  const child = spawn(node, args, { stdio: 'inherit', env: { ...allocator, ...process.env, PATH, ...env } });
  const pass = (signal) => {
    // At a terminal Ctrl-C reaches the child by itself; passing it on would look like a second one.
    if (!(signal === 'SIGINT' && process.stdin.isTTY)) child.kill(signal);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, pass);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      for (const name of signals) process.off(name, pass);
      if (signal !== null) process.kill(process.pid, signal);
      resolve(code ?? 1);
    });
  });
}
