import type { Measurement, Series } from '../core/measurement.ts';
import type { Gate } from '../core/plan.ts';
import { measurementsOf } from '../core/query.ts';
import { grid } from '../sources/ask.ts';
import type { MetricSource, Query } from '../sources/source.ts';
import { gateAnswers, type Reads } from './gate-answers.ts';

/** What a script knows of a gate at a time (ms). */
export interface GateScript {
  readonly reads: (at: number) => Reads;
  /** The share (0..1) that a check of the exposure, or a comparison, expects then. */
  readonly promised: (at: number) => number | undefined;
}

function same(query: Query, own: { readonly text: string; readonly with?: unknown }): boolean {
  return query.text === own.text && JSON.stringify(query.with ?? {}) === JSON.stringify(own.with ?? {});
}

function answerOf(gate: Gate, script: GateScript, query: Query, at: number): Measurement {
  const asked = { at, query: query.text };
  const reads = script.reads(at);
  if (reads === 'no-data') return { kind: 'no-data', reason: 'empty', detail: 'nothing came back (scripted)', ...asked };
  if (reads === 'error') return { kind: 'error', reason: 'refused', detail: 'nobody answered (scripted)', ...asked };
  const promised = script.promised(at);
  const name = measurementsOf(gate, promised).find((own) => same(query, own))?.name;
  const found = name === undefined ? undefined : gateAnswers(gate, reads, promised)?.[name];
  if (found === undefined)
    return { kind: 'error', reason: 'other', detail: `a rehearsal has no numbers for this gate (${gate.kind}) that say ${reads}`, ...asked };
  if (query.rise === undefined) return { kind: 'value', value: found.value, age: 0, ...asked };
  const { since } = query.rise;
  // A first look has nothing to count from.
  const part = since === undefined ? 0 : (at - since) / gate.every;
  const buckets = found.buckets?.map(({ le, count }) => ({ le, count: Math.round(count * part) }));
  return {
    kind: 'value',
    value: Math.round(found.value * part),
    age: 0,
    ...asked,
    ...(since === undefined ? {} : { since }),
    ...(buckets === undefined ? {} : { buckets }),
  };
}

/** A source whose numbers are a function of time, so that it remembers everything. */
function remembering(now: () => Promise<number>, answer: (query: Query, at: number) => Measurement): MetricSource {
  return {
    kind: 'script',
    remembers: true,
    measure: async (query) => answer(query, await now()),
    series: (query, from, to, step): Promise<Series> => {
      // Of counters, each point tells what they rose by since the one before.
      const asked = (at: number): Query => (query.rise === undefined ? query : { ...query, rise: { ...query.rise, since: at - step } });
      return Promise.resolve({ points: grid(from, to, step).map((at) => answer(asked(at), at)), remembers: true });
    },
    check: () => Promise.resolve([]),
    close: () => Promise.resolve(),
  };
}

/** The source of one gate alone: it reads what the script says. */
export function gateSource(gate: Gate, now: () => Promise<number>, script: GateScript): MetricSource {
  return remembering(now, (query, at) => answerOf(gate, script, query, at));
}

/** A source that answers every query with one number: a machine's check. */
export function steadySource(now: () => Promise<number>, value: number): MetricSource {
  return remembering(now, (query, at) => ({ kind: 'value', value, at, query: query.text, age: 0 }));
}
