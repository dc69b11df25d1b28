import type { Measurement } from '../../src/core/measurement.ts';
import { grid } from '../../src/sources/ask.ts';
import type { MetricSource, Query } from '../../src/sources/source.ts';

/** A source that remembers everything, since its numbers are a function of time; it keeps which points it has told. */
export interface ScriptedSource extends MetricSource {
  /** The times (ms) told so far for a query, in the order they were told. An alert's query is its labels as JSON. */
  told(query: string): readonly number[];
  /** How often it was asked: one answer each, and ranges. */
  readonly asked: { readonly instants: number; readonly ranges: number };
}

/** How a query is called in `told`: its text, or its labels where it is an alert's. */
export function nameOfQuery(query: Pick<Query, 'text' | 'with'>): string {
  return query.text === '' ? JSON.stringify(query.with?.['alerts'] ?? {}) : query.text;
}

/** Opens one over a clock (ms). `value` is asked by the query's name and the time. */
export function scriptedSource(now: () => Promise<number>, value: (query: string, at: number) => number): ScriptedSource {
  const told = new Map<string, number[]>();
  const asked = { instants: 0, ranges: 0 };
  const answer = (query: Query, at: number): Measurement => {
    const name = nameOfQuery(query);
    const times = told.get(name) ?? [];
    times.push(at);
    told.set(name, times);
    return { kind: 'value', value: value(name, at), at, query: name, age: 0 };
  };
  return {
    kind: 'scripted',
    remembers: true,
    async measure(query) {
      asked.instants += 1;
      return answer(query, await now());
    },
    series(query, from, to, step) {
      asked.ranges += 1;
      return Promise.resolve({ points: grid(from, to, step).map((at) => answer(query, at)), remembers: true });
    },
    check: () => Promise.resolve([]),
    close: () => Promise.resolve(),
    told: (query) => told.get(query) ?? [],
    asked,
  };
}
