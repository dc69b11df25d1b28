import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isAlive } from '../../src/embedded/process.ts';
import { hasTool } from '../support/servers/require-tool.ts';
import { REGISTRY } from '../server/support.ts';
import { runCli, startCli, type Running } from './run.ts';

const PLAN = `
name: quick
maxDuration: 1d
gates:
  page: { alert: { severity: page } }
stages:
  - id: on
    set: [{ flag: chat, to: everyone }]
    bake: BAKE
    gates: [page]
watch: 1s
`;

interface Up {
  readonly running: Running;
  readonly url: string;
  readonly token: string | undefined;
}

describe.skipIf(!hasTool('temporal'))('gonogo start', () => {
  let dir = '';
  const running: Running[] = [];
  beforeAll(() => {
    dir = mkdtempSync(path.join(os.tmpdir(), 'gonogo-start-'));
    writeFileSync(path.join(dir, 'flags.yaml'), REGISTRY);
    writeFileSync(path.join(dir, 'quick.yaml'), PLAN.replace('BAKE', '1s'));
    writeFileSync(path.join(dir, 'slow.yaml'), PLAN.replace('quick', 'slow').replace('BAKE', '1h'));
  });
  afterAll(async () => {
    for (const one of running) one.signal('SIGTERM');
    await Promise.all(running.map((one) => one.done));
    rmSync(dir, { recursive: true, force: true });
  });

  const start = (args: readonly string[] = []): Running => {
    const one = startCli(['start', '--data', path.join(dir, 'data'), '--port', '0', '-o', 'jsonl', ...args], {
      cwd: dir,
      env: { GONOGO_REGISTRY: path.join(dir, 'flags.yaml') },
    });
    running.push(one);
    return one;
  };

  async function up(): Promise<Up> {
    const one = start();
    await Promise.race([
      expect.poll(one.stdout, { timeout: 90_000 }).toContain('\n'),
      one.done.then(({ code, stderr }) => {
        throw new Error(`start ended with ${String(code)}: ${stderr}`);
      }),
    ]);
    const said = JSON.parse(one.stdout()) as { url: string; token?: string };
    return { running: one, url: said.url, token: said.token };
  }

  test('runs a launch to its end, rolls another back with proof, ends gracefully, and goes on where it was', async () => {
    const first = await up();
    expect(first.token).toMatch(/^gng_/);
    const data = path.join(dir, 'data');
    expect(statSync(path.join(data, 'gonogo.log')).mode & 0o077).toBe(0);
    const env = { GONOGO_URL: first.url, GONOGO_TOKEN: first.token };
    const run = (args: readonly string[]) => runCli(args, { env, cwd: dir });

    const launched = await run(['launch', 'quick.yaml', '--env', 'stage', '-o', 'json']);
    expect([launched.code, launched.stderr]).toEqual([0, '']);
    const { id } = JSON.parse(launched.stdout) as { id: string };
    expect((await run(['watch', id, '--timeout', '2m'])).code).toBe(0);
    expect((await run(['flags', 'get', 'chat'])).stdout).toContain('everyone');
    expect((await run(['flags', 'set', 'chat', '--to', 'off', '--reason', 'again'])).code).toBe(0);

    const slow = JSON.parse((await run(['launch', 'slow.yaml', '--env', 'stage', '-o', 'json'])).stdout) as { id: string };
    await expect.poll(async () => (await run(['show', slow.id, '-o', 'json'])).stdout, { timeout: 30_000, interval: 500 }).toContain('"state": "baking"');
    const back = await run(['rollback', slow.id, '--reason', 'drill', '--wait', '--timeout', '2m']);
    expect(back.code).toBe(5);
    expect(back.stdout).toMatch(/proven/);
    expect((await run(['flags', 'get', 'chat'])).stdout).toContain('chat: off');

    const metrics = await (await fetch(`${first.url}/metrics`)).text();
    for (const name of ['gonogo_launches{state="launched"} 1', 'gonogo_rollback_seconds_count 1', 'temporal_request', 'process_resident_memory_bytes'])
      expect(metrics).toContain(name);

    const second = await start().done;
    expect(second.code).toBe(2);
    expect(second.stderr).toContain('is held by process');

    const servers = ['postgres/postgres.pid', 'temporal/temporal.db.pid'].map((file) => Number(readFileSync(path.join(data, file), 'utf8')));
    first.running.signal('SIGTERM');
    const ended = await first.running.done;
    expect([ended.code, ended.stderr.includes('ending')]).toEqual([0, true]);
    for (const pid of servers) expect(isAlive(pid)).toBe(false);
    expect(readFileSync(path.join(data, 'gonogo.log'), 'utf8')).not.toContain(first.token);

    const again = await up();
    expect(again.token).toBeUndefined();
    const list = await runCli(['list', '-o', 'json'], { env: { GONOGO_URL: again.url, GONOGO_TOKEN: first.token }, cwd: dir });
    expect((JSON.parse(list.stdout) as { id: string }[]).map((one) => one.id).sort()).toEqual([id, slow.id].sort());
    again.running.signal('SIGINT');
    expect((await again.running.done).code).toBe(0);
  }, 240_000);

  test('a wrong registry, environment or config is told before anything is started', async () => {
    const unknown = await start(['--env', 'mars']).done;
    expect([unknown.code, unknown.stdout]).toEqual([2, '']);
    expect(unknown.stderr).toContain('--env is mars; the registry knows prod, stage');
    writeFileSync(path.join(dir, 'bad.yaml'), 'temporal: { address: nowhere }\n');
    const bad = await start(['--config', path.join(dir, 'bad.yaml')]).done;
    expect(bad.code).toBe(2);
    expect(bad.stderr).toBe('bad.yaml:1:22  temporal.address is "nowhere"; expected host:port\n');
  });
});

describe('serve and worker', () => {
  test.each(['serve', 'worker'])('%s without a database ends with 2 and says how to get one', async (verb) => {
    const ran = await runCli([verb], { cwd: os.tmpdir() });
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain('set GONOGO_DATABASE_URL');
  });

  test('a wrong LOG_LEVEL is wrong input', async () => {
    const ran = await runCli(['serve'], { env: { GONOGO_DATABASE_URL: 'postgres://u:p@127.0.0.1:9/x', LOG_LEVEL: 'loud' } });
    expect([ran.code, ran.stderr]).toEqual([2, 'LOG_LEVEL is "loud"; expected one of trace, debug, info, warn, error, fatal, silent\n']);
  });
});
