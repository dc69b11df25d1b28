import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isAlive } from '../../src/embedded/process.ts';
import { until } from '../support/until.ts';

describe('the demo, told to end while it runs', { timeout: 120_000 }, () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(path.join(os.tmpdir(), 'gonogo-stopped-demo-'));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it('stops every server that it has started, and removes their data', async () => {
    const demo = spawn(process.execPath, [path.resolve(import.meta.dirname, '..', '..', 'demo', 'main.ts'), '--out', dir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    const state: { ended?: number | null } = {};
    demo.stdout.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
    demo.once('exit', (code) => (state.ended = code));
    try {
      await until('the last server', () => said.includes('the marketplace at') || state.ended !== undefined, 90_000);
      demo.kill('SIGINT');
      await until('its end', () => state.ended !== undefined, 30_000);
    } finally {
      if (state.ended === undefined) demo.kill('SIGKILL');
    }
    const pids = [...said.matchAll(/\(pid (\d+)\)/g)].map((match) => Number(match[1]));
    expect(pids.length, said).toBeGreaterThanOrEqual(3);
    expect(pids.filter(isAlive)).toEqual([]);
    expect(state.ended).toBe(130);
    const data = /data in (\S+)\/temporal\//.exec(said)?.[1];
    expect(data).toBeDefined();
    expect(() => rmSync(data ?? '')).toThrow('ENOENT');
  });
});
