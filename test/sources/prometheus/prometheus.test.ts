import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Measurement } from '../../../src/core/measurement.ts';
import { openPrometheus } from '../../../src/sources/prometheus/index.ts';
import type { MetricSource, Query } from '../../../src/sources/source.ts';
import { babbles, cuts, floods, hangs, hostileHttp, says, slams, stalls, type Behaviour, type HostileHttp } from '../../support/hostile-http.ts';
import { remoteWrite } from '../../support/remote-write.ts';
import { startPrometheus } from '../../support/servers/prometheus.ts';
import { hasTool } from '../../support/servers/require-tool.ts';

const never = new AbortController().signal;
const ask = (text: string, more: Partial<Query> = {}): Query => ({ text, staleAfter: 30_000, ...more });
const outcome = (m: Measurement): string => (m.kind === 'value' ? `value ${m.value}` : `${m.kind} ${m.reason}`);

describe.skipIf(!hasTool('prometheus'))('a real Prometheus', () => {
  let server: Awaited<ReturnType<typeof startPrometheus>>;
  let source: MetricSource;
  let now: number;
  /** Samples each 15 s from `from` to `to` seconds before now. */
  const every15 = (from: number, to: number, value: (at: number) => number): { at: number; value: number }[] =>
    Array.from({ length: Math.floor((from - to) / 15) + 1 }, (_, i) => ({ at: now - from * 1000 + i * 15_000, value: value(i) }));

  beforeAll(async () => {
    server = await startPrometheus({ global: { scrape_interval: '1s' } });
    source = openPrometheus('test', { kind: 'prometheus', url: server.url, timeout: 5000 });
    now = Date.now();
    await remoteWrite(server.url, [
      { labels: { __name__: 'latency', app: 'live' }, samples: every15(1800, 0, (i) => i / 1000) },
      { labels: { __name__: 'reqs', app: 'live' }, samples: every15(1800, 0, (i) => i * 30) },
      { labels: { __name__: 'errs', app: 'live' }, samples: every15(1800, 0, (i) => i * 3) },
      { labels: { __name__: 'pods', pod: 'a' }, samples: every15(60, 0, () => 1) },
      { labels: { __name__: 'pods', pod: 'b' }, samples: every15(60, 0, () => 2) },
      // The target's samples stopped without a staleness marker.
      { labels: { __name__: 'latency', app: 'stopped' }, samples: every15(1800, 90, () => 0.2) },
      { labels: { __name__: 'reqs', app: 'stopped' }, samples: every15(1800, 420, (i) => i * 30) },
      // One series of several goes on: the selector is alive.
      { labels: { __name__: 'half', pod: 'a' }, samples: every15(600, 0, () => 1) },
      { labels: { __name__: 'half', pod: 'b' }, samples: every15(600, 120, () => 1) },
      { labels: { __name__: 'ALERTS', alertname: 'ChatDown', alertstate: 'firing', severity: 'page' }, samples: every15(60, 0, () => 1) },
      { labels: { __name__: 'ALERTS', alertname: 'Pending', alertstate: 'pending', severity: 'page' }, samples: every15(60, 0, () => 1) },
      { labels: { __name__: 'ALERTS', alertname: 'Odd "name" \\ one', alertstate: 'firing' }, samples: every15(60, 0, () => 1) },
      { labels: { __name__: 'nan', app: 'live' }, samples: every15(60, 0, () => NaN) },
    ]);
  });
  afterAll(async () => {
    await source.close();
    await server.stop();
  });

  const table: readonly (readonly [string, Query, string])[] = [
    ['a value', ask('max(half)'), 'value 1'],
    ['a scalar of a series', ask('scalar(max(half))'), 'value 1'],
    ['an empty vector', ask('latency{app="nobody"}'), 'no-data empty'],
    ['a sample that is NaN', ask('nan'), 'no-data nan'],
    ['0 divided by 0', ask('(max(half) - 1) / (max(half) - 1)'), 'no-data nan'],
    ['something divided by 0', ask('max(half) / (max(half) - 1)'), 'no-data infinite'],
    ['minus something divided by 0', ask('-max(half) / (max(half) - 1)'), 'no-data infinite'],
    ['several series', ask('pods'), 'error several-series'],
    ['a matrix', ask('pods{pod="a"}[1m]'), 'error wrong-type'],
    ['a string', ask('"text"'), 'error wrong-type'],
    ['a query that Prometheus refuses', ask('sum('), 'error status'],
    ['a function that Prometheus does not know', ask('nonsense(pods)'), 'error status'],
    ['samples that stopped without a marker, within the look-back', ask('latency{app="stopped"}'), 'no-data stale'],
    ['a rate over a window that still reaches old samples', ask('sum(rate(reqs{app="stopped"}[10m]))'), 'no-data stale'],
    ['a living count divided by one that stopped', ask('sum(rate(reqs{app="live"}[10m])) / sum(rate(reqs{app="stopped"}[10m]))'), 'no-data stale'],
    ['a dead metric with "or vector(0)"', ask('sum(rate(errs{app="gone"}[5m])) or vector(0)'), 'no-data stale'],
    ['a missing count beside living traffic', ask('(sum(rate(errs{app="gone"}[5m])) or vector(0)) / sum(rate(reqs{app="live"}[5m]))'), 'value 0'],
    [
      'a missing count whose traffic vouches for it',
      ask('sum(rate(errs{app="gone"}[5m])) or vector(0)', { with: { beside: 'sum(rate(reqs{app="live"}[5m]))' } }),
      'value 0',
    ],
    [
      'a missing count beside dead traffic',
      ask('sum(rate(errs{app="gone"}[5m])) or vector(0)', { with: { beside: 'sum(rate(reqs{app="stopped"}[5m]))' } }),
      'no-data stale',
    ],
    ['a constant', ask('vector(0)'), 'no-data stale'],
    ['a constant that is said to be alive', ask('vector(0)', { alive: 'max(half)' }), 'value 0'],
    ['a stopped series that is said to be alive', ask('latency{app="stopped"}', { alive: 'vector(1)' }), 'value 0.2'],
    ['a living series that is said to be dead', ask('max(half)', { alive: 'max(half) - 1' }), 'no-data stale'],
    ['an alive query without a series', ask('max(half)', { alive: 'up{job="nobody"}' }), 'no-data stale'],
    ['an alive query that is refused', ask('max(half)', { alive: 'up{' }), 'error status'],
    ['one firing alert', ask('', { with: { alerts: { alertname: 'ChatDown' } } }), 'value 1'],
    ['an alert that is only pending', ask('', { with: { alerts: { alertname: 'Pending' } } }), 'value 0'],
    ['no alert', ask('', { with: { alerts: { alertname: 'Nothing' } } }), 'value 0'],
    ['an alert with quotes and a backslash in its name', ask('', { with: { alerts: { alertname: 'Odd "name" \\ one' } } }), 'value 1'],
    ['a label value that tries to break out', ask('', { with: { alerts: { alertname: '"} or vector(1) #' } } }), 'value 0'],
    ['a label value that tries to be a pattern', ask('', { with: { alerts: { alertname: '.*' } } }), 'value 0'],
    ['a label name that is none', ask('', { with: { alerts: { 'a="b",c': 'd' } } }), 'error other'],
  ];
  it.each(table)('answers %s by its name', async (_, query, expected) => {
    expect(outcome(await source.measure(query, never))).toBe(expected);
  });

  it("dates an answer by the source's own time, and says how old its newest sample is", async () => {
    await remoteWrite(server.url, [{ labels: { __name__: 'aged' }, samples: [{ at: Date.now() - 7000, value: 1 }] }]);
    const before = Date.now();
    const m = await source.measure(ask('aged'), never);
    expect(m.kind === 'value' && m.age !== undefined && m.age >= 6990 && m.age < 9000).toBe(true);
    expect(m.at).toBeGreaterThanOrEqual(before - 5);
    expect(m.at).toBeLessThanOrEqual(Date.now() + 5);
  });

  it('dates an empty answer by the source, too', async () => {
    const before = Date.now();
    const m = await source.measure(ask('nobody'), never);
    expect(m.at).toBeGreaterThanOrEqual(before - 5);
    expect(m.at).toBeLessThanOrEqual(Date.now() + 5);
  });

  it('calls a sample stale from the stated age on, not before', async () => {
    await remoteWrite(server.url, [{ labels: { __name__: 'aging' }, samples: [{ at: Date.now() - 20_000, value: 1 }] }]);
    expect(outcome(await source.measure(ask('aging', { staleAfter: 60_000 }), never))).toBe('value 1');
    expect(outcome(await source.measure(ask('aging', { staleAfter: 19_000 }), never))).toBe('no-data stale');
  });

  it('looks back over a range, point by point on the grid', async () => {
    const from = now - 600_000;
    const { points, remembers } = await source.series(ask('latency{app="live"}'), from, now, 15_000, never);
    expect(remembers).toBe(true);
    expect(points).toHaveLength(41);
    expect(points.map(({ at }) => at)).toEqual(Array.from({ length: 41 }, (_, i) => from + i * 15_000));
    expect(points.map((p) => (p.kind === 'value' ? p.value : p.kind))).toEqual(Array.from({ length: 41 }, (_, i) => (80 + i) / 1000));
  });

  it('does not judge what the look-back of Prometheus repeats after the samples stopped', async () => {
    const { points } = await source.series(ask('latency{app="stopped"}'), now - 300_000, now, 15_000, never);
    // The newest sample is 90 s old: it is evidence for 30 s more, and none after.
    const names = points.map((p) => outcome(p));
    expect(names.slice(0, 17)).toEqual(Array.from({ length: 17 }, () => 'value 0.2'));
    expect(names.slice(17)).toEqual(Array.from({ length: 4 }, () => 'no-data stale'));
  });

  it('finds an alert that came and went', async () => {
    await remoteWrite(server.url, [{ labels: { __name__: 'ALERTS', alertname: 'Brief', alertstate: 'firing' }, samples: [{ at: now - 400_000, value: 1 }] }]);
    const { points } = await source.series(ask('', { with: { alerts: { alertname: 'Brief' } } }), now - 450_000, now - 380_000, 10_000, never);
    expect(points.map((p) => outcome(p))).toEqual(['value 0', 'value 0', 'value 0', 'value 0', 'value 0', 'value 1', 'value 1', 'value 1']);
  });

  it.each([ask('max(half)'), ask('', { with: { alerts: { alertname: 'ChatDown' } } })])(
    'asks a long range in chunks that Prometheus allows: %j',
    async (query) => {
      const { points } = await source.series(query, now - 12_000 * 1000, now, 1000, never);
      expect(points).toHaveLength(12_001);
      expect(new Set(points.map(({ at }) => at)).size).toBe(12_001);
      expect(points.filter((p) => p.kind === 'error')).toEqual([]);
      expect(outcome(points.at(-1) ?? { kind: 'no-data', reason: 'empty', at: 0, query: '', detail: '' })).toBe('value 1');
    },
  );

  it('has nothing against a good query, and names what is wrong with a bad one', async () => {
    const problems = async (query: Query): Promise<string> => (await source.check([query], never)).map(({ message }) => message).join('; ');
    expect(await problems(ask('max(half)'))).toBe('');
    expect(await problems(ask('nobody'))).toBe('');
    expect(await problems(ask('sum('))).toContain('PromQL not understood');
    expect(await problems(ask('max_over_time(half[30d:1m])'))).toContain('6 h');
    expect(await problems(ask('count({__name__=~".+"})'))).toContain('every series');
    expect(await problems(ask('x'.repeat(10_000)))).toContain('10000 characters');
    expect(await problems(ask('vector(1)'))).toContain('alive');
    expect(await problems(ask('pods'))).toContain('expected one');
  });
});

describe('a hostile Prometheus', () => {
  let server: HostileHttp;
  let source: MetricSource;
  beforeAll(async () => {
    server = await hostileHttp();
    source = openPrometheus('test', { kind: 'prometheus', url: server.url, token: 's3cret-token', timeout: 300 });
  });
  afterAll(async () => {
    await source.close();
    await server.close();
  });
  afterEach(() => {
    server.behave(hangs);
  });

  const body = (data: unknown, more: object = {}): string => JSON.stringify({ status: 'success', data, ...more });
  const one = body({ resultType: 'vector', result: [{ metric: {}, value: [1700000000.5, '1'] }] });
  const alive = { alive: 'x' };
  const table: readonly (readonly [string, Behaviour, string])[] = [
    ['a good answer', says(200, one), 'value 1'],
    [
      'infos',
      says(200, body({ resultType: 'vector', result: [{ metric: {}, value: [1700000000, '1'] }] }, { infos: ['PromQL info: metric might not be a counter'] })),
      'value 1',
    ],
    [
      'warnings',
      says(200, body({ resultType: 'vector', result: [{ metric: {}, value: [1700000000, '1'] }] }, { warnings: ['store-3 did not answer'] })),
      'error warnings',
    ],
    ['warnings without a value', says(200, body({ resultType: 'vector', result: [] }, { warnings: ['store-3 did not answer'] })), 'error warnings'],
    ['400 with an error', says(400, '{"status":"error","errorType":"bad_data","error":"parse error"}'), 'error status'],
    ['500 without a body', says(500, ''), 'error status'],
    ['503 in HTML', says(503, '<html>busy</html>', 'text/html'), 'error status'],
    ['200 with an error in it', says(200, '{"status":"error","errorType":"timeout","error":"query timed out"}'), 'error status'],
    ['a redirect', says(302, '', 'text/plain', 'location: http://169.254.169.254/\r\n'), 'error status'],
    ['401 that repeats the token', says(401, 'bad token s3cret-token'), 'error status'],
    ['HTML', says(200, '<!doctype html><title>Login</title>', 'text/html'), 'error malformed'],
    ['an empty body', says(200, ''), 'error malformed'],
    ['JSON of another kind', says(200, '[1]'), 'error malformed'],
    ['success without data', says(200, '{"status":"success"}'), 'error malformed'],
    ['a sample without a value', says(200, body({ resultType: 'vector', result: [{ metric: {} }] })), 'error malformed'],
    ['a value that is no number', says(200, body({ resultType: 'vector', result: [{ metric: {}, value: [1, '0x'] }] })), 'error malformed'],
    ['a native histogram', says(200, body({ resultType: 'vector', result: [{ metric: {}, histogram: [1, {}] }] })), 'error wrong-type'],
    ['a cut body', cuts(one), 'error malformed'],
    ['a body that never ends', stalls(one), 'error timeout'],
    ['silence', hangs, 'error timeout'],
    ['a slammed door', slams, 'error refused'],
    ['2 MB', floods(2_000_000), 'error too-large'],
    ['something that is not HTTP', babbles, 'error malformed'],
  ];
  it.each(table)('answers %s by its name', async (_, behaviour, expected) => {
    server.behave(behaviour);
    const m = await source.measure(ask('max(x)', alive), never);
    expect(outcome(m)).toBe(expected);
    expect(JSON.stringify(m)).not.toContain('s3cret-token');
  });

  it('answers refused when nobody listens', async () => {
    const gone = await hostileHttp();
    const nobody = openPrometheus('test', { kind: 'prometheus', url: gone.url, timeout: 300 });
    await gone.close();
    expect(outcome(await nobody.measure(ask('max(x)'), never))).toBe('error refused');
    await nobody.close();
  });

  it('sends both questions of a measurement at once', async () => {
    const before = server.requests.length;
    await source.measure(ask('max(x)'), never);
    expect(server.requests.slice(before)).toHaveLength(2);
  });

  it('answers an error, and does not throw, when it is stopped', async () => {
    const stop = new AbortController();
    const measuring = source.measure(ask('max(x)'), stop.signal);
    stop.abort();
    expect(outcome(await measuring)).toBe('error other');
  });

  it('says of a range that could not be had that no point was looked at, and asks no further chunk', async () => {
    server.behave(says(500, ''));
    const before = server.requests.length;
    const { points } = await source.series(ask('max(x)', alive), 0, 12_000_000, 1000, never);
    expect(points).toHaveLength(12_001);
    expect(new Set(points.map((p) => outcome(p)))).toEqual(new Set(['error status']));
    expect(server.requests.slice(before)).toHaveLength(2);
  });
});
