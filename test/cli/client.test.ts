import { createServer, type Server } from 'node:http';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { endLaunch, markStuck } from '../../src/store/launches.ts';
import { hold } from '../../src/store/people.ts';
import { requestRollback } from '../../src/store/request.ts';
import { openStage } from '../../src/store/stages.ts';
import { openBench, type Bench, type Name } from '../server/support.ts';
import { freePort } from '../../src/embedded/process.ts';
import { runCli, startCli, type Running } from './run.ts';

let bench: Bench;
let dir = '';
beforeAll(async () => {
  bench = await openBench();
  dir = mkdtempSync(path.join(os.tmpdir(), 'gonogo-client-'));
});
afterAll(async () => {
  rmSync(dir, { recursive: true, force: true });
  await bench.close();
});

const as = (name: Name, url = bench.url) => ({ env: { GONOGO_URL: url, GONOGO_TOKEN: bench.tokens[name] } });
const now = () => new Date().toISOString();

/** Waits until a command has printed something. */
async function printed(running: Running, what: string | RegExp): Promise<void> {
  await expect.poll(running.stdout, { timeout: 15_000 }).toMatch(what);
}

async function rollBack(launch: string): Promise<void> {
  await requestRollback(bench.store, launch, { kind: 'launch' }, { kind: 'person', reason: 'test' }, 'carl', Date.now());
}

/** A rollback whose every request is proven, as a hand leaves it: nothing had moved, so its flags are what they were. */
async function proven(launch: string, outcome: 'rolled-back' | 'aborted' = 'rolled-back'): Promise<void> {
  await bench.store.db.updateTable('rollback_request').set({ proven_at: new Date(), verified_at: new Date() }).where('launch', '=', launch).execute();
  expect(await endLaunch(bench.store, launch, outcome, { kind: 'ended', at: now(), by: 'gonogo', outcome, why: 'proven' })).toMatchObject({ kind: 'ended' });
}

describe('acts of people', () => {
  test('a launch is shown, ticked, signed, held, resumed, rolled back and reported, each with exit 0', async () => {
    const launch = await bench.open();
    await openStage(bench.store, launch, 'dark', now(), []);
    const shown = await runCli(['show', launch], as('vera'));
    expect(shown.code).toBe(0);
    for (const text of [launch, 'GATES', 'load-test', 'release-engineer', 'chat']) expect(shown.stdout).toContain(text);
    for (const [who, args] of [
      ['dmitri', ['tick', launch, 'load-test', '--evidence', 'https://example.com/run/1']],
      ['dmitri', ['sign', launch, 'dark', 'go', '--as', 'qa', '--reason', 'regress green']],
      ['carl', ['hold', launch, '--reason', 'lunch']],
      ['carl', ['resume', launch, '--reason', 'back']],
      ['carl', ['rollback', launch, '--reason', 'drill']],
    ] as const) {
      const ran = await runCli(args, as(who));
      expect([args[0], ran.code, ran.stderr]).toEqual([args[0], 0, '']);
    }
    const { body } = await bench.call('GET', `/api/launches/${launch}/events`, { as: 'vera' });
    const kinds = (body['events'] as { kind: string; by: string; seal?: string }[]).map((event) => `${event.kind} ${event.by}`);
    expect(kinds).toEqual(['opened rita', 'stage-opened gonogo', 'ticked dmitri', 'signed dmitri', 'held carl', 'resumed carl', 'rollback-requested carl']);
    const file = path.join(dir, 'report.json');
    expect((await runCli(['report', launch, '-o', 'json', '--file', file], as('vera'))).code).toBe(0);
    const { text } = await bench.call('GET', `/api/launches/${launch}/report`, { as: 'vera', headers: { accept: 'application/json' } });
    expect(readFileSync(file, 'utf8')).toBe(text);
    expect((await runCli(['report', launch], as('vera'))).stdout).toMatch(/^# /);
  });

  test('a no-go carries its reason, recheck, bugs and what happens meanwhile', async () => {
    const launch = await bench.open();
    await openStage(bench.store, launch, 'dark', now(), []);
    const ran = await runCli(
      [
        'sign',
        launch,
        'dark',
        'no-go',
        '--as',
        'qa',
        '--reason',
        'chat drops',
        '--recheck',
        '24h',
        '--bug',
        'CHAT-1',
        '--bug',
        'CHAT-2',
        '--meanwhile',
        'hold',
      ],
      as('dmitri'),
    );
    expect([ran.code, ran.stderr]).toEqual([0, '']);
    const view = JSON.parse((await runCli(['show', launch, '-o', 'json'], as('vera'))).stdout) as {
      state: string;
      stages: { noGo?: { bugs: string[]; reason: string; recheckAt: string } }[];
    };
    expect(view.state).toBe('no-go');
    expect(view.stages[0]?.noGo).toMatchObject({ reason: 'chat drops', bugs: ['CHAT-1', 'CHAT-2'] });
    expect(Date.parse(view.stages[0]?.noGo?.recheckAt ?? '') - Date.now()).toBeGreaterThan(23 * 3_600_000);
    expect((await runCli(['sign', launch, 'dark', 'go', '--as', 'release-engineer'], as('anna'))).code).toBe(3);
  });

  test.each<[string, number, Name | undefined, (launch: string) => string[], RegExp]>([
    ['without a token', 4, undefined, (launch) => ['show', launch], /unauthenticated/],
    ['without the role', 4, 'vera', (launch) => ['rollback', launch, '--reason', 'r'], /forbidden/],
    ['in a role not held', 4, 'dmitri', (launch) => ['sign', launch, 'dark', 'go', '--as', 'product'], /role_not_held/],
    ['of a launch that is not there', 2, 'vera', () => ['show', 'nowhere'], /launch_unknown/],
    ['of an item that is not there', 2, 'dmitri', (launch) => ['tick', launch, 'nothing'], /item_unknown/],
    ['without the evidence it asks for', 2, 'dmitri', (launch) => ['tick', launch, 'load-test'], /evidence_missing/],
    ['that does not fit how the launch stands', 2, 'carl', (launch) => ['conclude', launch, '--reason', 'r'], /not_concludable/],
    ['in a state that does not exist', 2, 'vera', () => ['list', '--state', 'happy'], /invalid_query/],
  ])('an act %s ends with %i, the problem in words with its code', async (_what, code, who, args, words) => {
    const launch = await bench.open();
    await openStage(bench.store, launch, 'dark', now(), []);
    const ran = await runCli(args(launch), who === undefined ? { env: { GONOGO_URL: bench.url } } : as(who));
    expect([ran.code, ran.stdout]).toEqual([code, '']);
    expect(ran.stderr).toMatch(words);
  });

  test('a launch that nobody confirmed ends with 75 and says with which key to ask again', async () => {
    const plan = path.join(dir, 'plan.yaml');
    const { planYaml } = await import('../server/support.ts');
    const { writeFileSync } = await import('node:fs');
    writeFileSync(plan, planYaml('unconfirmed'));
    const ran = await runCli(['launch', plan, '--env', 'stage', '--idempotency-key', 'key-0001'], as('rita'));
    expect([ran.code, ran.stdout]).toEqual([75, '']);
    expect(ran.stderr).toContain('--idempotency-key key-0001');
    writeFileSync(plan, `${planYaml('bad')}\nfrob: 1\n`);
    const refused = await runCli(['launch', plan, '--env', 'stage'], as('rita'));
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/plan_refused[\s\S]*\d+:1 {2}frob is not a known field/);
  });

  test('lists launches in every format', async () => {
    const launch = await bench.open();
    const rows = JSON.parse((await runCli(['list', '-o', 'json'], as('vera'))).stdout) as { id: string }[];
    expect(rows.map((row) => row.id)).toContain(launch);
    expect((await runCli(['list', '-o', 'jsonl'], as('vera'))).stdout.trim().split('\n')).toHaveLength(rows.length);
    expect((await runCli(['list', '-o', 'md'], as('vera'))).stdout).toContain('| --- |');
    expect((await runCli(['list', '--state', 'waiting'], as('vera'))).stdout).toContain(launch);
  });
});

describe('flags', () => {
  test('are listed, read and written, only from the revision that was seen', async () => {
    expect((await runCli(['flags', 'list'], as('vera'))).stdout).toMatch(/notify\s+off/);
    const set = await runCli(['flags', 'set', 'notify', '--to', '{ share: 5, by: contract }', '--reason', 'trial'], as('carl'));
    expect([set.code, set.stderr]).toEqual([0, '']);
    expect((await runCli(['flags', 'get', 'notify'], as('vera'))).stdout).toContain('5 % by contract');
    const stale = await runCli(['flags', 'set', 'notify', '--to', 'off', '--reason', 'x', '--expected', '1'], as('carl'));
    expect(stale.code).toBe(2);
    expect(stale.stderr).toContain('flag_moved');
    expect((await runCli(['flags', 'set', 'notify', '--to', 'off', '--reason', 'x'], as('vera'))).code).toBe(4);
    expect((await runCli(['flags', 'set', 'notify', '--to', '{ share: 500 }', '--reason', 'x'], as('carl'))).code).toBe(2);
    expect((await runCli(['flags', 'set', 'notify', '--to', 'off', '--reason', 'x'], as('carl'))).stdout).toContain('notify: off');
    expect((await runCli(['flags', 'get', 'nowhere'], as('vera'))).code).toBe(2);
  });
});

describe('watch', () => {
  test.each([
    ['rolled-back', 5],
    ['aborted', 3],
  ] as const)('tells each event once and ends a launch that is %s with %i', async (outcome, code) => {
    const launch = await bench.open();
    const watching = startCli(['watch', launch], as('vera'));
    await printed(watching, /Waiting|waiting|needs|opens/);
    await openStage(bench.store, launch, 'dark', now(), []);
    await printed(watching, /\d\d:\d\d:\d\dZ {2}.*dark/);
    await rollBack(launch);
    await proven(launch, outcome);
    const ran = await watching.done;
    expect(ran.code).toBe(code);
    const events = ran.stdout.split('\n').filter((line) => /^\d\d:\d\d:\d\dZ/.test(line));
    expect(events).toHaveLength(3);
  });

  test('ends 6 for a rollback that is not proven, and rollback --wait does too', async () => {
    const launch = await bench.open();
    const waiting = startCli(['rollback', launch, '--reason', 'r', '--wait'], as('carl'));
    await printed(waiting, /↺/);
    await markStuck(bench.store, launch, 'launch', { kind: 'stuck', at: now(), by: 'gonogo', remainder: ['chat'] });
    expect((await waiting.done).code).toBe(6);
    expect((await runCli(['watch', launch], as('vera'))).code).toBe(6);
  });

  test('rollback --wait ends 5 once it is proven', async () => {
    const launch = await bench.open();
    const waiting = startCli(['rollback', launch, '--reason', 'r', '--wait'], as('carl'));
    await printed(waiting, /↺/);
    await proven(launch);
    expect((await waiting.done).code).toBe(5);
  });

  test('--until signed ends 3 at a no-go', async () => {
    const launch = await bench.open();
    await openStage(bench.store, launch, 'dark', now(), []);
    const watching = startCli(['watch', launch, '--until', 'signed'], as('vera'));
    await printed(watching, /\?/);
    await bench.call('POST', `/api/launches/${launch}/stages/dark/sign-offs`, {
      as: 'dmitri',
      body: { role: 'qa', decision: 'no-go', reason: 'r', recheckAt: new Date(Date.now() + 3_600_000).toISOString() },
    });
    expect((await watching.done).code).toBe(3);
  });

  test('--until bake-end ends 7 where people must act first', async () => {
    const launch = await bench.open();
    expect((await runCli(['watch', launch, '--until', 'bake-end'], as('vera'))).code).toBe(7);
  });

  test('ends 7 when the time is over and it waits for people', async () => {
    const launch = await bench.open();
    const ran = await runCli(['watch', launch, '--timeout', '1s'], as('vera'));
    expect(ran.code).toBe(7);
    await hold(bench.store, launch, 'carl', now(), 'x', 'person');
    expect((await runCli(['watch', launch, '--timeout', '1s'], as('vera'))).code).toBe(7);
  });

  test('ends 8 when the time is over and nobody is waited for', async () => {
    const launch = await bench.open();
    await rollBack(launch);
    expect((await runCli(['watch', launch, '--timeout', '1s'], as('vera'))).code).toBe(8);
  });

  test('ends 130 at Ctrl-C', async () => {
    const launch = await bench.open();
    const watching = startCli(['watch', launch], as('vera'));
    await printed(watching, /\?/);
    watching.signal('SIGINT');
    expect((await watching.done).code).toBe(130);
  });

  test('-o jsonl is one JSON document per line', async () => {
    const launch = await bench.open();
    const watching = startCli(['watch', launch, '-o', 'jsonl', '--timeout', '3s'], as('vera'));
    await printed(watching, /"state"/);
    await openStage(bench.store, launch, 'dark', now(), []);
    const { stdout } = await watching.done;
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.some((line) => line['kind'] === 'stage-opened')).toBe(true);
  });

  test('survives a proxy that answers 502 and a server that is away and back, and misses nothing', async () => {
    const launch = await bench.open();
    const port = await freePort();
    let broken = false;
    const target = new URL(bench.url);
    const { request } = await import('node:http');
    const forward = (): Server =>
      createServer((req, res) => {
        if (broken) {
          res.writeHead(502).end('bad gateway');
          return;
        }
        const onward = request({ host: target.hostname, port: target.port, path: req.url, method: req.method, headers: req.headers }, (answer) => {
          res.writeHead(answer.statusCode ?? 500, answer.headers);
          answer.pipe(res);
        });
        onward.on('error', () => res.destroy());
        req.pipe(onward);
        res.on('close', () => onward.destroy());
      });
    const listen = (server: Server) => new Promise<void>((resolve) => server.listen(port, '127.0.0.1', () => resolve()));
    let proxy = forward();
    await listen(proxy);
    const watching = startCli(['watch', launch], as('vera', `http://127.0.0.1:${port}`));
    try {
      await printed(watching, /\?/);
      broken = true;
      proxy.closeAllConnections();
      await expect.poll(watching.stderr, { timeout: 15_000 }).toContain('trying again');
      await openStage(bench.store, launch, 'dark', now(), []);
      broken = false;
      await printed(watching, /\d\dZ {2}.*dark/);
      proxy.closeAllConnections();
      await new Promise((resolve) => proxy.close(resolve));
      await bench.call('POST', `/api/launches/${launch}/hold`, { as: 'carl', body: { reason: 'while away' } });
      await expect.poll(watching.stderr, { timeout: 15_000 }).toMatch(/trying again[\s\S]*connected again[\s\S]*trying again/);
      proxy = forward();
      await listen(proxy);
      await printed(watching, /while away/);
      await rollBack(launch);
      await proven(launch);
      const ran = await watching.done;
      expect(ran.code).toBe(5);
      expect(ran.stdout.split('\n').filter((line) => /^\d\d:\d\d:\d\dZ/.test(line))).toHaveLength(4);
    } finally {
      watching.signal('SIGKILL');
      proxy.closeAllConnections();
      await new Promise((resolve) => proxy.close(resolve));
    }
  }, 60_000);
});

describe('tokens', () => {
  test('are made on the database, work at once, are listed without their text, and are revoked from the next request on', async () => {
    const env = { GONOGO_DATABASE_URL: bench.databaseUrl };
    const made = await runCli(['token', 'create', 'Ольга Смирнова', '--role', 'legal', 'on-call', '--expires', '30d'], { env });
    expect(made.code).toBe(0);
    const token = made.stdout.trim();
    expect(token).toMatch(/^gng_[\w-]{43}$/);
    expect(made.stderr).not.toContain(token);
    expect((await runCli(['list'], { env: { GONOGO_URL: bench.url, GONOGO_TOKEN: token } })).code).toBe(0);
    const listed = await runCli(['token', 'list', '-o', 'json'], { env });
    expect(listed.stdout).not.toContain(token.slice(8));
    const row = (JSON.parse(listed.stdout) as { id: string; person: string; roles: string[] }[]).find((one) => one.person === 'Ольга Смирнова');
    expect(row?.roles).toEqual(['legal', 'on-call']);
    expect((await runCli(['token', 'revoke', row?.id ?? ''], { env })).code).toBe(0);
    expect((await runCli(['list'], { env: { GONOGO_URL: bench.url, GONOGO_TOKEN: token } })).code).toBe(4);
    expect((await runCli(['token', 'revoke', row?.id ?? ''], { env })).code).toBe(2);
    expect((await runCli(['token', 'create', 'x', '--role', 'QA'], { env })).code).toBe(2);
  });

  test('without a database say where one may be; with one that is away end 75 without its password', async () => {
    const none = await runCli(['token', 'list', '--data', path.join(dir, 'none')]);
    expect(none.code).toBe(2);
    expect(none.stderr).toContain('GONOGO_DATABASE_URL');
    const away = await runCli(['token', 'list'], { env: { GONOGO_DATABASE_URL: 'postgres://u:very-secret@127.0.0.1:9/x' } });
    expect(away.code).toBe(75);
    expect(away.stderr).not.toContain('very-secret');
  });
});
