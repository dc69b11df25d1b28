import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** How a message went out. */
export type Channel = 'ws' | 'sse' | 'polling';

/** What the marketplace tells of itself: for Prometheus, and as numbers over a window for those who have none. */
export interface Metrics {
  readonly registry: Registry;
  delivered(channel: Channel, seconds: number): void;
  fellBack(seconds: number): void;
  notified(outcome: 'delivered' | 'dropped'): void;
  duplicate(): void;
  setDisputes(overdue: number, lateTimers: number): void;
  requested(route: string, code: number, seconds: number): void;
  flagReadFailed(flag: string): void;
  /** What happened in the last `window` ms. */
  recent(): Recent;
}

/** The same numbers as the queries of plans/communications.yaml ask for, over a window. */
export interface Recent {
  readonly chat: {
    readonly p95_seconds: number | null;
    /** Of the newest twenty of them. */ readonly newest_p95_seconds: number | null;
    readonly deliveries: number;
    readonly slow_fallbacks: number;
  };
  readonly notifications: { readonly total: number; readonly dropped: number; readonly duplicates: number };
  readonly disputes: { readonly overdue: number; readonly late_timers: number };
}

interface Happened {
  readonly at: number;
  readonly what: 'message' | 'fallback' | 'delivered' | 'dropped' | 'duplicate';
  readonly seconds: number;
}

/** The longest that a person should wait for the fallback, s. */
const FALLBACK_LIMIT = 3;
const NEWEST = 20;

/** Opens the metrics. `dumpMadeAt` is when the dump that stage runs on was made; `window` is what `recent` looks back over, both ms. */
export function openMetrics(dumpMadeAt: number, window: number): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const chat = new Histogram({
    name: 'chat_delivery_seconds',
    help: 'From sending a message to its delivery',
    labelNames: ['transport'],
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers,
  });
  const fallback = new Histogram({
    name: 'chat_fallback_seconds',
    help: 'From losing one transport to using the next',
    buckets: [0.25, 0.5, 1, 2, 3, 5, 10],
    registers,
  });
  const notifications = new Counter({ name: 'notifications_total', help: 'Notifications by outcome', labelNames: ['outcome'], registers });
  const duplicates = new Counter({ name: 'notification_duplicates_total', help: 'Notifications that somebody got twice', registers });
  const overdue = new Gauge({ name: 'disputes_overdue', help: 'Disputes past their deadline', registers });
  const lateTimers = new Gauge({ name: 'dispute_sla_timers_late', help: 'SLA timers that have not fired in time', registers });
  const requests = new Counter({ name: 'http_requests_total', help: 'Requests served', labelNames: ['code'], registers });
  const latency = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time to serve a request',
    labelNames: ['route'],
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers,
  });
  const failedReads = new Counter({ name: 'flag_reads_failed_total', help: 'Flag reads that fell back to off', labelNames: ['flag'], registers });
  new Gauge({
    name: 'stage_dump_age_seconds',
    help: 'Age of the dump that stage runs on',
    registers,
    collect() {
      this.set((Date.now() - dumpMadeAt) / 1_000);
    },
  });
  // A counter with labels has no series until it is first counted; nothing dropped is 0, not silence.
  for (const outcome of ['delivered', 'dropped']) notifications.inc({ outcome }, 0);

  let happened: Happened[] = [];
  const note = (what: Happened['what'], seconds = 0): void => {
    happened.push({ at: Date.now(), what, seconds });
    if (happened.length > 100_000) happened = happened.slice(50_000);
  };
  let disputes = { overdue: 0, late_timers: 0 };
  overdue.set(0);
  lateTimers.set(0);

  return {
    registry,
    delivered(channel, seconds) {
      chat.observe({ transport: channel }, seconds);
      note('message', seconds);
    },
    fellBack(seconds) {
      fallback.observe(seconds);
      note('fallback', seconds);
    },
    notified(outcome) {
      notifications.inc({ outcome });
      note(outcome);
    },
    duplicate() {
      duplicates.inc();
      note('duplicate');
    },
    setDisputes(late, timers) {
      disputes = { overdue: late, late_timers: timers };
      overdue.set(late);
      lateTimers.set(timers);
    },
    requested(route, code, seconds) {
      requests.inc({ code });
      latency.observe({ route }, seconds);
    },
    flagReadFailed: (flag) => failedReads.inc({ flag }),
    recent() {
      const from = Date.now() - window;
      happened = happened.filter((one) => one.at > from);
      const count = (what: Happened['what']): number => happened.filter((one) => one.what === what).length;
      const messages = happened.filter((one) => one.what === 'message').map((one) => one.seconds);
      return {
        chat: {
          p95_seconds: percentile(messages, 0.95),
          newest_p95_seconds: percentile(messages.slice(-NEWEST), 0.95),
          deliveries: messages.length,
          slow_fallbacks: happened.filter((one) => one.what === 'fallback' && one.seconds > FALLBACK_LIMIT).length,
        },
        notifications: { total: count('delivered') + count('dropped'), dropped: count('dropped'), duplicates: count('duplicate') },
        disputes,
      };
    },
  };
}

/** The smallest value that at least `share` of them do not exceed; null where there are none (nearest rank). */
export function percentile(values: readonly number[], share: number): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null;
}
