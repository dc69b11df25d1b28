import { binomial, seeded } from '../../src/backtest/random.ts';
import { remoteWrite, type WrittenSeries } from '../support/remote-write.ts';

/** When the history of the test goes bad: latency 3 x for five minutes, this long (ms) after its beginning. */
export const INCIDENT = { after: 26 * 3_600_000, lasts: 300_000 } as const;

const STEP = 15_000;
const PER_STEP = 3_000;

/** One sample of one series. */
type Put = (labels: Readonly<Record<string, string>>, value: number) => void;
/** What the scrape of a moment finds; asked in order of time, each moment once. */
type Scrape = (at: number, put: Put) => void;

const HOUR = 3_600_000;

/** Running totals by name. */
function totals(): (name: string, by: number) => number {
  const all = new Map<string, number>();
  return (name, by) => {
    const next = (all.get(name) ?? 0) + by;
    all.set(name, next);
    return next;
  };
}

/** A shop: requests and errors of two sides, dropped messages, latency buckets and two gauges, one of which goes bad in the incident. */
function shop(from: number): Scrape {
  const random = seeded(7);
  const grow = totals();
  const edges = [0.1, 0.25, 0.5, 1, 2.5, Infinity];
  // So much of the traffic falls below each edge.
  const below = [0.55, 0.86, 0.97, 0.995, 0.9995, 1];
  return (at, put) => {
    const ill = at - from >= INCIDENT.after && at - from < INCIDENT.after + INCIDENT.lasts;
    for (const [side, share] of [
      ['exposed', 0.05],
      ['rest', 0.95],
    ] as const) {
      const all = binomial(random, PER_STEP, share);
      put({ __name__: 'requests_total', side }, grow(`all ${side}`, all));
      put({ __name__: 'errors_total', side }, grow(`bad ${side}`, binomial(random, all, 0.005)));
    }
    put({ __name__: 'sent_total' }, grow('sent', 200));
    put({ __name__: 'dropped_total' }, grow('dropped', binomial(random, 200, 0.004)));
    let under = 0;
    for (const [index, le] of edges.entries()) {
      under += binomial(random, 1_000, (below[index] ?? 1) - (below[index - 1] ?? 0));
      put({ __name__: 'latency_seconds_bucket', le: le === Infinity ? '+Inf' : String(le) }, grow(`le ${le}`, under));
    }
    put({ __name__: 'queue_seconds' }, (0.3 + 0.1 * random()) * (ill ? 3 : 1));
    put({ __name__: 'overdue' }, 0);
  };
}

/** What plans/communications.yaml asks for: deliveries, fallbacks that are all fast, notifications of which 0.3 % are dropped, and nothing twice, overdue or late. */
function chat(): Scrape {
  const random = seeded(11);
  const grow = totals();
  const edges = [0.1, 0.25, 0.5, 1, 2.5, Infinity];
  const below = [0.4, 0.75, 0.97, 0.99, 0.999, 1];
  return (_at, put) => {
    let under = 0;
    for (const [index, le] of edges.entries()) {
      under += binomial(random, 60, (below[index] ?? 1) - (below[index - 1] ?? 0));
      put({ __name__: 'chat_delivery_seconds_bucket', le: le === Infinity ? '+Inf' : String(le) }, grow(`le ${le}`, under));
    }
    put({ __name__: 'chat_delivery_seconds_count' }, grow('deliveries', under));
    const fallbacks = grow('fallbacks', binomial(random, 10, 0.2));
    put({ __name__: 'chat_fallback_seconds_count' }, fallbacks);
    put({ __name__: 'chat_fallback_seconds_bucket', le: '3' }, fallbacks);
    const dropped = binomial(random, 400, 0.003);
    put({ __name__: 'notifications_total', outcome: 'dropped' }, grow('dropped', dropped));
    put({ __name__: 'notifications_total', outcome: 'sent' }, grow('sent', 400 - dropped));
    for (const name of ['notification_duplicates_total', 'disputes_overdue', 'dispute_sla_timers_late']) put({ __name__: name }, 0);
  };
}

/** Writes both histories as scrapes each 15 s would have left them, oldest first; the chat's is `chatFor` (ms) long. */
export async function writeTraffic(url: string, from: number, to: number, chatFor: number): Promise<void> {
  const scrapes: readonly (readonly [from: number, scrape: Scrape])[] = [
    [from, shop(from)],
    [to - chatFor, chat()],
  ];
  for (let start = from; start <= to; start += HOUR) {
    const written = new Map<string, WrittenSeries & { samples: { at: number; value: number }[] }>();
    for (let at = start; at < Math.min(start + HOUR, to + 1); at += STEP) {
      const put: Put = (labels, value) => {
        const key = Object.values(labels).join(' ');
        const series = written.get(key) ?? { labels, samples: [] };
        series.samples.push({ at, value });
        written.set(key, series);
      };
      for (const [begins, scrape] of scrapes) if (at >= begins) scrape(at, put);
    }
    await remoteWrite(url, [...written.values()]);
  }
}

/** Ten gates of several kinds over that history, and stages of which one names people instead of a share. */
export const PLAN = `
name: trial
environments: [stage]
falseAlarms: 2%
gates:
  queue: { source: prometheus, query: max(queue_seconds), max: 0.6, for: 1m }
  queue-strict: { source: prometheus, query: max(queue_seconds), max: 0.39 }
  overdue: { source: prometheus, query: sum(overdue), max: 0 }
  p95: { source: prometheus, query: 'histogram_quantile(0.95, sum by (le) (rate(latency_seconds_bucket[5m])))', max: 0.8, unit: s, for: 1m }
  dropped: { source: prometheus, ratio: { bad: 'sum(increase(dropped_total[5m]))', total: 'sum(increase(sent_total[5m]))' }, below: 1.2%, minSamples: 100 }
  failed: { source: prometheus, ratio: { bad: 'sum(rate(errors_total[2m]))', total: 'sum(rate(requests_total[2m]))' }, below: 1.5% }
  pages: { source: prometheus, alert: { severity: page } }
  compared:
    kind: compareRate
    source: prometheus
    exposed: { bad: 'sum(errors_total{side="exposed"})', total: 'sum(requests_total{side="exposed"})' }
    rest: { bad: 'sum(errors_total{side="rest"})', total: 'sum(requests_total{side="rest"})' }
  unborn:
    kind: compareRate
    source: prometheus
    exposed: { bad: 'sum(errors_total{side="next"})', total: 'sum(requests_total{side="next"})' }
    rest: { bad: 'sum(errors_total{side="rest"})', total: 'sum(requests_total{side="rest"})' }
  burning:
    kind: burnRate
    source: prometheus
    ratio: { bad: 'sum(errors_total)', total: 'sum(requests_total)' }
    objective: 99.5%
    windows: [{ long: 10m, short: 1m, factor: 3 }]
stages:
  - id: internal
    set: [{ flag: shop.basket, to: { listed: { team: [a] } } }]
    bake: 1h
    gates: [queue, queue-strict, overdue, p95, dropped, failed, pages]
    signOff: [qa]
  - id: five
    set: [{ flag: shop.basket, to: { share: 5, by: user } }]
    bake: 2h
    gates: [compared, unborn, burning]
    signOff: [qa]
  - id: half
    set: [{ flag: shop.basket, to: { share: 50, by: user } }]
    bake: 12h
    gates: [queue]
    signOff: [qa]
  - id: all
    set: [{ flag: shop.basket, to: everyone }]
    bake: 24h
    gates: [queue]
    signOff: [qa]
watch: 1h
`;
