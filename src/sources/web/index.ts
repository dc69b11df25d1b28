import type { Measurement } from '../../core/measurement.ts';
import type { Problem } from '../../providers/provider.ts';
import { FORGETS } from '../ask.ts';
import type { MetricSource, Query } from '../source.ts';
import { webClient } from './client.ts';
import type { WebConfig } from './config.ts';
import { expressionProblem, pageMeasurement } from './translate.ts';

/** Opens a JSON document as a source of numbers. */
export function openWeb(name: string, config: WebConfig): MetricSource {
  const client = webClient(name, config);
  const measure = async (query: Query, signal: AbortSignal): Promise<Measurement> => pageMeasurement(query, await client.fetch(signal), Date.now());

  async function check(queries: readonly Query[], signal: AbortSignal): Promise<readonly Problem[]> {
    const where = (text: string): string => `source ${name}: ${text}`;
    const broken = queries
      .flatMap((query) => [query.text, ...(query.alive === undefined ? [] : [query.alive])])
      .flatMap((text): readonly Problem[] => {
        const problem = expressionProblem(text);
        return problem === undefined ? [] : [{ where: where(text), message: problem, hint: 'a query is a JMESPath expression, e.g. chat.latency.p95' }];
      });
    if (broken.length > 0) return broken;
    const page = await client.fetch(signal);
    if (!page.ok) return [{ where: `source ${name}`, message: page.failing.detail, hint: 'check the url and the token in the config' }];
    return queries.flatMap((query) => {
      const answer = pageMeasurement(query, page, Date.now());
      return answer.kind === 'error' ? [{ where: where(query.text), message: answer.detail, hint: 'the expression must pick one number' }] : [];
    });
  }

  return {
    kind: 'web',
    remembers: false,
    measure,
    series: () => Promise.resolve(FORGETS),
    check,
    close: () => {
      client.close();
      return Promise.resolve();
    },
  };
}
