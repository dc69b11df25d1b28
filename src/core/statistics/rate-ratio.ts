import { logAdd, logSum } from './logarithms.ts';

/** Counts of one interval: how many went wrong of how many, among those who are exposed and among the rest. */
export interface RateBatch {
  readonly exposedBad: number;
  readonly exposed: number;
  readonly restBad: number;
  readonly rest: number;
}

/** What the test is asked to show. */
export interface RateQuestion {
  /** The ratio of rates, exposed to rest, that is still fine (r0 >= 1). */
  readonly tolerance: number;
  /** Where it is to show that the ratio lies below this: needed for a go that rests on proof. */
  readonly maxRatio?: number;
  /**
   * The part (0..1) of the evidence kept for a harm that begins later than the first interval. 0 is the test as published,
   * in which hours of health have to be outweighed first.
   */
  readonly late: number;
}

/** The evidence so far, small plain JSON; without an interval the sums are empty. Logarithms are natural. */
export interface RateEvidence {
  /** For each ratio of the grid the log of the weighted likelihood ratio that the exposed are that much worse. */
  readonly harm: readonly number[];
  /** The mirrored sums: that the exposed are better than `maxRatio` by that much. */
  readonly clear: readonly number[];
  /** Intervals that had traffic on both sides. */
  readonly looks: number;
  readonly totals: RateBatch;
  /** How many of the exposed would have gone wrong at the rest's rate of the same interval. */
  readonly expected: number;
}

/** Alternatives to the tolerated ratio, as multiples of it, each of the same weight. */
const GRID = [1.25, 1.5, 2, 3, 5, 10] as const;
const LOG_GRID = GRID.map((ratio) => Math.log(ratio));
const LOG_WEIGHT = -Math.log(GRID.length);

/** Evidence before the first interval. */
export const NO_RATES: RateEvidence = {
  harm: [],
  clear: [],
  looks: 0,
  totals: { exposedBad: 0, exposed: 0, restBad: 0, rest: 0 },
  expected: 0,
};

/** The share of `late` that has not begun before interval i (0 is the first); falls like 1/ln i, so that no horizon has to be named. */
function waiting(looks: number): number {
  return 1 / Math.log(Math.E + looks);
}

/**
 * Adds an interval to the evidence. An interval without traffic on either side says nothing of the ratio and is skipped.
 *
 * With theta(r) = n r / (n r + m) for n requests of the exposed and m of the rest, an interval multiplies the evidence for
 * ratio r by (theta(r)/theta(r0))^x ((1-theta(r))/(1-theta(r0)))^y, x and y being those gone wrong. While the true ratio is
 * at most r0 each factor has an expectation of at most 1 whatever the base rate, the sizes and the split, so the mean over
 * the grid is a supermartingale, and by Ville's inequality it ever passes 1/alpha with a probability of at most alpha: looks
 * are free, and shares may change. (Anytime-valid likelihood-ratio mixture: Robbins 1970; Ramdas et al., "Game-theoretic
 * statistics and safe anytime-valid inference", 2023; two Poisson streams conditioned on their sum: Turner, Ly and Gruenwald, 2024.)
 * `late` makes it a mixture over starting times too, each weighted in advance, which keeps the bound (Shiryaev-Roberts).
 */
export function addRates(question: RateQuestion, before: RateEvidence, batch: RateBatch): RateEvidence {
  const { exposedBad: x, exposed: n, restBad: y, rest: m } = batch;
  if (!(n > 0) || !(m > 0)) return before;
  const { late, tolerance, maxRatio } = question;
  const begins = before.looks === 0 ? 1 - late : late * (waiting(before.looks - 1) - waiting(before.looks));
  const logBegins = begins > 0 ? Math.log(begins) : -Infinity;
  const base = n * tolerance;
  const harm = GRID.map((ratio, index) => {
    // theta(r)/theta(r0) = (r/r0) (n r0 + m)/(n r + m), and (1-theta(r))/(1-theta(r0)) = (n r0 + m)/(n r + m).
    const rest = Math.log((base + m) / (base * ratio + m));
    return logAdd(before.harm[index] ?? -Infinity, logBegins) + x * (LOG_GRID[index] ?? 0) + (x + y) * rest;
  });
  const most = n * (maxRatio ?? 0);
  const totals = before.totals;
  return {
    harm,
    clear:
      maxRatio === undefined
        ? []
        : GRID.map((divisor, index) => {
            const rest = Math.log((most + m) / (most / divisor + m));
            return (before.clear[index] ?? 0) + (x + y) * rest - x * (LOG_GRID[index] ?? 0);
          }),
    looks: before.looks + 1,
    totals: { exposedBad: totals.exposedBad + x, exposed: totals.exposed + n, restBad: totals.restBad + y, rest: totals.rest + m },
    expected: before.expected + (n * y) / m,
  };
}

/** ln e: the evidence that the exposed are worse than tolerated; at ln(1/alpha) it is shown. 0 before the first interval. */
export function logHarm(question: RateQuestion, evidence: RateEvidence): number {
  if (evidence.looks === 0) return 0;
  const unused = question.late * waiting(evidence.looks - 1);
  return logAdd(LOG_WEIGHT + logSum(evidence.harm), unused > 0 ? Math.log(unused) : -Infinity);
}

/** ln e of the mirrored test: the evidence that the ratio lies below `maxRatio`; at ln(1/alpha) it is shown. 0 without a `maxRatio`. */
export function logClear(evidence: RateEvidence): number {
  return evidence.clear.length === 0 ? 0 : LOG_WEIGHT + logSum(evidence.clear);
}

/** How many more of the exposed went wrong than at the rest's rate, as a share of the exposed. 0 before the first interval. */
export function excessShare(evidence: RateEvidence): number {
  return evidence.totals.exposed > 0 ? (evidence.totals.exposedBad - evidence.expected) / evidence.totals.exposed : 0;
}

/** The rate of the exposed over that expected at the rest's rate of the same intervals; undefined while nothing went wrong in the rest. */
export function observedRatio(evidence: RateEvidence): number | undefined {
  return evidence.expected > 0 ? evidence.totals.exposedBad / evidence.expected : undefined;
}
