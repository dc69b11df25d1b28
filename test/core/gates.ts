import type { Measurement } from '../../src/core/measurement.ts';
import type { AlertGate, ProbeGate, RatioGate, ThresholdGate } from '../../src/core/plan.ts';

const base = { every: 15_000, for: 0, noData: { after: 600_000, then: 'hold' }, error: { after: 600_000, then: 'hold' } } as const;

/** A latency gate: at most 1 s. */
export const threshold = (more: Partial<ThresholdGate> = {}): ThresholdGate => ({
  id: 'latency',
  kind: 'threshold',
  source: 'prometheus',
  query: 'q',
  bound: { op: 'max', limit: 1 },
  unit: 's',
  minSamples: 0,
  ...base,
  ...more,
});

/** A drop-rate gate: under 1 %, from at least 200. */
export const ratio = (more: Partial<RatioGate> = {}): RatioGate => ({
  id: 'drop-rate',
  kind: 'ratio',
  source: 'prometheus',
  bad: 'b',
  total: 't',
  bound: { op: 'below', limit: 0.01 },
  minSamples: 200,
  ...base,
  ...more,
});

/** A probe of /healthz. */
export const probe = (more: Partial<ProbeGate> = {}): ProbeGate => ({
  id: 'up',
  kind: 'probe',
  source: 'app',
  path: '/healthz',
  status: [200],
  ...base,
  ...more,
});

/** An alert that is also asked for. */
export const alert = (more: Partial<AlertGate> = {}): AlertGate => ({
  id: 'pages',
  kind: 'alert',
  labels: { severity: 'page' },
  source: 'prometheus',
  ...base,
  ...more,
});

export const value = (at: number, number: number, more: { samples?: number; age?: number; detail?: string } = {}): Measurement => ({
  kind: 'value',
  at,
  value: number,
  query: 'q',
  ...more,
});
export const noData = (at: number, reason: 'empty' | 'nan' | 'infinite' | 'stale' | 'no-traffic' = 'empty'): Measurement => ({
  kind: 'no-data',
  at,
  reason,
  detail: 'nothing',
  query: 'q',
});
export const failed = (at: number): Measurement => ({ kind: 'error', at, reason: 'refused', detail: 'nobody listens', query: 'q' });
