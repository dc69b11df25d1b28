import type { RateBatch } from '../../src/core/statistics/rate-ratio.ts';
import { rate, type Rule } from './rules.ts';
import type { Minute } from './traffic.ts';

/** The z below which a share p (0..1) of a standard normal lies, to 1e-9 (Acklam's rational approximation). */
export function normalQuantile(p: number): number {
  if (p > 0.5) return -normalQuantile(1 - p);
  const sum = (of: readonly number[], x: number): number => of.reduce((all, one) => all * x + one, 0);
  if (p < 0.02425) {
    const q = Math.sqrt(-2 * Math.log(p));
    const above = [-0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968, 2.938163982698783];
    return sum(above, q) / sum([0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1], q);
  }
  const q = p - 0.5;
  const above = [-39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716, 2.506628277459239];
  const below = [-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572, 1];
  return (q * sum(above, q * q)) / sum(below, q * q);
}

/** What a Mann-Whitney test says of how far one sample lies above another. */
export interface Shift {
  readonly low: number;
  readonly high: number;
  readonly estimate: number;
}

/** The share of a standard normal below z: the z above, solved for. */
export function normalShare(z: number): number {
  let [low, high] = [0, 1];
  for (let round = 0; round < 60; round += 1) {
    const middle = (low + high) / 2;
    if (normalQuantile(middle) < z) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Ranks of the sorted differences that end the interval of `confidence` for n against m values: asymptotic, with continuity correction. 0 while so few values cannot show it. */
function rankOf(n: number, m: number, confidence: number): number {
  const sigma = Math.sqrt((n * m * (n + m + 1)) / 12);
  return Math.ceil(n * m - ((n * m) / 2 + 0.5 + normalQuantile((1 + confidence) / 2) * sigma));
}

/**
 * The interval and the Hodges-Lehmann estimate of the shift between two samples, as R's wilcox.test and Kayenta invert the
 * asymptotic test: here by the order statistics of all differences, which are where its steps lie.
 */
export function shiftOf(differences: Float64Array, n: number, m: number, confidence: number): Shift | undefined {
  const rank = rankOf(n, m, confidence);
  if (rank < 1) return undefined;
  return { low: differences[rank - 1] ?? NaN, high: differences[differences.length - rank] ?? NaN, estimate: median(differences) };
}

/** The largest z at which these differences would still show that the low end lies above a limit; -Infinity where none does. */
export function largestZ(differences: Float64Array, n: number, m: number, limit: number): number {
  // The first difference above the limit, by halving: they are sorted.
  let [low, high] = [0, differences.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((differences[middle] ?? 0) > limit) high = middle;
    else low = middle + 1;
  }
  if (low === differences.length) return -Infinity;
  return ((n * m) / 2 - 0.5 - low) / Math.sqrt((n * m * (n + m + 1)) / 12);
}

/** Two sorted lists as one. */
function merge(a: Float64Array, b: Float64Array): Float64Array {
  const all = new Float64Array(a.length + b.length);
  let [i, j] = [0, 0];
  for (let at = 0; at < all.length; at += 1) {
    const [left, right] = [a[i], b[j]];
    if (right === undefined || (left !== undefined && left <= right)) {
      all[at] = left ?? 0;
      i += 1;
    } else {
      all[at] = right;
      j += 1;
    }
  }
  return all;
}

/** All differences of the minutes' error rates so far, sorted; undefined where a side had no traffic. */
function spreading(): (requests: RateBatch) => { readonly differences: Float64Array; readonly count: number } | undefined {
  const [here, there]: [number[], number[]] = [[], []];
  let differences: Float64Array = new Float64Array(0);
  return (requests) => {
    const [x, y] = [rate(requests.exposedBad, requests.exposed), rate(requests.restBad, requests.rest)];
    if (x === undefined || y === undefined) return undefined;
    const more = new Float64Array([...there.map((other) => x - other), ...here.map((other) => other - y), x - y]).sort();
    here.push(x);
    there.push(y);
    differences = merge(differences, more);
    return { differences, count: here.length };
  };
}

/** The middle of sorted numbers. */
function median(sorted: Float64Array): number {
  const count = sorted.length;
  return ((sorted[Math.floor((count - 1) / 2)] ?? NaN) + (sorted[Math.ceil((count - 1) / 2)] ?? NaN)) / 2;
}

/** For calibration: the largest z at which Kayenta would have said High so far. */
export function kayentaZ(tolerance = 0.25): () => (minute: Minute) => number {
  return () => {
    const spread = spreading();
    let largest = -Infinity;
    return ({ requests }) => {
      const found = spread(requests);
      if (found !== undefined)
        largest = Math.max(largest, largestZ(found.differences, found.count, found.count, tolerance * Math.abs(median(found.differences))));
      return largest;
    };
  };
}

/**
 * Kayenta: the error rates of each minute so far, exposed against rest, by Mann-Whitney; High when the interval's low end lies above
 * `tolerance` times the size of the estimate. Its defaults are a confidence of 0.98 and a tolerance of 0.25; run again every minute.
 */
export function kayenta(confidence = 0.98, tolerance = 0.25): Rule {
  return {
    name: `Kayenta, Mann-Whitney at ${Number(confidence.toFixed(4))}, tolerance ${tolerance}`,
    watch: () => {
      const spread = spreading();
      return ({ requests }) => {
        const found = spread(requests);
        if (found === undefined) return 'on';
        const shift = shiftOf(found.differences, found.count, found.count, confidence);
        return shift !== undefined && shift.low > tolerance * Math.abs(shift.estimate) ? 'rollback' : 'on';
      };
    },
  };
}
