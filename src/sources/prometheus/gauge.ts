import { clip, type Failing } from '../ask.ts';
import type { PrometheusClient } from './client.ts';
import type { Term } from './linear.ts';
import { numberOf } from './translate.ts';

/** What a counter cannot do: it falls again and again. One that crash-loops begins anew less often than that. */
export async function fallsLikeAGauge(client: PrometheusClient, { selector, name }: Term, at: number, signal: AbortSignal): Promise<Failing | undefined> {
  // Functions drop the name of the metric, so that a pattern of names could not be matched.
  if (name === undefined || name.includes(':')) return undefined;
  const falls = `resets(${selector}[1h])`;
  const reply = await client.many(`count(${falls} >= 20 and ${falls} > changes(${selector}[1h]) / 3)`, at, signal);
  if (!reply.ok) return reply.failing;
  const gauges = numberOf(reply.data)?.value ?? 0;
  if (gauges === 0) return undefined;
  return {
    reason: 'malformed',
    detail: `${clip(selector, 80)} falls like a gauge (more than 20 times within the hour); expected a counter, which falls only when it begins anew`,
  };
}
