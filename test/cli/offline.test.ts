import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { runCli } from './run.ts';

let dir = '';
beforeAll(() => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'gonogo-cli-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const GOOD = 'plans/communications.yaml';
const BAD = 'test/fixtures/plans/bad/field-missing.yaml';
const UNREACHABLE = { GONOGO_URL: 'http://127.0.0.1:9' };

describe('check', () => {
  test('passes a good plan and gives its hash for an environment', async () => {
    const { code, stdout } = await runCli(['check', GOOD, '--env', 'stage', '-o', 'json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, problems: [], planHash: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
  });

  test('shows every problem with file, line and column and exits 2', async () => {
    const plan = path.join(dir, 'two.yaml');
    writeFileSync(plan, 'name: two\nwatch: fast\nstages:\n  - id: one\n    bake: soon\n');
    const { code, stdout } = await runCli(['check', plan]);
    expect(code).toBe(2);
    const lines = stdout.trim().split('\n');
    expect(lines.length).toBeGreaterThanOrEqual(2);
    for (const line of lines) expect(line).toMatch(/two\.yaml:\d+:\d+ {2}\S/);
    expect(stdout).toContain('watch is "fast"');
    expect(stdout).toContain('stages[0].bake is "soon"');
  });

  test('takes several plans and stdin', async () => {
    const { code, stdout } = await runCli(['check', GOOD, '-', '-o', 'jsonl'], { input: 'name: x\n' });
    expect(code).toBe(2);
    const results = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { file: string; ok: boolean });
    expect(results.map(({ file, ok }) => [file, ok])).toEqual([
      [GOOD, true],
      ['-', false],
    ]);
  });

  test('a plan that is not there is wrong input', async () => {
    const { code, stderr } = await runCli(['check', 'nowhere.yaml']);
    expect([code, stderr]).toEqual([2, 'nowhere.yaml cannot be read (ENOENT); expected a plan\n']);
  });
});

describe('explain', () => {
  test('tells the plan stage by stage', async () => {
    const { code, stdout } = await runCli(['explain', GOOD, '--env', 'prod']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/Stage 1.*chat_dark_launch/s);
    expect(stdout).toMatch(/24h/);
  });

  test('of a plan that cannot be read gives its problems and 2', async () => {
    const { code, stdout, stderr } = await runCli(['explain', BAD]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain('stages is missing');
  });
});

describe('every command', () => {
  test.each([
    ['an unknown command', ['frob']],
    ['an unknown option', ['list', '--frob']],
    ['a missing argument', ['show']],
    ['a bad choice', ['sign', 'l', 's', 'maybe', '--as', 'qa']],
    ['an unknown format', ['list', '-o', 'xml']],
    ['no environment for a launch', ['launch', GOOD]],
    ['a bad span', ['watch', 'l', '--timeout', 'soon']],
    ['a bad recheck', ['sign', 'l', 's', 'no-go', '--as', 'qa', '--reason', 'x', '--recheck', 'tomorrow']],
    ['a bad server address', ['list', '--server', 'ftp://x']],
    ['a password in the server address', ['list', '--server', 'http://u:p@127.0.0.1:1']],
    ['a bad speed', ['launch', GOOD, '--env', 'stage', '--speed', '0']],
  ])('ends with 2 for %s, in words on stderr and nothing on stdout', async (_what, args) => {
    const { code, stdout, stderr } = await runCli(args, { env: UNREACHABLE });
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr.trim()).not.toBe('');
    expect(stderr).not.toMatch(/\n\s+at .*\.ts/);
  });

  test.each([
    ['--reason', ['rollback', 'l']],
    ['--reason', ['hold', 'l']],
    ['--reason', ['conclude', 'l']],
    ['--as', ['sign', 'l', 's', 'go']],
    ['--reason', ['sign', 'l', 's', 'no-go', '--as', 'qa']],
    ['--recheck', ['sign', 'l', 's', 'no-go', '--as', 'qa', '--reason', 'r']],
  ])('never asks where nobody is: without %s it ends with 2 and names the flag', async (flag, args) => {
    const { code, stderr, stdout } = await runCli(args, { env: { ...UNREACHABLE, CI: '1' } });
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(`${flag} is missing`);
  });

  test.each(
    [
      ['list'],
      ['show', 'l'],
      ['report', 'l'],
      ['flags', 'list'],
      ['rollback', 'l', '--reason', 'r'],
      ['tick', 'l', 'i'],
      ['launch', GOOD, '--env', 'stage'],
    ].map((args) => [args]),
  )('%j ends with 75 when the server cannot be reached, and says what to do', async (args) => {
    const { code, stdout, stderr } = await runCli(args, { env: UNREACHABLE });
    expect([code, stdout]).toEqual([75, '']);
    expect(stderr).toMatch(/^http:\/\/127\.0\.0\.1:9 cannot be reached: /);
    expect(stderr).toMatch(/--server|--idempotency-key/);
  });

  test('a watch gives the server five seconds to come up, then ends with 75', async () => {
    const { code, ms } = await runCli(['watch', 'l'], { env: UNREACHABLE });
    expect(code).toBe(75);
    expect(ms).toBeGreaterThan(4_500);
    expect(ms).toBeLessThan(15_000);
  });

  test.each([{ NO_COLOR: '1' }, { TERM: 'dumb' }, { CI: 'true' }, { LANG: 'C', LC_ALL: 'C' }, { FORCE_COLOR: '1' }])(
    'writes no escape sequence, with %j',
    async (env) => {
      for (const args of [['check', GOOD], ['check', BAD], ['--help'], ['list'], ['frob']]) {
        const { stdout, stderr } = await runCli(args, { env: { ...UNREACHABLE, ...env } });
        // eslint-disable-next-line no-control-regex -- the very thing that must not be there
        expect(stdout + stderr).not.toMatch(/\u001b|\u009b/);
      }
    },
  );

  test('says its own marks in ASCII with LANG=C', async () => {
    const { stdout } = await runCli(['check', GOOD], { env: { LANG: 'C' } });
    expect(stdout).toBe(`v ${GOOD}\n`);
  });

  test('prints the same data in every format, whether or not it is piped', async () => {
    const json = await runCli(['check', BAD, '-o', 'json']);
    const yaml = await runCli(['check', BAD, '-o', 'yaml']);
    expect([json.code, yaml.code]).toEqual([2, 2]);
    expect(parse(yaml.stdout)).toEqual(JSON.parse(json.stdout));
  });

  test('a token is refused as an argument', async () => {
    const { code, stderr } = await runCli(['list', '--token', 'x']);
    expect(code).toBe(2);
    expect(stderr).toContain("unknown option '--token'");
  });

  test('help goes to stdout with 0 and names every exit code', async () => {
    const { code, stdout } = await runCli(['--help']);
    expect(code).toBe(0);
    for (const text of ['5 rolled back and proven', '75 server unreachable', 'GONOGO_TOKEN']) expect(stdout).toContain(text);
  });
});

describe('completion', () => {
  test('for bash knows commands, subcommands and options', async () => {
    const { code, stdout } = await runCli(['completion', 'bash']);
    expect(code).toBe(0);
    const script = path.join(dir, 'completion.bash');
    writeFileSync(
      script,
      `${stdout}\ncomplete_for() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _gonogo; echo "\${COMPREPLY[*]}"; }\ncomplete_for gonogo ro\ncomplete_for gonogo token cr\ncomplete_for gonogo rollback x --wa\ncomplete_for gonogo sign l s no\n`,
    );
    const { execFileSync } = await import('node:child_process');
    expect(execFileSync('bash', [script], { encoding: 'utf8' }).trim().split('\n')).toEqual(['rollback', 'create', '--wait', 'no-go']);
  });

  test.each(['zsh', 'fish'])('for %s names every command', async (shell) => {
    const { stdout } = await runCli(['completion', shell]);
    for (const verb of ['rollback', 'watch', 'conclude', 'doctor', 'completion']) expect(stdout).toContain(verb);
  });
});

describe('doctor', () => {
  test('without a config says that everything is embedded, with the remedy for what is not up', async () => {
    const { code, stdout } = await runCli(['doctor', '-o', 'json', '--data', path.join(dir, 'none')], { env: UNREACHABLE });
    const findings = JSON.parse(stdout) as { what: string; ok: boolean; remedy?: string }[];
    expect(findings.map((one) => one.what)).toEqual(['node', 'temporal', 'prometheus', 'alertmanager', 'config', 'data', 'server']);
    expect(findings.find((one) => one.what === 'server')).toMatchObject({ ok: false, remedy: expect.stringContaining('gonogo start') as string });
    expect(code).toBe(0);
  });

  test('with a config that is wrong, or a database that is away, ends with 1 and says what to do', async () => {
    const file = path.join(dir, 'gonogo.yaml');
    writeFileSync(file, 'server: { port: seven }\n');
    const wrong = await runCli(['doctor', '--config', file], { env: UNREACHABLE });
    expect(wrong.code).toBe(1);
    expect(wrong.stdout).toContain('server.port is "seven"');
    const away = await runCli(['doctor', '-o', 'json'], {
      env: { ...UNREACHABLE, GONOGO_DATABASE_URL: 'postgres://u:very-secret@127.0.0.1:9/x', TEMPORAL_ADDRESS: '127.0.0.1:9' },
    });
    expect(away.code).toBe(1);
    expect(away.stdout + away.stderr).not.toContain('very-secret');
    const bad = (JSON.parse(away.stdout) as { what: string; ok: boolean; remedy?: string }[]).filter((one) => !one.ok);
    expect(bad.map((one) => one.what)).toEqual(
      expect.arrayContaining(['database', 'temporal', 'server', 'provider builtin (dev, prod, stage)', 'evaluator store']),
    );
    for (const one of bad) expect(one.remedy).toBeTruthy();
  });
});
