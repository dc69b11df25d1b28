import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { serverDir } from '../support/servers/server-dir.ts';

const scripts = fileURLToPath(new URL('../../scripts/', import.meta.url));
const lockModule = pathToFileURL(path.join(scripts, 'setup', 'lock.mjs')).href;
const toolModule = pathToFileURL(path.join(scripts, 'setup', 'tool.mjs')).href;
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function place(): string {
  const made = serverDir('setup');
  cleanups.push(made.remove);
  return made.dir;
}

interface Program {
  readonly pid: number;
  readonly kill: (signal: NodeJS.Signals) => void;
  /** Resolves to how it ended and what it printed. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; output: string }>;
  readonly output: () => string;
}

function program(args: readonly string[], env: Readonly<Record<string, string>> = {}): Program {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  let output = '';
  const keep = (chunk: Buffer): void => void (output += chunk.toString());
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const ended = once(child, 'close').then(([code, signal]: (number | NodeJS.Signals | null)[]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
    output,
  }));
  cleanups.push(() => child.kill('SIGKILL'));
  return { pid: child.pid ?? 0, kill: (signal) => void child.kill(signal), ended, output: () => output };
}

const inline = (source: string, env?: Readonly<Record<string, string>>): Program => program(['--input-type=module', '-e', source], env);

describe('the lock of set-up', () => {
  test('is never held by two programs at once', async () => {
    const dir = place();
    const journal = path.join(dir, 'journal');
    writeFileSync(journal, '');
    const worker = `
      import fs from 'node:fs';
      import { setTimeout as pause } from 'node:timers/promises';
      import { withLock } from ${JSON.stringify(lockModule)};
      for (let i = 0; i < 5; i++) await withLock(${JSON.stringify(path.join(dir, 'lock'))}, () => {}, async () => {
        fs.appendFileSync(${JSON.stringify(journal)}, 'in\\n');
        await pause(10);
        fs.appendFileSync(${JSON.stringify(journal)}, 'out\\n');
      });`;
    const ends = await Promise.all([inline(worker), inline(worker), inline(worker)].map((one) => one.ended));
    expect(ends.map((end) => end.code)).toEqual([0, 0, 0]);
    expect(readFileSync(journal, 'utf8')).toBe('in\nout\n'.repeat(15));
  });

  test('of a program that was killed is taken over', async () => {
    const lock = path.join(place(), 'lock');
    const take = (then: string): Program =>
      inline(`import { withLock } from ${JSON.stringify(lockModule)}; await withLock(${JSON.stringify(lock)}, () => {}, async () => { ${then} });`);
    const first = take("console.log('mine'); await new Promise(() => setInterval(() => {}, 1000));");
    await vi.waitFor(() => expect(first.output()).toContain('mine'), { timeout: 10_000 });
    first.kill('SIGKILL');
    await first.ended;
    expect(existsSync(lock)).toBe(true);
    const second = await take("console.log('mine now');").ended;
    expect(second).toMatchObject({ code: 0, output: 'mine now\n' });
    expect(existsSync(lock)).toBe(false);
  });
});

describe('a tool of set-up', () => {
  const provide = (dir: string, ways: string, env: Readonly<Record<string, string>> = {}): Program =>
    inline(
      `import fs from 'node:fs'; import path from 'node:path'; import { provide } from ${JSON.stringify(toolModule)};
       const make = async (dir) => { fs.appendFileSync(${JSON.stringify(path.join(dir, 'made'))}, 'x'); await new Promise((r) => setTimeout(r, 300));
         fs.mkdirSync(path.join(dir, 'bin')); fs.writeFileSync(path.join(dir, 'bin', 'gadget'), '#!/bin/sh\\n', { mode: 0o755 }); };
       const refuse = async () => { throw new Error('no such host'); };
       const result = await provide({ name: 'gadget', title: 'Gadget', env: 'GADGET', version: '1', onPath: false, ways: ${ways}, remedy: 'buy one' });
       console.log('RESULT', JSON.stringify(result));`,
      { GONOGO_CACHE: dir, GONOGO_TOOLS: path.join(dir, '.tools'), GADGET: '', ...env },
    );
  const resultOf = (output: string): unknown => JSON.parse(/^RESULT (.*)$/m.exec(output)?.[1] ?? 'null');

  test('is made once when two programs want it at once', async () => {
    const dir = place();
    const ends = await Promise.all([1, 2].map(() => provide(dir, "[{ title: 'build', fill: make }]").ended));
    const [one, two] = ends.map((end) => resultOf(end.output));
    expect(one).toEqual({ path: expect.stringMatching(/gadget-1-.*\/bin\/gadget$/) as string, way: 'build' });
    expect(two).toEqual(one);
    expect(readFileSync(path.join(dir, 'made'), 'utf8')).toBe('x');
  });

  test('comes by the next way when one fails', async () => {
    const { output } = await provide(place(), "[{ title: 'download', fill: refuse }, { title: 'build', fill: make }]").ended;
    expect(resultOf(output)).toMatchObject({ way: 'build' });
  });

  test('that cannot be had is named, with the remedy and what each way said', async () => {
    const { code, output } = await provide(place(), "[{ title: 'download', fill: refuse }]").ended;
    expect(code).toBe(0);
    expect(output).toContain('not to be had. Remedy: buy one');
    expect(output).toContain('download: no such host');
    expect(resultOf(output)).toEqual({ problem: 'download: no such host' });
  });

  test('is the one its variable names, and a wrong variable is an error rather than passed over', async () => {
    const dir = place();
    const mine = path.join(dir, 'mine');
    writeFileSync(mine, '#!/bin/sh\n');
    chmodSync(mine, 0o755);
    const given = await provide(dir, '[]', { GADGET: mine }).ended;
    expect(resultOf(given.output)).toEqual({ path: mine, way: 'GADGET' });
    const wrong = await provide(dir, "[{ title: 'build', fill: make }]", { GADGET: `${mine}-not` }).ended;
    expect(resultOf(wrong.output)).toEqual({ problem: `GADGET is ${mine}-not, which is not a program that may be executed` });
  });
});

describe('scripts/run.mjs', () => {
  const run = (source: string, ...args: string[]): Program => {
    const dir = place();
    mkdirSync(dir, { recursive: true });
    const file = path.join(dir, 'main.ts');
    appendFileSync(file, source);
    return program([path.join(scripts, 'run.mjs'), file, ...args]);
  };

  test('runs TypeScript with its arguments and passes the exit code on', async () => {
    const { code, output } = await run('const words: string[] = process.argv.slice(2); console.log(words.join("+")); process.exit(7);', 'a', 'b').ended;
    expect({ code, output }).toEqual({ code: 7, output: 'a+b\n' });
  });

  test('passes a signal on, so that the program can end in order', async () => {
    const one = run("process.on('SIGTERM', () => { console.log('ended in order'); process.exit(3); }); setInterval(() => {}, 1000); console.log('up');");
    await vi.waitFor(() => expect(one.output()).toContain('up'), { timeout: 10_000 });
    one.kill('SIGTERM');
    expect(await one.ended).toMatchObject({ code: 3, output: 'up\nended in order\n' });
  });

  test('ends by the signal by which the program ended', async () => {
    expect(await run("process.kill(process.pid, 'SIGKILL');").ended).toMatchObject({ code: null, signal: 'SIGKILL' });
  });
});
