import { parseDuration } from '../core/duration.ts';
import type { Measurement, Value } from '../core/measurement.ts';
import type { Bound, CompareGate, ExposureCheckGate, Gate, Millis } from '../core/plan.ts';
import type { Bucket } from '../core/statistics/buckets.ts';
import type { RateBatch } from '../core/statistics/rate-ratio.ts';
import type { History } from './history.ts';
import { binomial, multiply, seeded, seedOf } from './random.ts';

/** A regression: what the exposed do wrong they do so many times as often, or take so many times as long. 1 is none. `share` (0..1) of everyone is exposed. */
export interface Regression {
  readonly factor: number;
  readonly share: number;
}

/** A history, point by point, with a regression in it that began `since` (ms) before the point, `split` where its sides were drawn by chance; or why that cannot be told. */
export type Altered = { readonly kind: 'points'; readonly split: boolean; readonly at: (index: number, since: Millis) => Measurement | undefined } | Cannot;

/** Why a regression cannot be told from a history. */
export interface Cannot {
  readonly kind: 'cannot';
  readonly why: string;
}

const cannot = (why: string): Cannot => ({ kind: 'cannot', why });
const high = (bound: Bound): boolean => bound.op === 'max' || bound.op === 'below';

/** How long (ms) until the query of a gate has forgotten the time before a regression: its longest PromQL range, such as `[5m]`. */
export function memoryOf(gate: Gate): Millis {
  const texts = gate.kind === 'threshold' ? [gate.query] : gate.kind === 'ratio' ? [gate.bad, gate.total] : [];
  const ranges = texts.flatMap((text) => [...text.matchAll(/\[\s*(\w+)\s*(?::[^\]]*)?\]/g)].map((found) => parseDuration(found[1] ?? '') ?? 0));
  return Math.max(0, ...ranges);
}

/** Whether the exposed side had traffic of its own in most of the history, so that it can be compared as it was. */
export function hasOwnSides(history: History): boolean {
  const both = (points: readonly Measurement[], side: 'exposed' | 'rest'): number =>
    points.filter((point) => point.kind === 'value' && (point.counts?.[side] ?? 0) > 0).length;
  return both(history.points, 'exposed') * 2 > both(history.pooled ?? [], 'rest') && both(history.points, 'exposed') > 0;
}

/** Everyone's counts of an interval split at random: each request (or user) is exposed with probability `share`, and the exposed go wrong `factor` times as often. */
function split(gate: CompareGate | ExposureCheckGate, counts: RateBatch, { factor, share }: Regression, seed: number): RateBatch {
  const random = seeded(seed);
  const [bad, all] = [Math.round(counts.restBad), Math.round(counts.rest)];
  // Users at risk are those who have not failed; requests count the bad ones.
  const good = gate.kind === 'compareUsers' || gate.kind === 'exposureCheck' ? all : Math.max(0, all - bad);
  const [badHere, goodHere] = [binomial(random, bad, share), binomial(random, good, share)];
  const here = gate.kind === 'compareUsers' || gate.kind === 'exposureCheck' ? goodHere : goodHere + badHere;
  let exposedBad = badHere;
  for (let left = factor - 1; left > 0; left -= 1) exposedBad += binomial(random, bad, share * Math.min(1, left));
  return { exposedBad: Math.min(exposedBad, here), exposed: here, restBad: bad - badHere, rest: all - here };
}

/** The buckets of everyone when `share` of them take `factor` times as long: between edges the counts are taken to lie evenly. */
function slower(buckets: readonly Bucket[], { factor, share }: Regression): readonly Bucket[] {
  const all = [...buckets].sort((a, b) => a.le - b.le);
  const upTo = (le: number): number => {
    const index = all.findIndex((bucket) => bucket.le >= le);
    const [above, below] = [all[index], all[index - 1]];
    if (above === undefined) return all.at(-1)?.count ?? 0;
    const [from, under] = [below?.le ?? 0, below?.count ?? 0];
    if (above.le === Infinity) return le === Infinity ? above.count : under;
    return above.le > from ? under + ((above.count - under) * (le - from)) / (above.le - from) : above.count;
  };
  return all.map(({ le, count }) => ({ le, count: (1 - share) * count + share * upTo(le / factor) }));
}

/** One number of everyone's, drawn from both sides. The lower the worse where the bound is a least one. */
function mixed(bound: Bound, value: number, factor: number, share: number): number {
  return value * (high(bound) ? 1 + share * (factor - 1) : 1 - share * (1 - 1 / factor));
}

function alterValue(gate: Gate, point: Value, regression: Regression, seed: number): Value {
  const { factor, share } = regression;
  switch (gate.kind) {
    case 'threshold':
      return { ...point, value: mixed(gate.bound, point.value, factor, share) };
    case 'ratio': {
      const times = 1 + share * (factor - 1);
      return { ...point, value: high(gate.bound) ? Math.min(1, point.value * times) : 1 - Math.min(1, (1 - point.value) * times) };
    }
    case 'quantile':
      return { ...point, buckets: slower(point.buckets ?? [], regression) };
    case 'burnRate': {
      if (point.counts === undefined) return point;
      const bad = multiply(seeded(seed), point.counts.exposedBad, 1 + share * (factor - 1));
      return { ...point, counts: { ...point.counts, exposedBad: Math.min(bad, point.counts.exposed) } };
    }
    case 'compareRate':
    case 'compareSlow':
    case 'compareUsers':
    case 'exposureCheck':
      return point.counts === undefined ? point : { ...point, counts: split(gate, point.counts, regression, seed), promised: share };
    case 'probe':
    case 'alert':
      return point;
    default:
      return gate satisfies never;
  }
}

/** Why a regression of this kind cannot be put into this history; undefined where it can. */
function hindrance(gate: Gate, history: History, { share }: Regression): string | undefined {
  const values = history.points.flatMap((point) => (point.kind === 'value' ? [point] : []));
  switch (gate.kind) {
    case 'alert':
      return 'whether an alert fires is decided by its own rule, which is not replayed';
    case 'probe':
      return 'a probe is healthy or not: nothing in it can be multiplied';
    case 'exposureCheck':
      return 'it looks at who sees the flag, and holds; a regression does not change that';
    case 'threshold':
      if (values.some(({ value }) => value < 0)) return 'some of its values are below 0, and a multiple of those says nothing';
      return values.every(({ value }) => value === 0) ? 'it was 0 all along, and a multiple of 0 is 0' : undefined;
    case 'ratio':
      return values.every(({ value }) => value === (high(gate.bound) ? 0 : 1)) ? 'nothing went wrong all along, and a multiple of 0 is 0' : undefined;
    case 'burnRate':
      return values.every(({ counts }) => (counts?.exposedBad ?? 0) === 0) ? 'nothing went wrong all along, and a multiple of 0 is 0' : undefined;
    case 'quantile':
      return undefined;
    case 'compareRate':
    case 'compareSlow':
    case 'compareUsers': {
      if (share >= 1) return 'nobody is left to compare with';
      const bad = history.pooled?.some((point) => point.kind === 'value' && (point.counts?.restBad ?? 0) > 0) === true;
      return bad ? undefined : 'nothing went wrong all along, and a multiple of 0 is 0';
    }
    default:
      return gate satisfies never;
  }
}

/**
 * The history of a gate as a healthy launch at this share would have seen it. Counts of two sides are as they were where the
 * exposed had traffic of their own (an honest A/A of real sides), and everyone's split at random otherwise.
 */
export function healthy(gate: Gate, history: History, share: number | undefined): Altered {
  const asItWas: Altered = { kind: 'points', split: false, at: (index) => history.points[index] };
  if (history.pooled === undefined || (gate.kind !== 'exposureCheck' && hasOwnSides(history))) return asItWas;
  if (share === undefined) return cannot('the exposed had no traffic of their own, and how many they will be is not known');
  if (share >= 1 && gate.kind !== 'exposureCheck') return cannot('nobody is left to compare with');
  return alter(gate, history.pooled, { factor: 1, share }, 0, true);
}

/** The history of a gate with a regression in it from the start of a window on. */
export function regress(gate: Gate, history: History, regression: Regression): Altered {
  const why = hindrance(gate, history, regression);
  return why === undefined ? alter(gate, history.pooled ?? history.points, regression, memoryOf(gate), history.pooled !== undefined) : cannot(why);
}

function alter(gate: Gate, points: readonly Measurement[], { factor, share }: Regression, memory: Millis, split: boolean): Altered {
  const text = `${gate.id} ${factor} ${share}`;
  const whole = new Map<number, Measurement>();
  const altered = (index: number, now: number): Measurement | undefined => {
    const point = points[index];
    return point?.kind === 'value' ? alterValue(gate, point, { factor: now, share }, seedOf(text, index)) : point;
  };
  return {
    kind: 'points',
    split,
    at: (index, since) => {
      // A query over the last minutes sees a regression come in little by little.
      if (since < memory) return altered(index, 1 + (factor - 1) * (since / memory));
      const known = whole.get(index) ?? altered(index, factor);
      if (known !== undefined) whole.set(index, known);
      return known;
    },
  };
}
