import type { Measurement, Series } from './measurement.ts';
import type { CompareGate, Gate, Millis } from './plan.ts';
import type { GateQuery } from './query.ts';
import { slowOf } from './statistics/buckets.ts';
import { riseOfTotal } from './statistics/counters.ts';
import { addRates, logClear, logHarm, NO_RATES, type RateBatch } from './statistics/rate-ratio.ts';

/** The answers to a gate's queries over one grid, by the name of the query. */
export type Histories = Readonly<Partial<Record<GateQuery['name'], Series>>>;

/** How much a gate that counts was given in one interval of its `every`, on average; both sides together where it compares. */
export interface Pace {
  /** Requests; of `compareUsers` the users at risk. */
  readonly perLook: number;
  /** The share of them (0..1) that went wrong. */
  readonly wrong: number;
}

/** The proof that a ratio is below `maxRatio` may be wrong as often as this: as the judge of comparisons has it. */
const WRONG_PROOF = 0.05;
/** No bake is this long in looks: what takes longer is never decided. */
const NEVER = 1e7;

type Pick = (point: Extract<Measurement, { kind: 'value' }>) => number | undefined;

const valueOf: Pick = (point) => point.value;

/** How fast a running count rose, per ms; undefined where it was not seen twice. A gauge's mean is `level`. */
function riseOf(series: Series | undefined, pick: Pick = valueOf): number | undefined {
  let [rise, span] = [0, 0];
  let before: { readonly at: number; readonly total: number } | undefined;
  for (const point of series?.points ?? []) {
    const total = point.kind === 'value' ? pick(point) : undefined;
    if (point.kind !== 'value' || total === undefined) continue;
    if (point.since !== undefined) [rise, span] = [rise + total, span + point.at - point.since];
    else if (before !== undefined) [rise, span] = [rise + riseOfTotal(before.total, total), span + point.at - before.at];
    before = { at: point.at, total };
  }
  return span > 0 ? rise / span : undefined;
}

function levelOf(series: Series | undefined): number | undefined {
  const values = (series?.points ?? []).flatMap((point) => (point.kind === 'value' ? [point.value] : []));
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The pace of what a side that is not there yet adds nothing to; undefined where neither side told anything. */
function paceFrom(all: readonly (number | undefined)[], bad: readonly (number | undefined)[]): Pace | undefined {
  if (all.every((part) => part === undefined)) return undefined;
  const sum = (parts: readonly (number | undefined)[]): number => parts.reduce<number>((total, part) => total + (part ?? 0), 0);
  const perLook = sum(all);
  return { perLook, wrong: perLook > 0 ? sum(bad) / perLook : 0 };
}

/** The pace over the points given, of a gate that gathers evidence from one look to the next; undefined for any other, and where the source told too little. */
export function paceOf(gate: Gate, histories: Histories): Pace | undefined {
  const perLook = (series: Series | undefined, pick?: Pick): number | undefined => {
    const rise = riseOf(series, pick);
    return rise === undefined ? undefined : rise * gate.every;
  };
  switch (gate.kind) {
    case 'compareRate':
      return paceFrom([perLook(histories.exposed), perLook(histories.rest)], [perLook(histories.exposedBad), perLook(histories.restBad)]);
    case 'compareSlow': {
      const slow: Pick = (point) => {
        const found = slowOf(point.buckets ?? [], gate.over);
        return found.kind === 'counts' ? found.slow : undefined;
      };
      return paceFrom([perLook(histories.exposed), perLook(histories.rest)], [perLook(histories.exposed, slow), perLook(histories.rest, slow)]);
    }
    case 'compareUsers':
      return paceFrom([levelOf(histories.exposed), levelOf(histories.rest)], [perLook(histories.exposedBad), perLook(histories.restBad)]);
    case 'burnRate':
      return paceFrom([perLook(histories.total)], [perLook(histories.bad)]);
    case 'quantile':
      return paceFrom([perLook(histories.value)], []);
    case 'threshold':
    case 'ratio':
    case 'probe':
    case 'alert':
    case 'exposureCheck':
      return undefined;
    default:
      return gate satisfies never;
  }
}

/** The counts of `looks` intervals when `share` (0..1) is exposed and goes wrong `times` as often as the rest. */
function expected(pace: Pace, share: number, times: number, looks: number): RateBatch {
  const exposed = looks * pace.perLook * share;
  const rest = looks * pace.perLook * (1 - share);
  return { exposedBad: exposed * Math.min(1, pace.wrong * times), exposed, restBad: rest * pace.wrong, rest };
}

/** The first number of looks for which `shown` holds; undefined where none does. `shown` must stay true once it is. */
function firstLook(shown: (looks: number) => boolean): number | undefined {
  let high = 1;
  while (!shown(high)) {
    if (high >= NEVER) return undefined;
    high *= 2;
  }
  let low = high === 1 ? 0 : high / 2;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (shown(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/**
 * How long (ms) a comparison needs, on its expected path, to show that `share` (0..1) of the traffic goes wrong `times` as often as the rest:
 * about the median of what chance makes of it. Undefined where it never would: the excess lies below `floor`, or the ratio is tolerated.
 * The evidence of statistics/rate-ratio.ts is linear in the counts, so that many like intervals are one large one.
 */
export function timeToCatch(gate: CompareGate, pace: Pace, share: number, times: number): Millis | undefined {
  if (pace.wrong * (times - 1) < gate.floor || times <= gate.tolerance) return undefined;
  const question = { tolerance: gate.tolerance, late: 0 };
  const limit = Math.log(1 / gate.alpha);
  const looks = firstLook((n) => logHarm(question, addRates(question, NO_RATES, expected(pace, share, times, n))) >= limit);
  return looks === undefined ? undefined : looks * gate.every;
}

/** How long (ms) a healthy comparison needs until it may be a go: `minSamples` on both sides and, where the gate asks for it, proof that the ratio is below `maxRatio`. */
export function timeToGo(gate: CompareGate, pace: Pace, share: number): Millis | undefined {
  const smaller = pace.perLook * Math.min(share, 1 - share);
  if (!(smaller > 0)) return undefined;
  const counted = Math.max(1, Math.ceil(gate.minSamples / smaller));
  if (gate.maxRatio === undefined) return counted * gate.every;
  const question = { tolerance: gate.tolerance, maxRatio: gate.maxRatio, late: 0 };
  const proven = firstLook((n) => logClear(addRates(question, NO_RATES, expected(pace, share, 1, n))) >= Math.log(1 / WRONG_PROOF));
  return proven === undefined ? undefined : Math.max(counted, proven) * gate.every;
}
