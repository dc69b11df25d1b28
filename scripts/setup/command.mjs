// Runs other programs: quietly, with the end of what they said when they fail.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

/**
 * Runs a program to its end and resolves to what it printed on stdout.
 * Rejects with its last lines when it cannot be started, takes longer than `timeout` ms, or ends with another code than 0.
 */
export function run(command, args, { cwd, env, timeout = 15 * 60_000 } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    let all = '';
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, timeout);
    child.stdout.on('data', (chunk) => {
      out += chunk;
      all = (all + chunk).slice(-8000);
    });
    child.stderr.on('data', (chunk) => {
      all = (all + chunk).slice(-8000);
    });
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(new Error(`${command} cannot be started: ${error.message}`));
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (code === 0) return resolve(out);
      const how = timedOut ? `did not end within ${timeout / 1000} s` : `ended with ${signal ?? code}`;
      reject(new Error(`${path.basename(command)} ${args[0] ?? ''} ${how}${lastLines(all)}`));
    });
  });
}

/** The first program called `name` on PATH that may be executed, or undefined. */
export function onPath(name) {
  for (const folder of (process.env['PATH'] ?? '').split(path.delimiter)) {
    if (folder === '') continue;
    const file = path.join(folder, name);
    if (isExecutable(file)) return file;
  }
  return undefined;
}

/** Whether `file` is a program that this user may execute. */
export function isExecutable(file) {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

/** The path of a program that a way needs; throws with the words a person needs when it is missing. */
export function need(name) {
  const file = onPath(name);
  if (file === undefined) throw new Error(`${name} is not on PATH`);
  return file;
}

function lastLines(text) {
  const lines = text
    .trim()
    .split('\n')
    .filter((line) => line.trim() !== '');
  return lines.length === 0 ? '' : `: ${lines.slice(-4).join(' | ').slice(0, 600)}`;
}
