import { globSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterAll, describe, expect, it } from 'vitest';
import { isAlive } from '../../../src/embedded/process.ts';
import { freshDatabase } from '../../support/database.ts';
import { hasTool } from '../../support/servers/require-tool.ts';
import { until } from '../../support/until.ts';
import { runCli, startCli } from '../run.ts';

const PLAN = ['rehearse', 'plans/communications.yaml', '-e', 'prod', '--defaults'];
const dir = mkdtempSync(path.join(os.tmpdir(), 'gonogo-rehearse-cli-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Folders of rehearsals of one process. */
const folders = (pid: number): readonly string[] => readdirSync(os.tmpdir()).filter((name) => name.startsWith(`gonogo-rehearsal-${pid}-`));

/** Process ids of the servers of one process' rehearsal. */
const serversOf = (pid: number): readonly number[] => [
  ...new Set(folders(pid).flatMap((name) => globSync(path.join(os.tmpdir(), name, '**/*.pid')).map((file) => Number.parseInt(readFileSync(file, 'utf8'), 10)))),
];

async function tablesOf(url: string): Promise<readonly string[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ name: string }>(
      `select n.nspname || '.' || c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'`,
    );
    return rows.map((row) => row.name);
  } finally {
    await client.end();
  }
}

describe('gonogo rehearse, before anything is started', () => {
  it.each([
    ['without an environment', ['rehearse', 'plans/communications.yaml'], /--env is missing\n {2}give one of stage, prod/],
    ['with a scenario that there is none of', [...PLAN, '--scenario', 'earthquake'], /--scenario is "earthquake"\n {2}give healthy, one of breach, no-data/],
    ['with a stage that the plan lacks', [...PLAN, '--scenario', 'breach:9'], /breach:9 cannot be rehearsed with this plan: the plan has 4 stages/],
    ['with --all and a scenario', [...PLAN, '--all', '--scenario', 'healthy'], /--all and --scenario are both given/],
  ])('%s exits 2 and says what to give', async (_, args, words) => {
    const ran = await runCli(args);
    expect(ran.stderr).toMatch(words);
    expect(ran.code).toBe(2);
  });

  it('a scenario file with a mistake exits 2 and says where it is', async () => {
    const file = path.join(dir, 'wrong.yaml');
    writeFileSync(file, 'should: launched\ngates:\n  - { gate: nope, stage: chat_dark_launch, reads: breach }\n');
    const ran = await runCli([...PLAN, '--scenario', file]);
    expect(ran.stderr).toContain('wrong.yaml:3:13  gates[0].gate is nope, which is no gate of this plan');
    expect(ran.code).toBe(2);
  });

  it('a server for skipped time that is not there exits 1 and says so', async () => {
    const ran = await runCli(PLAN, { env: { TEMPORAL_TEST_SERVER: path.join(dir, 'none') } });
    expect(ran.stderr).toMatch(/TEMPORAL_TEST_SERVER is .*; expected the path of an executable temporal-test-server/);
    expect(ran.code).toBe(1);
  });
});

describe.skipIf(!hasTool('temporal-test-server'))('gonogo rehearse', () => {
  it('tells a breach in stage 2 of the communications plan in its own time, and exits 0', async () => {
    const ran = await runCli([...PLAN, '--scenario', 'breach:2']);
    expect(ran.stdout).toMatch(/^day 1 \d\d:\d\d:\d\d {2}→ the qa +tick 21 items, and say go or no-go for chat_dark_launch$/m);
    // 37 h after the start: which day that is depends on the hour at which the test is run.
    expect(ran.stdout).toMatch(/^day [23] \d\d:\d\d:\d\d .*rollback of everything asked for: dropped notifications/m);
    expect(ran.stdout).toMatch(/^✓ breach:2: rolled-back, as it should .*; 1d13h\S* in /m);
    expect(ran.code).toBe(0);
  }, 60_000);

  it('prints the same as JSON, and exits 3 where a scenario file is not met', async () => {
    const file = path.join(dir, 'slow-legal.yaml');
    writeFileSync(
      file,
      'people:\n  - { role: legal, stage: chat_full_release, after: 20h }\ngates:\n  - { gate: latency, stage: chat_full_release, after: 1h, reads: breach, for: 3m }\nshould: launched\n',
    );
    const ran = await runCli([...PLAN, '-o', 'json', '--scenario', file]);
    const data = JSON.parse(ran.stdout) as { ok: boolean; scenarios: { scenario: string; outcome: string; misses: string[]; virtual: number }[] };
    expect(data.ok).toBe(false);
    // The stage's own rollback: its fallback is on, and a person concludes.
    expect(data.scenarios).toMatchObject([{ scenario: 'slow-legal', outcome: 'rolled-back', misses: ['it ended rolled-back; it should have ended launched'] }]);
    expect(data.scenarios[0]?.virtual).toBeGreaterThan((3 * 24 + 20) * 3_600_000);
    expect(ran.code).toBe(3);
  }, 60_000);

  it.each([
    ['Ctrl-C', ['SIGINT']],
    ['a second Ctrl-C', ['SIGINT', 'SIGINT']],
    ['a terminal that is closed', ['SIGHUP']],
  ] as const)(
    'ends at %s with 130, its servers gone and its folder removed',
    async (_, signals) => {
      const running = startCli([...PLAN, '--all']);
      await until('the first scenario is over', () => folders(running.pid).length > 0 && running.stderr().includes('healthy'), 60_000);
      const servers = serversOf(running.pid);
      expect(servers).toHaveLength(2);
      for (const signal of signals) running.signal(signal);
      const ran = await running.done;
      expect([ran.code, ran.stderr.replaceAll(/^✓.*\n/gm, '')]).toEqual([130, '']);
      expect(folders(running.pid)).toEqual([]);
      await until('its servers are gone', () => !servers.some(isAlive));
    },
    90_000,
  );

  it('killed, it leaves nothing that the next one does not clear away', async () => {
    const killed = startCli([...PLAN, '--all']);
    await until('the first scenario is over', () => folders(killed.pid).length > 0 && killed.stderr().includes('healthy'), 60_000);
    const servers = serversOf(killed.pid);
    killed.signal('SIGKILL');
    await killed.done;
    expect((await runCli([...PLAN, '--scenario', 'breach:1'])).code).toBe(0);
    expect(folders(killed.pid)).toEqual([]);
    expect(servers.filter(isAlive)).toEqual([]);
  }, 120_000);

  it('writes nothing at the flags it reads, not even the tables of a store that is not there yet', async () => {
    const database = await freshDatabase();
    try {
      const file = path.join(dir, 'gonogo.yaml');
      writeFileSync(file, "database: { url: '${REAL_DATABASE}' }\nproviders:\n  prod: { kind: builtin }\n  builtin: { kind: builtin }\n");
      const ran = await runCli(['--config', file, ...PLAN.filter((word) => word !== '--defaults'), '--registry', path.resolve('plans/flags.yaml')], {
        env: { REAL_DATABASE: database.url },
      });
      expect([ran.code, ran.stderr]).toEqual([75, expect.stringContaining('no flag')]);
      expect(await tablesOf(database.url)).toEqual([]);
    } finally {
      await database.drop();
    }
  }, 60_000);
});
