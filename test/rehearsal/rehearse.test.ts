import { readdirSync } from 'node:fs';
import os from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { everyone } from '../../src/core/exposure.ts';
import type { Order } from '../../src/core/plan.ts';
import { loadRegistry, type Registry } from '../../src/flags/registry.ts';
import { openFlagStore, type FlagStore } from '../../src/flags/store.ts';
import { loadPlan } from '../../src/plan/load.ts';
import { bindOrder } from '../../src/plan/order.ts';
import { rehearse, UnreadFlags, type RehearsalResult } from '../../src/rehearsal/rehearse.ts';
import type { Rehearsed } from '../../src/rehearsal/run.ts';
import { builtIn, everyScenario, type Scenario } from '../../src/rehearsal/scenario.ts';
import { dayAndClock, gridOf, linesOf, verdictOf } from '../../src/rehearsal/story.ts';
import { freshDatabase, type FreshDatabase } from '../support/database.ts';
import { hasTool } from '../support/servers/require-tool.ts';
import '../support/world.ts';

const REGISTRY = `
first: { title: First, owner: o, type: boolean, purpose: p, effect: e, lives: { prod: builtin }, default: { prod: false }, proof: [{ ofrep: {} }] }
second: { title: Second, owner: o, type: boolean, purpose: p, effect: e, lives: { prod: builtin }, default: { prod: false }, proof: [{ ofrep: {} }] }
`;
const PLAN = `
name: small
maxDuration: 7d
checklist: [{ id: ready, text: It is ready, role: qa, evidence: link }]
gates:
  errors: { source: prometheus, query: errors, max: 0 }
  slow: { source: prometheus, query: slow, max: 1, unit: s, for: 1m, noData: { after: 5m, then: rollback } }
stages:
  - { id: one, set: [{ flag: first, to: { share: 10 } }], bake: 6h, gates: [errors], signOff: [qa] }
  - { id: two, set: [{ flag: first, to: everyone }, { flag: second, to: everyone }], bake: 2h, gates: [slow], signOff: [qa, product] }
watch: 1h
`;

function read(): { readonly registry: Registry; readonly order: Order } {
  const [plan, registry] = [loadPlan(PLAN), loadRegistry(REGISTRY)];
  if (!plan.ok || !registry.ok) throw new Error(JSON.stringify([plan, registry]));
  return { registry: registry.registry, order: bindOrder(plan.plan, registry.registry, 'prod') };
}

const leftovers = (): readonly string[] => readdirSync(os.tmpdir()).filter((name) => name.startsWith(`gonogo-rehearsal-${process.pid}-`));

describe.skipIf(!hasTool('temporal-test-server'))('a plan is rehearsed', () => {
  const { registry, order } = read();
  let results: readonly RehearsalResult[] = [];
  const of = (name: string): Rehearsed => {
    const found = results.find((result) => result.scenario === name);
    if (found === undefined || 'skipped' in found) throw new Error(`${name} was not rehearsed`);
    return found;
  };
  const when = (name: string, kind: string): number => Date.parse(of(name).timeline.find((one) => one.kind === kind)?.at ?? '');

  beforeAll(async () => {
    results = await rehearse(
      { order, registry, people: { Anna: ['qa'], Max: ['product', 'qa'] }, scenarios: everyScenario(order.plan) },
      new AbortController().signal,
    );
  }, 240_000);

  it('with every scenario for every stage, and each ends as it should', () => {
    expect(results.map(verdictOf).filter((line) => !line.startsWith('✓'))).toEqual([]);
    expect(results).toHaveLength(11);
  });

  it('with its true durations', () => {
    const hours = of('healthy').virtual / 3_600_000;
    // Bakes of 6 and 2 hours, a watch of 1, and two sign-offs of half an hour.
    expect(hours).toBeGreaterThan(10);
    expect(hours).toBeLessThan(10.1);
  });

  it('with a breach that rolls back within a minute of virtual time and is proven', () => {
    const breach = of('breach:2');
    expect(breach.outcome).toBe('rolled-back');
    expect(when('breach:2', 'rollback-requested') - when('breach:2', 'gate')).toBeGreaterThan(3_000_000);
    expect(when('breach:2', 'rollback-proven') - when('breach:2', 'rollback-requested')).toBeLessThan(60_000);
  });

  it('where a provider does not answer: paged after two minutes, proven when it does, before the promise of five', () => {
    const { timeline } = of('provider-down:1');
    const asked = when('provider-down:1', 'rollback-requested');
    const paged = timeline.find((one) => one.kind === 'paged' && one.text.includes('NOT VERIFIED'));
    expect(Date.parse(paged?.at ?? '') - asked).toBeGreaterThanOrEqual(119_000);
    expect(Date.parse(paged?.at ?? '') - asked).toBeLessThan(150_000);
    expect(when('provider-down:1', 'rollback-proven') - asked).toBeLessThan(300_000);
  });

  it('by each gate’s own policy when data are missing', () => {
    expect(of('no-data:1').timeline.map((one) => one.kind)).toContain('held');
    expect(of('no-data:1').outcome).toBe('launched');
    expect(of('no-data:2').outcome).toBe('rolled-back');
  });

  it('to the end of maxDuration where nobody signs, with a call the day before', () => {
    expect(of('nobody-signs:1').outcome).toBe('aborted');
    expect(of('nobody-signs:2').outcome).toBe('rolled-back');
    expect(Math.round(of('nobody-signs:1').virtual / 3_600_000)).toBe(7 * 24);
    expect(of('nobody-signs:1').asked.map((ask) => ask.what)).toContainEqual(expect.stringContaining('woken about deadline'));
  });

  it('and says who would have been asked what, by the names that the config knows', () => {
    expect(
      of('no-go:2')
        .asked.filter((ask) => ask.what.includes('two'))
        .map((ask) => `${ask.person}: ${ask.what}`),
    ).toEqual([
      'Anna: say go or no-go for two',
      'Max: say go or no-go for two',
      'Anna: say go or no-go for two, round 2',
      'Max: say go or no-go for two, round 2',
    ]);
    expect(of('healthy').asked[0]).toMatchObject({ person: 'Anna', role: 'qa', what: 'tick 1 item, and say go or no-go for one' });
  });

  it('and tells it in virtual days and times', () => {
    const lines = linesOf(of('healthy'));
    expect(lines[0]).toMatchObject({
      when: expect.stringMatching(/^day 1 \d\d:\d\d:\d\d$/) as unknown,
      what: expect.stringContaining('started in prod') as unknown,
    });
    expect(lines.some((line) => line.who === '→ Anna' && line.what === '(qa) tick 1 item, and say go or no-go for one')).toBe(true);
    expect(dayAndClock(Date.UTC(2026, 0, 3, 0, 5), Date.UTC(2026, 0, 1, 23, 50))).toBe('day 3 00:05:00');
    expect(gridOf(order.plan, results).rows.map((row) => row[0])).toEqual(['healthy', 'breach', 'no-data', 'provider-down', 'nobody-signs', 'no-go']);
  });

  it('and leaves no folder behind', () => {
    expect(leftovers()).toEqual([]);
  });

  it('a scenario that ends otherwise than it should says so', async () => {
    const breach = builtIn(order.plan, 'breach:1');
    if (breach === undefined || 'why' in breach) throw new Error('there is no such scenario');
    const wrong: Scenario = { ...breach, should: { outcome: 'launched', seen: ['watched'], unseen: ['rollback-requested'], words: 'launched' } };
    const [result] = await rehearse({ order, registry, people: {}, scenarios: [wrong] }, new AbortController().signal);
    expect(result).toMatchObject({
      outcome: 'rolled-back',
      misses: ['it ended rolled-back; it should have ended launched', 'nothing was watched', 'something was rollback-requested'],
    });
  }, 60_000);

  it('a person who stops it leaves nothing running and no folder', async () => {
    const stop = new AbortController();
    const running = rehearse(
      { order, registry, people: {}, scenarios: everyScenario(order.plan), onResult: () => stop.abort(new Error('enough')) },
      stop.signal,
    );
    await expect(running).rejects.toThrow('enough');
    expect(leftovers()).toEqual([]);
  }, 60_000);
});

describe.skipIf(!hasTool('temporal-test-server'))('the real flags of a rehearsal', () => {
  const { registry, order } = read();
  let database: FreshDatabase;
  let flags: FlagStore;
  const configOf = (url: string) => loadConfig(undefined, { GONOGO_DATABASE_URL: url });

  beforeAll(async () => {
    database = await freshDatabase();
    flags = await openFlagStore(database.url);
  });
  afterAll(async () => {
    await flags.close();
    await database.drop();
  });

  it('that cannot be read are what a launch would be told', async () => {
    const healthy = everyScenario(order.plan).slice(0, 1);
    await expect(rehearse({ order, registry, people: {}, config: configOf(database.url), scenarios: healthy }, new AbortController().signal)).rejects.toThrow(
      UnreadFlags,
    );
  });

  it('are read as they stand and never written: their change log is as it was', async () => {
    await flags.create(
      ['first', 'second'].map((key) => ({ key, type: 'boolean' as const, offValue: false, exposed: true, owner: 'o', description: key })),
      { by: 'a person' },
    );
    await flags.putExposure('second', { ...everyone(true), share: 40 }, '*', { by: 'a person' });
    const log = async () => [await flags.list(), await flags.history('first'), await flags.history('second')];
    const before = await log();
    const breach = builtIn(order.plan, 'breach:2');
    if (breach === undefined || 'why' in breach) throw new Error('there is no such scenario');
    const [result] = await rehearse({ order, registry, people: {}, config: configOf(database.url), scenarios: [breach] }, new AbortController().signal);
    if (result === undefined || 'skipped' in result) throw new Error('nothing was rehearsed');
    expect(result.misses).toEqual([]);
    // The copies were moved and put back; they began where the real ones stand.
    expect(result.timeline.find((one) => one.kind === 'remembered' && one.text.startsWith('two'))?.text).toContain('second 40 %');
    expect(result.timeline.find((one) => one.kind === 'restored')?.text).toContain('second 40 %');
    expect(await log()).toEqual(before);
  }, 60_000);
});
