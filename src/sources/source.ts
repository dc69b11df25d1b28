import type { Measurement, Series } from '../core/measurement.ts';
import type { Problem } from '../providers/provider.ts';

/** A question to a source. `alive` replaces the freshness the source finds by itself; `staleAfter` (ms) is the age past which a sample is no evidence. */
export interface Query {
  readonly text: string;
  /** Extra settings of the kind: a probe's accepted status, latency and body. */
  readonly with?: Readonly<Record<string, unknown>>;
  readonly alive?: string;
  readonly staleAfter: number;
  /**
   * Running counts are asked for. A source that keeps raw samples answers with how far they rose after `since` (ms, its own
   * clock; a first look has none), each series by itself, and says so in the measurement's `since`; another one answers with
   * the totals. `buckets` are those of a histogram, summed by edge.
   */
  readonly rise?: { readonly of: 'counter' | 'buckets'; readonly since?: number };
}

/** Where numbers come from. Never throws for what the world or the source does: that is a measurement of kind `no-data` or `error`. */
export interface MetricSource {
  readonly kind: string;
  /** True where `series` can look back. */
  readonly remembers: boolean;
  /** One answer, now. */
  measure(query: Query, signal: AbortSignal): Promise<Measurement>;
  /** Answers on the grid from, from+step, ... <= to (ms since the epoch), asked in chunks where the source limits a range. */
  series(query: Query, from: number, to: number, step: number, signal: AbortSignal): Promise<Series>;
  check(queries: readonly Query[], signal: AbortSignal): Promise<readonly Problem[]>;
  close(): Promise<void>;
}
