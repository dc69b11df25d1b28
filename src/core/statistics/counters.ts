import type { Bucket } from './buckets.ts';

/** One series of a counter as its source keeps it: raw samples [ms since the epoch, value], oldest first. */
export interface RawSeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly samples: readonly (readonly [at: number, value: number])[];
  /** The look before counted this series up to here (ms), and what is newer is new although its time lies before the span: it came in late. -Infinity: that look did not know it. */
  readonly from?: number;
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
export function keyOf(series: Pick<RawSeries, 'labels'>): string {
  return JSON.stringify(Object.entries(series.labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function nameOf(series: Pick<RawSeries, 'labels'>): string {
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
  if (before?.[1] === 1) return true;
  const started = targets.starts?.find((start) => sameTarget(start, series))?.samples.findLast(([at]) => at <= born)?.[1];
  return started !== undefined && started * 1000 > span.since && started * 1000 <= born;
}

interface One {
  readonly rise: number;
  readonly resets: number;
  readonly born: 'counted' | 'joined' | undefined;
  readonly gone: boolean;
}

/** A sum that a rule recorded falls when it loses one of its series, and nobody can tell that from a reset. Rules have a colon in their names, counters have none. */
function isRecorded({ labels }: RawSeries): boolean {
  return labels['__name__']?.includes(':') === true;
}

/** How far a counter rose from one sample to the next. One that fell began anew, so all of it is new; a recorded sum goes on from where it is. */
function riseFrom(before: number, value: number, recorded: boolean): number {
  if (value >= before) return value - before;
  return recorded ? 0 : value;
}

function riseOf(series: RawSeries, span: Span, targets: Targets | undefined): One {
  const from = series.from ?? span.from;
  const inside = series.samples.filter(([at]) => at > from && at <= span.to);
  let before = series.samples.findLast(([at]) => at <= from)?.[1];
  const [first] = inside;
  if (first === undefined) return { rise: 0, resets: 0, born: undefined, gone: before !== undefined };
  let [rise, resets] = [0, 0];
  let born: One['born'];
  if (before === undefined) {
    born = fromZero(series, first[0], span, targets) ? 'counted' : 'joined';
    before = born === 'counted' ? 0 : first[1];
  }
  const recorded = isRecorded(series);
  for (const [, value] of inside) {
    if (value < before) resets += 1;
    rise += riseFrom(before, value, recorded);
    before = value;
  }
  return { rise, resets, born, gone: false };
}

/** Labels by which two servers that scrape the same targets tell their samples apart. */
const REPLICAS = ['prometheus_replica', '__replica__', 'replica', 'receive_replica', 'rule_replica'] as const;

/** The first series that a second server scraped too: every count would be there twice. */
function scrapedTwice(all: readonly RawSeries[]): BadRise | undefined {
  const told = all.filter(({ labels }) => labels['instance'] !== undefined && REPLICAS.some((label) => labels[label] !== undefined));
  const seen = new Map<string, RawSeries>();
  for (const series of told) {
    for (const label of REPLICAS) {
      const { [label]: replica, ...rest } = series.labels;
      if (replica === undefined) continue;
      const key = `${label} ${keyOf({ labels: rest })}`;
      const other = seen.get(key)?.labels[label];
      if (other !== undefined && other !== replica) {
        const detail = `${nameOf({ labels: rest })} is there from ${label} ${other} and ${replica}, and would be counted twice; expected one: add ${label}="${other}" to the query`;
        return { kind: 'error', reason: 'malformed', detail };
      }
      seen.set(key, series);
    }
  }
  return undefined;
}

/** What one sample of a counter cannot be. */
function badSample(series: RawSeries, value: number): NoRise | BadRise | undefined {
  if (Number.isNaN(value)) return { kind: 'no-data', reason: 'nan', detail: `${nameOf(series)} is NaN` };
  if (!Number.isFinite(value)) return { kind: 'no-data', reason: 'infinite', detail: `${nameOf(series)} is ${value}` };
  if (value < 0) return { kind: 'error', reason: 'malformed', detail: `${nameOf(series)} is ${value}; expected a counter, which is never below 0` };
  if (value > Number.MAX_SAFE_INTEGER)
    return { kind: 'error', reason: 'malformed', detail: `${nameOf(series)} is ${value}; above 2^53 a counter no longer counts by ones: restart what counts` };
  return undefined;
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
      const bad = at > span.to ? undefined : badSample(series, value);
      if (bad !== undefined) return bad;
    }
  }
  return scrapedTwice(all);
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

/** The edge that a bucket ends at; NaN where its label `le` is no number, undefined where it has none. */
function edgeOf({ labels }: RawSeries): number | undefined {
  const { le } = labels;
  if (le === undefined || le === '') return undefined;
  return le === '+Inf' ? Infinity : Number(le);
}

/** What is wrong with the edges of classic histograms: sums over histograms that differ in them would lie. */
function badEdges(all: readonly RawSeries[]): BadRise | undefined {
  const bad = (detail: string): BadRise => ({ kind: 'error', reason: 'malformed', detail });
  const histograms = new Map<string, Set<number>>();
  for (const series of all) {
    const edge = edgeOf(series);
    if (edge === undefined) return bad('a series has no label le; expected the _bucket series of a classic histogram');
    if (Number.isNaN(edge)) return bad(`the label le of ${nameOf(series)} is not a number`);
    const { le: _le, ...rest } = series.labels;
    const key = keyOf({ labels: rest });
    histograms.set(key, (histograms.get(key) ?? new Set()).add(edge));
  }
  const layouts = new Set([...histograms.values()].map((edges) => [...edges].sort((a, b) => a - b).join(' ')));
  const [first, ...others] = [...layouts].map((layout) => layout.replace('Infinity', '+Inf'));
  if (others.length > 0) return bad(`the histograms have different bucket edges: ${[first, ...others].join(' | ')}`);
  if (first !== undefined && !first.endsWith('+Inf')) return bad(`the histogram has no bucket up to +Inf, only ${first}; expected all of its buckets`);
  return undefined;
}

/** What each bucket of classic histograms rose by; the last `le` is Infinity. */
export interface BucketRise {
  readonly kind: 'buckets';
  readonly buckets: readonly Bucket[];
  readonly newest: number;
  readonly resets: number;
}

/** As `riseIn`, for each bucket of classic histograms: series are summed by their label `le`. Buckets that differ between instances are an error, because their sums would lie. */
export function bucketsIn(all: readonly RawSeries[], span: Span, targets?: Targets, alive?: readonly RawSeries[]): BucketRise | NoRise | BadRise {
  const wrong = badEdges(all);
  if (wrong !== undefined) return wrong;
  const whole = riseIn(all, span, targets, alive);
  if (whole.kind !== 'rise') return whole;
  const byEdge = Map.groupBy(all, (series) => edgeOf(series) ?? NaN);
  const buckets = [...byEdge].map(([le, series]) => ({ le, count: sumUp(series, span, targets).value }));
  return { kind: 'buckets', buckets: buckets.sort((a, b) => a.le - b.le), newest: whole.newest, resets: whole.resets };
}

/** The series that the look before did not know, with the time of their first new sample (ms): where that is, their target must tell whether they began at 0. */
export function bornIn(all: readonly RawSeries[], span: Span): readonly { readonly series: RawSeries; readonly born: number }[] {
  return all.flatMap((series) => {
    const from = series.from ?? span.from;
    const [first] = series.samples;
    return first === undefined || first[0] <= from || first[0] > span.to ? [] : [{ series, born: first[0] }];
  });
}

/** Moments at which counters are read: from, from + step, ... (ms). */
export interface Grid {
  readonly from: number;
  readonly step: number;
  readonly length: number;
}

/** What counters did on a grid: what each moment's step before it added. */
export interface Tally {
  /** Takes the next samples of each series, oldest first. A series is known from one call to the next. */
  add(all: readonly RawSeries[], targets?: Targets): void;
  /** The series among these that were not seen before, with their first sample's time. */
  unknown(all: readonly RawSeries[]): readonly { readonly series: RawSeries; readonly born: number }[];
  readonly rise: Float64Array;
  /** By edge, of histograms. */
  readonly edges: ReadonlyMap<number, Float64Array>;
  /** The newest sample at or before each moment (ms), -Infinity where there is none. Complete when all were added. */
  newest(): Float64Array;
  /** Moments whose step had samples that are no counter's. */
  readonly faults: ReadonlyMap<number, NoRise | BadRise>;
  /** How often a series fell so far. */
  resets(): number;
}

/**
 * Counts on a grid, in one pass over samples that come in parts: the same rules as `riseIn` for each step, in time that grows
 * with the samples and not with the grid. Series that are there in the first part from before the grid on are taken up silently.
 */
export function tallyOn(grid: Grid, of: 'counter' | 'buckets'): Tally {
  const begin = grid.from - grid.step;
  const last = new Map<string, number>();
  const rise = new Float64Array(grid.length);
  const edges = new Map<number, Float64Array>();
  const newest = new Float64Array(grid.length).fill(-Infinity);
  const faults = new Map<number, NoRise | BadRise>();
  let resets = 0;
  // Samples right on a moment belong to it; those before the first step only tell from where to go on.
  const indexOf = (at: number): number => (at <= begin ? -1 : Math.max(0, Math.ceil((at - grid.from) / grid.step)));
  const blame = (index: number, wrong: NoRise | BadRise | undefined): void => {
    if (wrong !== undefined && index < grid.length && !faults.has(Math.max(0, index))) faults.set(Math.max(0, index), wrong);
  };

  function addOne(series: RawSeries, targets: Targets | undefined): void {
    const key = keyOf(series);
    const edge = of === 'buckets' ? (edgeOf(series) ?? NaN) : undefined;
    const sums = edge === undefined ? rise : (edges.get(edge) ?? new Float64Array(grid.length));
    if (edge !== undefined) edges.set(edge, sums);
    const recorded = isRecorded(series);
    let before = last.get(key);
    for (const [at, value] of series.samples) {
      const index = indexOf(at);
      if (index >= grid.length) break;
      const bad = badSample(series, value);
      if (bad !== undefined) {
        if (index >= 0) blame(index, bad);
        continue;
      }
      if (index >= 0) {
        const span: Span = { since: begin, from: begin, to: at, staleAfter: 0 };
        const base = before ?? (fromZero(series, at, span, targets) ? 0 : value);
        sums[index] = (sums[index] ?? 0) + riseFrom(base, value, recorded);
        if (value < base) resets += 1;
        newest[index] = Math.max(newest[index] ?? -Infinity, at);
      } else newest[0] = Math.max(newest[0] ?? -Infinity, at);
      before = value;
    }
    if (before !== undefined) last.set(key, before);
  }

  return {
    rise,
    edges,
    faults,
    resets: () => resets,
    unknown: (all) =>
      all.flatMap((series) => {
        const born = series.samples[0]?.[0];
        return born === undefined || born <= begin || last.has(keyOf(series)) ? [] : [{ series, born }];
      }),
    add: (all, targets) => {
      const wrong = scrapedTwice(all) ?? (of === 'buckets' ? badEdges(all) : undefined);
      if (wrong !== undefined) for (const { samples } of all) for (const [at] of samples) if (at > begin) blame(indexOf(at), wrong);
      for (const series of all) addOne(series, targets);
    },
    newest: () => {
      for (let index = 1; index < grid.length; index += 1) newest[index] = Math.max(newest[index] ?? -Infinity, newest[index - 1] ?? -Infinity);
      return newest;
    },
  };
}

/** Totals that a source sums up itself (SQL, a document): how far one rose since the answer before. Less than before is a reset, and counts whole. */
export function riseOfTotal(before: number, now: number): number {
  return now < before ? now : now - before;
}
