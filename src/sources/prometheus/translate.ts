import type { Measurement } from '../../core/measurement.ts';
import type { Problem } from '../../providers/provider.ts';
import type { Query } from '../source.ts';
import { clip, ofNumber, type Failing } from '../ask.ts';
import type { Data, Reply } from './client.ts';
import { alertsQuery, parsePromQl, type Selector } from './promql.ts';

/** A question in PromQL, and how it is known whether the series behind its answer are alive. */
export interface Question {
  readonly text: string;
  readonly staleAfter: number;
  readonly freshness:
    /** The engine's answer is the evidence: alerts that fire are computed by it. */
    | { readonly kind: 'engine' }
    /** The gate's own query: 1 is alive. */
    | { readonly kind: 'alive'; readonly text: string }
    /** One query for the ages of all selectors. */
    | { readonly kind: 'ages'; readonly text: string; readonly selectors: readonly Selector[] }
    /** It cannot be known; nothing is evidence. */
    | { readonly kind: 'unknown'; readonly detail: string };
}

const MARK = 'gonogo';
/** Mark of the sample that tells the source's own time. */
const NOW = 'now';
const MOST_SELECTORS = 16;
const LONGEST_QUERY = 4096;
const LONGEST_SUBQUERY = 6 * 3_600_000;

/** What the source is asked for one query of a gate. Throws where an alert's label name is not allowed. */
export function questionOf(query: Query): Question {
  const alerts = query.with?.['alerts'];
  if (typeof alerts === 'object' && alerts !== null) {
    return { text: alertsQuery(alerts as Readonly<Record<string, string>>), staleAfter: query.staleAfter, freshness: { kind: 'engine' } };
  }
  return { text: query.text, staleAfter: query.staleAfter, freshness: freshnessOf(query) };
}

function freshnessOf(query: Query): Question['freshness'] {
  if (query.alive !== undefined) return { kind: 'alive', text: query.alive };
  const beside = query.with?.['beside'];
  const parsed = [query.text, ...(typeof beside === 'string' ? [beside] : [])].map(parsePromQl);
  if (parsed.some(({ brokenAt }) => brokenAt !== undefined))
    return { kind: 'unknown', detail: 'the query cannot be parsed, so its freshness cannot be known; give the gate an `alive` query' };
  const all = new Map<string, boolean>();
  for (const { text, optional } of parsed.flatMap((each) => each.selectors)) all.set(text, (all.get(text) ?? true) && optional);
  const selectors = [...all].map(([text, optional]) => ({ text, optional }));
  if (selectors.length === 0)
    return { kind: 'unknown', detail: 'the query reads no series, so nothing stands behind its answer; give the gate an `alive` query' };
  if (selectors.length > MOST_SELECTORS)
    return {
      kind: 'unknown',
      detail: `the query reads ${selectors.length} selectors; expected at most ${MOST_SELECTORS}, or give the gate an \`alive\` query`,
    };
  const mark = (expression: string, value: string): string => `label_replace(${expression}, "${MARK}", "${value}", "", "")`;
  const ages = selectors.map(({ text }, index) => mark(`time() - max(timestamp(${text}))`, String(index)));
  return { kind: 'ages', selectors, text: [...ages, mark('vector(time())', NOW)].join(' or ') };
}

/** One point of a series: its time (ms) and its number. */
interface Point {
  readonly at: number;
  readonly value: number;
}

function number(text: unknown): number | undefined {
  if (text === 'NaN') return NaN;
  if (text === '+Inf' || text === 'Inf') return Infinity;
  if (text === '-Inf') return -Infinity;
  return typeof text === 'string' && text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : undefined;
}

function point(pair: unknown): Point | undefined {
  if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== 'number') return undefined;
  const value = number(pair[1]);
  return value === undefined ? undefined : { at: Math.round(pair[0] * 1000), value };
}

interface Sample extends Point {
  readonly mark: string;
}

/** The points of an instant answer, or why it has none. */
function instantPoints({ resultType, result }: Data): readonly Sample[] | Failing {
  if (resultType === 'scalar') {
    const only = point(result);
    return only === undefined ? { reason: 'malformed', detail: 'a scalar without a time and a number' } : [{ ...only, mark: '' }];
  }
  if (resultType !== 'vector' || !Array.isArray(result))
    return { reason: 'wrong-type', detail: `the answer is a ${resultType}; expected an instant vector with one series, or a scalar` };
  const samples: Sample[] = [];
  for (const series of result as readonly { metric?: Record<string, string>; value?: unknown; histogram?: unknown }[]) {
    if (series.histogram !== undefined)
      return { reason: 'wrong-type', detail: 'the answer is a native histogram; expected a number: use histogram_quantile or histogram_count' };
    const sample = point(series.value);
    if (sample === undefined) return { reason: 'malformed', detail: 'a sample without a time and a number' };
    samples.push({ ...sample, mark: series.metric?.[MARK] ?? '' });
  }
  return samples;
}

const isFailing = (answer: unknown): answer is Failing => typeof answer === 'object' && answer !== null && 'reason' in answer && !Array.isArray(answer);

/** What the freshness of one moment says: how old the evidence is, that it is too old, or that it could not be asked. */
type Fresh =
  | { readonly kind: 'fresh'; readonly age?: number }
  | { readonly kind: 'stale'; readonly detail: string }
  | { readonly kind: 'failed'; readonly failing: Failing };

const secondsText = (ms: number): string => `${Math.round(ms / 100) / 10} s`;

/** Judges the ages of one moment. A selector without a series counts as stale where the query needs it, and one at least must be alive. */
function judgeAges(selectors: readonly Selector[], ages: ReadonlyMap<number, number>, staleAfter: number): Fresh {
  let oldest: number | undefined;
  for (const [index, { text, optional }] of selectors.entries()) {
    const age = ages.get(index);
    if (age === undefined && !optional) return { kind: 'stale', detail: `${clip(text, 80)} has no living series any more, or none yet` };
    if (age === undefined) continue;
    if (age > staleAfter)
      return { kind: 'stale', detail: `the newest sample of ${clip(text, 80)} is ${secondsText(age)} old; expected at most ${secondsText(staleAfter)}` };
    oldest = Math.max(oldest ?? 0, age);
  }
  if (oldest === undefined)
    return { kind: 'stale', detail: 'none of the series that the query reads is there; give the gate an `alive` query if that is well' };
  return { kind: 'fresh', age: oldest };
}

const DEAD: Fresh = { kind: 'stale', detail: 'the `alive` query does not answer 1' };

/** The verdict on freshness of an instant answer, with the source's time where it told it. */
function instantFresh(question: Question, reply: Reply | undefined): { readonly fresh: Fresh; readonly at?: number } {
  const { freshness } = question;
  if (freshness.kind === 'engine') return { fresh: { kind: 'fresh' } };
  if (freshness.kind === 'unknown') return { fresh: { kind: 'stale', detail: freshness.detail } };
  const about = (failing: Failing): Failing => ({ ...failing, detail: `while asking how fresh the answer is: ${failing.detail}` });
  if (reply === undefined) return { fresh: { kind: 'failed', failing: { reason: 'other', detail: 'freshness was not asked' } } };
  if (!reply.ok) return { fresh: { kind: 'failed', failing: about(reply.failing) } };
  const samples = instantPoints(reply.data);
  if (isFailing(samples)) return { fresh: { kind: 'failed', failing: about(samples) } };
  const at = samples[0] === undefined ? {} : { at: samples[0].at };
  if (freshness.kind === 'alive') return { fresh: samples.some(({ value }) => value === 1) ? { kind: 'fresh' } : DEAD, ...at };
  const ages = new Map(samples.filter(({ mark }) => mark !== NOW && mark !== '').map(({ mark, value }) => [Number(mark), value * 1000]));
  return { fresh: judgeAges(freshness.selectors, ages, question.staleAfter), ...at };
}

/** One moment's number, or its lack, together with its freshness. */
function settle(values: readonly number[], fresh: Fresh, asked: { readonly at: number; readonly query: string }): Measurement {
  if (values.length > 1)
    return {
      kind: 'error',
      reason: 'several-series',
      detail: `the answer has ${values.length} series or more; expected one: aggregate it, e.g. with sum or max`,
      ...asked,
    };
  const [value] = values;
  if (value === undefined) return { kind: 'no-data', reason: 'empty', detail: 'the answer has no series', ...asked };
  const judged = ofNumber(value, asked);
  if (judged.kind !== 'value') return judged;
  if (fresh.kind === 'failed') return { kind: 'error', ...fresh.failing, ...asked };
  if (fresh.kind === 'stale') return { kind: 'no-data', reason: 'stale', detail: fresh.detail, ...asked };
  return { ...judged, ...(fresh.age === undefined ? {} : { age: Math.max(0, Math.round(fresh.age)) }) };
}

/** The measurement of an instant answer and the freshness asked beside it. `now` dates answers in which the source told no time. */
export function instantMeasurement(question: Question, reply: Reply, freshness: Reply | undefined, now: number): Measurement {
  const { fresh, at: told } = instantFresh(question, freshness);
  const query = question.text;
  if (!reply.ok) return { kind: 'error', ...reply.failing, at: told ?? now, query };
  const samples = instantPoints(reply.data);
  if (isFailing(samples)) return { kind: 'error', ...samples, at: told ?? now, query };
  return settle(
    samples.map(({ value }) => value),
    fresh,
    { at: samples[0]?.at ?? told ?? now, query },
  );
}

/** Values by moment and series of a range answer, or why it has none. */
function rangePoints({ resultType, result }: Data): ReadonlyMap<number, readonly { readonly mark: string; readonly value: number }[]> | Failing {
  if (resultType !== 'matrix' || !Array.isArray(result)) return { reason: 'wrong-type', detail: `the answer is a ${resultType}; expected a matrix` };
  const byTime = new Map<number, { mark: string; value: number }[]>();
  for (const series of result as readonly { metric?: Record<string, string>; values?: unknown; histograms?: unknown }[]) {
    if (series.histograms !== undefined) return { reason: 'wrong-type', detail: 'the answer holds native histograms; expected numbers' };
    if (!Array.isArray(series.values)) return { reason: 'malformed', detail: 'a series without values' };
    for (const pair of series.values as readonly unknown[]) {
      const sample = point(pair);
      if (sample === undefined) return { reason: 'malformed', detail: 'a sample without a time and a number' };
      const there = byTime.get(sample.at) ?? [];
      there.push({ mark: series.metric?.[MARK] ?? '', value: sample.value });
      byTime.set(sample.at, there);
    }
  }
  return byTime;
}

function freshAt(question: Question, marks: readonly { readonly mark: string; readonly value: number }[]): Fresh {
  const { freshness } = question;
  switch (freshness.kind) {
    case 'engine':
      return { kind: 'fresh' };
    case 'unknown':
      return { kind: 'stale', detail: freshness.detail };
    case 'alive':
      return marks.some(({ value }) => value === 1) ? { kind: 'fresh' } : DEAD;
    case 'ages':
      return judgeAges(
        freshness.selectors,
        new Map(marks.filter(({ mark }) => mark !== NOW && mark !== '').map(({ mark, value }) => [Number(mark), value * 1000])),
        question.staleAfter,
      );
    default:
      return freshness satisfies never;
  }
}

/** One measurement for each moment of `times`. Where the range could not be had, all of them are that error. */
export function rangeMeasurements(question: Question, times: readonly number[], reply: Reply, freshness: Reply | undefined): readonly Measurement[] {
  const query = question.text;
  const all = (failing: Failing): readonly Measurement[] => times.map((at) => ({ kind: 'error', ...failing, at, query }));
  if (!reply.ok) return all(reply.failing);
  const values = rangePoints(reply.data);
  if (isFailing(values)) return all(values);
  if (freshness !== undefined && !freshness.ok)
    return all({ ...freshness.failing, detail: `while asking how fresh the answers are: ${freshness.failing.detail}` });
  const marks = freshness === undefined ? new Map<number, never>() : rangePoints(freshness.data);
  if (isFailing(marks)) return all(marks);
  return times.map((at) =>
    settle(
      (values.get(at) ?? []).map(({ value }) => value),
      freshAt(question, marks.get(at) ?? []),
      { at, query },
    ),
  );
}

/** What stands against a query before anyone asks it: its size, its syntax, and how much it would read. */
export function problemsOf(where: string, query: Query): readonly Problem[] {
  const problems: Problem[] = [];
  const add = (message: string, hint: string): void => void problems.push({ where, message, hint });
  for (const text of [query.text, ...(query.alive === undefined ? [] : [query.alive])].filter((each) => each !== '')) {
    if (text.length > LONGEST_QUERY) {
      add(`the query has ${text.length} characters; expected at most ${LONGEST_QUERY}`, 'compute part of it in a recording rule');
      continue;
    }
    const parsed = parsePromQl(text);
    if (parsed.brokenAt !== undefined)
      add(`PromQL not understood at character ${parsed.brokenAt + 1}: "${clip(text.slice(parsed.brokenAt), 40)}"`, 'try the query in Prometheus');
    if (parsed.longestSubquery > LONGEST_SUBQUERY) add('a subquery reads more than 6 h; expected at most 6h', 'compute it in a recording rule');
    for (const selector of parsed.boundless) add(`${clip(selector, 60)} matches every series of the server`, 'name a metric, or give one label a value with =');
  }
  if (problems.length === 0 && query.with?.['alerts'] === undefined) {
    const freshness = freshnessOf(query);
    if (freshness.kind === 'unknown') add(freshness.detail, 'e.g. alive: up{job="app"}');
  }
  return problems;
}
