import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import type { GateAct } from '../../src/core/gate.ts';
import type { Measurement } from '../../src/core/measurement.ts';
import type { Gate, Policy } from '../../src/core/plan.ts';
import { openLog } from '../../src/log.ts';
import type { MetricSource, Query } from '../../src/sources/source.ts';
import { openMeter } from '../../src/telemetry.ts';
import { lookAtGate, watchGate } from '../../src/watch/gate-watch.ts';
import { compareRate, exposureCheck, threshold } from '../core/gates.ts';

const T = 1_772_334_720_000;
const house = { log: openLog({ level: 'silent' }), meter: openMeter(new Registry()) };

/** Traffic of 40 requests a second exposed and 760 not, each with its share of failures, as a source that keeps raw samples tells it. */
function traffic(failing: { exposed: number; rest: number }, broken: () => boolean = () => false) {
  const asked: Query[] = [];
  let [now, ranges] = [T, 0];
  const rates: Record<string, number> = { et: 40, eb: 40 * failing.exposed, rt: 760, rb: 760 * failing.rest };
  const source: MetricSource = {
    kind: 'traffic',
    remembers: true,
    measure: (query): Promise<Measurement> => {
      asked.push(query);
      if (broken()) return Promise.resolve({ kind: 'error', reason: 'refused', at: now, query: query.text, detail: 'nobody listens' });
      const since = query.rise?.since ?? now - 15_000;
      return Promise.resolve({ kind: 'value', at: now, since, value: ((now - since) / 1000) * (rates[query.text] ?? 0), query: query.text });
    },
    series: () => {
      ranges += 1;
      return Promise.resolve({ points: [], remembers: true });
    },
    check: () => Promise.resolve([]),
    close: () => Promise.resolve(),
  };
  return { source, asked, ranges: () => ranges, to: (at: number) => void (now = at) };
}

const look = (watch: ReturnType<typeof watchGate>, source: MetricSource) => lookAtGate(house, watch, source, AbortSignal.timeout(1000));

describe('a gate that counts', () => {
  it('asks for what came since its newest answer, and rolls back on it', async () => {
    const world = traffic({ exposed: 0.01, rest: 0.005 });
    const watch = watchGate(compareRate(), T, undefined);
    const verdicts: string[] = [];
    for (let at = T + 15_000; at <= T + 90_000; at += 15_000) {
      world.to(at);
      verdicts.push((await look(watch, world.source)).verdict.kind);
    }
    expect(verdicts).toEqual(['go', 'go', 'go', 'go', 'no-go', 'no-go']);
    expect(world.asked.filter(({ text }) => text === 'eb').map(({ rise }) => rise)).toEqual([
      { of: 'counter' },
      ...[15, 30, 45, 60, 75].map((seconds) => ({ of: 'counter', since: T + seconds * 1000 })),
    ]);
  });

  it('after an outage asks for all of it at once, and does not look back', async () => {
    let broken = false;
    const world = traffic({ exposed: 0.01, rest: 0.005 }, () => broken);
    const watch = watchGate(compareRate(), T, undefined);
    world.to(T + 15_000);
    await look(watch, world.source);
    broken = true;
    world.to(T + 30_000);
    expect((await look(watch, world.source)).verdict).toMatchObject({ kind: 'inconclusive', reason: 'error' });
    broken = false;
    world.to(T + 300_000);
    const looked = await look(watch, world.source);
    expect(looked.verdict.kind).toBe('no-go');
    expect(watch.state.statistic).toMatchObject({ evidence: { totals: { exposed: 600 + 285 * 40 } } });
    expect(world.ranges()).toBe(0);
  });

  it('goes on from what another watcher left, counting nothing twice', async () => {
    const world = traffic({ exposed: 0.005, rest: 0.005 });
    const first = watchGate(compareRate(), T, undefined);
    world.to(T + 15_000);
    await look(first, world.source);
    const second = watchGate(compareRate(), T, JSON.parse(JSON.stringify(first.state)) as typeof first.state);
    world.to(T + 60_000);
    await look(second, world.source);
    expect(second.state.statistic).toMatchObject({ evidence: { looks: 2, totals: { exposed: 60 * 40 } } });
  });
});

it('a gate that checks an exposure is told what was promised', async () => {
  const world = traffic({ exposed: 0, rest: 0 });
  const watch = watchGate(exposureCheck({ exposed: 'et', rest: 'rt' }), T, undefined);
  const verdicts = new Set<string>();
  for (let at = T + 15_000; at <= T + 600_000; at += 15_000) {
    world.to(at);
    watch.promised = 0.5;
    const { verdict } = await look(watch, world.source);
    verdicts.add(verdict.kind === 'inconclusive' ? verdict.reason : verdict.kind);
  }
  expect([...verdicts]).toEqual(['undecided', 'mismatch']);
});

describe('what is looked back on', () => {
  /** A source that could not be asked from `out` minutes on for `lasting` minutes, and has nothing of that time. */
  function gone(out: number, lasting: number, back: boolean) {
    let now = T;
    const isOut = (at: number): boolean => at >= T + out * 60_000 && at < T + (out + lasting) * 60_000;
    const none = (at: number): Measurement => ({ kind: 'no-data', reason: 'empty', at, query: 'q', detail: 'nothing' });
    const source: MetricSource = {
      kind: 'gone',
      remembers: true,
      measure: () =>
        Promise.resolve(
          isOut(now)
            ? { kind: 'error', reason: 'refused', at: now, query: 'q', detail: 'nobody listens' }
            : back || now < T + out * 60_000
              ? { kind: 'value', at: now, value: 0, query: 'q' }
              : none(now),
        ),
      series: (_, from, to, step) => {
        const points: Measurement[] = [];
        for (let at = from; at <= to; at += step) points.push(none(at));
        return Promise.resolve({ points, remembers: true });
      },
      check: () => Promise.resolve([]),
      close: () => Promise.resolve(),
    };
    return { source, to: (at: number) => void (now = at) };
  }
  const policy: Policy = { after: 300_000, then: 'rollback' };
  const actsOf = async (out: number, lasting: number, back: boolean, error = policy): Promise<readonly (readonly [number, string])[]> => {
    const world = gone(out, lasting, back);
    const watch = watchGate(threshold({ every: 60_000, noData: policy, error }), T, undefined);
    const acts: (readonly [number, string])[] = [];
    for (let minute = 1; minute <= 30; minute += 1) {
      world.to(T + minute * 60_000);
      const { act } = await look(watch, world.source);
      if (act !== undefined) acts.push([minute, act.kind]);
    }
    return acts;
  };

  it('a breach in an outage that is over is found, and rolls back', async () => {
    const world = gone(3, 4, true);
    const broken = T + 5 * 60_000;
    const history: MetricSource['series'] = (query, from, to, step, signal) =>
      world.source.series(query, from, to, step, signal).then(({ points }) => ({
        points: points.map(({ at }): Measurement => ({ kind: 'value', at, value: at === broken ? 5 : 0, query: 'q' })),
        remembers: true,
      }));
    const watch = watchGate(threshold({ every: 60_000 }), T, undefined);
    const acts: (readonly [number, GateAct | undefined])[] = [];
    for (let minute = 1; minute <= 7; minute += 1) {
      world.to(T + minute * 60_000);
      acts.push([minute, (await look(watch, { ...world.source, series: history })).act]);
    }
    expect(acts.filter(([, act]) => act !== undefined)).toMatchObject([[7, { kind: 'rollback', cause: 'breach', since: broken }]]);
  });

  it('what cannot be read back is tried twenty times, earns nothing meanwhile, and is then given up with a page', async () => {
    const world = gone(3, 4, true);
    const unreadable: MetricSource['series'] = (query, from, to, step, signal) =>
      world.source.series(query, from, to, step, signal).then(({ points }) => ({
        points: points.map(({ at }): Measurement => ({ kind: 'error', reason: 'status', at, query: 'q', detail: 'no history today' })),
        remembers: true,
      }));
    const never = { after: 24 * 3_600_000, then: 'hold' } as const;
    const watch = watchGate(threshold({ every: 60_000, noData: never, error: never }), T, undefined);
    const told: string[] = [];
    for (let minute = 1; minute <= 40; minute += 1) {
      world.to(T + minute * 60_000);
      const { verdict, act } = await look(watch, { ...world.source, series: unreadable });
      if (act !== undefined) told.push(`${minute}: ${act.kind} ${act.why}`);
      if (minute > 6 && minute < 27) expect(verdict).toMatchObject({ kind: 'inconclusive', reason: 'error' });
      if (minute > 27) expect(verdict.kind).toBe('go');
    }
    expect(told).toEqual([expect.stringMatching(/^27: page latency: what happened from .* could not be read back; a breach in it would be unseen$/)]);
  });

  it('a blindness that is over asks for nothing, whatever the source has lost of it', async () => {
    expect(await actsOf(3, 4, true)).toEqual([]);
    // Its errors had a longer time; the policy for missing data has no say in what is over.
    expect(await actsOf(3, 9, true, { after: 3_600_000, then: 'rollback' })).toEqual([]);
    expect(await actsOf(3, 12, true, { after: 600_000, then: 'page' })).toEqual([[13, 'page']]);
  });

  it('one that goes on is counted from its first answer, each minute once', async () => {
    // Errors of minutes 3 to 6, then nothing: five minutes of asking are over at minute 8.
    expect(await actsOf(3, 4, false)).toEqual([[8, 'rollback']]);
  });
});

it('a gate that judges each value by itself is asked for a number of the moment', async () => {
  const world = traffic({ exposed: 0, rest: 0 });
  const gate: Gate = threshold({ query: 'none' });
  world.to(T + 15_000);
  await look(watchGate(gate, T, undefined), world.source);
  expect(world.asked.map((query) => 'rise' in query)).toEqual([false]);
});
