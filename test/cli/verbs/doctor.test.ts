import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../run.ts';

const TOKEN = 'token-of-the-house-0123456789';
const env = { GONOGO_URL: 'http://127.0.0.1:9', TOKEN };
let dir = '';
let config = '';
beforeAll(() => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'gonogo-doctor-cli-'));
  config = path.join(dir, 'gonogo.yaml');
  const plans = path.resolve(import.meta.dirname, '..', '..', '..', 'plans');
  writeFileSync(
    config,
    `registry: ${plans}/flags.yaml
plansDir: ${plans}
evaluators:
  ofrep: { kind: ofrep, url: 'http://127.0.0.1:9', token: '\${TOKEN}' }
  sdk: { kind: openfeature, module: '@openfeature/flagd-provider', export: FlagdProvider, options: { resolverType: in-process, host: 127.0.0.1, port: 9, deadlineMs: 300 } }
notifiers: { ops: { kind: webhook, url: 'http://127.0.0.1:9/', token: '\${TOKEN}' } }
`,
  );
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('gonogo doctor, over a config without a database', () => {
  test(
    'looks at what the config names, each with its remedy, shows no secret, and ends though a vendor goes on reconnecting',
    { timeout: 40_000 },
    async () => {
      const { code, stdout, stderr, ms } = await runCli(['doctor', '--config', config, '-o', 'json', '--env', 'stage'], { env });
      expect(ms).toBeLessThan(25_000);
      expect(code).toBe(1);
      const findings = JSON.parse(stdout) as { what: string; ok: boolean; needed: boolean; found: string; remedy?: string }[];
      const bad = findings.filter((one) => !one.ok && one.needed);
      expect(bad.map((one) => one.what)).toEqual(expect.arrayContaining(['evaluator ofrep (stage)', 'evaluator sdk', 'notifier ops']));
      for (const one of bad) expect(one.remedy, one.what).toBeTruthy();
      // What lives in the database that "gonogo start" brings is not called broken while that does not run.
      expect(findings.map((one) => one.what)).not.toEqual(expect.arrayContaining(['provider builtin (stage)']));
      expect(findings.find((one) => one.what === 'config')?.found).toContain('with the embedded database');
      expect(stdout + stderr).not.toContain(TOKEN);
    },
  );

  test('shows a remedy right below what it is for', { timeout: 40_000 }, async () => {
    const { stdout } = await runCli(['doctor', '--config', config, '--env', 'stage'], { env });
    expect(stdout).toMatch(/^✗ {2}notifier ops +notifiers\.ops: .*ECONNREFUSED.*\n {3}→ news would not arrive/m);
  });

  test('knows the environments of the registry', async () => {
    const { code, stdout, stderr } = await runCli(['doctor', '--config', config, '--env', 'moon'], { env });
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toBe('--env is moon; the registry knows dev, prod, stage\n');
  });
});
