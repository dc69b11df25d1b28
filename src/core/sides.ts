import type { Failed, Measurement } from './measurement.ts';
import { slowOf } from './statistics/buckets.ts';
import type { RateBatch } from './statistics/rate-ratio.ts';

/**
 * The answers of a gate that counts as one value with both sides' `counts`: the value is the share of the exposed that went
 * wrong. Any error, then any missing data is the answer; rises and totals cannot be mixed, and none is negative.
 */
export function sides(of: 'requests' | 'users', answers: Readonly<Partial<Record<keyof RateBatch, Measurement>>>): Measurement {
  const given = Object.entries(answers);
  const query = given.map(([, answer]) => answer.query).join(' ; ');
  const at = Math.max(...given.map(([, answer]) => answer.at));
  const wrong = given.find(([, answer]) => answer.kind === 'error') ?? given.find(([, answer]) => answer.kind === 'no-data');
  if (wrong !== undefined && wrong[1].kind !== 'value') {
    const said = { ...wrong[1], at, query, detail: `${wrong[0]}: ${wrong[1].detail}` };
    const { exposed, exposedBad = exposed } = answers;
    const served = exposed?.kind === 'value' && exposed.value > 0 && exposedBad?.kind === 'value';
    return said.kind === 'no-data' && served ? { ...said, missing: 'rest' } : said;
  }
  const values = given.flatMap(([name, answer]) => (answer.kind === 'value' ? [[name, answer] as const] : []));
  const malformed = (detail: string): Measurement => ({ kind: 'error', reason: 'malformed', at, query, detail });
  const negative = values.find(([, answer]) => !(answer.value >= 0));
  if (negative !== undefined) return malformed(`${negative[0]} is ${negative[1].value}; expected a count of 0 or more`);
  // Users at risk are a number of the moment, whatever the source.
  const counters = values.filter(([name]) => of === 'requests' || answers.exposedBad === undefined || name.endsWith('Bad'));
  const sinces = new Set(counters.map(([, answer]) => answer.since));
  if (sinces.size > 1) return malformed('some counts are rises and others totals, or they begin at different times; expected all of one look');
  const [since] = sinces;
  const count = (name: keyof RateBatch): number => {
    const answer = answers[name];
    return answer?.kind === 'value' ? answer.value : 0;
  };
  const counts: RateBatch = { exposedBad: count('exposedBad'), exposed: count('exposed'), restBad: count('restBad'), rest: count('rest') };
  const ages = values.flatMap(([, answer]) => answer.age ?? []);
  return {
    kind: 'value',
    value: counts.exposed > 0 ? counts.exposedBad / counts.exposed : 0,
    samples: counts.exposed,
    at,
    query,
    counts,
    ...(since === undefined ? {} : { since }),
    ...(ages.length === 0 ? {} : { age: Math.max(...ages) }),
  };
}

/** Both sides' histograms as counts of slow ones; an edge that is not there is an error that names the nearest. */
export function slowSides(exposed: Measurement, rest: Measurement, over: number): Measurement {
  const counted = (answer: Measurement): { readonly bad: Measurement; readonly total: Measurement } => {
    const found = answer.kind === 'value' ? slowOf(answer.buckets ?? [], over) : undefined;
    if (answer.kind !== 'value' || found === undefined) return { bad: answer, total: answer };
    const { buckets: _buckets, ...plain } = answer;
    if (found.kind === 'counts') return { bad: { ...plain, value: found.slow }, total: { ...plain, value: found.total } };
    const nearest = found.nearest.length === 0 ? 'there is none' : `the nearest are ${found.nearest.join(' and ')}`;
    const failed: Failed = { kind: 'error', reason: 'malformed', at: answer.at, query: answer.query, detail: `no bucket ends at ${over}; ${nearest}` };
    return { bad: failed, total: failed };
  };
  const [here, there] = [counted(exposed), counted(rest)];
  return sides('requests', { exposed: here.total, exposedBad: here.bad, rest: there.total, restBad: there.bad });
}
