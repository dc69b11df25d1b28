// npm run check: types, lint, format, import rules, unused code. All of them run; all that fails is shown.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { findNode } from './setup/node.mjs';
import { root } from './setup/paths.mjs';

const folders = ['src', 'workflows', 'activities', 'demo', 'bench', 'test'].filter((name) => fs.existsSync(path.join(root, name)));

const checks = [
  { name: 'types', bin: 'tsc', args: ['--noEmit', '-p', '.'] },
  { name: 'eslint', bin: 'eslint', args: ['.', '--max-warnings=0'] },
  { name: 'prettier', bin: 'prettier', args: ['--check', '--log-level=warn', '.'] },
  { name: 'import rules', bin: 'depcruise', args: folders },
  { name: 'unused code', bin: 'knip', args: [] },
];

/** Runs every check, as many at once as there are processors, and prints a line for each. Resolves to whether all passed. */
export async function check() {
  const waiting = [...checks];
  const results = [];
  const lane = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const result = await runOne(next);
      console.log(`${result.ok ? '✓' : '✗'} ${next.name} ${result.seconds} s`);
      if (!result.ok) console.log(result.output.trimEnd());
      results.push(result);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, Math.min(checks.length, os.availableParallelism())) }, lane));
  return results.every((result) => result.ok);
}

function runOne({ bin, args }) {
  const node = findNode();
  const began = Date.now();
  const PATH = `${path.dirname(node)}${path.delimiter}${process.env['PATH'] ?? ''}`;
  return new Promise((resolve) => {
    let output = '';
    const end = (ok) => resolve({ ok, output, seconds: ((Date.now() - began) / 1000).toFixed(1) });
    const child = spawn(node, [path.join(root, 'node_modules', '.bin', bin), ...args], {
      cwd: root,
      env: { ...process.env, PATH },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    child.on('error', (error) => {
      output += error.message;
      end(false);
    });
    child.on('close', (code) => end(code === 0));
  });
}

if (import.meta.url === pathToFileURL(fs.realpathSync(process.argv[1])).href) {
  process.exitCode = (await check()) ? 0 : 1;
}
