import { logGamma } from '../../src/core/statistics/logarithms.ts';

/** The regularised incomplete beta function, by its continued fraction (Lentz's method). */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = Math.exp(a * Math.log(x) + b * Math.log(1 - x) + logGamma(a + b) - logGamma(a) - logGamma(b)) / a;
  const tiny = 1e-300;
  let [c, d] = [1, 1 / Math.max(tiny, Math.abs(1 - ((a + b) * x) / (a + 1))) || tiny];
  let sum = d;
  for (let m = 1; m < 500; m += 1) {
    for (const term of [(m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m)), (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1))]) {
      d = 1 / (1 + term * d || tiny);
      c = 1 + term / c || tiny;
      sum *= c * d;
    }
    if (Math.abs(c * d - 1) < 1e-14) break;
  }
  return front * sum;
}

function solve(of: (p: number) => number, target: number): number {
  let [low, high] = [0, 1];
  for (let round = 0; round < 100; round += 1) {
    const middle = (low + high) / 2;
    if (of(middle) < target) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** The exact 95 % interval of a share of which `hits` of `of` were seen (Clopper and Pearson, 1934): 2.5 % on either side. */
export function clopperPearson(hits: number, of: number): { readonly low: number; readonly high: number } {
  return {
    low: hits === 0 ? 0 : solve((p) => incompleteBeta(p, hits, of - hits + 1), 0.025),
    high: hits === of ? 1 : solve((p) => incompleteBeta(p, hits + 1, of - hits), 0.975),
  };
}
