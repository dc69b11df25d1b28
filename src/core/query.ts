import { silentAfter } from './deadlines.ts';
import type { Measurement, Series } from './measurement.ts';
import type { Gate } from './plan.ts';
import { sides, slowSides } from './sides.ts';

/** One question that a gate has for its source. */
export interface GateQuery {
  readonly name: 'value' | 'bad' | 'total' | 'samples' | 'alerts' | 'exposedBad' | 'exposed' | 'restBad' | 'rest';
  readonly text: string;
  readonly with?: Readonly<Record<string, unknown>>;
  readonly alive?: string;
  /**
   * Running counts: a source that keeps raw samples answers with the rise since the gate's newest answer, each series by
   * itself; another with the total. `buckets` are a histogram's, summed by their edge.
   */
  readonly rises?: 'counter' | 'buckets';
}

/** The answers to a gate's queries, by name. */
export type Answers = Readonly<Partial<Record<GateQuery['name'], Measurement>>>;

/**
 * What a gate asks of its source, all at once; nothing where it only listens (an alert without a source). `promised` is the share
 * (0..1) that should be among the exposed of a comparison: where that is everyone, the rest may end, and no longer vouches for them.
 */
export function measurementsOf(gate: Gate, promised?: number): readonly GateQuery[] {
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
      return [{ name: 'value', text: gate.path, with: { status: gate.status, within: silentAfter(gate), ...latency, ...body } }];
    }
    case 'alert':
      return gate.source === undefined ? [] : [{ name: 'alerts', text: '', with: { alerts: gate.labels } }];
    case 'compareRate': {
      const alive = gate.alive === undefined ? {} : { alive: gate.alive };
      // Nothing bad yet is often no series yet: the traffic beside it vouches for 0.
      const both = promised !== 1;
      return [
        { name: 'exposedBad', text: gate.exposed.bad, ...alive, rises: 'counter', with: { beside: gate.exposed.total } },
        { name: 'exposed', text: gate.exposed.total, ...alive, rises: 'counter', ...(both ? { with: { beside: gate.rest.total } } : {}) },
        { name: 'restBad', text: gate.rest.bad, ...alive, rises: 'counter', with: { beside: gate.rest.total } },
        { name: 'rest', text: gate.rest.total, ...alive, rises: 'counter' },
      ];
    }
    case 'compareSlow': {
      const alive = gate.alive === undefined ? {} : { alive: gate.alive };
      return [
        { name: 'exposed', text: gate.exposed, ...alive, rises: 'buckets' },
        { name: 'rest', text: gate.rest, ...alive, rises: 'buckets' },
      ];
    }
    case 'compareUsers': {
      const alive = gate.alive === undefined ? {} : { alive: gate.alive };
      return [
        { name: 'exposedBad', text: gate.exposed.failed, ...alive, rises: 'counter', with: { beside: gate.exposed.atRisk } },
        { name: 'exposed', text: gate.exposed.atRisk, ...alive },
        { name: 'restBad', text: gate.rest.failed, ...alive, rises: 'counter', with: { beside: gate.rest.atRisk } },
        { name: 'rest', text: gate.rest.atRisk, ...alive },
      ];
    }
    case 'burnRate': {
      const alive = gate.alive === undefined ? {} : { alive: gate.alive };
      return [
        { name: 'bad', text: gate.bad, ...alive, rises: 'counter', with: { beside: gate.total } },
        { name: 'total', text: gate.total, ...alive, rises: 'counter' },
      ];
    }
    case 'quantile':
      return [{ name: 'value', text: gate.buckets, rises: 'buckets', ...(gate.alive === undefined ? {} : { alive: gate.alive }) }];
    case 'exposureCheck': {
      const alive = gate.alive === undefined ? {} : { alive: gate.alive };
      return [
        { name: 'exposed', text: gate.exposed, ...alive, rises: 'counter', with: { beside: gate.rest } },
        { name: 'rest', text: gate.rest, ...alive, rises: 'counter' },
      ];
    }
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
    case 'compareRate':
    case 'compareUsers':
      return sides(gate.kind === 'compareUsers' ? 'users' : 'requests', {
        exposedBad: answer('exposedBad'),
        exposed: answer('exposed'),
        restBad: answer('restBad'),
        rest: answer('rest'),
      });
    case 'compareSlow':
      return slowSides(answer('exposed'), answer('rest'), gate.over);
    case 'burnRate':
      return sides('requests', { exposedBad: answer('bad'), exposed: answer('total') });
    case 'quantile':
      return answer('value');
    case 'exposureCheck':
      return sides('users', { exposed: answer('exposed'), rest: answer('rest') });
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
