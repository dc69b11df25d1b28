import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { State } from './core/event.ts';
import type { Meter } from './house.ts';

/** What /metrics shows: `text()` is the page, `contentType` its type. */
export interface Telemetry {
  readonly registry: Registry;
  readonly meter: Meter;
  readonly contentType: string;
  text(): Promise<string>;
}

const STATES: readonly State[] = [
  'waiting',
  'shifting',
  'baking',
  'held',
  'no-go',
  'frozen',
  'watching',
  'rolling-back',
  'launched',
  'rolled-back',
  'aborted',
  'stuck',
];
const QUICK = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Up to the promise of five minutes, and past it. */
const ROLLBACKS = [0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800];

/** A process's metrics: its own (memory, event loop, ...) and gonogo's. */
export function openTelemetry(): Telemetry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return { registry, meter: openMeter(registry), contentType: registry.contentType, text: () => registry.metrics() };
}

/** gonogo's own metrics in `registry`; once per registry. Names begin with `gonogo_`, durations are in seconds. */
export function openMeter(registry: Registry): Meter {
  const registers = [registry];
  const measured = new Histogram({
    name: 'gonogo_measurement_seconds',
    help: 'Time that a source took for one measurement',
    labelNames: ['source', 'kind'],
    buckets: QUICK,
    registers,
  });
  const age = new Gauge({
    name: 'gonogo_measurement_age_seconds',
    help: 'Age of the newest sample of the source, by the clock of the source',
    labelNames: ['source'],
    registers,
  });
  const verdicts = new Counter({ name: 'gonogo_verdicts_total', help: 'Verdicts by gate and kind', labelNames: ['gate', 'verdict'], registers });
  const calls = new Counter({ name: 'gonogo_provider_calls_total', help: 'Calls to flag providers', labelNames: ['provider', 'call', 'ok'], registers });
  const latency = new Histogram({
    name: 'gonogo_provider_call_seconds',
    help: 'Time that a call to a flag provider took',
    labelNames: ['provider', 'call'],
    buckets: QUICK,
    registers,
  });
  const rollbacks = new Histogram({
    name: 'gonogo_rollback_seconds',
    help: 'From the first bad sample, alert or request to the proof at the evaluator',
    buckets: ROLLBACKS,
    registers,
  });
  const tick = new Gauge({
    name: 'gonogo_watcher_last_tick_timestamp_seconds',
    help: 'When the watcher of a launch last ticked here, Unix time',
    labelNames: ['launch'],
    registers,
  });
  const pages = new Counter({ name: 'gonogo_pages_total', help: 'Times that a person was paged', registers });
  return {
    measured(source, kind, seconds, sampleAge) {
      measured.observe({ source, kind }, seconds);
      if (sampleAge !== undefined) age.set({ source }, sampleAge);
    },
    verdict: (gate, kind) => verdicts.inc({ gate, verdict: kind }),
    providerCall(provider, call, ok, seconds) {
      calls.inc({ provider, call, ok: String(ok) });
      latency.observe({ provider, call }, seconds);
    },
    rolledBack: (seconds) => rollbacks.observe(seconds),
    ticked: (launch) => tick.set({ launch }, Date.now() / 1000),
    forget: (launch) => tick.remove({ launch }),
    paged: () => pages.inc(),
  };
}

/** How long the page waits for the store, ms: without it the page comes all the same. */
const STORE_WITHIN = 1_000;

/** Adds `gonogo_launches{state}`, asked of the store at every scrape, and `gonogo_store_up`: 0 when it did not answer within a second (the states are left out then). */
export function countLaunches(registry: Registry, query: () => Promise<ReadonlyMap<State, number>>): void {
  let asked: Promise<ReadonlyMap<State, number> | undefined> | undefined;
  // Both gauges of one scrape are collected at once, and share one answer.
  const ask = (): Promise<ReadonlyMap<State, number> | undefined> =>
    (asked ??= within(query())
      .catch(() => undefined)
      .finally(() => (asked = undefined)));
  const up = new Gauge({
    name: 'gonogo_store_up',
    help: 'Whether the database answered this scrape',
    registers: [registry],
    async collect() {
      up.set((await ask()) === undefined ? 0 : 1);
    },
  });
  const launches = new Gauge({
    name: 'gonogo_launches',
    help: 'Launches by state',
    labelNames: ['state'],
    registers: [registry],
    async collect() {
      const counts = await ask();
      launches.reset();
      if (counts !== undefined) for (const state of STATES) launches.set({ state }, counts.get(state) ?? 0);
    },
  });
}

function within<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('the store did not answer in time')), STORE_WITHIN);
  });
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}
