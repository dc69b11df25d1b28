import type { GateState } from '../../src/core/gate.ts';
import type { Measurement } from '../../src/core/measurement.ts';
import type {
  AlertGate,
  BurnRateGate,
  CompareRateGate,
  CompareSlowGate,
  CompareUsersGate,
  ExposureCheckGate,
  Gate,
  ProbeGate,
  QuantileGate,
  RatioGate,
  ThresholdGate,
} from '../../src/core/plan.ts';
import type { RateBatch } from '../../src/core/statistics/rate-ratio.ts';

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

const comparison = { source: 'prometheus', tolerance: 1, floor: 0, minSamples: 0, alpha: 0.05 } as const;

/** Errors of the exposed against the rest: nothing tolerated, at 5 %. */
export const compareRate = (more: Partial<CompareRateGate> = {}): CompareRateGate => ({
  id: 'errors',
  kind: 'compareRate',
  exposed: { bad: 'eb', total: 'et' },
  rest: { bad: 'rb', total: 'rt' },
  ...comparison,
  ...base,
  ...more,
});

/** Requests over half a second. */
export const compareSlow = (more: Partial<CompareSlowGate> = {}): CompareSlowGate => ({
  id: 'slow',
  kind: 'compareSlow',
  exposed: 'e_bucket',
  rest: 'r_bucket',
  over: 0.5,
  ...comparison,
  ...base,
  ...more,
});

/** Users' first failures. */
export const compareUsers = (more: Partial<CompareUsersGate> = {}): CompareUsersGate => ({
  id: 'users',
  kind: 'compareUsers',
  exposed: { failed: 'ef', atRisk: 'er' },
  rest: { failed: 'rf', atRisk: 'rr' },
  ...comparison,
  ...base,
  ...more,
});

/** A budget of 1 %, over ten minutes and one. */
export const burnRate = (more: Partial<BurnRateGate> = {}): BurnRateGate => ({
  id: 'budget',
  kind: 'burnRate',
  source: 'prometheus',
  bad: 'b',
  total: 't',
  objective: 0.99,
  windows: [{ long: 600_000, short: 60_000, factor: 10 }],
  minSamples: 100,
  ...base,
  ...more,
});

/** The 95th percentile, at most 1 s. */
export const quantile = (more: Partial<QuantileGate> = {}): QuantileGate => ({
  id: 'p95',
  kind: 'quantile',
  source: 'prometheus',
  buckets: 'b_bucket',
  q: 0.95,
  bound: { op: 'max', limit: 1 },
  unit: 's',
  minSamples: 20,
  ...base,
  ...more,
});

/** The share that sees chat.enabled, give or take 1 %. */
export const exposureCheck = (more: Partial<ExposureCheckGate> = {}): ExposureCheckGate => ({
  id: 'share',
  kind: 'exposureCheck',
  source: 'prometheus',
  flag: 'chat.enabled',
  exposed: 'e',
  rest: 'r',
  tolerance: 0.01,
  alpha: 0.01,
  ...base,
  ...more,
});

/** Counts of the 15 s before `at`: [exposedBad, exposed, restBad, rest]. */
export const counted = (
  at: number,
  [exposedBad, exposed, restBad, rest]: readonly [number, number, number, number],
  more: { promised?: number } = {},
): Measurement & { readonly kind: 'value' } => {
  const counts: RateBatch = { exposedBad, exposed, restBad, rest };
  return { kind: 'value', at, since: at - 15_000, value: exposed > 0 ? exposedBad / exposed : 0, samples: exposed, query: 'q', counts, ...more };
};

/** Whether the gate's newest measurement passes and is no older than 2 x `every`, with no breach seen or on its way. */
export function passing(gate: Gate, state: GateState, now: number): boolean {
  return state.latched === undefined && state.pending === undefined && state.last?.kind === 'go' && Math.abs(now - state.last.at) <= 2 * gate.every;
}
