import type { Measurement } from '../../core/measurement.ts';
import type { RawSeries } from '../../core/statistics/counters.ts';
import { ofNumber, type Failing } from '../ask.ts';
import type { Data, Reply } from './client.ts';
import { freshAt, MARK, type Fresh, type Question } from './freshness.ts';

/** One number of one series at one moment (ms). */
interface Sample {
  readonly at: number;
  readonly value: number;
  readonly mark: string;
}

interface Series {
  readonly metric?: Readonly<Record<string, string>>;
  readonly value?: unknown;
  readonly values?: unknown;
  readonly histogram?: unknown;
  readonly histograms?: unknown;
}

const MALFORMED: Failing = { reason: 'malformed', detail: 'a sample without a time and a number' };

/** Numbers travel as text, so that NaN and the infinities can. */
function number(text: unknown): number | undefined {
  if (text === 'NaN') return NaN;
  if (text === '+Inf' || text === 'Inf') return Infinity;
  if (text === '-Inf') return -Infinity;
  return typeof text === 'string' && text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : undefined;
}

function sample(pair: unknown, series: Series): Sample | undefined {
  if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== 'number') return undefined;
  const value = number(pair[1]);
  return value === undefined ? undefined : { at: Math.round(pair[0] * 1000), value, mark: series.metric?.[MARK] ?? '' };
}

/** The samples of an answer, instant or range, or why it has none. */
function samplesOf({ resultType, result }: Data, expected: 'instant' | 'range'): readonly Sample[] | Failing {
  if (resultType === 'scalar') {
    const only = sample(result, {});
    return only === undefined ? MALFORMED : [only];
  }
  if (resultType !== (expected === 'instant' ? 'vector' : 'matrix') || !Array.isArray(result)) {
    return {
      reason: 'wrong-type',
      detail: `the answer is a ${resultType}; expected ${expected === 'instant' ? 'an instant vector with one series, or a scalar' : 'a matrix'}`,
    };
  }
  const samples: Sample[] = [];
  for (const series of result as readonly Series[]) {
    if (series.histogram !== undefined || series.histograms !== undefined) {
      return { reason: 'wrong-type', detail: 'the answer is a native histogram; expected a number: use histogram_quantile or histogram_count' };
    }
    const pairs: unknown = expected === 'instant' ? [series.value] : series.values;
    if (!Array.isArray(pairs)) return MALFORMED;
    for (const pair of pairs as readonly unknown[]) {
      const one = sample(pair, series);
      if (one === undefined) return MALFORMED;
      samples.push(one);
    }
  }
  return samples;
}

/** The raw samples of a range-vector query at one moment, series by series. */
export function rawSeriesOf({ resultType, result }: Data): readonly RawSeries[] | Failing {
  if (resultType !== 'matrix' || !Array.isArray(result)) return { reason: 'wrong-type', detail: `the answer is a ${resultType}; expected a matrix` };
  const all: RawSeries[] = [];
  for (const { metric, values, histograms } of result as readonly Series[]) {
    if (histograms !== undefined)
      return {
        reason: 'wrong-type',
        detail: `${metric?.['__name__'] ?? 'the metric'} is a native histogram; expected counters: ask for its classic buckets (${metric?.['__name__'] ?? 'h'}_bucket), which the scrape keeps with always_scrape_classic_histograms`,
      };
    if (!Array.isArray(values)) return MALFORMED;
    const samples: (readonly [number, number])[] = [];
    for (const pair of values as readonly unknown[]) {
      if (!Array.isArray(pair) || typeof pair[0] !== 'number') return MALFORMED;
      const value = number(pair[1]);
      if (value === undefined) return MALFORMED;
      samples.push([Math.round(pair[0] * 1000), value]);
    }
    all.push({ labels: metric ?? {}, samples });
  }
  return all;
}

/** The value of each series of an instant vector. */
export function vectorOf({ resultType, result }: Data): readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[] | Failing {
  if (resultType !== 'vector' || !Array.isArray(result)) return { reason: 'wrong-type', detail: `the answer is a ${resultType}; expected an instant vector` };
  const all: { labels: Readonly<Record<string, string>>; value: number }[] = [];
  for (const series of result as readonly Series[]) {
    const one = sample(series.value, series);
    if (one === undefined) return MALFORMED;
    all.push({ labels: series.metric ?? {}, value: one.value });
  }
  return all;
}

/** The one number of an instant answer, scalar or vector, with its time; undefined where it has none. */
export function numberOf(data: Data): { readonly at: number; readonly value: number } | undefined {
  const samples = samplesOf(data, 'instant');
  return isFailing(samples) ? undefined : samples[0];
}

const isFailing = (answer: readonly Sample[] | Failing): answer is Failing => 'reason' in answer;
const aboutFreshness = (failing: Failing): Failing => ({ ...failing, detail: `while asking how fresh the answer is: ${failing.detail}` });

/** The samples of the freshness query; none where it was not asked. */
export function freshnessSamples(reply: Reply | undefined, expected: 'instant' | 'range'): readonly Sample[] | Failing {
  if (reply === undefined) return [];
  if (!reply.ok) return aboutFreshness(reply.failing);
  const samples = samplesOf(reply.data, expected);
  return isFailing(samples) ? aboutFreshness(samples) : samples;
}

/** One moment's number, or its lack, together with its freshness. */
function settle(values: readonly Sample[], fresh: Fresh | Failing, asked: { readonly at: number; readonly query: string }): Measurement {
  if (values.length > 1)
    return { kind: 'error', reason: 'several-series', detail: 'the answer has several series; expected one: aggregate it, e.g. with sum or max', ...asked };
  const [only] = values;
  if (only === undefined) return { kind: 'no-data', reason: 'empty', detail: 'the answer has no series', ...asked };
  const judged = ofNumber(only.value, asked);
  if (judged.kind !== 'value') return judged;
  if ('reason' in fresh) return { kind: 'error', ...fresh, ...asked };
  if (fresh.kind === 'stale') return { kind: 'no-data', reason: 'stale', detail: fresh.detail, ...asked };
  return { ...judged, ...(fresh.age === undefined ? {} : { age: fresh.age }) };
}

/** The measurement of an instant answer and the freshness asked beside it. `now` dates answers in which the source told no time. */
export function instantMeasurement(question: Question, reply: Reply, freshness: Reply | undefined, now: number): Measurement {
  const marks = freshnessSamples(freshness, 'instant');
  const told = isFailing(marks) ? now : (marks[0]?.at ?? now);
  const samples = reply.ok ? samplesOf(reply.data, 'instant') : reply.failing;
  if (isFailing(samples)) return { kind: 'error', ...samples, at: told, query: question.text };
  return settle(samples, isFailing(marks) ? marks : freshAt(question, marks), { at: samples[0]?.at ?? told, query: question.text });
}

function byTime(samples: readonly Sample[]): ReadonlyMap<number, readonly Sample[]> {
  return Map.groupBy(samples, ({ at }) => at);
}

/** One measurement for each moment of `times`. Where the range could not be had, all of them are that error. */
export function rangeMeasurements(question: Question, times: readonly number[], reply: Reply, freshness: Reply | undefined): readonly Measurement[] {
  const query = question.text;
  const all = (failing: Failing): readonly Measurement[] => times.map((at) => ({ kind: 'error', ...failing, at, query }));
  const samples = reply.ok ? samplesOf(reply.data, 'range') : reply.failing;
  if (isFailing(samples)) return all(samples);
  const marks = freshnessSamples(freshness, 'range');
  if (isFailing(marks)) return all(marks);
  const [values, ages] = [byTime(samples), byTime(marks)];
  return times.map((at) => settle(values.get(at) ?? [], freshAt(question, ages.get(at) ?? []), { at, query }));
}
