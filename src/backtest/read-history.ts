import { staleAfter } from '../core/gate.ts';
import type { Failed, Measurement, Series } from '../core/measurement.ts';
import type { Gate } from '../core/plan.ts';
import { measurementsOf, type GateQuery } from '../core/query.ts';
import type { MetricSource, Query } from '../sources/source.ts';
import type { Remembered } from './backtest.ts';
import { historyOf } from './history.ts';
import { lanes } from './lanes.ts';
import { strides } from './strides.ts';

/** What is looked at, ms. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** Failures of ours to look; the other errors are what a launch would have met, and are judged as such. */
const OURS: ReadonlySet<Failed['reason']> = new Set(['refused', 'timeout', 'status', 'malformed', 'too-large', 'other']);
/** What a shorter range may cure. */
const TOO_LONG: ReadonlySet<Failed['reason']> = new Set(['timeout', 'too-large']);
/** So many questions at once to one source: it serves dashboards and alerts besides. */
const AT_ONCE = 4;

/** Reads what sources remember, each query once however many gates ask it. */
export interface Reader {
  read(gate: Gate, source: MetricSource | undefined, range: Range, signal: AbortSignal): Promise<Remembered>;
}

const minute = (at: number): string => new Date(at).toISOString().slice(0, 16).replace('T', ' ');

function ourFailure(points: readonly Measurement[]): Failed | undefined {
  return points.flatMap((point) => (point.kind === 'error' && OURS.has(point.reason) ? [point] : []))[0];
}

function failureOf(series: Series): Failed | undefined {
  const failed = series.points.flatMap((point) => (point.kind === 'error' ? [point] : []));
  return ourFailure(series.points) ?? (failed.length === series.points.length ? failed[0] : undefined);
}

/** A whole range in questions of a length that the source answers well; after a failure of ours that shorter ones do not cure, only that. */
async function inParts(source: MetricSource, query: Query, { from, to }: Range, step: number, signal: AbortSignal): Promise<Series> {
  const points: Measurement[] = [];
  const stride = strides();
  for (let start = from; start <= to;) {
    const end = Math.min(to, start + (stride.points() - 1) * step);
    const part = query.rise === undefined || start === from ? query : { ...query, rise: { ...query.rise, since: start - step } };
    const began = performance.now();
    const answer = await source.series(part, start, end, step, signal);
    // What was given up for that is no failure of the source.
    signal.throwIfAborted();
    if (!answer.remembers) return answer;
    const failed = ourFailure(answer.points);
    if (failed === undefined) {
      stride.took(performance.now() - began);
      points.push(...answer.points);
      start = end + step;
    } else if (!TOO_LONG.has(failed.reason) || !stride.shorter()) return { points: [failed], remembers: true };
  }
  return { points, remembers: true };
}

/** What to do about a history that could not be read. */
function remedy(name: string, query: GateQuery, failed: Failed): string {
  const text = query.text === '' ? 'ALERTS' : query.text;
  switch (failed.reason) {
    case 'refused':
      return `is source ${name} up, and its url in the config right? "gonogo doctor" looks closer`;
    case 'timeout':
    case 'too-large':
      return `give source ${name} a longer timeout in the config, a shorter --since, or the query fewer series (a recording rule): ${text}`;
    default:
      return `try the query at source ${name} over the same days: ${text}`;
  }
}

/** Opens a reader with an empty memory. */
export function historyReader(): Reader {
  const asked = new Map<string, Promise<Series>>();
  const queues = new Map<MetricSource, ReturnType<typeof lanes>>();

  function ask(gate: Gate, query: GateQuery, source: MetricSource, range: Range, signal: AbortSignal): Promise<Series> {
    const full: Query = {
      text: query.text,
      staleAfter: staleAfter(gate),
      ...(query.with === undefined ? {} : { with: query.with }),
      ...(query.alive === undefined ? {} : { alive: query.alive }),
      ...(query.rises === undefined ? {} : { rise: { of: query.rises } }),
    };
    const key = JSON.stringify([gate.source, gate.every, range, full]);
    const queue = queues.get(source) ?? lanes(AT_ONCE);
    queues.set(source, queue);
    const series = asked.get(key) ?? queue(() => inParts(source, full, range, gate.every, signal));
    asked.set(key, series);
    return series;
  }

  async function read(gate: Gate, source: MetricSource | undefined, range: Range, signal: AbortSignal): Promise<Remembered> {
    const queries = measurementsOf(gate);
    if (queries.length === 0) return { kind: 'none', why: 'it is only heard, never asked: an alert without a source' };
    const name = gate.source ?? gate.id;
    if (source === undefined) return { kind: 'failed', why: `the config has no source ${name}`, hint: `name ${name} under sources in the config (--config)` };
    if (!source.remembers) return { kind: 'none', why: `source ${name} (${source.kind}) keeps no history` };
    const answers = await Promise.all(queries.map(async (query) => [query, await ask(gate, query, source, range, signal)] as const));
    for (const [query, series] of answers) {
      if (!series.remembers) return { kind: 'none', why: `source ${name} (${source.kind}) keeps no history of this` };
      const failed = failureOf(series);
      if (failed !== undefined) return { kind: 'failed', why: `${query.name}: ${failed.detail}`, hint: remedy(name, query, failed), reason: failed.reason };
    }
    const history = historyOf(gate, Object.fromEntries(answers.map(([query, series]) => [query.name, series])));
    if (history !== undefined) return { kind: 'history', history };
    const told = answers
      .flatMap(([query, { points }]) => points.flatMap((point) => (point.kind === 'no-data' ? [`${query.name}: ${point.detail}`] : [])))
      .at(-1);
    return {
      kind: 'failed',
      why: `source ${name} has no history between ${minute(range.from)} and ${minute(range.to)} UTC${told === undefined ? '' : ` (${told})`}`,
      hint: 'is the metric exported and the query right? A metric that is born with the launch has no past to be tried on',
    };
  }

  return { read };
}
