import type { Problem } from '../../providers/provider.ts';
import { clip } from '../ask.ts';
import type { Query } from '../source.ts';
import { freshnessOf } from './freshness.ts';
import { linearOf } from './linear.ts';
import { parsePromQl } from './promql.ts';

const LONGEST_QUERY = 4096;
const LONGEST_SUBQUERY = 6 * 3_600_000;

/** What stands against a query before anyone asks it: its size, its syntax, how much it would read, and whether its freshness can be known. */
export function problemsOf(where: string, query: Query): readonly Problem[] {
  const problems: Problem[] = [];
  const add = (message: string, hint: string): void => void problems.push({ where, message, hint });
  for (const text of [query.text, ...(query.alive === undefined ? [] : [query.alive])].filter((each) => each !== '')) {
    if (text.length > LONGEST_QUERY) {
      add(`the query has ${text.length} characters; expected at most ${LONGEST_QUERY}`, 'compute part of it in a recording rule');
      continue;
    }
    const parsed = parsePromQl(text);
    if (parsed.brokenAt !== undefined)
      add(`PromQL not understood at character ${parsed.brokenAt + 1}: "${clip(text.slice(parsed.brokenAt), 40)}"`, 'try the query in Prometheus');
    if (parsed.longestSubquery > LONGEST_SUBQUERY) add('a subquery reads more than 6 h; expected at most 6h', 'compute it in a recording rule');
    for (const selector of parsed.boundless) add(`${clip(selector, 60)} matches every series of the server`, 'name a metric, or give one label a value with =');
  }
  if (problems.length > 0 || query.with?.['alerts'] !== undefined) return problems;
  if (query.rise !== undefined) {
    const linear = linearOf(query.text, query.rise.of);
    if (linear.kind === 'not-linear') add(linear.message, linear.hint);
    return problems;
  }
  const freshness = freshnessOf(query);
  if (freshness.kind === 'unknown') add(freshness.detail, 'e.g. alive: up{job="app"}');
  return problems;
}
