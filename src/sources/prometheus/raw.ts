import { bornIn, keyOf, type RawSeries, type Span, type Targets } from '../../core/statistics/counters.ts';
import { clip, type Failing } from '../ask.ts';
import type { PrometheusClient } from './client.ts';
import { quote } from './promql.ts';
import { rawSeriesOf, vectorOf } from './translate.ts';

/** Series of one selector that are still counted one by one. */
const MOST_SERIES = 10_000;
/** Samples that an answer should have, well below the largest one. */
const GOOD_ANSWER = 200_000;
const FIRST_CHUNK = 2 * 3_600_000;
const SHORTEST_CHUNK = 60_000;
const LONGEST_CHUNK = 24 * 3_600_000;
/** A series that comes back within this time goes on from where it was. */
const REMEMBERED = 3_600_000;
/** A target's `up` is looked for so long before a series began. */
export const TARGETS_BEFORE = 300_000;
/** Targets that are asked for at once. */
const MOST_TARGETS = 200;

/** Raw samples of one stretch of time, or why there are none. */
export type Raw =
  | { readonly ok: true; readonly series: readonly RawSeries[] }
  /** `shorter`: a shorter stretch may be answered. */
  | { readonly ok: false; readonly failing: Failing; readonly shorter: boolean };

const failed = (failing: Failing, shorter = false): Raw => ({ ok: false, failing, shorter });

/** The raw samples of a selector in from < t <= to (ms), in one answer. */
async function rawIn(client: PrometheusClient, selector: string, from: number, to: number, signal: AbortSignal): Promise<Raw> {
  // Range selectors are closed at their beginning before version 3 of Prometheus, and open from then on.
  const reply = await client.many(`${selector}[${to - from}ms]`, to, signal);
  if (!reply.ok) return failed(reply.failing, reply.failing.reason === 'too-large' || /too many samples|timed out/i.test(reply.failing.detail));
  const series = rawSeriesOf(reply.data);
  if ('reason' in series) return failed(series);
  if (series.length > MOST_SERIES) {
    const detail = `${clip(selector, 80)} has ${series.length} series; expected at most ${MOST_SERIES}: narrow it with label matchers`;
    return failed({ reason: 'too-large', detail });
  }
  return { ok: true, series: series.map((one) => ({ ...one, samples: one.samples.filter(([at]) => at > from) })).filter(({ samples }) => samples.length > 0) };
}

/** The raw samples of a selector in from < t <= to (ms), oldest first, in as many answers as their number asks for. Ends after the first failure. */
export async function* rawParts(
  client: PrometheusClient,
  selector: string,
  from: number,
  to: number,
  signal: AbortSignal,
): AsyncGenerator<Raw & { readonly to: number }> {
  let chunk = FIRST_CHUNK;
  for (let start = from; start < to;) {
    const end = Math.min(to, start + chunk);
    const raw = await rawIn(client, selector, start, end, signal);
    if (!raw.ok && raw.shorter && end - start > SHORTEST_CHUNK) {
      chunk = Math.max(SHORTEST_CHUNK, Math.round((end - start) / 4));
      continue;
    }
    yield { ...raw, to: end };
    if (!raw.ok) return;
    const samples = raw.series.reduce((sum, one) => sum + one.samples.length, 0);
    const fits = samples === 0 ? LONGEST_CHUNK : ((end - start) * GOOD_ANSWER) / samples;
    chunk = Math.round(Math.min(LONGEST_CHUNK, Math.max(SHORTEST_CHUNK, Math.min(fits, 4 * chunk))));
    start = end;
  }
}

/** As `rawParts`, put together. */
export async function rawSince(client: PrometheusClient, selector: string, from: number, to: number, signal: AbortSignal): Promise<Raw> {
  const all = new Map<string, { labels: RawSeries['labels']; samples: (readonly [number, number])[] }>();
  for await (const part of rawParts(client, selector, from, to, signal)) {
    if (!part.ok) return part;
    for (const one of part.series) {
      const known = all.get(keyOf(one));
      if (known === undefined) all.set(keyOf(one), { labels: one.labels, samples: [...one.samples] });
      else known.samples.push(...one.samples);
    }
  }
  return { ok: true, series: [...all.values()] };
}

/** The newest sample of each series that a look counted. */
type Marks = ReadonlyMap<string, readonly [at: number, value: number]>;

/** Looks of one selector that are still remembered: another gate may go on from another one. */
const LOOKS = 16;
const SELECTORS = 500;

/** What the looks before counted, so that a sample which comes in late, dated before the look that missed it, is counted by the next one. */
export interface LooksBefore {
  /** What the look at `at` counted; undefined where it was not ours, or is long ago. */
  of(selector: string, at: number): Marks | undefined;
  keep(selector: string, at: number, series: readonly RawSeries[], before: Marks | undefined): void;
}

/** An empty memory of looks. */
export function looksBefore(): LooksBefore {
  const all = new Map<string, Map<number, Marks>>();
  return {
    of: (selector, at) => {
      const looks = all.get(selector);
      const found = looks?.get(at);
      if (looks === undefined || found === undefined) return undefined;
      // Used again is used last: a look that must be gone back to, because the ones after it failed, is not forgotten.
      looks.delete(at);
      looks.set(at, found);
      return found;
    },
    keep: (selector, at, series, before) => {
      const marks = new Map([...(before ?? [])].filter(([, [seen]]) => seen > at - REMEMBERED));
      for (const one of series) {
        const newest = one.samples.findLast(([time, value]) => time <= at && Number.isFinite(value));
        if (newest !== undefined) marks.set(keyOf(one), newest);
      }
      const looks = all.get(selector) ?? new Map<number, Marks>();
      looks.delete(at);
      looks.set(at, marks);
      for (const old of [...looks.keys()].slice(0, -LOOKS)) looks.delete(old);
      all.delete(selector);
      all.set(selector, looks);
      for (const old of [...all.keys()].slice(0, -SELECTORS)) all.delete(old);
    },
  };
}

/** The series as the look before left them. */
export function goOn(series: readonly RawSeries[], marks: Marks): readonly RawSeries[] {
  return series.map((one) => {
    const mark = marks.get(keyOf(one));
    if (mark === undefined) return { ...one, from: -Infinity };
    return { labels: one.labels, from: mark[0], samples: [mark, ...one.samples.filter(([at]) => at > mark[0])] };
  });
}

/** As a part of a pattern that matches the text itself. */
const literal = (text: string): string => text.replace(/[\\^$.|?*+()[\]{}]/g, '\\$&');

/** What the targets of these series were before: their `up` and the start of their process, from < t <= to (ms). */
export async function targetsOf(
  client: PrometheusClient,
  series: readonly RawSeries[],
  from: number,
  to: number,
  signal: AbortSignal,
): Promise<Targets | Failing> {
  const told = series.filter(({ labels }) => labels['job'] !== undefined && labels['instance'] !== undefined);
  const of = (label: string): readonly string[] => [...new Set(told.map(({ labels }) => labels[label] ?? ''))];
  const [jobs, instances] = [of('job'), of('instance')];
  if (told.length === 0) return { up: [] };
  const matcher = (label: string, values: readonly string[]): string =>
    values.length > MOST_TARGETS ? `${label}!=""` : `${label}=~${quote(values.map(literal).join('|'))}`;
  const selector = `{__name__=~"up|process_start_time_seconds",${matcher('job', jobs)},${matcher('instance', instances)}}`;
  const raw = await rawSince(client, selector, from, to, signal);
  if (!raw.ok) return { ...raw.failing, detail: `while asking for up of the targets of a new series: ${raw.failing.detail}` };
  const named = (name: string): readonly RawSeries[] => raw.series.filter(({ labels }) => labels['__name__'] === name);
  return { up: named('up'), starts: named('process_start_time_seconds') };
}

/** What each series of a selector was at a moment (ms), or last within the hour before it, by its key. */
export async function lastKnown(client: PrometheusClient, selector: string, at: number, signal: AbortSignal): Promise<ReadonlyMap<string, number> | Failing> {
  const reply = await client.many(`last_over_time(${selector}[${REMEMBERED}ms])`, at, signal);
  if (!reply.ok) return reply.failing;
  const values = vectorOf(reply.data);
  if ('reason' in values) return values;
  return new Map(values.filter(({ value }) => Number.isFinite(value)).map(({ labels, value }) => [keyOf({ labels }), value]));
}

/** Series whose beginning lies in the span, with what is known of them: what they were within the hour before, or else their targets. */
export async function resolveBirths(
  client: PrometheusClient,
  selector: string,
  series: readonly RawSeries[],
  span: Span,
  signal: AbortSignal,
): Promise<{ readonly series: readonly RawSeries[]; readonly targets?: Targets } | Failing> {
  const born = bornIn(series, span);
  if (born.length === 0) return { series };
  const before = Math.min(span.from, ...born.map((one) => one.born - 1));
  const known = await lastKnown(client, selector, before, signal);
  if ('reason' in known) return known;
  const candidates = new Set(born.map((one) => one.series));
  const resolved = series.map((one): RawSeries => {
    const value = candidates.has(one) ? known.get(keyOf(one)) : undefined;
    return value === undefined ? one : { labels: one.labels, from: before, samples: [[before, value], ...one.samples] };
  });
  const unknown = bornIn(resolved, span).map((one) => one.series);
  if (unknown.length === 0) return { series: resolved };
  const targets = await targetsOf(client, unknown, before - TARGETS_BEFORE, span.to, signal);
  return 'reason' in targets ? targets : { series: resolved, targets };
}
