import { readFileSync } from 'node:fs';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Gate, Plan } from '../../src/core/plan.ts';
import { loadRegistry, type Requirement } from '../../src/flags/registry.ts';
import { checkPlan } from '../../src/plan/check.ts';
import { loadPlan } from '../../src/plan/load.ts';
import { bindOrder } from '../../src/plan/order.ts';
import { parsePromQl } from '../../src/sources/prometheus/promql.ts';
import { openSql } from '../../src/sources/sql/index.ts';
import { pageMeasurement } from '../../src/sources/web/translate.ts';
import { COMPANION, GATES, ITEMS, SWITCHES, WORDS } from '../fixtures/plans/must-contain.ts';
import { freshDatabase, type FreshDatabase } from '../support/database.ts';

const read = (name: string) => readFileSync(new URL(`../../plans/${name}`, import.meta.url), 'utf8');

function load(name: string): Plan {
  const loaded = loadPlan(read(name));
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded.plan;
}

const loaded = loadRegistry(read('flags.yaml'));
if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
const { registry } = loaded;
const communications = load('communications.yaml');
const canary = load('canary.yaml');

const gateOf = (plan: Plan, id: string): Gate => {
  const gate = plan.gates.find((other) => other.id === id);
  if (gate === undefined) throw new Error(`${plan.name} has no gate ${id}`);
  return gate;
};
const queriesOf = (gate: Gate): string[] => {
  if (gate.kind === 'threshold') return [gate.query, ...(gate.samples === undefined ? [] : [gate.samples])];
  return gate.kind === 'ratio' ? [gate.bad, gate.total] : [];
};

test.each([communications, canary])('$name can be launched wherever it says', (plan) => {
  expect(checkPlan(plan, registry)).toEqual([]);
});

test('communications is one plan for stage and for production', () => {
  expect(communications.environments).toEqual(['stage', 'prod']);
  expect(bindOrder(communications, registry, 'stage').plan).toEqual(bindOrder(communications, registry, 'prod').plan);
});

describe('communications: the checklist', () => {
  test.each(ITEMS)('%s', (_, id, by, evidence) => {
    const item = communications.checklist.find((other) => other.id === id);
    if (by === 'gonogo') expect(item?.check?.bound).toEqual(evidence);
    else expect(item).toMatchObject({ role: by, evidence });
    const words = WORDS[id];
    if (words !== undefined) expect(item?.text).toMatch(words);
  });

  test('nothing is asked twice, and nothing beyond the table', () => {
    expect(communications.checklist.map((item) => item.id).toSorted()).toEqual(ITEMS.map(([, id]) => id).toSorted());
  });

  test('stage 2 waits for the 24 hours of watching, and for the flag to be read in the notification worker', () => {
    expect(communications.stages[1]?.checklist.map((item) => item.text)).toEqual([
      'Dashboards and alerts were watched for 24 hours',
      'The notification worker reads chat_notifications_beta',
    ]);
  });
});

describe('communications: the gates', () => {
  test.each(GATES)('%s', (_, id, bound, stage, metric) => {
    const gate = gateOf(communications, id);
    expect(gate).toMatchObject({ source: 'prometheus', bound });
    expect(queriesOf(gate).join('\n')).toMatch(metric);
    expect(communications.stages.find((other) => other.gates.includes(id))?.id).toBe(stage);
  });

  test.each([communications, canary].flatMap((plan) => plan.gates.filter((gate) => gate.kind !== 'probe' && gate.source === 'prometheus').map((gate) => [`${plan.name} ${gate.id}`, gate] as const)))(
    'the queries of %s are PromQL, of windows of at most a minute',
    (_, gate) => {
      for (const query of queriesOf(gate)) {
        expect(parsePromQl(query)).toMatchObject({ boundless: [], longestSubquery: 0 });
        expect(parsePromQl(query).brokenAt).toBeUndefined();
        expect([...query.matchAll(/\[(\w+)\]/g)].every(([, window]) => window === '1m')).toBe(true);
      }
    },
  );

  test('a drop rate of exactly 1 % is a breach, a p95 of exactly 1 s is none', () => {
    expect(gateOf(communications, 'drop-rate')).toMatchObject({ kind: 'ratio', bound: { op: 'below' } });
    expect(gateOf(communications, 'latency')).toMatchObject({ kind: 'threshold', bound: { op: 'max' }, unit: 's' });
  });
});

describe('communications: the checks answer for the document of the app', () => {
  const page = { dump_age_seconds: 3600, duplicates: 0, dashboards_with_data: 4, export_files: ['README.md', 'messages.csv', 'attachments/1.png', 'metadata.json'] };
  const ask = (id: string, document: object) => {
    const check = communications.checklist.find((item) => item.id === id)?.check;
    if (check === undefined) throw new Error(`${id} is no check`);
    expect(check.source).toBe('app');
    return pageMeasurement({ text: check.query, staleAfter: 60_000 }, { ok: true, text: JSON.stringify(document), servedAt: 0 }, 0);
  };

  test.each([
    ['dump-fresh', 3600],
    ['notifications-deduplication', 0],
    ['dashboards-filled', 4],
    ['export-package', 4],
  ])('%s is %d', (id, value) => {
    expect(ask(id, page)).toMatchObject({ kind: 'value', value });
  });

  test.each(page.export_files)('an export without %s is not whole', (missing) => {
    expect(ask('export-package', { ...page, export_files: page.export_files.filter((file) => file !== missing) })).toMatchObject({ kind: 'value', value: 3 });
  });

  test('a document without an answer is no evidence', () => {
    for (const id of ['dump-fresh', 'notifications-deduplication', 'dashboards-filled']) expect(ask(id, {}).kind).toBe('no-data');
    expect(ask('export-package', {})).toMatchObject({ kind: 'value', value: 0 });
  });
});

describe('communications: the stages', () => {
  const all = { value: true, share: 100, by: 'key', listed: [] };
  const sets = communications.stages.map((stage) => Object.fromEntries(stage.set.map((change) => [change.flag, change.to])));

  test('are the four of the launch, in order, each after 24 h', () => {
    expect(communications.stages.map((stage) => stage.id)).toEqual(['chat_dark_launch', 'chat_notifications_beta', 'dispute_tools_v2', 'chat_full_release']);
    expect(communications.stages[0]?.bake).toBe(24 * 3_600_000);
  });
  test('1: internal users', () => {
    expect(sets[0]?.['chat_dark_launch']).toEqual({ ...all, share: 0, listed: [{ attribute: 'segment', values: ['internal'] }] });
  });
  test('2: 5 % of contracts', () => {
    expect(sets[1]?.['chat_notifications_beta']).toEqual({ ...all, share: 5, by: 'contract' });
  });
  test('3: the dispute_ops team', () => {
    expect(sets[2]?.['dispute_tools_v2']).toEqual({ ...all, share: 0, listed: [{ attribute: 'team', values: ['dispute_ops'] }] });
  });
  test('4: everyone, after Go by release engineer, QA, product and legal', () => {
    expect(sets[3]).toEqual({ chat_full_release: all });
    expect(communications.stages[3]?.signOff.map((rule) => rule.role)).toEqual(['release-engineer', 'qa', 'product', 'legal']);
  });
  test('on trouble stage 4 goes off and chat falls back to SSE only, for gates that it lists itself', () => {
    expect(communications.stages[3]?.onRollback).toEqual({ scope: 'stage', set: [{ flag: 'chat.transport', to: { ...all, value: 'sse-only' }, narrows: true }] });
    expect(communications.stages[3]?.gates).toContain('latency');
  });
  test('a rollback is proven within 5 minutes', () => {
    expect(communications.rollback.within).toBe(300_000);
  });
});

const environments = ['dev', 'stage', 'prod'] as const;

describe('the registry', () => {
  test.each(SWITCHES)('%s', (flag, env, defaults, why) => {
    const entry = registry.entries.get(flag);
    expect(entry).toMatchObject({ env, type: 'boolean', owner: 'communications' });
    environments.forEach((environment, index) => {
      expect(entry?.default[environment]).toBe(defaults[index]);
      expect(entry?.why[environment]).toMatch(why[index] ?? /^$/);
    });
    expect(entry?.purpose).toMatch(/\w{3}/);
    expect(entry?.effect).toMatch(/\w{3}/);
    expect(entry?.proof).toContainEqual({ evaluator: 'http', with: { url: '${app}/api/marketplace/contracts/1/communications/', select: `flags."${flag}"` } });
  });

  test('names the exposures that people set by hand: web push for QA, disputes on pilot orders', () => {
    expect(registry.entries.get('notify.webpush')?.exposures['stage']?.to.listed).toEqual([{ attribute: 'segment', values: ['qa'] }]);
    expect(registry.entries.get('dispute.enabled')?.exposures['stage']?.to.listed).toEqual([{ attribute: 'segment', values: ['pilot-orders'] }]);
  });

  test('has the four stage flags, and chat.transport', () => {
    for (const stage of communications.stages) expect(registry.entries.get(stage.id)).toMatchObject({ type: 'boolean', default: { dev: false, stage: false, prod: false } });
    expect(registry.entries.get('chat.transport')?.type).toEqual({ oneOf: ['full', 'sse-only'] });
  });

  const named = (need: Requirement): string => {
    const what = need.kind === 'env' ? need.variable : `${need.flag}${need.value === undefined ? '' : ` = ${String(need.value)}`}`;
    return need.when === undefined ? what : `${what} when ${String(need.when)}`;
  };

  test.each(COMPANION)('%s', (flag, type, defaults, status, kind, requires) => {
    const entry = registry.entries.get(flag);
    expect(entry).toMatchObject({ env: flag, status, kind, type: typeof type === 'string' ? type : { oneOf: type } });
    expect(environments.map((environment) => entry?.default[environment])).toEqual(defaults);
    expect(entry?.requires.map(named)).toEqual(requires);
  });

  test('has Waffle flags with slug, description, documentation, requirements and who may switch them', () => {
    const waffle = [...registry.entries.values()].filter((entry) => entry.key.startsWith('flag_'));
    expect(waffle.some((entry) => entry.teamsCanManage)).toBe(true);
    expect(waffle.some((entry) => entry.requires.length > 0)).toBe(true);
    for (const entry of waffle) expect(entry.documentation).toMatch(/^docs\//);
  });

  test('refuses a plan that turns a protection off in production', () => {
    for (const flag of ['RATE_LIMIT_ENABLED', 'ENABLE_SECURITY_HEADERS']) {
      const plan = loadPlan(`name: x\nwatch: 0s\nstages: [{ id: one, set: [{ flag: ${flag}, to: off, narrows: true }] }]\n`);
      expect(plan.ok && checkPlan(plan.plan, registry, 'prod').map((problem) => problem.message)).toEqual([`stages[0].set[0].to turns the protection ${flag} off in prod`]);
    }
  });
});

describe('canary', () => {
  test('asks for phases 1 and 2 before anything moves', () => {
    expect(canary.checklist.map((item) => item.id)).toEqual([
      'unit-tests',
      'integration-tests',
      'no-regressions',
      'staging-enabled',
      'staging-suite',
      'staging-manual',
      'staging-performance',
    ]);
  });

  test('goes 5, 25, 50, 100 %, under error-rate and latency gates from the first on', () => {
    expect(canary.stages.map((stage) => stage.set.map((change) => change.to.share))).toEqual([[5], [25], [50], [100]]);
    expect(canary.stages[0]?.gates).toEqual(expect.arrayContaining(['errors', 'latency', 'usage', 'feature-errors']));
  });

  test('is watched for 7 to 14 days, then cleaned up', () => {
    expect(canary.watch).toBeGreaterThanOrEqual(7 * 86_400_000);
    expect(canary.watch).toBeLessThanOrEqual(14 * 86_400_000);
    expect(canary.after?.cleanUp).toEqual(['guards in the code', 'registry entry', 'tests of the off state', 'orphan rows', 'documents']);
  });

  describe('the SQL gates, on a real Postgres', () => {
    let database: FreshDatabase;
    let client: pg.Client;
    beforeAll(async () => {
      database = await freshDatabase();
      client = new pg.Client({ connectionString: database.url });
      await client.connect();
      await client.query('create table metrics (metric_name text not null, timestamp timestamptz not null default clock_timestamp())');
    });
    afterAll(async () => {
      await client.end();
      await database.drop();
    });

    async function ask(text: string) {
      const source = openSql('usage', { kind: 'sql', url: database.url, timeout: 5000 });
      try {
        return await source.measure({ text, staleAfter: 60_000 }, AbortSignal.timeout(5000));
      } finally {
        await source.close();
      }
    }
    const query = (id: string) => queriesOf(gateOf(canary, id));

    test('no uses is no data, not 0 %', async () => {
      await client.query("insert into metrics values ('feature.new_capability.used', clock_timestamp() - interval '2 hours'), ('feature.new_capability.error', clock_timestamp())");
      expect((await ask(query('usage')[0] ?? '')).kind).toBe('no-data');
      expect((await ask(query('feature-errors')[0] ?? '')).kind).toBe('no-data');
    });

    test('errors are counted in the uses of the last hour', async () => {
      await client.query("truncate metrics; insert into metrics select 'feature.new_capability.used' from generate_series(1, 200); insert into metrics select 'feature.new_capability.error' from generate_series(1, 3)");
      expect(await ask(query('usage')[0] ?? '')).toMatchObject({ kind: 'value', value: 200 });
      expect(await ask(query('feature-errors')[0] ?? '')).toMatchObject({ kind: 'value', value: 1.5 });
      expect(await ask(query('feature-errors')[1] ?? '')).toMatchObject({ kind: 'value', value: 200 });
    });
  });
});
