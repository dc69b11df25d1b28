import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lastMoved, preflight } from '../../src/launch/preflight.ts';
import { open } from '../../src/launch/open.ts';
import { everyone, off } from '../../src/core/exposure.ts';
import type { Order } from '../../src/core/plan.ts';
import { openPrometheus } from '../../src/sources/prometheus/index.ts';
import type { MetricSource } from '../../src/sources/source.ts';
import { writeEntries } from '../../src/store/entries.ts';
import { eventsOf } from '../../src/store/events.ts';
import { launchRow } from '../../src/store/launches.ts';
import { resume } from '../../src/store/people.ts';
import { requestRollback } from '../../src/store/request.ts';
import { ratio } from '../core/gates.ts';
import { hangs, hostileHttp, type HostileHttp } from '../support/hostile-http.ts';
import { gate, order, stage } from '../support/orders.ts';
import { remoteWrite } from '../support/remote-write.ts';
import { startPrometheus } from '../support/servers/prometheus.ts';
import { hasTool } from '../support/servers/require-tool.ts';
import { until } from '../support/until.ts';
import { openWorld, type World } from '../support/world.ts';

const HOUR = 3_600_000;

describe.skipIf(!hasTool('prometheus'))('the pre-flight of a launch', () => {
  let world: World;
  let server: Awaited<ReturnType<typeof startPrometheus>>;
  let hostile: HostileHttp;
  let sources: readonly MetricSource[] = [];
  let feeding: NodeJS.Timeout | undefined;
  let began = 0;
  const now = new Map<string, number>([
    ['healthy', 0.4],
    ['breached', 1.6],
    ['spiky', 0.4],
    ['few', 4],
    ['none', 0],
  ]);
  /** An hour ago, for two minutes. */
  const spikeAt = (): number => began - HOUR;
  const valueAt = (name: string, at: number): number => (name === 'spiky' && at >= spikeAt() && at < spikeAt() + 120_000 ? 3 : (now.get(name) ?? 0));

  beforeAll(async () => {
    server = await startPrometheus({ global: { scrape_interval: '1s' } });
    hostile = await hostileHttp();
    hostile.behave(hangs);
    began = Math.floor(Date.now() / 15_000) * 15_000;
    const times = Array.from({ length: 3 * 240 + 1 }, (_, i) => began - 3 * HOUR + i * 15_000);
    const labels = (name: string) => ({ __name__: 'latency', app: name });
    await remoteWrite(
      server.url,
      [...now.keys()].map((name) => ({ labels: labels(name), samples: times.map((at) => ({ at, value: valueAt(name, at) })) })),
    );
    const feed = () =>
      remoteWrite(
        server.url,
        [...now].map(([name, value]) => ({ labels: labels(name), samples: [{ at: Date.now(), value }] })),
      );
    await feed();
    feeding = setInterval(() => void feed().catch(() => undefined), 1_000);
    sources = [
      openPrometheus('prometheus', { kind: 'prometheus', url: server.url, timeout: 5_000 }),
      openPrometheus('hanging', { kind: 'prometheus', url: hostile.url, timeout: 60_000 }),
    ];
    world = await openWorld({ sources: Object.fromEntries(sources.map((source, i) => [['prometheus', 'hanging'][i] ?? '', source])) });
    world.page.set({ late: 0, steady: 0 });
  }, 60_000);
  afterAll(async () => {
    clearInterval(feeding);
    await world.close();
    await Promise.all(sources.map((source) => source.close()));
    await hostile.close();
    await server.stop();
  });

  const latency = (app: string) => gate('latency', { source: 'prometheus', query: `max(latency{app="${app}"})`, every: 15_000 });
  const over = (flag: string, app: string, name: string): Order => order([stage('one', [flag], { gates: ['latency'], bake: HOUR })], [latency(app)], { name });
  async function opened(id: string, one: Order) {
    await world.seed(one);
    return open(world.house, { launch: id, order: one, startedBy: 'releaser', speed: 1 });
  }
  async function forget(id: string): Promise<void> {
    const asked = await requestRollback(world.house.store, id, { kind: 'launch' }, { kind: 'person', reason: 'over' }, 'Anna', Date.now());
    expect(asked).toBeTruthy();
  }

  /** Writes down that the launch is about to move its flag. */
  async function enter(id: string, one: Order): Promise<void> {
    const [flag] = one.flags;
    if (flag === undefined) throw new Error('the order has no flag');
    const [was, to] = [off(true), everyone(true)];
    const entry = { ...flag, unit: flag.key, snapshot: { revision: '1', exposure: was, native: {} }, target: to, before: {}, undo: '', candidates: [] };
    await writeEntries(world.house.store.db, id, 'one', [entry], false);
  }
  /** A launch of one flag that went well, and whose flag was turned off again since. */
  async function launchedAndOff(flag: string, name: string): Promise<string> {
    const one = order([stage('one', [flag])], [], { name });
    await world.seed(one);
    const { id, handle } = await world.start(one);
    await expect(handle.result()).resolves.toMatchObject({ outcome: 'launched' });
    await world.flags.putExposure(flag.replaceAll('.', '_'), off(true), '*', { by: 'Anna', comment: 'again' });
    return id;
  }

  it('finds nothing of a gate that is and was healthy, on the last three hours of a real Prometheus', async () => {
    const plan = over('p.healthy', 'healthy', 'healthy').plan;
    const began = performance.now();
    expect(await preflight(world.house, { plan }, AbortSignal.timeout(8_000))).toEqual({ problems: [], findings: [] });
    expect(performance.now() - began).toBeLessThan(4_000);
  });

  it('refuses a launch whose gate is breached already, and writes nothing', async () => {
    const refused = await opened('breached-1', over('p.breached', 'breached', 'breached'));
    expect(refused?.code).toBe('not_ready');
    expect(refused?.problems).toEqual([
      {
        where: 'gates.latency',
        message: expect.stringMatching(/^breached already: latency 1\.6 > 1, for (3h|2h59m\d+s); expected healthy before one arms it$/) as string,
        hint: expect.stringContaining('it would roll back at once') as string,
      },
    ]);
    expect(await launchRow(world.house.store.db, 'breached-1')).toBeUndefined();
  });

  it(
    'refuses a launch whose gate would have alarmed with nothing launched, with the time, but not for what another launch of its flag did',
    { timeout: 40_000 },
    async () => {
      const spiky = over('p.spiky', 'spiky', 'spiky');
      const refused = await opened('spiky-1', spiky);
      expect(refused?.problems.map(({ message }) => message)).toEqual([
        expect.stringContaining(`false alarm at ${new Date(spikeAt()).toISOString().slice(0, 16)}`) as string,
      ]);
      // Another launch has moved the flag since: what was before it is its own affair.
      await launchedAndOff('p.spiky', 'other');
      expect(await opened('spiky-2', spiky)).toBeUndefined();
      await forget('spiky-2');
    },
  );

  it('refuses also right after a launch of the flag has ended, where the gate has been breached all along', { timeout: 40_000 }, async () => {
    await launchedAndOff('p.bad', 'good');
    const lasting = { ...latency('breached'), for: 60_000 };
    const bad = order([stage('one', ['p.bad'], { gates: ['latency'], bake: HOUR })], [lasting], { name: 'bad' });
    const refused = await opened('bad-1', bad);
    expect(refused?.problems.map(({ message }) => message)).toEqual([expect.stringMatching(/^breached already: latency 1\.6 > 1, for 1m(15|30)s/) as string]);
  });

  it('says why the past is not tried where another launch has just moved the flag, and names it', { timeout: 40_000 }, async () => {
    const id = await launchedAndOff('p.noted', 'before');
    const noted = over('p.noted', 'spiky', 'noted');
    const moved = await lastMoved(world.house.store, noted, 'noted-1');
    expect(moved?.launch).toBe(id);
    const tried = await preflight(world.house, { plan: noted.plan, ...(moved === undefined ? {} : { moved }) }, AbortSignal.timeout(8_000));
    expect(tried.findings.map(({ severity, found }) => `${severity}: ${found}`)).toEqual([
      expect.stringMatching(
        `^note: not tried on the past: ${id} moved the same flags; its samples are in the windows of queries until [0-9:]{8} UTC$`,
      ) as string,
    ]);
  });

  it('minds only launches that moved the very flag: not one that waits, nor one of another flag of that name, nor one that wrote nothing', async () => {
    const { db } = world.house.store;
    const mine = over('p.mine', 'spiky', 'mine');
    const moved = () => lastMoved(world.house.store, mine, 'mine-1');
    // In another environment the flag of that name is another one.
    const plain = over('p.mine', 'healthy', 'elsewhere');
    const elsewhere = { ...plain, environment: 'prod', flags: plain.flags.map((flag) => ({ ...flag, key: 'p_mine_of_prod' })) };
    expect(await opened('elsewhere-1', elsewhere)).toBeUndefined();
    await enter('elsewhere-1', elsewhere);
    expect((await lastMoved(world.house.store, elsewhere, 'elsewhere-2'))?.launch).toBe('elsewhere-1');
    expect(await opened('waits-1', over('p.mine', 'healthy', 'waits'))).toBeUndefined();
    expect(await moved()).toBeUndefined();
    await enter('waits-1', mine);
    await db.updateTable('journal').set({ phase: 'void' }).where('launch', '=', 'waits-1').execute();
    expect(await moved()).toBeUndefined();
    // Once it has moved something it is in the way, for as long as it goes on.
    await db.updateTable('journal').set({ phase: 'applied' }).where('launch', '=', 'waits-1').execute();
    expect(await moved()).toEqual({ launch: 'waits-1' });
    const { findings } = await preflight(world.house, { plan: mine.plan, moved: { launch: 'waits-1' } }, AbortSignal.timeout(8_000));
    expect(findings.map(({ found }) => found)).toEqual(['not tried on the past: waits-1 has moved the same flags, and goes on']);
    await db.deleteFrom('journal').where('launch', 'in', ['waits-1', 'elsewhere-1']).execute();
    await forget('waits-1');
    await forget('elsewhere-1');
  });

  it('launches with too little traffic, and says so in what the launch was opened with', async () => {
    const few = ratio({ id: 'drops', minSamples: 200, bad: 'max(latency{app="none"})', total: 'max(latency{app="few"})' });
    const one = order([stage('one', ['p.few'], { gates: ['drops'], bake: HOUR })], [few], { name: 'few' });
    expect(await opened('few-1', one)).toBeUndefined();
    const [first] = await eventsOf(world.house.store.db, 'few-1');
    expect(first?.event).toMatchObject({
      kind: 'opened',
      warnings: [expect.stringMatching(/^gates\.drops: drops drawn from 4 of at least 200 samples; .*ask over a window 50 times as long/) as string],
    });
    await forget('few-1');
  });

  it('keeps its deadline with a source that hangs', { timeout: 30_000 }, async () => {
    const plan = order([stage('one', ['p.hang'], { gates: ['hang'] })], [gate('hang', { source: 'hanging', query: 'max(up)' })]).plan;
    const began = performance.now();
    const { problems, findings } = await preflight(world.house, { plan }, AbortSignal.timeout(20_000));
    expect(performance.now() - began).toBeLessThan(9_500);
    expect(problems.map(({ message }) => message)).toEqual([expect.stringMatching(/no answer|time for all|timeout|aborted/i) as string]);
    expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);
  });

  it('looks again before each stage: what its gate stands at holds the launch, and once that is mended it goes on', { timeout: 90_000 }, async () => {
    const { db } = world.house.store;
    const one = order(
      [stage('one', ['p.one'], { gates: ['steady'], bake: 3_000 }), stage('two', ['p.two'], { gates: ['late'], bake: 1_000 })],
      [gate('steady'), gate('late')],
      { name: 'coming' },
    );
    await world.seed(one);
    world.page.set({ late: 0 });
    const { id, handle } = await world.start(one);
    await until(`${id} to bake`, async () => (await launchRow(db, id))?.state === 'baking');
    world.page.set({ late: 5 });
    const held = await until(`${id} to be held`, async () => (await eventsOf(db, id)).find(({ event }) => event.kind === 'held')?.event, 40_000);
    expect(held).toMatchObject({ cause: 'readiness', reason: expect.stringContaining('breached before two arms it: late 5 > 1') as string });
    await until(`${id} to page`, async () => (await eventsOf(db, id)).some(({ event }) => event.kind === 'paged'));
    expect((await world.flags.get('p_two')).exposure.share).toBe(0);
    world.page.set({ late: 0 });
    await resume(world.house.store, id, { name: 'Carl', roles: ['releaser'] }, new Date().toISOString(), 'mended');
    await expect(handle.result()).resolves.toMatchObject({ outcome: 'launched' });
  });
});
