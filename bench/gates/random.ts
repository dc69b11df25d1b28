/** A stream of random numbers that is the same for the same seed: xoshiro128** (Blackman and Vigna), seeded by splitmix32. */
export interface Random {
  /** Uniform in [0, 1), 32 bits. */
  uniform(): number;
  /** Exponential with mean 1. */
  exponential(): number;
  /** Standard normal. */
  normal(): number;
  /** Poisson with this mean. */
  poisson(mean: number): number;
}

const LOG_FACTORIALS = new Float64Array(1024);
for (let k = 2; k < LOG_FACTORIALS.length; k += 1) LOG_FACTORIALS[k] = (LOG_FACTORIALS[k - 1] ?? 0) + Math.log(k);

/** ln k!, by table and then by Stirling's series. */
function logFactorial(k: number): number {
  if (k < LOG_FACTORIALS.length) return LOG_FACTORIALS[k] ?? 0;
  return (k + 0.5) * Math.log(k) - k + 0.5 * Math.log(2 * Math.PI) + 1 / (12 * k) - 1 / (360 * k ** 3);
}

/** A stream for a seed; `lane` gives another one that has nothing to do with it. */
export function randomOf(seed: number, lane = 0): Random {
  let mix = (Math.imul(seed, 0x9e3779b9) ^ Math.imul(lane + 1, 0x85ebca6b)) >>> 0;
  const next = (): number => {
    mix = (mix + 0x9e3779b9) >>> 0;
    let z = mix;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  let [a, b, c, d] = [next(), next(), next(), next()];
  const uniform = (): number => {
    const turned = Math.imul(b, 5);
    const result = Math.imul((turned << 7) | (turned >>> 25), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = (d << 11) | (d >>> 21);
    return result / 0x1_0000_0000;
  };
  const exponential = (): number => -Math.log(1 - uniform());
  const normal = (): number => Math.sqrt(2 * exponential()) * Math.cos(2 * Math.PI * uniform());
  /** Up to a mean of 10 by multiplication (Knuth), above by transformed rejection (PTRS; Hoermann, 1993). */
  const poisson = (mean: number): number => {
    if (mean < 10) {
      const limit = Math.exp(-mean);
      let [k, product] = [0, uniform()];
      while (product > limit) {
        k += 1;
        product *= uniform();
      }
      return k;
    }
    const root = Math.sqrt(mean);
    const wide = 0.931 + 2.53 * root;
    const skew = -0.059 + 0.02483 * wide;
    const inverse = 1.1239 + 1.1328 / (wide - 3.4);
    const squeeze = 0.9277 - 3.6224 / (wide - 2);
    for (;;) {
      const u = uniform() - 0.5;
      const v = uniform();
      const us = 0.5 - Math.abs(u);
      const k = Math.floor(((2 * skew) / us + wide) * u + mean + 0.43);
      if (us >= 0.07 && v <= squeeze) return k;
      if (k < 0 || (us < 0.013 && v > us)) continue;
      if (Math.log((v * inverse) / (skew / (us * us) + wide)) <= k * Math.log(mean) - mean - logFactorial(k)) return k;
    }
  };
  return { uniform, exponential, normal, poisson };
}
