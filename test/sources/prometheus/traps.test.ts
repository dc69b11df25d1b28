import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { freshGate, judge, staleAfter, type GateState } from '../../../src/core/gate.ts';
import type { Measurement } from '../../../src/core/measurement.ts';
import type { Gate } from '../../../src/core/plan.ts';
import { compose, measurementsOf } from '../../../src/core/query.ts';
import { openPrometheus } from '../../../src/sources/prometheus/index.ts';
import type { MetricSource, Query } from '../../../src/sources/source.ts';
import { remoteWrite, type WrittenSeries } from '../../support/remote-write.ts';
import { startPrometheus } from '../../support/servers/prometheus.ts';
import { hasTool } from '../../support/servers/require-tool.ts';
import { until } from '../../support/until.ts';
import { burnRate, compareRate, compareSlow, compareUsers, exposureCheck, quantile, ratio, threshold } from '../../core/gates.ts';

const never = new AbortController().signal;

/** [seconds ago, value] of one series, oldest first. */
type Points = readonly (readonly [ago: number, value: number | 'stale'])[];
/** A series of a row: its metric, its labels and its samples. */
type Told = readonly [metric: string, labels: Readonly<Record<string, string>>, points: Points];

const A = { job: 'shop', instance: 'a:80' };
const B = { job: 'shop', instance: 'b:80' };
/** The same value at each 15 s from 90 s ago on. */
const steady = (value: number): Points => [90, 75, 60, 45, 30, 15, 0].map((ago) => [ago, value]);
/** 10 more at each 15 s: 40 in the last minute. */
const traffic = (labels: Readonly<Record<string, string>> = A): Told => [
  'total',
  labels,
  [90, 75, 60, 45, 30, 15, 0].map((ago) => [ago, 1000 - (10 * ago) / 15]),
];
const up = (points: Points = steady(1), labels: Readonly<Record<string, string>> = A): Told => ['up', labels, points];

/** Bad of total, both counted; `%` stands for the label that tells the rows apart. */
const budget = (bad = 'sum(bad{%})', total = 'sum(total{%})'): Gate => burnRate({ bad, total });
const buckets = (query = 'sum by (le) (h_bucket{%})'): Gate => quantile({ buckets: query, q: 0.5, minSamples: 1 });
const slow = (over: number): Gate => compareSlow({ exposed: 'sum by (le) (h_bucket{%})', rest: 'sum by (le) (h_bucket{%})', over });
const sides = compareRate({
  exposed: { bad: 'sum(bad{%,flag="on"})', total: 'sum(total{%,flag="on"})' },
  rest: { bad: 'sum(bad{%,flag="off"})', total: 'sum(total{%,flag="off"})' },
});
const ON = { ...A, flag: 'on' };
const OFF = { ...A, flag: 'off' };
const bucket = (le: string, count: number, labels: Readonly<Record<string, string>> = A): Told => ['h_bucket', { ...labels, le }, [[75, 0], [60, 0], [30, count], [0, count]]]; // prettier-ignore

function rowed(gate: Gate, row: string): Gate {
  const put = (value: unknown): unknown => {
    if (typeof value === 'string') return value.replaceAll('%', `row="${row}"`);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, put(inner)]))
      : value;
  };
  return put(gate) as Gate;
}

const queries = (gate: Gate, since?: number): readonly (readonly [string, Query])[] =>
  measurementsOf(gate).map(({ name, text, with: more, alive, rises }) => [
    name,
    {
      text,
      staleAfter: staleAfter(gate),
      ...(more === undefined ? {} : { with: more }),
      ...(alive === undefined ? {} : { alive }),
      ...(rises === undefined ? {} : { rise: { of: rises, ...(since === undefined ? {} : { since }) } }),
    },
  ]);

async function ask(source: MetricSource, gate: Gate, since?: number): Promise<Measurement> {
  const answers = await Promise.all(queries(gate, since).map(async ([name, query]) => [name, await source.measure(query, never)] as const));
  return compose(gate, Object.fromEntries(answers));
}

function outcome(gate: Gate, m: Measurement): string {
  if (m.kind !== 'value') return `${m.kind}:${m.reason}`;
  const { counts } = m;
  if (gate.kind === 'quantile') {
    const judged = judge(gate, freshGate(m.at - 15_000), m).verdict;
    return `${m.since === undefined ? 'total' : 'rise'} ${m.value}, quantile ${judged.kind === 'inconclusive' ? judged.reason : judged.value}`;
  }
  if (counts === undefined) return `value ${m.value}`;
  const rest = gate.kind === 'burnRate' ? '' : ` against ${counts.restBad} of ${counts.rest}`;
  return `${m.since === undefined ? 'total ' : ''}${counts.exposedBad} of ${counts.exposed}${rest}`;
}

const series = (row: string, told: readonly Told[], now: number): readonly WrittenSeries[] =>
  told.map(([metric, labels, points]) => ({
    // Targets of their own: `up` is found by job and instance.
    labels: { __name__: metric, row, ...labels, ...(labels['instance'] === undefined ? {} : { instance: `${row}-${labels['instance']}` }) },
    samples: points.map(([ago, value]) => ({ at: now - ago * 1000, value })),
  }));

describe.skipIf(!hasTool('prometheus'))('odd data in a real Prometheus', () => {
  let server: Awaited<ReturnType<typeof startPrometheus>>;
  let source: MetricSource;
  let exporter: http.Server;
  /** What the scraped target shows; undefined is down. */
  let page: string | undefined = 'requests_total 100\n';
  let rows = 0;

  beforeAll(async () => {
    exporter = http.createServer((_request, response) => {
      if (page === undefined) response.writeHead(500).end();
      else response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(page);
    });
    await new Promise<void>((resolve) => exporter.listen(0, '127.0.0.1', resolve));
    const target = `127.0.0.1:${(exporter.address() as AddressInfo).port}`;
    server = await startPrometheus(
      {
        global: { scrape_interval: '1s', scrape_timeout: '1s' },
        storage: { tsdb: { out_of_order_time_window: '30m' } },
        scrape_configs: [{ job_name: 'scraped', static_configs: [{ targets: [target] }] }],
      },
      undefined,
      ['--enable-feature=native-histograms'],
    );
    source = openPrometheus('test', { kind: 'prometheus', url: server.url, timeout: 5000 });
  });
  afterAll(async () => {
    await source.close();
    await server.stop();
    exporter.closeAllConnections();
    await new Promise((resolve) => exporter.close(resolve));
  });

  /** Writes the samples as of now and looks at what came within the last minute. */
  async function look(
    gate: Gate,
    told: readonly Told[],
    since = 60,
  ): Promise<{ readonly said: string; readonly m: Measurement; readonly gate: Gate; readonly now: number }> {
    rows += 1;
    const row = `r${rows}`;
    const own = rowed(gate, row);
    const now = Date.now();
    await remoteWrite(server.url, series(row, told, now));
    const m = await ask(source, own, now - since * 1000);
    return { said: outcome(own, m), m, gate: own, now };
  }

  const crash: Points = [[75, 90], [60, 95], [45, 3], [30, 4], [15, 4], [0, 6]]; // prettier-ignore
  const born: Points = [[30, 7], [15, 7], [0, 9]]; // prettier-ignore
  const saw: Points = Array.from({ length: 100 }, (_, i) => [990 - i * 10, i % 2 === 0 ? 5 : 3 + (i % 3) / 2]);

  const table: readonly (readonly [name: string, gate: Gate, told: readonly Told[], expected: string])[] = [
    // Counters.
    ['a counter that was reset counts on from 0', budget(), [traffic(), ['bad', A, crash]], '6 of 40'],
    ['two resets between two looks', budget(), [traffic(), ['bad', A, [[60, 9], [45, 2], [30, 5], [15, 1], [0, 1]]]], '6 of 40'],
    ['a reset of one instance does not hide the rise of another', budget(), [traffic(), ['bad', A, [[60, 100], [0, 0]]], ['bad', B, [[60, 0], [0, 100]]]], '100 of 40'],
    ['a counter born at 7 on a target that was up counts 7', budget(), [traffic(), up(), ['bad', A, born]], '9 of 40'],
    ['a counter born at 7 on a target that nobody scraped before is taken up from there', budget(), [traffic(), up([[30, 1], [15, 1], [0, 1]]), ['bad', A, born]], '2 of 40'],
    ['a counter born at 7 in a process as young counts 7', budget(), [traffic(), up([[30, 1], [15, 1], [0, 1]]), ['process_start_time_seconds', A, [[30, Date.now() / 1000 - 33], [0, Date.now() / 1000 - 33]]], ['bad', A, born]], '9 of 40'],
    ['a counter born on a target that was down right before', budget(), [traffic(), up([[60, 1], [45, 0], [30, 1], [0, 1]]), ['bad', A, born]], '2 of 40'],
    ['a counter without a target (pushed) is taken up from its first sample on', budget(), [traffic(), ['bad', {}, born]], '2 of 40'],
    ['one that dies with a staleness marker keeps what it counted', budget(), [traffic(), ['bad', A, [[75, 5], [60, 5], [45, 8], [30, 'stale']]]], '3 of 40'],
    ['traffic that dies with a staleness marker', budget(), [['bad', A, steady(1)], ['total', A, [[75, 5], [60, 5], [45, 8], [40, 'stale']]]], 'no-data:stale'],
    ['traffic that dies without a marker, inside the five minutes of look-back', budget(), [['bad', A, steady(1)], ['total', A, [[120, 5], [105, 8], [90, 9]]]], 'no-data:stale'],
    ['a label that vanished for minutes and came back goes on from where it was', budget(), [traffic(), up([[400, 1], ...steady(1)]), ['bad', A, [[415, 38], [400, 40], [10, 43], [0, 43]]]], '3 of 40'],
    ['a label that vanished and came back smaller began anew', budget(), [traffic(), up([[400, 1], ...steady(1)]), ['bad', A, [[415, 38], [400, 40], [10, 4], [0, 4]]]], '4 of 40'],
    ['a renamed pod: the old counter vanishes, the new one begins, and the sum is not reset', budget(), [traffic(), up([[35, 1], [20, 1], [0, 1]], B), ['process_start_time_seconds', B, [[35, Date.now() / 1000 - 36], [0, Date.now() / 1000 - 36]]], ['bad', A, [[75, 500], [60, 500], [45, 510], [40, 'stale']]], ['bad', B, [[35, 4], [20, 9], [0, 20]]]], '30 of 40'],
    ['errors that do not exist yet, beside living traffic', budget(), [traffic()], '0 of 40'],
    ['errors that stopped, beside living traffic', budget(), [traffic(), ['bad', A, [[200, 3], [185, 4]]]], '0 of 40'],
    ['samples in the future are for the next look', budget(), [traffic(), ['bad', A, [[60, 1], [0, 2], [-30, 50]]]], '1 of 40'],
    ['a counter above 2^53, which no longer counts by ones', budget(), [traffic(), ['bad', A, [[60, 2 ** 53], [0, 2 ** 53 + 2]]]], 'error:malformed'],
    ['a big counter below that counts by ones', budget(), [traffic(), ['bad', A, [[60, 2 ** 53 - 3], [0, 2 ** 53 - 2]]]], '1 of 40'],
    ['a counter below 0', budget(), [traffic(), ['bad', A, steady(-4)]], 'error:malformed'],
    ['a gauge where a counter should be', budget(), [traffic(), ['bad', A, saw]], 'error:malformed'],
    ['NaN', budget(), [traffic(), ['bad', A, [[60, 1], [30, NaN], [0, 1]]]], 'no-data:nan'],
    ['+Inf', budget(), [traffic(), ['bad', A, [[60, 1], [0, Infinity]]]], 'no-data:infinite'],
    ['-Inf', budget(), [traffic(), ['bad', A, [[60, 1], [0, -Infinity]]]], 'no-data:infinite'],
    ['two servers that scrape the same target', budget(), [traffic(), ['bad', { ...A, prometheus_replica: 'x' }, steady(3)], ['bad', { ...A, prometheus_replica: 'y' }, steady(3)]], 'error:malformed'],
    ['an old sample while the target is down (up is 0)', budget(), [up([[60, 1], [45, 0], [30, 0], [15, 0], [0, 0]]), ['bad', A, [[75, 0], [60, 1]]], ['total', A, [[75, 5], [60, 9]]]], 'no-data:stale'],
    // Expressions.
    ['a bare selector with two series: both are counted', budget('bad{%}'), [traffic(), ['bad', A, [[60, 1], [0, 2]]], ['bad', B, [[60, 1], [0, 5]]]], '5 of 40'],
    ['sum by', budget('sum by (instance) (bad{%})'), [traffic(), ['bad', A, [[60, 1], [0, 2]]], ['bad', B, [[60, 1], [0, 5]]]], '5 of 40'],
    ['a sum of two counters', budget('sum(bad{%}) + sum(worse{%})'), [traffic(), ['bad', A, [[60, 1], [0, 2]]], ['worse', A, [[60, 1], [0, 5]]]], '5 of 40'],
    ['or vector(0) for errors that are not there', budget('sum(bad{%}) or vector(0)'), [traffic()], '0 of 40'],
    ['or vector(0) where nothing at all is there', budget('sum(bad{%}) or vector(0)', 'sum(total{%}) or vector(0)'), [], 'no-data:empty'],
    ['a wrong metric name', budget('sum(bad{%})', 'sum(totol{%})'), [traffic(), ['bad', A, steady(1)]], 'no-data:empty'],
    ['a recorded sum', budget('shop:bad:sum{%}'), [traffic(), ['shop:bad:sum', {}, [[60, 10], [0, 14]]]], '4 of 40'],
    ['a recorded sum that lost an instance is not taken for reset', budget('shop:bad:sum{%}'), [traffic(), ['shop:bad:sum', {}, [[60, 1000], [30, 600], [0, 604]]]], '4 of 40'],
    ['a rate', budget('sum(rate(bad{%}[1m]))'), [traffic(), ['bad', A, steady(1)]], 'error:wrong-type'],
    ['a scalar', budget('42'), [traffic()], 'error:wrong-type'],
    ['a string', budget('"text"'), [traffic()], 'error:wrong-type'],
    ['a matrix', budget('bad{%}[5m]'), [traffic()], 'error:wrong-type'],
    ['0 divided by 0, as a number', threshold({ query: 'sum(bad{%}) / sum(bad{%})' }), [['bad', A, steady(0)]], 'no-data:nan'],
    ['0 of 0, as a ratio', ratio({ bad: 'sum(bad{%})', total: 'sum(total{%})' }), [['bad', A, steady(0)], ['total', A, steady(0)]], 'no-data:no-traffic'],
    ['two series, as a number', threshold({ query: 'bad{%}' }), [['bad', A, steady(1)], ['bad', B, steady(1)]], 'error:several-series'],
    ['increase() extrapolates, and makes more than 3 of 3', threshold({ query: 'sum(increase(bad{%}[1m])) > bool 3.5' }), [['bad', A, [[50, 0], [30, 1], [10, 3]]]], 'value 1'],
    ['what is counted stays whole', budget(), [traffic(), ['bad', A, [[70, 0], [50, 0], [30, 1], [10, 3]]]], '3 of 40'],
    ['a scrape each 60 s for a gate each 15 s that says when it is alive', burnRate({ bad: 'sum(bad{%})', total: 'sum(total{%})', alive: 'time() - max(timestamp(total{%})) < bool 150' }), [['bad', A, [[160, 1], [100, 4], [40, 9]]], ['total', A, [[160, 10], [100, 40], [40, 90]]]], '5 of 50'],
    // Two sides.
    ['the exposed have no series yet while the rest lives: no data, and not no errors', sides, [traffic(OFF)], 'no-data:empty'],
    ['neither side has a series', sides, [], 'no-data:empty'],
    ['both sides', sides, [traffic(ON), traffic(OFF), ['bad', ON, [[60, 0], [0, 3]]]], '3 of 40 against 0 of 40'],
    ['users at risk are a number of now beside counted failures', compareUsers({ exposed: { failed: 'sum(bad{%})', atRisk: 'sum(risk{%})' }, rest: { failed: 'sum(bad{%})', atRisk: 'sum(risk{%})' } }), [['bad', A, [[60, 0], [0, 3]]], ['risk', A, steady(50)]], '3 of 50 against 3 of 50'],
    ['users who see the flag', exposureCheck({ exposed: 'sum(total{%,flag="on"})', rest: 'sum(total{%,flag="off"})' }), [traffic(ON), traffic(OFF)], '0 of 40 against 0 of 40'],
    // Histograms.
    ['a histogram as histogram_quantile has it', buckets(), [bucket('0', 6), bucket('0.5', 11), bucket('1', 14), bucket('+Inf', 19)], 'rise 19, quantile 0.35'],
    ['a histogram over two instances', buckets(), [bucket('0.5', 2), bucket('+Inf', 4), bucket('0.5', 4, B), bucket('+Inf', 8, B)], 'rise 12, quantile 0.5'],
    ['instances with different bucket edges', buckets(), [bucket('0.5', 6), bucket('+Inf', 11), bucket('0.7', 6, B), bucket('+Inf', 11, B)], 'error:malformed'],
    ['a histogram without +Inf', buckets(), [bucket('0.5', 6), bucket('1', 11)], 'error:malformed'],
    ['an edge that is there', slow(0.5), [bucket('0.5', 6), bucket('1', 9), bucket('+Inf', 11)], '5 of 11 against 5 of 11'],
    ['an edge that is not there', slow(0.7), [bucket('0.5', 6), bucket('1', 9), bucket('+Inf', 11)], 'error:malformed'],
    ['buckets whose label le was summed away', buckets('sum(h_bucket{%})'), [bucket('0.5', 6), bucket('+Inf', 11)], 'error:wrong-type'],
    ['a histogram that does not exist', buckets(), [], 'no-data:empty'],
  ]; // prettier-ignore

  it.each(table)('%s', async (_, gate, told, expected) => {
    const { said, m, gate: own, now } = await look(gate, told);
    expect(said, JSON.stringify(m)).toBe(expected);
    // Nothing that is no value is ever a go, and no time makes it one.
    if (m.kind !== 'value') expect(judge(own, freshGate(now - 60_000), m).verdict.kind).toBe('inconclusive');
    if (m.kind !== 'value' || m.since === undefined) return;
    expect(m.since).toBe(now - 60_000);
    // The history tells the same counts, however it is cut.
    const [first] = queries(own);
    if (first === undefined) return;
    const live = await source.measure({ ...first[1], rise: { of: 'counter', ...first[1].rise, since: now - 60_000 } }, never);
    const { points } = await source.series(first[1], now - 45_000, now, 15_000, never);
    expect(points.map(({ at }) => at)).toEqual([45, 30, 15, 0].map((ago) => now - ago * 1000));
    const sum = points.reduce((all, point) => all + (point.kind === 'value' ? point.value : 0), 0);
    if (points.every(({ kind }) => kind === 'value')) expect(sum).toBe(live.kind === 'value' ? live.value : NaN);
  });

  it('names the nearest edges, the two servers and the layouts in its errors', async () => {
    expect((await look(slow(0.7), [bucket('0.5', 6), bucket('1', 9), bucket('+Inf', 11)])).m).toMatchObject({
      detail: expect.stringContaining('no bucket ends at 0.7; the nearest are 0.5 and 1') as string,
    });
    expect((await look(budget(), [traffic(), ['bad', { ...A, prometheus_replica: 'x' }, steady(3)], ['bad', { ...A, prometheus_replica: 'y' }, steady(3)]])).m).toMatchObject({ detail: expect.stringContaining('add prometheus_replica="x"') as string }); // prettier-ignore
    expect((await look(buckets(), [bucket('0.5', 6), bucket('+Inf', 11), bucket('0.7', 6, B), bucket('+Inf', 11, B)])).m).toMatchObject({
      detail: expect.stringContaining('0.5 +Inf | 0.7 +Inf') as string,
    });
  });

  it('all that a gate asks at once is of one time, numbers of now too', async () => {
    const told: readonly Told[] = [['bad', A, steady(3)], ['risk', A, steady(50)]]; // prettier-ignore
    const side = { failed: 'sum(bad{%})', atRisk: 'sum(risk{%})' };
    const { gate, now } = await look(compareUsers({ exposed: side, rest: side }), told);
    const answers = await Promise.all(queries(gate, now - 60_000).map(([, query]) => source.measure(query, never)));
    expect(answers.map(({ kind }) => kind)).toEqual(['value', 'value', 'value', 'value']);
    expect(new Set(answers.map(({ at }) => at)).size).toBe(1);
  });

  it('a gauge is no counter in the past either', async () => {
    const { gate, now } = await look(budget(), [traffic(), ['bad', A, saw]]);
    const [first] = queries(gate);
    const { points = [] } = first === undefined ? {} : await source.series(first[1], now - 900_000, now, 15_000, never);
    expect(points).toHaveLength(61);
    expect(new Set(points.map((point) => (point.kind === 'error' ? point.detail.includes('falls like a gauge') : point.kind)))).toEqual(new Set([true]));
  });

  it('a native histogram is an error that names the classic buckets', async () => {
    const now = Date.now();
    const histograms = [75, 60, 30, 0].map((ago) => ({ at: now - ago * 1000, count: 100 - ago }));
    await remoteWrite(server.url, [{ labels: { __name__: 'native', ...A }, samples: [], histograms }]);
    const m = await ask(source, quantile({ buckets: 'sum by (le) (native)' }), now - 60_000);
    expect(m).toMatchObject({ kind: 'error', reason: 'wrong-type', detail: expect.stringContaining('native_bucket') as string });
  });

  it('a first look tells where to go on from, and counts nothing', async () => {
    const row = 'first';
    const gate = rowed(budget(), row);
    await remoteWrite(server.url, series(row, [traffic(), ['bad', A, steady(70)]], Date.now()));
    const m = await ask(source, gate);
    expect(outcome(gate, m)).toBe('total 70 of 1000');
    const { state, verdict } = judge(gate, freshGate(m.at - 15_000), m);
    expect([verdict.kind, state.newest]).toEqual(['inconclusive', m.at]);
  });

  it('looks one after the other count everything once: a sparse counter, a late sample, one out of order, the same instant, a gap', async () => {
    const gate = rowed(budget('sum(bad{%})', 'sum(total{%})'), 'chain');
    const at = Date.now();
    const bad = { __name__: 'bad', row: 'chain', ...A };
    const total = { __name__: 'total', row: 'chain', ...A };
    const write = (labels: Readonly<Record<string, string>>, when: number, value: number): Promise<void> =>
      remoteWrite(server.url, [{ labels, samples: [{ at: when, value }] }]);
    await write(total, at - 60_000, 90);
    await write(total, at, 100);
    await write(bad, at, 5);
    let state: GateState = freshGate(at - 15_000);
    const next = async (): Promise<string> => {
      const m = await ask(source, gate, state.newest);
      state = judge(gate, state, m).state;
      return outcome(gate, m);
    };
    expect(await next()).toBe('total 5 of 100');
    // Scraped less often than asked.
    expect(await next()).toBe('0 of 0');
    expect(await next()).toBe('0 of 0');
    await write(total, Date.now(), 130);
    await write(bad, Date.now(), 7);
    expect(await next()).toBe('2 of 30');
    // A scrape that had begun before that look, and came in after it.
    const seen = state.newest ?? 0;
    await write(total, seen - 1, 140);
    const late = { ...bad, instance: 'b:80' };
    await write({ ...late, __name__: 'up' }, seen - 5000, 1);
    await write(late, seen - 1, 3);
    expect(await next()).toBe('3 of 10');
    // Older than what was counted: its rise was counted then.
    await write(bad, at + 1, 6);
    expect(await next()).toBe('0 of 0');
    // Asked twice from the same look on: the same, and judged once.
    await write(total, Date.now(), 150);
    const twice = await Promise.all([ask(source, gate, state.newest), ask(source, gate, state.newest)]);
    expect(twice.map((m) => outcome(gate, m))).toEqual(['0 of 10', '0 of 10']);
    expect(twice[0].at).toBe(twice[1].at);
    state = judge(gate, state, twice[0]).state;
    expect(judge(gate, state, twice[1]).state).toEqual(state);
    // Another watcher, which remembers nothing, goes on from there.
    await write(total, Date.now(), 170);
    await source.close();
    source = openPrometheus('test', { kind: 'prometheus', url: server.url, timeout: 5000 });
    expect(await next()).toBe('0 of 20');
    // After a gap the look spans it, whatever was counted by others: 5 to 7 here and 0 to 3 there.
    expect(outcome(gate, await ask(source, gate, at - 30_000))).toBe('5 of 80');
  });

  it.each([
    ['ahead', 600_000],
    ['behind', -600_000],
  ])('our clock may be ten minutes %s: only that of the source counts', async (_, off) => {
    const now = Date.now();
    const row = `clock${off}`;
    await remoteWrite(server.url, series(row, [traffic(), ['bad', A, crash]], now));
    vi.spyOn(Date, 'now').mockImplementation(() => now + off);
    try {
      const gate = rowed(budget(), row);
      const m = await ask(source, gate, now - 60_000);
      expect(outcome(gate, m)).toBe('6 of 40');
      expect(Math.abs(m.at - now)).toBeLessThan(30_000);
    } finally {
      vi.restoreAllMocks();
    }
  });

  it('a scraped target: born at 7, restarted, gone quiet and down', async () => {
    const gate = burnRate({ every: 1000, bad: 'sum(errors_total{job="scraped"})', total: 'sum(requests_total{job="scraped"})' });
    let state = freshGate(0);
    let [bad, total] = [0, 0];
    const next = async (): Promise<Measurement> => {
      const m = await ask(source, gate, state.newest);
      state = judge(gate, state, m).state;
      if (m.kind === 'value' && m.since !== undefined) [bad, total] = [bad + (m.counts?.exposedBad ?? 0), total + (m.counts?.exposed ?? 0)];
      return m;
    };
    const reach = (counts: readonly [number, number]): Promise<boolean> =>
      until(`${counts.join(' of ')}, have ${bad} of ${total}`, async () => {
        await next();
        expect(bad).toBeLessThanOrEqual(counts[0]);
        expect(total).toBeLessThanOrEqual(counts[1]);
        return bad === counts[0] && total === counts[1];
      });
    await until('the first scrape', async () => (await next()).kind === 'value');
    page = 'errors_total 7\nrequests_total 130\n';
    await reach([7, 30]);
    page = 'errors_total 2\nrequests_total 5\n';
    await reach([9, 35]);
    page = 'requests_total 6\n';
    await reach([9, 36]);
    page = 'errors_total 4\nrequests_total 8\n';
    await reach([11, 38]);
    page = undefined;
    await until('no data', async () => {
      const m = await next();
      return m.kind === 'no-data' && m.reason === 'stale';
    });
    page = 'errors_total 5\nrequests_total 10\n';
    await reach([12, 40]);
  });

  const check: readonly (readonly [string, Gate, string])[] = [
    ['a rate', budget('sum(rate(bad{%}[5m]))'), 'write the counters themselves: sum(bad{row="check"})'],
    ['an increase', budget('sum(increase(bad{%}[5m])) or vector(0)'), 'write the counters themselves: sum(bad{row="check"})'],
    ['a quotient', budget('sum(bad{%}) / sum(total{%})'), 'give the gate both counts'],
    ['a difference', budget('sum(bad{%}) - sum(bad{%})'), 'pick the series with label matchers'],
    ['a maximum', budget('max(bad{%})'), 'max(...) does not add its series up'],
    ['the largest', budget('topk(3, bad{%})'), 'topk(...) does not add its series up'],
    ['another time', budget('sum(bad{%} offset 5m)'), 'reads another time'],
    ['a recorded rate', budget('shop:bad:rate5m'), 'recorded as a rate'],
    ['a scalar', budget('42'), 'is a constant (a scalar)'],
    ['a string', budget('"text"'), 'is a string'],
    ['a matrix', budget('bad{%}[5m]'), 'is a range (a matrix)'],
    ['what cannot be parsed', budget('sum(bad{%}'), 'PromQL not understood'],
    ['buckets without le', buckets('sum(h_bucket{%})'), 'write sum by (le) (h_bucket{row="check"})'],
    ['errors under a name that nobody has ever heard of', budget('sum(typo_total{%})'), 'sum(typo_total{row="check"}) or vector(0)'],
    ['a gauge, by how it falls', budget('sum(bad{%})'), 'falls like a gauge'],
    ['a gauge, by the type its target tells', budget('sum(in_flight{job="scraped"})'), 'in_flight is a gauge'],
    ['nothing wrong', budget('sum(total{%}) + (sum(typo_total{%}) or vector(0))', 'sum(total{%})'), ''],
  ];
  it.each(check)('before the launch it is told of %s', async (_, gate, expected) => {
    page = '# TYPE in_flight gauge\nin_flight 5\nrequests_total 10\n';
    await remoteWrite(server.url, series('check', [traffic(), ['bad', A, saw.map(([ago, value]) => [ago, value])]], Date.now()));
    const ready = async (): Promise<string> =>
      (
        await source.check(
          queries(rowed(gate, 'check')).map(([, query]) => query),
          never,
        )
      )
        .map(({ message, hint }) => `${message} => ${hint}`)
        .join('\n');
    if (expected === 'in_flight is a gauge') await until('the type of in_flight', async () => (await ready()).includes(expected));
    if (expected === '') expect(await ready()).toBe('');
    else expect(await ready()).toContain(expected);
  });

  it('a server in trouble: too many samples, partial answers, no answer in time, gone', async () => {
    const strict = await startPrometheus(
      { global: { scrape_interval: '1h' }, remote_read: [{ url: 'http://127.0.0.1:1/read', read_recent: true, name: 'gone' }] },
      undefined,
      ['--query.max-samples=50'],
    );
    const own = openPrometheus('strict', { kind: 'prometheus', url: strict.url, timeout: 400 });
    const gate = rowed(budget(), 'x');
    const said = async (): Promise<string> => outcome(gate, await ask(own, gate, Date.now() - 60_000));
    try {
      const many = Array.from({ length: 60 }, (_, i): Told => ['bad', { instance: String(i) }, [[30, 1], [0, 1]]]); // prettier-ignore
      await remoteWrite(strict.url, series('x', [traffic()], Date.now()));
      expect(await said()).toBe('error:warnings');
      await strict.reload({ global: { scrape_interval: '1h' } });
      expect(await said()).toBe('0 of 40');
      await remoteWrite(strict.url, series('x', many, Date.now()));
      expect(await said()).toBe('error:status');
      strict.freeze();
      expect(await said()).toBe('error:timeout');
      strict.thaw();
    } finally {
      await own.close();
      await strict.stop();
    }
    const gone = openPrometheus('gone', { kind: 'prometheus', url: strict.url, timeout: 400 });
    expect(outcome(gate, await ask(gone, gate, Date.now() - 60_000))).toBe('error:refused');
    await gone.close();
  });
});
