/** A source of numbers in 0 <= x < 1; the same seed gives the same ones. */
export type Random = () => number;

/** Seeded numbers (Mulberry32, T. Ettinger 2017, public domain): good enough to split counts, and the same on every machine. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A seed from a text and a number (FNV-1a). */
export function seedOf(text: string, index = 0): number {
  let hash = 0x811c9dc5 ^ Math.imul(index, 0x9e3779b1);
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}

/** Past so many expected ones the binomial is drawn from its normal approximation. */
const MANY = 50;

/** How many of `n` (rounded) come up when each does with probability `p`. */
export function binomial(random: Random, n: number, p: number): number {
  const all = Math.round(n);
  if (!(all > 0) || !(p > 0)) return 0;
  if (p >= 1) return all;
  if (p > 0.5) return all - binomial(random, all, 1 - p);
  const spread = Math.sqrt(all * p * (1 - p));
  if (all * p > MANY) {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    return Math.min(all, Math.max(0, Math.round(all * p + spread * normal)));
  }
  // By the waiting times between those that come up: as many draws as there are of them (Devroye 1986, X.4.3).
  const log = Math.log1p(-p);
  let [found, passed] = [0, 0];
  for (;;) {
    passed += Math.floor(Math.log(1 - random()) / log) + 1;
    if (passed > all) return found;
    found += 1;
  }
}

/** Counts multiplied: `n` whole times over, and a binomial part for the fraction. */
export function multiply(random: Random, n: number, factor: number): number {
  const whole = Math.floor(factor);
  return n * whole + binomial(random, n, factor - whole);
}
