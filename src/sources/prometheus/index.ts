import type { Measurement, Series } from '../../core/measurement.ts';
import type { Problem } from '../../providers/provider.ts';
import { grid, sourceClock } from '../ask.ts';
import type { MetricSource, Query } from '../source.ts';
import { prometheusClient, type Reply } from './client.ts';
import type { PrometheusConfig } from './config.ts';
import { questionOf, type Question } from './freshness.ts';
import { problemsOf } from './problems.ts';
import { instantMeasurement, rangeMeasurements } from './translate.ts';

/** Points in one range request; Prometheus refuses more than 11,000. */
const CHUNK = 5000;
/** Samples that fit into one answer of 1 MB with room to spare, over all of its series. */
const SAMPLES = 20_000;

function chunkOf(question: Question): number {
  const series = question.freshness.kind === 'ages' ? question.freshness.selectors.length + 1 : 1;
  return Math.min(CHUNK, Math.floor(SAMPLES / series));
}

function freshnessText({ freshness }: Question): string | undefined {
  return freshness.kind === 'ages' || freshness.kind === 'alive' ? freshness.text : undefined;
}

/** Opens a Prometheus as a source of numbers. */
export function openPrometheus(name: string, config: PrometheusConfig): MetricSource {
  const client = prometheusClient(name, config);
  const clock = sourceClock();

  function read(query: Query): Question | Measurement {
    try {
      return questionOf(query);
    } catch (error) {
      return { kind: 'error', reason: 'other', detail: error instanceof Error ? error.message : String(error), at: clock.now(), query: query.text };
    }
  }

  async function measure(query: Query, signal: AbortSignal): Promise<Measurement> {
    const question = read(query);
    if ('kind' in question) return question;
    const fresh = freshnessText(question);
    // Two series are enough to know that there are several.
    const [reply, freshness]: readonly [Reply, Reply | undefined] = await Promise.all([
      client.instant(question.text, 2, signal),
      fresh === undefined ? undefined : client.instant(fresh, 1000, signal),
    ]);
    const measurement = instantMeasurement(question, reply, freshness, clock.now());
    if (measurement.kind !== 'error') clock.saw(measurement.at);
    return measurement;
  }

  async function series(query: Query, from: number, to: number, step: number, signal: AbortSignal): Promise<Series> {
    const times = grid(from, to, step);
    const question = read(query);
    if ('kind' in question) return { points: times.map((at) => ({ ...question, at })), remembers: true };
    const fresh = freshnessText(question);
    const chunk = chunkOf(question);
    const points: Measurement[] = [];
    for (let start = 0; start < times.length; start += chunk) {
      const part = times.slice(start, start + chunk);
      const [first = from, last = from] = [part[0], part.at(-1)];
      const [reply, freshness] = await Promise.all([
        client.range(question.text, first, last, step, signal),
        fresh === undefined ? undefined : client.range(fresh, first, last, step, signal),
      ]);
      const failed = [reply, freshness].find((each) => each?.ok === false);
      // What follows could not be looked at either: do not make a source in trouble say so fifty times.
      points.push(...rangeMeasurements(question, failed === undefined ? part : times.slice(start), reply, freshness));
      if (failed !== undefined) break;
    }
    return { points, remembers: true };
  }

  async function check(queries: readonly Query[], signal: AbortSignal): Promise<readonly Problem[]> {
    const found = await Promise.all(
      queries.map(async (query): Promise<readonly Problem[]> => {
        const where = `source ${name}: ${query.text === '' ? 'alerts' : query.text}`;
        const problems = problemsOf(where, query);
        if (problems.length > 0) return problems;
        const answer = await measure(query, signal);
        // No data is no hindrance: the metric may be born with the launch.
        return answer.kind === 'error' ? [{ where, message: answer.detail, hint: 'try the query in Prometheus; a gate needs one series' }] : [];
      }),
    );
    return found.flat();
  }

  return {
    kind: 'prometheus',
    remembers: true,
    measure,
    series,
    check,
    close: () => {
      client.close();
      return Promise.resolve();
    },
  };
}
