import type { Measurement, Series } from './measurement.ts';
import type { Gate } from './plan.ts';

/** One question that a gate has for its source. */
export interface GateQuery {
  readonly name: 'value' | 'bad' | 'total' | 'samples' | 'alerts';
  readonly text: string;
  readonly with?: Readonly<Record<string, unknown>>;
  readonly alive?: string;
}

/** The answers to a gate's queries, by name. */
export type Answers = Readonly<Partial<Record<GateQuery['name'], Measurement>>>;

/** What a gate asks of its source, all at once; nothing where it only listens (an alert without a source). */
export function measurementsOf(gate: Gate): readonly GateQuery[] {
  switch (gate.kind) {
    case 'threshold': {
      const alive = gate.alive === undefined ? {} : { alive: gate.alive };
      const samples: readonly GateQuery[] = gate.samples === undefined ? [] : [{ name: 'samples', text: gate.samples, ...alive }];
      return [{ name: 'value', text: gate.query, ...alive }, ...samples];
    }
    case 'ratio': {
      const alive = gate.alive === undefined ? {} : { alive: gate.alive };
      // Nothing bad yet is often no series yet: living traffic vouches for `errors or vector(0)`.
      return [
        { name: 'bad', text: gate.bad, ...alive, with: { beside: gate.total } },
        { name: 'total', text: gate.total, ...alive },
      ];
    }
    case 'probe': {
      const latency = gate.maxLatency === undefined ? {} : { maxLatency: gate.maxLatency };
      const body = gate.contains === undefined ? {} : { contains: gate.contains };
      return [{ name: 'value', text: gate.path, with: { status: gate.status, ...latency, ...body } }];
    }
    case 'alert':
      return gate.source === undefined ? [] : [{ name: 'alerts', text: '', with: { alerts: gate.labels } }];
    default:
      return gate satisfies never;
  }
}

/** bad / total as one measurement with `samples` = total: an error or missing data of either is the answer, and nothing in total is no traffic. */
export function ratioOf(bad: Measurement, total: Measurement): Measurement {
  const query = `${bad.query} / ${total.query}`;
  const at = Math.max(bad.at, total.at);
  const part = (name: string, answer: Measurement): Measurement =>
    answer.kind === 'value' ? answer : { ...answer, at, query, detail: `${name}: ${answer.detail}` };
  if (bad.kind === 'error') return part('bad', bad);
  if (total.kind === 'error') return part('total', total);
  if (total.kind === 'no-data') return part('total', total);
  // Before `bad`: without traffic that one has every right to be empty.
  if (total.value === 0) return { kind: 'no-data', reason: 'no-traffic', at, query, detail: 'total is 0' };
  if (bad.kind === 'no-data') return part('bad', bad);
  if (total.value < 0 || bad.value < 0) {
    return {
      kind: 'error',
      reason: 'malformed',
      at,
      query,
      detail: `a count is negative: bad ${bad.value}, total ${total.value}; expected counts of 0 or more`,
    };
  }
  const value = bad.value / total.value;
  if (!Number.isFinite(value)) return { kind: 'no-data', reason: 'infinite', at, query, detail: `bad ${bad.value} / total ${total.value} is no finite number` };
  const ages = [bad.age, total.age].filter((age) => age !== undefined);
  return { kind: 'value', value, samples: total.value, at, query, ...(ages.length === 0 ? {} : { age: Math.max(...ages) }) };
}

/** A value with the count it was drawn from; where the count cannot be had, that is the answer. */
function withSamples(value: Measurement, samples: Measurement): Measurement {
  if (value.kind !== 'value') return value;
  if (samples.kind !== 'value') return { ...samples, query: samples.query, detail: `samples: ${samples.detail}` };
  const ages = [value.age, samples.age].filter((age) => age !== undefined);
  return { ...value, samples: samples.value, ...(ages.length === 0 ? {} : { age: Math.max(...ages) }) };
}

/** The answers to `measurementsOf(gate)` as the one measurement that the gate judges. Throws when one of them is missing: a mistake of the caller. */
export function compose(gate: Gate, answers: Answers): Measurement {
  const answer = (name: GateQuery['name']): Measurement => {
    const found = answers[name];
    if (found === undefined) throw new Error(`gate ${gate.id}: no answer to its query "${name}"; expected one for each of measurementsOf(gate)`);
    return found;
  };
  switch (gate.kind) {
    case 'threshold':
      return gate.samples === undefined ? answer('value') : withSamples(answer('value'), answer('samples'));
    case 'ratio':
      return ratioOf(answer('bad'), answer('total'));
    case 'probe':
      return answer('value');
    case 'alert':
      return answer('alerts');
    default:
      return gate satisfies never;
  }
}

/** As `compose`, point by point, for answers over one grid; `remembers` only where all do. */
export function composeSeries(gate: Gate, answers: Readonly<Partial<Record<GateQuery['name'], Series>>>): Series {
  const given = Object.entries(answers);
  if (given.some(([, series]) => !series.remembers)) return { points: [], remembers: false };
  const length = Math.min(...given.map(([, series]) => series.points.length));
  if (!Number.isFinite(length)) return { points: [], remembers: false };
  const at = (index: number): Answers =>
    Object.fromEntries(given.flatMap(([name, { points }]) => (points[index] === undefined ? [] : [[name, points[index]]])));
  return { points: Array.from({ length }, (_, index) => compose(gate, at(index))), remembers: true };
}
