/** A bucket of a classic histogram: so many were at most `le` (cumulative, the last `le` is Infinity). */
export interface Bucket {
  readonly le: number;
  readonly count: number;
}

function sorted(buckets: readonly Bucket[]): readonly Bucket[] {
  return [...buckets].sort((a, b) => a.le - b.le);
}

/**
 * The q-quantile (0..1) by linear interpolation inside its bucket, as PromQL's histogram_quantile on classic histograms does
 * it; above the highest finite edge that edge. Undefined without observations or without a bucket to +Inf. For showing and
 * for absolute limits; comparing is done by `slowOf`.
 */
export function quantileOf(buckets: readonly Bucket[], q: number): number | undefined {
  const all = sorted(buckets);
  const last = all.at(-1);
  if (last?.le !== Infinity || !(last.count > 0) || all.length < 2 || !(q >= 0 && q <= 1)) return undefined;
  const rank = q * last.count;
  const index = all.findIndex((bucket) => bucket.count >= rank);
  const bucket = all[index];
  if (bucket === undefined || bucket.le === Infinity) return all.at(-2)?.le;
  const below = all[index - 1];
  if (below === undefined && bucket.le <= 0) return bucket.le;
  const [from, under] = [below?.le ?? 0, below?.count ?? 0];
  return bucket.count === under ? bucket.le : from + ((bucket.le - from) * (rank - under)) / (bucket.count - under);
}

/** How many were slower than an edge, of how many; or, where no bucket ends there, the nearest edges that exist. */
export type Slow =
  { readonly kind: 'counts'; readonly slow: number; readonly total: number } | { readonly kind: 'no-edge'; readonly nearest: readonly number[] };

/** Counts those above `edge` exactly, without interpolation: all minus the bucket that ends there. */
export function slowOf(buckets: readonly Bucket[], edge: number): Slow {
  const all = sorted(buckets);
  const total = all.at(-1);
  // Edges are decimal texts (`le="0.3"`): what differs only in the last bit is the same edge.
  const at = all.find((bucket) => Number.isFinite(bucket.le) && Math.abs(bucket.le - edge) <= 1e-9 * Math.max(Math.abs(edge), 1e-9));
  if (at !== undefined && total?.le === Infinity) return { kind: 'counts', slow: Math.max(0, total.count - at.count), total: total.count };
  const edges = all.map((bucket) => bucket.le).filter(Number.isFinite);
  const [below, above] = [edges.findLast((le) => le < edge), edges.find((le) => le > edge)];
  return { kind: 'no-edge', nearest: [below, above].filter((le) => le !== undefined) };
}
