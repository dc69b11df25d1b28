import type { Measurement, Series } from '../../core/measurement.ts';
import type { Problem } from '../../providers/provider.ts';
import { FORGETS, grid, sourceClock } from '../ask.ts';
import type { MetricSource, Query } from '../source.ts';
import { sqlClient, takesMoment } from './client.ts';
import type { SqlConfig } from './config.ts';
import { tableMeasurement, withAlive } from './translate.ts';

/** Points asked in one transaction: it must not keep a snapshot open for long. */
const CHUNK = 200;

/** Opens a Postgres as a source of numbers. It can look back with queries that take the moment as `$1`. */
export function openSql(name: string, config: SqlConfig): MetricSource {
  const client = sqlClient(name, config);
  const clock = sourceClock();
  const textsOf = (query: Query): readonly string[] => [query.text, ...(query.alive === undefined ? [] : [query.alive])];

  async function measure(query: Query, signal: AbortSignal): Promise<Measurement> {
    const reply = await client.ask(textsOf(query), undefined, signal);
    if (!reply.ok) return { kind: 'error', ...reply.failing, at: clock.now(), query: query.text };
    clock.saw(reply.at);
    const [value, alive] = reply.replies;
    if (value === undefined) throw new Error('a query was not asked: a mistake of the sql source');
    return withAlive(tableMeasurement(value, { at: reply.at, query: query.text }), alive);
  }

  async function series(query: Query, from: number, to: number, step: number, signal: AbortSignal): Promise<Series> {
    if (!takesMoment(query.text)) return FORGETS;
    const times = grid(from, to, step);
    const texts = textsOf(query);
    const points: Measurement[] = [];
    for (let start = 0; start < times.length; start += CHUNK) {
      const part = times.slice(start, start + CHUNK);
      const reply = await client.ask(texts, part, signal);
      if (!reply.ok) {
        const { failing } = reply;
        points.push(...times.slice(start).map((at): Measurement => ({ kind: 'error', ...failing, at, query: query.text })));
        break;
      }
      for (const [index, at] of part.entries()) {
        const value = reply.replies[index * texts.length];
        if (value !== undefined)
          points.push(withAlive(tableMeasurement(value, { at, query: query.text }), texts.length > 1 ? reply.replies[index * texts.length + 1] : undefined));
      }
    }
    return { points, remembers: true };
  }

  async function check(queries: readonly Query[], signal: AbortSignal): Promise<readonly Problem[]> {
    const answers = await Promise.all(queries.map((query) => measure(query, signal)));
    return answers.flatMap((answer, index) =>
      answer.kind === 'error'
        ? [
            {
              where: `source ${name}: ${queries[index]?.text ?? ''}`,
              message: answer.detail,
              hint: 'a query is one SELECT that answers one row with one number',
            },
          ]
        : [],
    );
  }

  return { kind: 'sql', remembers: true, measure, series, check, close: () => client.close() };
}
