import type { Bucket } from './statistics/buckets.ts';
import type { RateBatch } from './statistics/rate-ratio.ts';

/**
 * One answer to a gate's query. `at` is the source's own time of evaluation (ms since the epoch); where the source gave
 * no time of its own (an error, a document without a clock) it is our time moved onto the source's clock as last seen.
 * No data and an error are answers too.
 */
export type Measurement = Value | NoData | Failed;

interface Asked {
  readonly at: number;
  /** What was asked, as it was sent. */
  readonly query: string;
}

/** A finite number; `samples` counts what it was drawn from where the gate asks for it. */
export interface Value extends Asked {
  readonly kind: 'value';
  readonly value: number;
  readonly samples?: number;
  /** Age of the newest raw sample, ms, on the source's clock; absent where the source cannot tell. */
  readonly age?: number;
  /** What was seen, where a number says too little: a probe's status and latency. */
  readonly detail?: string;
  /** Where the value, buckets and counts are how far counters rose since then (ms), not running totals. */
  readonly since?: number;
  /** The buckets of a histogram, where those were asked for; the value is their total. */
  readonly buckets?: readonly Bucket[];
  /** The two sides of a comparison; of a gate that looks at one side only, that one. */
  readonly counts?: RateBatch;
  /** The share (0..1) that should be among the exposed, as the live stages set it. */
  readonly promised?: number;
}

/** The source answered, and there was nothing to judge. */
export interface NoData extends Asked {
  readonly kind: 'no-data';
  readonly reason: 'empty' | 'nan' | 'infinite' | 'stale' | 'no-traffic';
  readonly detail: string;
  /** The exposed of a comparison had traffic, and of the rest there was nothing. */
  readonly missing?: 'rest';
  readonly promised?: number;
}

/** We could not look. */
export interface Failed extends Asked {
  readonly kind: 'error';
  readonly reason: 'refused' | 'timeout' | 'status' | 'malformed' | 'several-series' | 'wrong-type' | 'warnings' | 'too-large' | 'other';
  readonly detail: string;
}

/**
 * Answers over a range, oldest first, one per grid point that was asked for; points with nothing are `no-data`. A point
 * of kind `error` was not looked at: whoever looks back asks for it again and does not move past it.
 */
export interface Series {
  readonly points: readonly Measurement[];
  /** False where the source keeps no history: the gap is ours. */
  readonly remembers: boolean;
}
