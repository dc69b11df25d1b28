import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { everyone, type Exposure } from '../../src/core/exposure.ts';
import type { Gate, Order, Policy } from '../../src/core/plan.ts';
import { openLog } from '../../src/log.ts';
import { openPrometheus } from '../../src/sources/prometheus/index.ts';
import type { MetricSource } from '../../src/sources/source.ts';
import { openMeter } from '../../src/telemetry.ts';
import { tellShares } from '../../src/watch/act.ts';
import { bake, type Baking } from '../../src/watch/advance.ts';
import { lookAtGate, watchGate } from '../../src/watch/gate-watch.ts';
import { ratio, threshold } from '../core/gates.ts';
import { order, stage } from '../support/orders.ts';
import { lackOf, OUTAGES, scriptedServer, type OutageKind, type ScriptedPrometheus, type ScriptedServer } from './scripted-outages.ts';

const LAUNCHES = 1_000;
const SEED = Number(process.env['OUTAGE_SEED'] ?? Date.now() % 1_000_000);
const MINUTE = 60_000;
/** One look at every gate each minute of virtual time. */
const EVERY = MINUTE;
const START = Date.UTC(2026, 3, 24, 10);
/** So many looks are under way at once; and of those with little patience so few that a busy machine answers in time. */
const LANES = 100;
const FEW = 8;
/** A source that hangs is waited for so long, in real time, ms. */
const PATIENCE = 600;

/** Mulberry32: numbers in [0, 1) from a seed. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Acted {
  readonly kind: Policy['then'];
  readonly at: number;
  readonly why: string;
}

/** One launch, its stage live since `START`, and what became of it. */
interface Launch {
  readonly number: number;
  readonly script: ScriptedPrometheus;
  readonly order: Order;
  readonly bake: number;
  /** What has to be done, written down here from the rule and not from the code. */
  readonly policy: Policy;
  readonly watch: Baking;
  readonly source: MetricSource;
  readonly server: ScriptedServer;
  readonly acts: Acted[];
  /** [virtual time, bake earned, whether its bake is done] after each look. */
  readonly looks: (readonly [at: number, earned: number, baked: boolean])[];
  over: boolean;
}

const share = (percent: number): Exposure => ({ value: true, share: percent, by: 'key', listed: [] });
const SHARES: readonly Exposure[] = [
  { value: true, share: 0, by: 'key', listed: [{ attribute: 'team', values: ['internal'] }] },
  share(1),
  share(25),
  share(50),
  share(51),
  share(75),
  everyone(true),
];

function plan(random: () => number, kind: OutageKind): Pick<Launch, 'order' | 'bake' | 'policy'> & { readonly index: number } {
  const pick = <T>(all: readonly T[]): T => {
    const found = all[Math.floor(random() * all.length)];
    if (found === undefined) throw new Error('nothing to pick from');
    return found;
  };
  const first = Math.floor(random() * 3);
  const steps = [first, first + 1 + Math.floor(random() * 2), 5 + Math.floor(random() * 2)].map((at) => SHARES[at] ?? everyone(true));
  const time = (6 + Math.floor(random() * 8)) * MINUTE;
  const stages = steps.map((to, at) => stage(`s${at}`, { flag: to }, { bake: time, gates: at === 0 ? ['health'] : [] }));
  const index = Math.floor(random() * stages.length);
  const own: Policy | undefined =
    random() < 0.5 ? undefined : { after: (2 + Math.floor(random() * 5)) * MINUTE, then: pick(['hold', 'rollback', 'page'] as const) };
  const policies = own === undefined ? {} : lackOf(kind) === 'noData' ? { noData: own } : { error: own };
  const given = { id: 'health', every: EVERY, for: 0 };
  const { noData: _noData, error: _error, ...bare } = random() < 0.75 ? threshold(given) : ratio(given);
  const gate: Gate = { ...bare, ...(bare.kind === 'ratio' ? { bad: 'bad', total: 'total' } : { query: 'errors' }), ...policies };
  const exposed = steps[index]?.share ?? 0;
  const byShare: Policy = exposed > 50 ? { after: 5 * MINUTE, then: 'rollback' } : { after: 10 * MINUTE, then: 'hold' };
  return { order: order(stages, [gate]), bake: time, index, policy: own ?? byShare };
}

/** The bake clock and the gates of a watcher, with the stages up to `index` shifted and that one live. */
function watching(given: Order, index: number): Baking {
  const [gate] = given.plan.gates;
  if (gate === undefined) throw new Error('the plan has no gate');
  const stages = given.plan.stages.map(({ id }, at) => ({
    stage: id,
    phase: at < index ? ('passed' as const) : at === index ? ('live' as const) : ('pending' as const),
    round: 1,
    earned: 0,
    ...(at <= index ? { shiftedAt: START } : {}),
  }));
  return {
    order: given,
    state: { state: 'baking', lastSeq: 1, requests: [], journalled: 1, stages },
    gates: new Map([[gate.id, watchGate(gate, START, undefined)]]),
    bake: undefined,
    bakeDirty: false,
  };
}

const house = { log: openLog({ level: 'silent' }), meter: openMeter(new Registry()) };
const signal = new AbortController().signal;
let now = START;

/** One tick of the watcher for one launch: the look, what its gate asks for, and the bake clock. */
async function lookAt(launch: Launch): Promise<void> {
  const { watch } = launch;
  for (const gate of watch.gates.values()) {
    tellShares(watch, gate);
    const { act } = await lookAtGate(house, gate, launch.source, signal);
    if (act !== undefined) launch.acts.push({ kind: act.kind, at: now, why: act.why });
  }
  bake(watch, now);
  const baked = watch.bake?.bakedAt !== undefined;
  launch.looks.push([now, watch.bake?.earned ?? 0, baked]);
  // A hold waits for a person, a page changes nothing: both go on being looked at.
  launch.over = baked || launch.acts.some((act) => act.kind === 'rollback');
}

const isOut = ({ script }: Launch, at: number): boolean => at >= script.from && at < script.to;

async function inLanes(launches: readonly Launch[], lanes: number): Promise<void> {
  for (let at = 0; at < launches.length; at += lanes) await Promise.all(launches.slice(at, at + lanes).map(lookAt));
}

async function runAll(launches: readonly Launch[]): Promise<void> {
  const last = Math.max(...launches.map((one) => one.script.to)) + 20 * MINUTE;
  for (now = START; now <= last && launches.some((one) => !one.over); now += EVERY) {
    vi.setSystemTime(now);
    const live = launches.filter((one) => !one.over);
    await Promise.all(live.filter((one) => one.script.kind === 'refused').map((one) => one.server.listen(!isOut(one, now))));
    const isHanging = (one: Launch): boolean => one.script.kind === 'hang' && isOut(one, now);
    const waiting = Promise.all(live.filter(isHanging).map(lookAt));
    await inLanes(
      live.filter((one) => one.script.kind !== 'hang'),
      LANES,
    );
    await waiting;
    await inLanes(
      live.filter((one) => one.script.kind === 'hang' && !isHanging(one)),
      FEW,
    );
  }
}

/** The looks that found the source out, oldest first. */
const blindLooks = (launch: Launch): readonly number[] => launch.looks.map(([at]) => at).filter((at) => isOut(launch, at));

describe(`${LAUNCHES} scripted outages of the source, seed ${SEED}`, () => {
  const launches: Launch[] = [];
  const servers: ScriptedServer[] = [];
  const told = (launch: Launch): string =>
    `launch ${launch.number}: ${launch.script.kind}, ${JSON.stringify({ ...launch.policy, out: [launch.script.from - START, launch.script.to - START], bake: launch.bake, acts: launch.acts, looks: launch.looks.map(([at, ...rest]) => [at - START, ...rest]) })}`;

  beforeAll(async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const random = randomFrom(SEED);
    const scripts = new Map<number, ScriptedPrometheus>();
    const shared = await scriptedServer(scripts, () => now);
    servers.push(shared);
    for (let number = 0; number < LAUNCHES; number += 1) {
      const kind = OUTAGES[number % OUTAGES.length] ?? 'empty';
      const { index, ...planned } = plan(random, kind);
      const from = START + random() * planned.bake;
      const script = { kind, from, to: from + (0.5 + random() * 14.5) * MINUTE, remembers: random() < 0.5 };
      scripts.set(number, script);
      const server = kind === 'refused' ? await scriptedServer(scripts, () => now) : shared;
      if (server !== shared) servers.push(server);
      const source = openPrometheus(`p${number}`, { kind: 'prometheus', url: `${server.url}/${number}`, timeout: kind === 'hang' ? PATIENCE : 10_000 });
      launches.push({ number, script, ...planned, watch: watching(planned.order, index), source, server, acts: [], looks: [], over: false });
    }
    await runAll(launches);
  }, 120_000);

  afterAll(async () => {
    vi.useRealTimers();
    await Promise.all(launches.map(({ source }) => source.close()));
    await Promise.all(servers.map((server) => server.close()));
  });

  const wrong = (isWrong: (launch: Launch) => boolean): readonly string[] => launches.filter(isWrong).map(told);

  it('happened: every kind was met in every way, and what was out long enough was acted on', () => {
    for (const kind of OUTAGES) expect(launches.filter((one) => one.script.kind === kind && blindLooks(one).length > 0).length).toBeGreaterThan(40);
    for (const then of ['hold', 'rollback', 'page'] as const)
      expect(launches.filter((one) => one.acts.some((act) => act.kind === then)).length).toBeGreaterThan(40);
    expect(launches.filter((one) => one.acts.length === 0 && one.over).length).toBeGreaterThan(100);
  });

  it('0 were promoted while blind', () => {
    expect(wrong((one) => one.looks.some(([at, , baked]) => baked && isOut(one, at)))).toEqual([]);
  });

  it('no bake earned anything from the first blind look on, nor a time that no evidence covers', () => {
    const isEarned = (launch: Launch): boolean => {
      const first = blindLooks(launch)[0] ?? Infinity;
      const back = launch.looks.find(([at]) => at >= launch.script.to)?.[0] ?? Infinity;
      const covered = (at: number): number => at - START - (launch.script.remembers && at >= back ? 0 : Math.max(0, Math.min(at, back) - first));
      return launch.looks.some(([at, earned]) => earned > covered(at));
    };
    expect(wrong(isEarned)).toEqual([]);
  });

  it('none was promoted before its whole bake was covered, and all that were not stopped were in the end', () => {
    const isStopped = (one: Launch): boolean => one.acts.some((act) => act.kind === 'rollback');
    expect(wrong((one) => one.looks.some(([, earned, baked]) => baked && earned < one.bake))).toEqual([]);
    expect(wrong((one) => !isStopped(one) && one.looks.at(-1)?.[2] !== true)).toEqual([]);
  });

  it('0 were rolled back, held or paged before the stated time, nor by another policy than the stated one', () => {
    const isEarly = (one: Launch): boolean => {
      const first = blindLooks(one)[0];
      return one.acts.some((act) => first === undefined || act.kind !== one.policy.then || act.at - first < one.policy.after);
    };
    expect(wrong(isEarly)).toEqual([]);
  });

  it('every one that was blind up to the stated time was acted on then, within one look, and once', () => {
    const isLate = (one: Launch): boolean => {
      const blind = blindLooks(one);
      const [first = Infinity, last = -Infinity] = [blind[0], blind.at(-1)];
      if (last - first < one.policy.after) return one.acts.length > 0;
      const [act, second] = one.acts;
      return act === undefined || second !== undefined || act.at - first > one.policy.after + EVERY;
    };
    expect(wrong(isLate)).toEqual([]);
  });

  it('what was done says why: what was missing, for how long, and by default how many are exposed', () => {
    const acts = launches.flatMap((one) =>
      one.acts.map((act) => ({ why: act.why, isDefault: one.order.plan.gates.every((gate) => gate.noData === undefined && gate.error === undefined) })),
    );
    expect(acts.filter(({ why }) => !/(no data|could not look).*no evidence for \d+m of asking/.test(why))).toEqual([]);
    expect(acts.filter(({ why, isDefault }) => isDefault !== / with \d+ % of the users exposed$/.test(why))).toEqual([]);
  });
});
