import { MetricsBuffer, Runtime, type Logger, type LogLevel } from '@temporalio/worker';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { FullLog } from './log.ts';

/** What the SDK measures, taken over each second. */
export interface InstalledRuntime {
  /** Takes over what is left and stops the taking. The SDK's runtime itself lives as long as the process. */
  stop(): void;
}

/** Labels that the SDK's core puts on its metrics; prom-client wants them known beforehand. */
const LABELS = [
  ...[
    'namespace',
    'service_name',
    'operation',
    'status_code',
    'task_queue',
    'worker_type',
    'poller_type',
    'workflow_type',
    'activity_type',
    'eager',
    'failure_reason',
    'client_name',
  ],
  ...['nexus_service', 'nexus_operation', 'resource_type', 'slot_supplier_type', 'deployment_name', 'build_id', 'versioning_behavior'],
];
const BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3_600, 86_400];

/**
 * Installs Temporal's runtime: its log lines go to ours, its metrics onto our page, and its signal handlers are left out, as the process stops its workers itself.
 * Once per process, before the first connection or worker; throws when it is installed already.
 */
export function installRuntime(log: FullLog, registry: Registry): InstalledRuntime {
  const buffer = new MetricsBuffer({ maxBufferSize: 100_000, useSecondsForDurations: true });
  Runtime.install({
    logger: loggerFor(log),
    shutdownSignals: [],
    telemetryOptions: { logging: { filter: { core: 'WARN', other: 'ERROR' }, forward: {} }, metrics: { buffer, attachServiceName: false } },
  });
  const take = drainInto(registry, buffer);
  const timer = setInterval(take, 1_000);
  timer.unref();
  return {
    stop() {
      clearInterval(timer);
      take();
    },
  };
}

/** Our log in the SDK's shape. */
function loggerFor(log: FullLog): Logger {
  const at = (level: LogLevel, message: string, meta?: object): void => {
    const fields = meta === undefined ? {} : ({ ...meta } as Record<string, unknown>);
    if (level === 'ERROR') log.error(fields, message);
    else if (level === 'WARN') log.warn(fields, message);
    else if (level === 'INFO') log.info(fields, message);
    else log.debug(fields, message);
  };
  return {
    log: at,
    trace: (message, meta) => at('TRACE', message, meta),
    debug: (message, meta) => at('DEBUG', message, meta),
    info: (message, meta) => at('INFO', message, meta),
    warn: (message, meta) => at('WARN', message, meta),
    error: (message, meta) => at('ERROR', message, meta),
  };
}

type Sink = (labels: Record<string, string>, value: number) => void;

function drainInto(registry: Registry, buffer: MetricsBuffer): () => void {
  const sinks = new Map<string, Sink>();
  return () => {
    for (const { metric, value, attributes } of buffer.retrieveUpdates()) {
      const name = metric.name.replaceAll(/[^a-zA-Z0-9_]/g, '_');
      let sink = sinks.get(name);
      if (sink === undefined) {
        sink = sinkFor(registry, name, metric.description ?? name, metric.kind);
        sinks.set(name, sink);
      }
      // A label we do not know is dropped: its series then add up.
      sink(Object.fromEntries(LABELS.flatMap((label) => (attributes[label] === undefined ? [] : [[label, String(attributes[label])]]))), value);
    }
  };
}

function sinkFor(registry: Registry, name: string, help: string, kind: string): Sink {
  const options = { name, help: help === '' ? name : help, labelNames: LABELS, registers: [registry] };
  if (kind === 'histogram') {
    const histogram = new Histogram({ ...options, buckets: BUCKETS });
    return (labels, value) => histogram.observe(labels, value);
  }
  if (kind === 'counter') {
    const counter = new Counter(options);
    return (labels, value) => counter.inc(labels, value);
  }
  const gauge = new Gauge(options);
  return kind === 'gauge' ? (labels, value) => gauge.set(labels, value) : (labels, value) => gauge.inc(labels, value);
}
