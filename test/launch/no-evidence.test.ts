import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LoggedEvent } from '../../src/core/event.ts';
import type { ThresholdGate } from '../../src/core/plan.ts';
import { openPrometheus } from '../../src/sources/prometheus/index.ts';
import type { MetricSource } from '../../src/sources/source.ts';
import { eventsOf } from '../../src/store/events.ts';
import { launchRow } from '../../src/store/launches.ts';
import { requestRollback } from '../../src/store/request.ts';
import { hostileHttp, says, type HostileHttp } from '../support/hostile-http.ts';
import { gate, order, stage } from '../support/orders.ts';
import { remoteWrite } from '../support/remote-write.ts';
import { startPrometheus } from '../support/servers/prometheus.ts';
import { hasTool } from '../support/servers/require-tool.ts';
import { until } from '../support/until.ts';
import { openWorld, type World } from '../support/world.ts';

/** Longer than the 10 s for which a sample that stopped still counts as fresh, so that no case can earn it all. */
const BAKE = 24_000;
/** How long a gate may be without evidence before its policy holds, ms. */
const AFTER = 6_000;

type Prometheus = Awaited<ReturnType<typeof startPrometheus>>;

/** How evidence ends, and what the log must say of it. */
interface Case {
  readonly name: string;
  readonly source: 'shared' | 'killed' | 'frozen' | 'hostile';
  readonly query: string;
  readonly more?: Partial<ThresholdGate>;
  /** Ends the evidence; without it there was none from the start. */
  readonly end?: () => Promise<void> | void;
  readonly reason: 'no-data' | 'error';
  readonly why: RegExp;
}

/** What is written to Prometheus each second: a series' value, or nothing any more. */
const samples = new Map<string, number | undefined>([
  ['emptied', 0],
  ['nan', 0],
  ['stopped', 0],
  ['killed', 0],
  ['frozen', 0],
]);

let world: World;
let hostile: HostileHttp;
let servers: Readonly<Record<'shared' | 'killed' | 'frozen', Prometheus>>;
let sources: readonly MetricSource[] = [];
let feeding: NodeJS.Timeout | undefined;

const alive = (): void => {
  const vector = () => ({ status: 'success', data: { resultType: 'vector', result: [{ metric: {}, value: [Date.now() / 1_000, '1'] }] } });
  hostile.behave((socket) => says(200, JSON.stringify(vector()))(socket));
};

const cases: readonly Case[] = [
  { name: 'a metric that was never there', source: 'shared', query: 'max(errors{case="never"})', reason: 'no-data', why: /\(empty\)/ },
  {
    name: 'an empty vector',
    source: 'shared',
    query: 'max(errors{case="emptied"} < 5)',
    end: () => void samples.set('emptied', 9),
    reason: 'no-data',
    why: /\(empty\)/,
  },
  { name: 'NaN', source: 'shared', query: 'max(errors{case="nan"})', end: () => void samples.set('nan', NaN), reason: 'no-data', why: /\(nan\)/ },
  {
    name: 'samples that stopped without a marker',
    source: 'shared',
    query: 'max(errors{case="stopped"})',
    end: () => void samples.set('stopped', undefined),
    reason: 'no-data',
    why: /\(stale\).*old; expected at most 10 s/,
  },
  {
    name: 'a source that answers 500',
    source: 'hostile',
    query: 'max(errors)',
    more: { alive: 'max(up)' },
    end: () => hostile.behave(says(500, '{"status":"error","errorType":"internal","error":"no disk"}')),
    reason: 'error',
    why: /\(status\).*500/,
  },
  {
    name: 'a source that refuses',
    source: 'killed',
    query: 'max(errors{case="killed"})',
    end: () => servers.killed.kill(),
    reason: 'error',
    why: /\(refused\)/,
  },
  {
    name: 'a source that hangs',
    source: 'frozen',
    query: 'max(errors{case="frozen"})',
    end: () => servers.frozen.freeze(),
    reason: 'error',
    why: /\(timeout\)/,
  },
];

/** Writes the newest samples; a server that a test took away is not waited for. */
async function feed(): Promise<void> {
  const at = Date.now();
  const series = [...samples].flatMap(([name, value]) =>
    value === undefined ? [] : [{ labels: { __name__: 'errors', case: name }, samples: [{ at, value }] }],
  );
  await Promise.allSettled(Object.values(servers).map((server) => remoteWrite(server.url, series)));
}

/** What one case came to. */
interface Found {
  readonly outcome: string | undefined;
  readonly state: string | undefined;
  readonly events: readonly LoggedEvent[];
  readonly earned: number;
  /** Changes of its flags before the evidence ended, and after. */
  readonly writes: readonly [number, number];
  readonly flags: readonly (readonly string[])[];
  /** After a person has rolled it back in the end. */
  readonly ended: unknown;
}

async function run(one: Case, index: number): Promise<Found> {
  const { db } = world.house.store;
  const policy = { after: AFTER, then: 'hold' } as const;
  const plan = order(
    [stage('one', [`e${index}.one`], { gates: ['evidence'], bake: BAKE }), stage('two', [`e${index}.two`])],
    [gate('evidence', { source: one.source, query: one.query, noData: policy, error: policy, ...one.more })],
    { name: `evidence${index}` },
  );
  await world.seed(plan);
  const { id, handle } = await world.start(plan);
  const ending: Promise<unknown> = handle.result();
  const flags = plan.flags.map((flag) => flag.key);
  const histories = () => Promise.all(flags.map((key) => world.flags.history(key)));
  const writes = async () => (await histories()).flat().length;
  await until(`${id} to bake`, async () => (await launchRow(db, id))?.state === 'baking', 60_000);
  if (one.end !== undefined)
    await until(
      `${id} to have evidence`,
      async () => (await eventsOf(db, id)).some(({ event }) => event.kind === 'gate' && event.verdict.kind === 'go'),
      60_000,
    );
  const before = await writes();
  await one.end?.();
  const from = Date.now();
  // Three bakes later it still asks: nothing was let through for want of asking.
  await until(
    `${id} to ask for three bakes without evidence`,
    async () => {
      const newest = await db
        .selectFrom('measurement')
        .select('at')
        .where('launch', '=', id)
        .where('kind', 'like', `${one.reason}:%`)
        .orderBy('at', 'desc')
        .limit(1)
        .executeTakeFirst();
      return newest !== undefined && Number(newest.at) >= from + 3 * BAKE;
    },
    3 * BAKE + 60_000,
  );
  const row = await launchRow(db, id);
  const events = await eventsOf(db, id);
  const after = await writes();
  const { earned } = await db.selectFrom('stage_state').select('earned').where('launch', '=', id).where('stage', '=', 'one').executeTakeFirstOrThrow();
  // A rollback needs no evidence.
  await requestRollback(world.house.store, id, { kind: 'launch' }, { kind: 'person', reason: 'enough' }, 'Anna', Date.now());
  const ended = await ending;
  return {
    outcome: row?.outcome,
    state: row?.state,
    events,
    earned: Number(earned),
    writes: [before, after],
    flags: (await Promise.all(flags.map((key) => world.flags.get(key)))).map((flag) => (flag.exposure.share > 0 ? [flag.key] : [])),
    ended,
  };
}

describe.skipIf(!hasTool('prometheus'))('no evidence is never a go', () => {
  const found = new Map<string, Promise<Found>>();

  beforeAll(async () => {
    const config = { global: { scrape_interval: '1s' } };
    const [shared, killed, frozen] = await Promise.all([startPrometheus(config), startPrometheus(config), startPrometheus(config)]);
    servers = { shared, killed, frozen };
    hostile = await hostileHttp();
    alive();
    await feed();
    feeding = setInterval(() => void feed(), 1_000);
    const at = (url: string, name: string) => openPrometheus(name, { kind: 'prometheus', url, timeout: 2_000 });
    const byName = {
      shared: at(shared.url, 'shared'),
      killed: at(killed.url, 'killed'),
      frozen: at(frozen.url, 'frozen'),
      hostile: at(hostile.url, 'hostile'),
    };
    sources = Object.values(byName);
    world = await openWorld({ sources: byName });
    cases.forEach((one, index) => {
      const running = run(one, index);
      running.catch(() => undefined);
      found.set(one.name, running);
    });
  }, 120_000);
  afterAll(async () => {
    clearInterval(feeding);
    servers.frozen.thaw();
    await Promise.allSettled(found.values());
    await world.close();
    await Promise.allSettled([...sources.map((source) => source.close()), hostile.close(), ...Object.values(servers).map((server) => server.stop())]);
  }, 120_000);

  it.each(cases)(
    'holds, writes nothing more and says why: $name',
    async ({ name, reason, why }) => {
      const end = await found.get(name);
      if (end === undefined) throw new Error(`${name} was not run`);
      expect(end.outcome).toBeUndefined();
      expect(end.state).toBe('held');
      expect(end.earned).toBeLessThan(BAKE);
      expect(end.writes[1] - end.writes[0]).toBe(0);
      const kinds = end.events.map(({ event }) => event.kind);
      expect(kinds.filter((kind) => kind === 'baked' || kind === 'rollback-requested' || kind === 'ended')).toEqual([]);
      const newest = end.events.findLast(({ event }) => event.kind === 'gate')?.event;
      expect(newest).toMatchObject({ kind: 'gate', gate: 'evidence', verdict: { kind: 'inconclusive', reason } });
      expect(newest?.kind === 'gate' ? newest.verdict.why : '').toMatch(why);
      const held = end.events.flatMap(({ event }) => (event.kind === 'held' ? [event] : []));
      expect(held).toHaveLength(1);
      expect(held[0]).toMatchObject({ cause: 'gate' });
      expect(held[0]?.reason).toMatch(why);
      expect(end.ended).toEqual({ outcome: 'rolled-back' });
      expect(end.flags.flat()).toEqual([]);
    },
    240_000,
  );
});
