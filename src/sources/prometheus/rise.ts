import type { Measurement } from '../../core/measurement.ts';
import type { Bucket } from '../../core/statistics/buckets.ts';
import { bucketsIn, riseIn, type BadRise, type BucketRise, type NoRise, type RawSeries, type Rise, type Span } from '../../core/statistics/counters.ts';
import { clip, type Failing } from '../ask.ts';
import type { Query } from '../source.ts';
import type { PrometheusClient } from './client.ts';
import { freshAt, freshnessOf, type Fresh, type Question } from './freshness.ts';
import { fallsLikeAGauge } from './gauge.ts';
import { linearOf, type Term } from './linear.ts';
import { goOn, rawSince, resolveBirths, type LooksBefore } from './raw.ts';
import { freshnessSamples, numberOf } from './translate.ts';

/** A query for running counts. */
export type RiseQuery = Query & { readonly rise: NonNullable<Query['rise']> };

export function asksRise(query: Query): query is RiseQuery {
  return query.rise !== undefined;
}

/** Samples are asked for a little further back than the look before, so that a series is known and a late sample is seen. */
const OVERLAP = 60_000;
/** A first look reads so far back to see what is there. */
const FIRST_LOOK = 300_000;

type Told = Rise | BucketRise | NoRise | BadRise;

/** What one term of the query says: its rise, or at a first look its total. */
interface TermRise {
  readonly term: Term;
  readonly told: Told;
  readonly series: readonly RawSeries[];
  readonly span: Span;
  readonly targets: Parameters<typeof riseIn>[2];
}

const isFailing = (value: object): value is Failing => 'reason' in value && !('kind' in value);

function countIn(of: 'counter' | 'buckets', series: readonly RawSeries[], span: Span, targets: TermRise['targets'], alive?: readonly RawSeries[]): Told {
  return of === 'buckets' ? bucketsIn(series, span, targets, alive) : riseIn(series, span, targets, alive);
}

/** A series that stands for something else which was alive at `at`. */
const vouching = (at: number): readonly RawSeries[] => [{ labels: {}, samples: [[at, 1]] }];

async function lookAtTerm(
  client: PrometheusClient,
  looks: LooksBefore,
  query: RiseQuery,
  term: Term,
  to: number,
  signal: AbortSignal,
): Promise<TermRise | Failing> {
  const { of, since = to } = query.rise;
  const from = query.rise.since === undefined ? to - FIRST_LOOK : Math.min(since, to) - OVERLAP;
  const raw = await rawSince(client, term.selector, from, to, signal);
  if (!raw.ok) return raw.failing;
  const marks = query.rise.since === undefined ? undefined : looks.of(term.selector, since);
  looks.keep(term.selector, to, raw.series, marks);
  const span: Span = { since: from, from: since, to, staleAfter: query.staleAfter };
  const known = marks === undefined ? raw.series : goOn(raw.series, marks);
  const resolved = await resolveBirths(client, term.selector, known, span, signal);
  if (isFailing(resolved)) return resolved;
  const { series, targets } = resolved;
  const told = countIn(of, series, span, targets);
  if ('resets' in told && told.resets > 0) {
    const gauge = await fallsLikeAGauge(client, term, to, signal);
    if (gauge !== undefined) return gauge;
  }
  return { term, told, series, span, targets };
}

/** When what is counted beside the query was last seen alive, or why it is not. */
async function besideAt(client: PrometheusClient, query: Query, at: number, signal: AbortSignal): Promise<Fresh | Failing> {
  const beside = query.with?.['beside'];
  const nothing: Fresh = { kind: 'stale', detail: 'nothing beside it vouches for it' };
  if (query.alive === undefined && typeof beside !== 'string') return nothing;
  const text = typeof beside === 'string' ? beside : query.text;
  return freshNow(
    client,
    {
      text,
      staleAfter: query.staleAfter,
      freshness: freshnessOf({ text, staleAfter: query.staleAfter, ...(query.alive === undefined ? {} : { alive: query.alive }) }),
    },
    at,
    signal,
  );
}

async function freshNow(client: PrometheusClient, question: Question, at: number, signal: AbortSignal): Promise<Fresh | Failing> {
  const { freshness } = question;
  if (freshness.kind !== 'ages' && freshness.kind !== 'alive') return freshAt(question, []);
  const samples = freshnessSamples(await client.instant(freshness.text, 1000, signal, at), 'instant');
  return 'reason' in samples ? samples : freshAt(question, samples);
}

function total(series: readonly RawSeries[], to: number): number {
  return series.reduce((sum, { samples }) => sum + (samples.findLast(([at]) => at <= to)?.[1] ?? 0), 0);
}

/** A term's count of this look; at a first one its total. */
function countOf({ term, told, series, span }: TermRise, first: boolean): number {
  if (first) return term.times * total(series, span.to);
  if (told.kind === 'rise') return term.times * told.value;
  return told.kind === 'buckets' ? term.times * (told.buckets.at(-1)?.count ?? 0) : 0;
}

/** The buckets of all terms together; undefined where their edges differ. */
function bucketsOf(parts: readonly TermRise[], first: boolean): readonly Bucket[] | undefined {
  const sums = new Map<number, number>();
  const layouts = new Set<string>();
  for (const { term, told, series, span } of parts) {
    if (told.kind !== 'buckets') continue;
    layouts.add(told.buckets.map(({ le }) => le).join(' '));
    const byEdge = Map.groupBy(series, ({ labels }) => (labels['le'] === '+Inf' ? Infinity : Number(labels['le'])));
    for (const { le, count } of told.buckets) sums.set(le, (sums.get(le) ?? 0) + term.times * (first ? total(byEdge.get(le) ?? [], span.to) : count));
  }
  if (layouts.size > 1) return undefined;
  return [...sums].map(([le, count]) => ({ le, count })).sort((a, b) => a.le - b.le);
}

/** How old the newest sample of a term is; undefined where there is none that counts. */
const newestOf = ({ told }: TermRise): number | undefined => (told.kind === 'rise' || told.kind === 'buckets' ? told.newest : undefined);

/** The terms whose counters are not there, or silent, taken as 0 where something vouches for it; `alive` is the gate's own, and replaces their ages. */
function vouched(query: RiseQuery, parts: readonly TermRise[], beside: Fresh | undefined, at: number): readonly TermRise[] {
  const besideFresh = beside?.kind === 'fresh' ? at - (beside.age ?? 0) : undefined;
  const others = Math.max(...parts.flatMap((part) => newestOf(part) ?? []), -Infinity);
  return parts.map((part): TermRise => {
    const { term, told, series, span, targets } = part;
    if (told.kind !== 'no-data' || (told.reason !== 'empty' && told.reason !== 'stale')) return part;
    const mayBeNone = term.optional || typeof query.with?.['beside'] === 'string';
    const seen = besideFresh ?? (term.optional && others > -Infinity ? others : undefined);
    if (seen === undefined || (told.reason === 'empty' && (!mayBeNone || query.rise.of === 'buckets'))) return part;
    return { ...part, told: countIn(query.rise.of, series, span, targets, vouching(seen)) };
  });
}

/**
 * How far the counters of a query rose since the look before, at the source's time `at` (ms): raw samples, each series by
 * itself. A first look tells the totals to go on from, and counts nothing.
 */
export async function measureRise(client: PrometheusClient, looks: LooksBefore, query: RiseQuery, at: number, signal: AbortSignal): Promise<Measurement> {
  const asked = { at, query: query.text };
  const error = ({ reason, detail }: Failing): Measurement => ({ kind: 'error', reason, detail, ...asked });
  const linear = linearOf(query.text, query.rise.of);
  if (linear.kind === 'not-linear') return error({ reason: 'wrong-type', detail: `${linear.message}; ${linear.hint}` });
  const [answers, alive] = await Promise.all([
    Promise.all(linear.terms.map((term) => lookAtTerm(client, looks, query, term, at, signal))),
    query.alive === undefined ? undefined : besideAt(client, query, at, signal),
  ]);
  const failing = answers.find(isFailing) ?? (alive !== undefined && isFailing(alive) ? alive : undefined);
  if (failing !== undefined) return error(failing);
  let parts: readonly TermRise[] = answers.flatMap((answer) => (isFailing(answer) ? [] : [answer]));
  const missing = parts.some(({ told }) => told.kind === 'no-data' && (told.reason === 'empty' || told.reason === 'stale'));
  const beside = alive ?? (missing ? await besideAt(client, query, at, signal) : undefined);
  if (beside !== undefined && isFailing(beside)) return error(beside);
  if (query.alive !== undefined && beside?.kind === 'stale') return { kind: 'no-data', reason: 'stale', detail: beside.detail, ...asked };
  if (missing) parts = vouched(query, parts, beside, at);
  const wrong = parts.find(({ told }) => told.kind === 'error') ?? parts.find(({ told }) => told.kind === 'no-data');
  if (wrong !== undefined && (wrong.told.kind === 'error' || wrong.told.kind === 'no-data'))
    return { ...wrong.told, detail: `${clip(wrong.term.selector, 80)}: ${wrong.told.detail}`, ...asked };
  const first = query.rise.since === undefined;
  const buckets = query.rise.of === 'buckets' ? bucketsOf(parts, first) : undefined;
  if (query.rise.of === 'buckets' && buckets === undefined)
    return error({ reason: 'malformed', detail: 'the histograms of the query have different bucket edges' });
  const oldest = Math.min(...parts.flatMap((part) => newestOf(part) ?? []));
  return {
    kind: 'value',
    value: parts.reduce((sum, part) => sum + countOf(part, first), 0),
    ...asked,
    ...(buckets === undefined ? {} : { value: buckets.at(-1)?.count ?? 0, buckets }),
    ...(Number.isFinite(oldest) ? { age: at - oldest } : {}),
    ...(query.rise.since === undefined ? {} : { since: query.rise.since }),
  };
}

/** Whether anybody exported a metric within the day before; true where that cannot be told. */
async function isKnown(client: PrometheusClient, name: string, at: number, signal: AbortSignal): Promise<boolean> {
  for (const query of [`count(${name})`, `count(last_over_time(${name}[1d]))`]) {
    const reply = await client.many(query, at, signal);
    if (!reply.ok || numberOf(reply.data) !== undefined) return true;
  }
  return false;
}

/** What stands against counting a query, told before anyone relies on it: a gauge, and a name that nobody has ever heard of. */
export async function riseProblems(
  client: PrometheusClient,
  query: RiseQuery,
  at: number,
  signal: AbortSignal,
): Promise<readonly { readonly message: string; readonly hint: string }[]> {
  const linear = linearOf(query.text, query.rise.of);
  if (linear.kind === 'not-linear') return [{ message: linear.message, hint: linear.hint }];
  const found = await Promise.all(
    linear.terms.map(async (term) => {
      const { name, optional } = term;
      if (name === undefined) return [];
      const [types, gauge, known] = await Promise.all([
        client.types(name, signal),
        fallsLikeAGauge(client, term, at, signal),
        isKnown(client, name, at, signal),
      ]);
      if (types.includes('gauge'))
        return [{ message: `${name} is a gauge; expected a counter, whose rise can be counted`, hint: 'ask for a counter, or use a gate of kind threshold' }];
      if (gauge !== undefined) return [{ message: gauge.detail, hint: 'ask for a counter, or use a gate of kind threshold' }];
      // What is missing would be taken for 0 as long as the traffic beside it lives.
      const counted = optional || typeof query.with?.['beside'] !== 'string' || known;
      if (counted) return [];
      return [
        {
          message: `no series of ${name} within the last day; expected the name of a counter`,
          hint: `correct the name; or where nothing was counted yet, say that this is 0: ${query.text} or vector(0)`,
        },
      ];
    }),
  );
  return found.flat();
}
