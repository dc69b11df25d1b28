import { logGamma, times } from './logarithms.ts';

/** The evidence so far that the parts seen are not the parts promised, small plain JSON. */
export interface ShareEvidence {
  /** ln e of the stretches whose shares have since changed. */
  readonly before: number;
  /** Counts of each class since the shares last changed. */
  readonly counts: readonly number[];
  readonly shares: readonly number[];
}

/** How firmly the alternatives sit around the promised shares: like so many subjects seen before. */
const FIRMNESS = 20;

/** Evidence before anyone was counted. */
export const NO_SHARES: ShareEvidence = { before: 0, counts: [], shares: [] };

/** The shares inside `tolerance` of the promised ones that explain the counts best: in proportion to them, those outside clamped. */
function closest(counts: readonly number[], shares: readonly number[], tolerance: number, total: number): readonly number[] {
  const own = counts.map((count) => count / total);
  if (own.every((share, index) => Math.abs(share - (shares[index] ?? 0)) <= tolerance)) return own;
  if (tolerance === 0) return shares;
  const at = (scale: number): number[] =>
    own.map((share, index) => Math.min(1, (shares[index] ?? 0) + tolerance, Math.max(0, (shares[index] ?? 0) - tolerance, share * scale)));
  const sum = (list: readonly number[]): number => list.reduce((all, share) => all + share, 0);
  // The sum of the clamped shares rises with the scale; where it is 1 the likelihood is highest.
  let [from, to] = [0, 1];
  while (sum(at(to)) < 1 - 1e-12 && to < 1e12) to *= 2;
  for (let round = 0; round < 60; round += 1) {
    const middle = (from + to) / 2;
    if (sum(at(middle)) < 1) from = middle;
    else to = middle;
  }
  const found = at(to);
  // What is left is taken by the classes in which nobody was counted.
  const left = Math.max(0, 1 - sum(found));
  const empty = counts.filter((count) => count === 0).length;
  return empty === 0 ? found : found.map((share, index) => (counts[index] === 0 ? share + left / empty : share));
}

function stretch(counts: readonly number[], shares: readonly number[], tolerance: number): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return 0;
  const likely = closest(counts, shares, tolerance, total);
  let log = logGamma(FIRMNESS) - logGamma(FIRMNESS + total);
  for (const [index, count] of counts.entries()) {
    const weight = FIRMNESS * (shares[index] ?? 0);
    // Nobody is promised to be here: one who is, is proof.
    if (weight === 0 && count > 0 && (likely[index] ?? 0) === 0) return Infinity;
    if (weight === 0) continue;
    log += logGamma(weight + count) - logGamma(weight) - times(count, likely[index] ?? 0);
  }
  return log;
}

/**
 * Adds counts of distinct subjects, one per class, to the evidence that they do not come in the promised `shares` (which sum to 1).
 * Changed shares begin a new stretch; the evidence of those before it stays.
 */
export function addCounts(before: ShareEvidence, counts: readonly number[], shares: readonly number[], tolerance: number): ShareEvidence {
  const same = before.shares.length === shares.length && shares.every((share, index) => share === before.shares[index]);
  if (!same) return { before: before.before + stretch(before.counts, before.shares, tolerance), counts: [...counts], shares: [...shares] };
  return { ...before, counts: before.counts.map((count, index) => count + (counts[index] ?? 0)) };
}

/**
 * ln e: the evidence that the shares are further than `tolerance` (absolute, 0..1) from the promised ones; at ln(1/alpha) it is shown, and looks are free.
 *
 * The counts' probability under a Dirichlet prior around the promised shares over that of the tolerated shares that fit them
 * best. Without a tolerance it is the sequential multinomial test of Lindon and Malek, "Anytime-valid inference for
 * multinomial count data" (NeurIPS 2022); dividing by the best of the null keeps it valid with one (universal inference:
 * Wasserman, Ramdas and Balakrishnan, PNAS 2020).
 */
export function logMismatch(evidence: ShareEvidence, tolerance: number): number {
  return evidence.before + stretch(evidence.counts, evidence.shares, tolerance);
}
