import type { Measurement, Series } from '../../core/measurement.ts';
import type { Problem } from '../../providers/provider.ts';
import { grid, sourceClock, type Failing } from '../ask.ts';
import type { MetricSource, Query } from '../source.ts';
import { prometheusClient, type Reply } from './client.ts';
import type { PrometheusConfig } from './config.ts';
import { questionOf, type Question } from './freshness.ts';
import { problemsOf } from './problems.ts';
import { looksBefore } from './raw.ts';
import { asksRise, measureRise, riseProblems } from './rise.ts';
import { risesOver } from './rises-over.ts';
import { instantMeasurement, numberOf, rangeMeasurements } from './translate.ts';

/** Points in one range request; Prometheus refuses more than 11,000, and takes time by their square for `timestamp()`. */
const CHUNK = 500;
/** Samples that fit into one answer of 1 MB with room to spare, over all of its series. */
const SAMPLES = 20_000;

function chunkOf(question: Question): number {
  const series = question.freshness.kind === 'ages' ? question.freshness.selectors.length + 1 : 1;
  return Math.min(CHUNK, Math.floor(SAMPLES / series));
}

function freshnessText({ freshness }: Question): string | undefined {
  return freshness.kind === 'ages' || freshness.kind === 'alive' ? freshness.text : undefined;
}

/** The source's own time (ms), or why it is not known. */
type Moment = { readonly ok: true; readonly at: number } | { readonly ok: false; readonly failing: Failing };

/** Opens a Prometheus as a source of numbers. */
export function openPrometheus(name: string, config: PrometheusConfig): MetricSource {
  const client = prometheusClient(name, config);
  const clock = sourceClock();
  const looks = looksBefore();
  let moment: Promise<Moment> | undefined;

  /** The source's own time, one for all that a gate asks at once: what two of its counts are taken at must not differ. */
  function now(signal: AbortSignal): Promise<Moment> {
    if (moment !== undefined) return moment;
    moment = askTime(signal);
    setImmediate(() => {
      moment = undefined;
    });
    return moment;
  }

  async function askTime(signal: AbortSignal): Promise<Moment> {
    const reply = await client.instant('time()', 2, signal);
    const told = reply.ok ? numberOf(reply.data) : undefined;
    if (told !== undefined) clock.saw(told.at);
    if (told !== undefined) return { ok: true, at: told.at };
    return { ok: false, failing: reply.ok ? { reason: 'malformed', detail: 'time() was answered without a number' } : reply.failing };
  }

  function read(query: Query): Question | Measurement {
    try {
      return questionOf(query);
    } catch (error) {
      return { kind: 'error', reason: 'other', detail: error instanceof Error ? error.message : String(error), at: clock.now(), query: query.text };
    }
  }

  async function measure(query: Query, signal: AbortSignal): Promise<Measurement> {
    // What is asked together with a count is of the same time.
    const told = asksRise(query) ? await now(signal) : await moment;
    if (told?.ok === false) return { kind: 'error', ...told.failing, at: clock.now(), query: query.text };
    if (told !== undefined && asksRise(query)) return measureRise(client, looks, query, told.at, signal);
    const question = read(query);
    if ('kind' in question) return question;
    const fresh = freshnessText(question);
    // Two series are enough to know that there are several.
    const [reply, freshness]: readonly [Reply, Reply | undefined] = await Promise.all([
      client.instant(question.text, 2, signal, told?.at),
      fresh === undefined ? undefined : client.instant(fresh, 1000, signal, told?.at),
    ]);
    const measurement = instantMeasurement(question, reply, freshness, clock.now());
    if (measurement.kind !== 'error') clock.saw(measurement.at);
    return measurement;
  }

  async function series(query: Query, from: number, to: number, step: number, signal: AbortSignal): Promise<Series> {
    const times = grid(from, to, step);
    if (asksRise(query)) return { points: await risesOver(client, query, times, step, signal), remembers: true };
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

  async function riseFindings(query: Query, signal: AbortSignal): Promise<readonly Omit<Problem, 'where'>[]> {
    if (!asksRise(query)) return [];
    const told = await now(signal);
    return told.ok ? riseProblems(client, query, told.at, signal) : [];
  }

  async function check(queries: readonly Query[], signal: AbortSignal): Promise<readonly Problem[]> {
    const found = await Promise.all(
      queries.map(async (query): Promise<readonly Problem[]> => {
        const where = `source ${name}: ${query.text === '' ? 'alerts' : query.text}`;
        const problems = problemsOf(where, query);
        if (problems.length > 0) return problems;
        const [answer, counted] = await Promise.all([measure(query, signal), riseFindings(query, signal)]);
        if (counted.length > 0) return counted.map((one) => ({ where, ...one }));
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
