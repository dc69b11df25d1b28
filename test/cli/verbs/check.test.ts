import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openMetricsPage, type MetricsPage } from '../../support/metrics-page.ts';
import { runCli } from '../run.ts';

const TOKEN = 'token-of-the-house-0123456789';
let dir = '';
let page: MetricsPage;
beforeAll(async () => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'gonogo-check-'));
  page = await openMetricsPage({ errors: 0, lag: 3 });
  writeFileSync(
    path.join(dir, 'gonogo.yaml'),
    `sources:\n  app: { kind: web, url: '${page.url}', token: '\${TOKEN}' }\n  away: { kind: prometheus, url: 'http://127.0.0.1:9' }\n`,
  );
  writeFileSync(
    path.join(dir, 'flags.yaml'),
    `chat:
  title: Chat
  owner: team
  type: boolean
  purpose: Chat.
  effect: Chat is there.
  lives: { stage: builtin }
  default: { stage: false }
  proof: [{ store: {} }]
`,
  );
});
afterAll(async () => {
  await page.close();
  rmSync(dir, { recursive: true, force: true });
});

interface Answer {
  readonly ok: boolean;
  readonly findings?: readonly {
    readonly severity: string;
    readonly where: string;
    readonly found: string;
    readonly expected: string;
    readonly hint: string;
  }[];
}

/** Checks a plan with these gates, all of the first stage, over the config. */
async function live(gates: string, more: readonly string[] = ['-o', 'json']) {
  const plan = path.join(dir, 'plan.yaml');
  const names = [...gates.matchAll(/^ {2}(\w+):/gm)].map(([, name]) => name);
  writeFileSync(plan, `name: chat\ngates:\n${gates}\nstages: [{ id: on, set: [{ flag: chat, to: everyone }], bake: 1m, gates: [${names.join(', ')}] }]\n`);
  const args = ['check', plan, '--live', '--config', path.join(dir, 'gonogo.yaml'), '--registry', path.join(dir, 'flags.yaml'), ...more];
  return runCli(args, { env: { TOKEN } });
}

describe('gonogo check --live, over a config without a database', () => {
  test('passes gates that are healthy, notes what could not be tried, and exits 0', async () => {
    const { code, stdout } = await live('  errors: { source: app, query: errors, max: 1 }');
    expect(code).toBe(0);
    const answer = JSON.parse(stdout) as Answer;
    expect(answer.ok).toBe(true);
    expect(answer.findings).toMatchObject([{ severity: 'note', where: 'gates.errors', found: 'not tried on the past: app keeps no history' }]);
  });

  test('says of each gate what is wrong, and what to change, and exits 3', async () => {
    const gates = `  lag: { source: app, query: lag, max: 1 }\n  broken: { source: app, query: 'errors[', max: 1 }\n  away: { source: away, query: 'max(up)', max: 1 }\n  missing: { source: nowhere, query: x, max: 1 }`;
    const { code, stdout, stderr, ms } = await live(gates);
    expect(code).toBe(3);
    expect(ms).toBeLessThan(20_000);
    const errors = (JSON.parse(stdout) as Answer).findings?.filter(({ severity }) => severity === 'error') ?? [];
    expect(errors.map(({ where, found }) => `${where} ${found}`)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^gates\.lag breached already: lag 3 > 1/),
        expect.stringMatching(/^gates\.broken: source app: errors\[ /),
        expect.stringMatching(/^gates\.away: source away: max\(up\) .*ECONNREFUSED/),
        expect.stringMatching(/nowhere no such source/),
      ]) as unknown,
    );
    for (const one of errors) expect(one.hint && one.expected, one.where).toBeTruthy();
    expect(stdout + stderr).not.toContain(TOKEN);
  });

  test('shows each finding with its remedy right below', async () => {
    const { code, stdout } = await live('  lag: { source: app, query: lag, max: 1 }', []);
    expect(code).toBe(3);
    expect(stdout).toMatch(/^✗ .*plan\.yaml\n✗ gates\.lag {2}breached already: lag 3 > 1; expected healthy before on arms it\n {3}→ mend what it measures/m);
  });

  test('does not ask the sources of a plan that is wrong in itself', async () => {
    const before = page.asked();
    const { code } = await live('  lag: { source: app, query: lag }');
    expect([code, page.asked()]).toEqual([2, before]);
  });

  test('refuses a span of the past that it does not understand', async () => {
    const { code, stderr } = await live('  lag: { source: app, query: lag, max: 1 }', ['--last', 'long']);
    expect([code, stderr]).toEqual([2, expect.stringContaining('--last is long; expected a duration up to 48h') as string]);
  });
});
