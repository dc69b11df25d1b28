import type { Measurement } from '../../core/measurement.ts';
import type { Problem } from '../../providers/provider.ts';
import { FORGETS } from '../ask.ts';
import type { MetricSource, Query } from '../source.ts';
import { probeClient } from './client.ts';
import type { ProbeConfig } from './config.ts';
import { addressOf, expectationSchema, probeMeasurement } from './translate.ts';

/** Opens a server as a source that answers 1 (healthy) or 0. A query's text is a path below the base URL; its `with` says what is expected. */
export function openProbe(name: string, config: ProbeConfig): MetricSource {
  const client = probeClient(name, config);

  async function measure(query: Query, signal: AbortSignal): Promise<Measurement> {
    const expected = expectationSchema.safeParse(query.with ?? {});
    const address = addressOf(config.url, query.text);
    const failed = (detail: string): Measurement => ({ kind: 'error', reason: 'other', detail, at: Date.now(), query: query.text });
    if (!expected.success) return failed(`the probe's settings are wrong: ${expected.error.issues.map(({ message }) => message).join('; ')}`);
    if (address === undefined) return failed(`${query.text} does not lie below ${config.url}; expected a path that starts with /`);
    const response = await client.get(address, expected.data.within, signal);
    return probeMeasurement(expected.data, response, { at: Date.now(), query: query.text });
  }

  async function check(queries: readonly Query[], signal: AbortSignal): Promise<readonly Problem[]> {
    const answers = await Promise.all(queries.map((query) => measure(query, signal)));
    return answers.flatMap((answer): readonly Problem[] => {
      const where = `source ${name}: ${answer.query}`;
      if (answer.kind === 'error') return [{ where, message: answer.detail, hint: 'mend the gate, or the url in the config' }];
      return answer.kind === 'value' && answer.value === 0
        ? [{ where, message: answer.detail ?? 'the probe failed', hint: 'a gate that fails before the launch would roll it back at once' }]
        : [];
    });
  }

  return {
    kind: 'probe',
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
