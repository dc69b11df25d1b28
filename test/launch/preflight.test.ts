import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { preflight } from '../../src/launch/preflight.ts';
import { open } from '../../src/launch/open.ts';
import type { Order } from '../../src/core/plan.ts';
import { openPrometheus } from '../../src/sources/prometheus/index.ts';
import type { MetricSource } from '../../src/sources/source.ts';
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

  it('refuses a launch whose gate would have alarmed with nothing launched, with the time, but not for what another launch of its flag did', async () => {
    const spiky = over('p.spiky', 'spiky', 'spiky');
    const refused = await opened('spiky-1', spiky);
    expect(refused?.problems.map(({ message }) => message)).toEqual([
      expect.stringContaining(`false alarm at ${new Date(spikeAt()).toISOString().slice(0, 16)}`) as string,
    ]);
    // Another launch of the flag has been since: what was before it is its own affair.
    expect(await opened('other-1', over('p.spiky', 'healthy', 'other'))).toBeUndefined();
    await world.house.store.db.updateTable('launch').set({ outcome: 'aborted', state: 'aborted' }).where('id', '=', 'other-1').execute();
    await world.house.store.db.deleteFrom('flag_lock').where('launch', '=', 'other-1').execute();
    expect(await opened('spiky-2', spiky)).toBeUndefined();
    await forget('spiky-2');
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
    expect((await eventsOf(db, id)).map(({ event }) => event.kind)).toContain('paged');
    expect((await world.flags.get('p_two')).exposure.share).toBe(0);
    world.page.set({ late: 0 });
    await resume(world.house.store, id, { name: 'Carl', roles: ['releaser'] }, new Date().toISOString(), 'mended');
    await expect(handle.result()).resolves.toMatchObject({ outcome: 'launched' });
  });
});
