import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Measurement } from '../../src/core/measurement.ts';
import { loadPlan } from '../../src/plan/load.ts';
import { openPrometheus } from '../../src/sources/prometheus/index.ts';
import type { MetricSource } from '../../src/sources/source.ts';
import { remoteWrite } from '../support/remote-write.ts';
import { startPrometheus } from '../support/servers/prometheus.ts';
import { hasTool } from '../support/servers/require-tool.ts';

const queries = new Map(
  ['communications', 'canary'].flatMap((name) => {
    const loaded = loadPlan(readFileSync(new URL(`../../plans/${name}.yaml`, import.meta.url), 'utf8'));
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    return loaded.plan.gates.flatMap((gate): [string, string][] => {
      if (gate.kind === 'ratio')
        return [
          [`${name} ${gate.id} bad`, gate.bad],
          [`${name} ${gate.id} total`, gate.total],
        ];
      return gate.kind === 'threshold' ? [[`${name} ${gate.id}`, gate.query]] : [];
    });
  }),
);

const EDGES = ['0.05', '0.1', '0.25', '0.5', '1', '2.5', '3', '5', '+Inf'];

/** Fifteen minutes of a service with light traffic, scraped each 15 s; `late` are the seconds that each answer takes. */
function service(now: number, late: number, drops: number) {
  const grow = (perScrape: number) => Array.from({ length: 61 }, (_, i) => ({ at: now - (60 - i) * 15_000, value: i * perScrape }));
  const histogram = (name: string, perScrape: number, seconds: number, labels = {}) => [
    ...EDGES.map((le) => ({ labels: { __name__: `${name}_bucket`, le, ...labels }, samples: grow(le === '+Inf' || Number(le) >= seconds ? perScrape : 0) })),
    { labels: { __name__: `${name}_count`, ...labels }, samples: grow(perScrape) },
  ];
  return [
    ...histogram('chat_delivery_seconds', 15, late, { transport: 'sse' }),
    ...histogram('chat_fallback_seconds', late > 3 ? 1 : 0, late),
    ...histogram('http_request_duration_seconds', 30, late, { route: '/' }),
    { labels: { __name__: 'http_requests_total', code: '200' }, samples: grow(30) },
    { labels: { __name__: 'notifications_total', outcome: 'delivered' }, samples: grow(40) },
    { labels: { __name__: 'notifications_total', outcome: 'dropped' }, samples: grow(drops) },
    { labels: { __name__: 'notification_duplicates_total' }, samples: grow(0) },
    { labels: { __name__: 'disputes_overdue' }, samples: grow(0) },
    { labels: { __name__: 'dispute_sla_timers_late' }, samples: grow(0) },
  ];
}

describe.skipIf(!hasTool('prometheus'))('the gates of the shipped plans, on a real Prometheus', () => {
  const servers: { stop: () => Promise<void> }[] = [];
  const sources: MetricSource[] = [];

  async function open(late: number, drops: number): Promise<(name: string) => Promise<Measurement>> {
    const server = await startPrometheus({ global: { scrape_interval: '1s' } });
    servers.push(server);
    await remoteWrite(server.url, service(Date.now(), late, drops));
    const source = openPrometheus('prometheus', { kind: 'prometheus', url: server.url, timeout: 5000 });
    sources.push(source);
    return (name) => source.measure({ text: queries.get(name) ?? '', staleAfter: 30_000 }, AbortSignal.timeout(5000));
  }

  let healthy: (name: string) => Promise<Measurement>;
  let sick: (name: string) => Promise<Measurement>;
  beforeAll(async () => {
    healthy = await open(0.2, 0);
    sick = await open(4, 4);
  });
  afterAll(async () => {
    await Promise.all(sources.map((source) => source.close()));
    await Promise.all(servers.map((server) => server.stop()));
  });

  test.each([
    ['communications latency', 0.25],
    ['communications fallback', 0],
    ['communications drop-rate bad', 0],
    ['communications duplicates', 0],
    ['communications overdue', 0],
    ['communications sla-timers', 0],
    ['canary errors bad', 0],
    ['canary latency', 0.25],
  ])('%s is at most %d of a healthy service with light traffic', async (name, most) => {
    const measured = await healthy(name);
    expect(measured).toMatchObject({ kind: 'value' });
    expect(measured.kind === 'value' && measured.value).toBeLessThanOrEqual(most);
  });

  test.each(['communications drop-rate total', 'canary errors total'])('%s counts what a ratio needs in a minute', async (name) => {
    const measured = await healthy(name);
    expect(measured.kind === 'value' && measured.value).toBeGreaterThanOrEqual(100);
  });

  test.each([
    ['communications latency', 1],
    ['communications fallback', 0],
    ['communications drop-rate bad', 1],
    ['canary latency', 1],
  ])('%s is above %d of a sick one', async (name, least) => {
    const measured = await sick(name);
    expect(measured.kind === 'value' && measured.value).toBeGreaterThan(least);
  });
});
