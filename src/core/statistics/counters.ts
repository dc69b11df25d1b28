/** One series of a counter as its source keeps it: raw samples [ms since the epoch, value], oldest first. */
export interface RawSeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly samples: readonly (readonly [at: number, value: number])[];
}

/** What is asked of raw samples: by how much the counters rose in from < t <= to (ms, the source's clock). */
export interface Span {
  readonly from: number;
  readonly to: number;
  /** The samples that were asked for reach back to here: well before `from`, so that a series which was there before is known. */
  readonly since: number;
  /** A newest sample older than this (ms) is no evidence. */
  readonly staleAfter: number;
}

/** What tells whether a series that begins had a life before: the targets' `up`, and where they have it the start of their process (seconds since the epoch, as process_start_time_seconds). */
export interface Targets {
  readonly up: readonly RawSeries[];
  readonly starts?: readonly RawSeries[];
}

/** How far counters rose, with what was met on the way. */
export interface Rise {
  readonly kind: 'rise';
  readonly value: number;
  /** Time of the newest sample (ms). */
  readonly newest: number;
  readonly resets: number;
  /** Series that began and were counted from 0. */
  readonly births: number;
  /** Series that began where nobody can tell since when they counted: taken up from here on. */
  readonly joined: number;
  /** Series that had samples before the span and none in it. */
  readonly gone: number;
}

/** Why counters say nothing. */
export interface NoRise {
  readonly kind: 'no-data';
  readonly reason: 'empty' | 'stale' | 'nan' | 'infinite';
  readonly detail: string;
}

/** Counters that cannot be: a mistake of the query or of the source. */
export interface BadRise {
  readonly kind: 'error';
  readonly reason: 'malformed';
  readonly detail: string;
}

/** What identifies a target in Prometheus. */
const TARGET = ['job', 'instance'] as const;

function sameTarget(a: RawSeries, b: RawSeries): boolean {
  return TARGET.every((label) => a.labels[label] === b.labels[label]);
}

/** A series' key, whatever the order of its labels. */
function keyOf(series: RawSeries): string {
  return JSON.stringify(Object.entries(series.labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function nameOf(series: RawSeries): string {
  return `{${Object.entries(series.labels)
    .map(([label, value]) => `${label}="${value}"`)
    .join(', ')}}`;
}

/**
 * Whether a series whose first sample is at `born` counted from 0 since the look before: its target was scraped, up and
 * without it right before; or its process started after the last time that it could have been seen.
 */
function fromZero(series: RawSeries, born: number, span: Span, targets: Targets | undefined): boolean {
  if (targets === undefined) return false;
  const beats = targets.up.filter((up) => sameTarget(up, series)).flatMap((up) => up.samples);
  const before = beats.findLast(([at]) => at < born);
  if (before !== undefined) return before[1] === 1;
  const started = targets.starts?.find((start) => sameTarget(start, series))?.samples.findLast(([at]) => at <= born)?.[1];
  return started !== undefined && started * 1000 > span.since && started * 1000 <= born;
}

interface One {
  readonly rise: number;
  readonly resets: number;
  readonly born: 'counted' | 'joined' | undefined;
  readonly gone: boolean;
}

function riseOf(series: RawSeries, span: Span, targets: Targets | undefined): One {
  const inside = series.samples.filter(([at]) => at > span.from && at <= span.to);
  let before = series.samples.findLast(([at]) => at <= span.from)?.[1];
  const [first] = inside;
  if (first === undefined) return { rise: 0, resets: 0, born: undefined, gone: before !== undefined };
  let [rise, resets] = [0, 0];
  let born: One['born'];
  if (before === undefined) {
    born = fromZero(series, first[0], span, targets) ? 'counted' : 'joined';
    before = born === 'counted' ? 0 : first[1];
  }
  for (const [, value] of inside) {
    // A counter that fell began anew, so all of it is new.
    if (value < before) resets += 1;
    rise += value < before ? value : value - before;
    before = value;
  }
  return { rise, resets, born, gone: false };
}

/** What is wrong with the samples themselves, before they are counted. */
function fault(all: readonly RawSeries[], span: Span): NoRise | BadRise | undefined {
  const keys = new Set<string>();
  for (const series of all) {
    const key = keyOf(series);
    if (keys.has(key)) return { kind: 'error', reason: 'malformed', detail: `the series ${nameOf(series)} came twice` };
    keys.add(key);
    let last = -Infinity;
    for (const [at, value] of series.samples) {
      if (at <= last) return { kind: 'error', reason: 'malformed', detail: `the samples of ${nameOf(series)} are not in order of time` };
      last = at;
      if (at > span.to) continue;
      if (Number.isNaN(value)) return { kind: 'no-data', reason: 'nan', detail: `${nameOf(series)} is NaN` };
      if (!Number.isFinite(value)) return { kind: 'no-data', reason: 'infinite', detail: `${nameOf(series)} is ${value}` };
      if (value < 0) return { kind: 'error', reason: 'malformed', detail: `${nameOf(series)} is ${value}; expected a counter, which is never below 0` };
    }
  }
  return undefined;
}

/** By how much one set of series rose; counts are whole where the samples are, because nothing is extrapolated. */
function sumUp(all: readonly RawSeries[], span: Span, targets: Targets | undefined): Rise {
  let [value, resets, births, joined, gone, newest] = [0, 0, 0, 0, 0, -Infinity];
  for (const series of all) {
    const one = riseOf(series, span, targets);
    value += one.rise;
    resets += one.resets;
    births += one.born === 'counted' ? 1 : 0;
    joined += one.born === 'joined' ? 1 : 0;
    gone += one.gone ? 1 : 0;
    const last = series.samples.findLast(([at]) => at <= span.to)?.[0];
    if (last !== undefined) newest = Math.max(newest, last);
  }
  return { kind: 'rise', value, newest, resets, births, joined, gone };
}

/**
 * By how much counters rose in a span, summed over their series, each handled by itself before the sum.
 *
 * A fall is a reset: the new value counts whole. A series that begins counts from 0 where its target was up right before
 * without it, or its process is that young; otherwise it counts from its first sample on. A series that vanished adds
 * nothing. Samples in the future are left for the next look. No series at all is `empty`, where `alive` series (others of the same
 * target, e.g. its requests) are fresh it is a rise of 0: an error counter that does not exist yet. `stale` is when the newest sample is too old.
 */
export function riseIn(all: readonly RawSeries[], span: Span, targets?: Targets, alive?: readonly RawSeries[]): Rise | NoRise | BadRise {
  const wrong = fault(all, span);
  if (wrong !== undefined) return wrong;
  const rise = sumUp(all, span, targets);
  const fresh = (newest: number): boolean => newest >= span.to - span.staleAfter;
  if (fresh(rise.newest)) return rise;
  // What does not exist (or exist any more) is vouched for by what is counted beside it.
  const beside = Math.max(...(alive ?? []).flatMap((series) => series.samples.findLast(([at]) => at <= span.to)?.[0] ?? []), -Infinity);
  if (fresh(beside)) return { ...rise, newest: beside };
  if (rise.newest === -Infinity) return { kind: 'no-data', reason: 'empty', detail: 'no series with a sample' };
  return {
    kind: 'no-data',
    reason: 'stale',
    detail: `the newest sample is ${Math.round((span.to - rise.newest) / 1000)} s old; expected at most ${Math.round(span.staleAfter / 1000)} s`,
  };
}

/** As `riseIn`, for each bucket of classic histograms: series are summed by their label `le`. Buckets that differ between instances are an error, because their sums would lie. */
export function bucketsIn(
  all: readonly RawSeries[],
  span: Span,
  targets?: Targets,
): { readonly kind: 'buckets'; readonly buckets: readonly { readonly le: number; readonly count: number }[]; readonly newest: number } | NoRise | BadRise {
  const byEdge = Map.groupBy(all, (series) => series.labels['le'] ?? '');
  const histograms = new Map<string, Set<string>>();
  for (const series of all) {
    const { le = '', ...rest } = series.labels;
    const key = keyOf({ labels: rest, samples: [] });
    histograms.set(key, (histograms.get(key) ?? new Set()).add(le));
  }
  const edgesOf = (edges: ReadonlySet<string>): string => [...edges].sort().join(' ');
  const layouts = new Set([...histograms.values()].map(edgesOf));
  if (byEdge.has('')) return { kind: 'error', reason: 'malformed', detail: 'a series has no label le; expected the _bucket series of a classic histogram' };
  if (layouts.size > 1) return { kind: 'error', reason: 'malformed', detail: `the histograms have different bucket edges: ${[...layouts].join(' | ')}` };
  const whole = riseIn(all, span, targets);
  if (whole.kind !== 'rise') return whole;
  const buckets = [...byEdge].map(([le, series]) => ({ le: le === '+Inf' ? Infinity : Number(le), count: sumUp(series, span, targets).value }));
  if (buckets.some(({ le }) => Number.isNaN(le))) return { kind: 'error', reason: 'malformed', detail: 'a label le is not a number' };
  return { kind: 'buckets', buckets: buckets.sort((a, b) => a.le - b.le), newest: whole.newest };
}

/** Totals that a source sums up itself (SQL, a document): how far one rose since the answer before. Less than before is a reset, and counts whole. */
export function riseOfTotal(before: number, now: number): number {
  return now < before ? now : now - before;
}
