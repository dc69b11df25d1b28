import { spawn } from 'node:child_process';
import path from 'node:path';

/** What a command did. */
export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

/** A command that runs. */
export interface Running {
  readonly pid: number;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly signal: (name: NodeJS.Signals) => void;
  readonly done: Promise<Ran>;
}

const root = path.resolve(import.meta.dirname, '..', '..');

/** Starts the real command line as a process of its own, without a terminal and without the caller's GONOGO_* variables. */
export function startCli(
  args: readonly string[],
  options: { readonly env?: Readonly<Record<string, string | undefined>>; readonly cwd?: string; readonly input?: string } = {},
): Running {
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(GONOGO_|CI$|LANG$|LC_|NO_COLOR$|FORCE_COLOR$)/.test(name)));
  const began = Date.now();
  const child = spawn(process.execPath, [path.join(root, 'src', 'cli', 'main.ts'), ...args], {
    cwd: options.cwd ?? root,
    env: { ...own, LANG: 'C.UTF-8', ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin.end(options.input ?? '');
  const done = new Promise<Ran>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr, ms: Date.now() - began }));
  });
  return { pid: child.pid ?? -1, stdout: () => stdout, stderr: () => stderr, signal: (name) => void child.kill(name), done };
}

/** Runs it to its end. */
export function runCli(args: readonly string[], options: Parameters<typeof startCli>[1] = {}): Promise<Ran> {
  return startCli(args, options).done;
}
