import { clip } from '../ask.ts';
import type { Query } from '../source.ts';
import { alertsQuery, parsePromQl, type Selector } from './promql.ts';

/** A question in PromQL, and how it is known whether the series behind its answer are alive. */
export interface Question {
  readonly text: string;
  readonly staleAfter: number;
  readonly freshness: Freshness;
}

type Freshness =
  /** The engine's answer is the evidence: alerts that fire are computed by it. */
  | { readonly kind: 'engine' }
  /** The gate's own query: 1 is alive. */
  | { readonly kind: 'alive'; readonly text: string }
  /** One query for the ages of all selectors. */
  | { readonly kind: 'ages'; readonly text: string; readonly selectors: readonly Selector[] }
  /** It cannot be known, and nothing is evidence. */
  | { readonly kind: 'unknown'; readonly detail: string };

/** What the freshness of one moment says. */
export type Fresh = { readonly kind: 'fresh'; readonly age?: number } | { readonly kind: 'stale'; readonly detail: string };

/** The label that tells the samples of the freshness query apart: the number of the selector, or `NOW`. */
export const MARK = 'gonogo';
/** Marks the sample that tells the source's own time. */
const NOW = 'now';
const MOST_SELECTORS = 16;

/** What the source is asked for one query of a gate. Throws where an alert's label name is not allowed. */
export function questionOf(query: Query): Question {
  const alerts = query.with?.['alerts'];
  if (typeof alerts === 'object' && alerts !== null) {
    return { text: alertsQuery(alerts as Readonly<Record<string, string>>), staleAfter: query.staleAfter, freshness: { kind: 'engine' } };
  }
  return { text: query.text, staleAfter: query.staleAfter, freshness: freshnessOf(query) };
}

/** How the freshness of a query is known: by its own `alive`, or by the ages of its selectors and of those of the query beside it. */
export function freshnessOf(query: Query): Freshness {
  if (query.alive !== undefined) return { kind: 'alive', text: query.alive };
  const beside = query.with?.['beside'];
  const parsed = [query.text, ...(typeof beside === 'string' ? [beside] : [])].map(parsePromQl);
  const unknown = (what: string): Freshness => ({ kind: 'unknown', detail: `${what}; give the gate an \`alive\` query` });
  if (parsed.some(({ brokenAt }) => brokenAt !== undefined)) return unknown('the query cannot be parsed, so its freshness cannot be known');
  const all = new Map<string, boolean>();
  for (const { text, optional } of parsed.flatMap((each) => each.selectors)) all.set(text, (all.get(text) ?? true) && optional);
  const selectors = [...all].map(([text, optional]) => ({ text, optional }));
  if (selectors.length === 0) return unknown('the query reads no series, so nothing stands behind its answer');
  if (selectors.length > MOST_SELECTORS) return unknown(`the query has ${selectors.length} selectors; expected at most ${MOST_SELECTORS}`);
  const mark = (expression: string, value: string): string => `label_replace(${expression}, "${MARK}", "${value}", "", "")`;
  // timestamp() of a plain selector is the time of the raw sample; of anything else it is the time of the query.
  const ages = selectors.map(({ text }, index) => mark(`time() - max(timestamp(${text}))`, String(index)));
  return { kind: 'ages', selectors, text: [...ages, mark('vector(time())', NOW)].join(' or ') };
}

const seconds = (ms: number): string => `${Math.round(ms / 100) / 10} s`;

/** A selector without a series is stale where the query needs it, and one at least must be alive. Ages in seconds by the selector's number. */
function judgeAges(selectors: readonly Selector[], ages: ReadonlyMap<string, number>, staleAfter: number): Fresh {
  let oldest: number | undefined;
  for (const [index, { text, optional }] of selectors.entries()) {
    const told = ages.get(String(index));
    if (told === undefined && !optional) return { kind: 'stale', detail: `${clip(text, 80)} has no living series` };
    if (told === undefined) continue;
    const age = told * 1000;
    if (!(age <= staleAfter))
      return { kind: 'stale', detail: `the newest sample of ${clip(text, 80)} is ${seconds(age)} old; expected at most ${seconds(staleAfter)}` };
    oldest = Math.max(oldest ?? 0, age);
  }
  if (oldest === undefined)
    return { kind: 'stale', detail: 'none of the series that the query reads is there; give the gate an `alive` query if that is well' };
  return { kind: 'fresh', age: Math.round(oldest) };
}

/** What the samples of the freshness query say of one moment. */
export function freshAt({ freshness, staleAfter }: Question, samples: readonly { readonly mark: string; readonly value: number }[]): Fresh {
  switch (freshness.kind) {
    case 'engine':
      return { kind: 'fresh' };
    case 'unknown':
      return { kind: 'stale', detail: freshness.detail };
    case 'alive':
      return samples.some(({ value }) => value === 1) ? { kind: 'fresh' } : { kind: 'stale', detail: 'the `alive` query does not answer 1' };
    case 'ages':
      return judgeAges(freshness.selectors, new Map(samples.map(({ mark, value }) => [mark, value])), staleAfter);
    default:
      return freshness satisfies never;
  }
}
