import type { Failed, Measurement } from '../../core/measurement.ts';
import { keyOf, tallyOn, type RawSeries, type Tally } from '../../core/statistics/counters.ts';
import { clip, type Failing } from '../ask.ts';
import type { PrometheusClient } from './client.ts';
import { freshAt, freshnessOf, type Fresh } from './freshness.ts';
import { fallsLikeAGauge } from './gauge.ts';
import { linearOf, type Term } from './linear.ts';
import { lastKnown, rawParts, TARGETS_BEFORE, targetsOf } from './raw.ts';
import type { RiseQuery } from './rise.ts';
import { freshnessSamples } from './translate.ts';

/** Samples are read from so long before the first moment on, so that the series there are known. */
const BEFORE = 300_000;
/** A counter that falls less often needs no second look. */
const MANY_FALLS = 20;
/** Points in one request for freshness. */
const CHUNK = 4000;

/** One term's counts on the grid. */
interface Counted {
  readonly term: Term;
  readonly tally: Tally;
  readonly newest: Float64Array;
}

const isFailing = (value: object): value is Failing => 'reason' in value && !('kind' in value);

/** Series that were there before all that is read go on from what they were. */
function goOnFrom(all: readonly RawSeries[], at: number, born: ReadonlySet<RawSeries>, known: ReadonlyMap<string, number>): readonly RawSeries[] {
  return all.map((series) => {
    const value = born.has(series) ? known.get(keyOf(series)) : undefined;
    return value === undefined ? series : { ...series, samples: [[at, value], ...series.samples] };
  });
}

async function countTerm(
  client: PrometheusClient,
  query: RiseQuery,
  term: Term,
  times: readonly number[],
  step: number,
  signal: AbortSignal,
): Promise<Counted | Failing> {
  const [first = 0, last = 0] = [times[0], times.at(-1)];
  const tally = tallyOn({ from: first, step, length: times.length }, query.rise.of);
  const begin = first - step - BEFORE;
  let before: ReadonlyMap<string, number> | undefined;
  let from = begin;
  for await (const part of rawParts(client, term.selector, from, last, signal)) {
    if (!part.ok) return part.failing;
    let { series } = part;
    if (tally.unknown(series).length > 0) {
      const known = before ?? (await lastKnown(client, term.selector, begin, signal));
      if ('reason' in known) return known;
      before = known;
      series = goOnFrom(series, begin, new Set(tally.unknown(series).map((one) => one.series)), known);
    }
    const born = tally.unknown(series).map((one) => one.series);
    const targets = born.length === 0 ? undefined : await targetsOf(client, born, from - TARGETS_BEFORE, part.to, signal);
    if (targets !== undefined && isFailing(targets)) return targets;
    tally.add(series, targets);
    from = part.to;
  }
  const gauge = tally.resets() < MANY_FALLS ? undefined : await fallsLikeAGauge(client, term, last, signal);
  return gauge ?? { term, tally, newest: tally.newest() };
}

/** How alive what vouches for the counters was at each moment; undefined where nothing does. */
async function besideOver(
  client: PrometheusClient,
  query: RiseQuery,
  times: readonly number[],
  step: number,
  signal: AbortSignal,
): Promise<readonly Fresh[] | Failing | undefined> {
  const beside = query.with?.['beside'];
  if (query.alive === undefined && typeof beside !== 'string') return undefined;
  const text = typeof beside === 'string' ? beside : query.text;
  const freshness = freshnessOf({ text, staleAfter: query.staleAfter, ...(query.alive === undefined ? {} : { alive: query.alive }) });
  const question = { text, staleAfter: query.staleAfter, freshness };
  if (freshness.kind !== 'ages' && freshness.kind !== 'alive') return times.map(() => freshAt(question, []));
  const all: Fresh[] = [];
  for (let start = 0; start < times.length; start += CHUNK) {
    const part = times.slice(start, start + CHUNK);
    const reply = await client.range(freshness.text, part[0] ?? 0, part.at(-1) ?? 0, step, signal);
    const samples = freshnessSamples(reply, 'range');
    if ('reason' in samples) return samples;
    const byTime = Map.groupBy(samples, ({ at }) => at);
    all.push(...part.map((at) => freshAt(question, byTime.get(at) ?? [])));
  }
  return all;
}

/** Why a term says nothing at a moment; undefined where it does. */
function silence(
  query: RiseQuery,
  counted: readonly Counted[],
  one: Counted,
  index: number,
  at: number,
  beside: Fresh | undefined,
): (Pick<Failed, 'detail'> & { readonly reason: 'empty' | 'stale' }) | undefined {
  const fresh = (newest: number | undefined): boolean => newest !== undefined && newest >= at - query.staleAfter;
  const newest = one.newest[index] ?? -Infinity;
  if (query.alive === undefined ? fresh(newest) : newest > -Infinity && beside?.kind === 'fresh') return undefined;
  if (query.alive !== undefined && beside?.kind === 'stale') return { reason: 'stale', detail: beside.detail };
  const mayBeNone = one.term.optional || typeof query.with?.['beside'] === 'string';
  const seen = beside?.kind === 'fresh' || (one.term.optional && counted.some((other) => fresh(other.newest[index])));
  if (seen && (newest > -Infinity || (mayBeNone && query.rise.of === 'counter'))) return undefined;
  if (newest === -Infinity) return { reason: 'empty', detail: `${clip(one.term.selector, 80)}: no series with a sample` };
  const age = Math.round((at - newest) / 1000);
  return {
    reason: 'stale',
    detail: `${clip(one.term.selector, 80)}: the newest sample is ${age} s old; expected at most ${Math.round(query.staleAfter / 1000)} s`,
  };
}

/** How far the counters of a query rose in each step of a grid, from their raw samples, by the same rules as a look of now. */
export async function risesOver(
  client: PrometheusClient,
  query: RiseQuery,
  times: readonly number[],
  step: number,
  signal: AbortSignal,
): Promise<readonly Measurement[]> {
  const text = query.text;
  const all = ({ reason, detail }: Failing): readonly Measurement[] => times.map((at) => ({ kind: 'error', reason, detail, at, query: text }));
  const linear = linearOf(text, query.rise.of);
  if (linear.kind === 'not-linear') return all({ reason: 'wrong-type', detail: `${linear.message}; ${linear.hint}` });
  if (times.length === 0) return [];
  const answers = await Promise.all(linear.terms.map((term) => countTerm(client, query, term, times, step, signal)));
  const failing = answers.find(isFailing);
  if (failing !== undefined) return all(failing);
  const counted = answers.flatMap((answer) => (isFailing(answer) ? [] : [answer]));
  const silent = counted.some(({ newest }) => times.some((at, index) => !((newest[index] ?? -Infinity) >= at - query.staleAfter)));
  const beside = silent || query.alive !== undefined ? await besideOver(client, query, times, step, signal) : undefined;
  if (beside !== undefined && isFailing(beside)) return all(beside);
  const edges = [...new Set(counted.flatMap(({ tally }) => [...tally.edges.keys()]))].sort((a, b) => a - b);
  return times.map((at, index): Measurement => {
    const asked = { at, query: text };
    const fault = counted.flatMap(({ tally }) => tally.faults.get(index) ?? [])[0];
    if (fault !== undefined) return { ...fault, ...asked };
    const quiet = counted.flatMap((one) => silence(query, counted, one, index, at, beside?.[index]) ?? [])[0];
    if (quiet !== undefined) return { kind: 'no-data', ...quiet, ...asked };
    const oldest = Math.min(...counted.flatMap(({ newest }) => ((newest[index] ?? -Infinity) > -Infinity ? [newest[index] ?? 0] : [])));
    const more = { since: at - step, ...(Number.isFinite(oldest) ? { age: at - oldest } : {}) };
    if (query.rise.of === 'counter')
      return { kind: 'value', value: counted.reduce((sum, { term, tally }) => sum + term.times * (tally.rise[index] ?? 0), 0), ...asked, ...more };
    const buckets = edges.map((le) => ({ le, count: counted.reduce((sum, { term, tally }) => sum + term.times * (tally.edges.get(le)?.[index] ?? 0), 0) }));
    return { kind: 'value', value: buckets.at(-1)?.count ?? 0, buckets, ...asked, ...more };
  });
}
