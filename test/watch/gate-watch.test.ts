import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import type { Measurement } from '../../src/core/measurement.ts';
import type { Gate } from '../../src/core/plan.ts';
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

it('a gate that judges each value by itself is asked for a number of the moment', async () => {
  const world = traffic({ exposed: 0, rest: 0 });
  const gate: Gate = threshold({ query: 'none' });
  world.to(T + 15_000);
  await look(watchGate(gate, T, undefined), world.source);
  expect(world.asked.map((query) => 'rise' in query)).toEqual([false]);
});
