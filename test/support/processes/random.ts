/** Numbers that a seed decides: the same seed tells the same story. */
export interface Random {
  /** From 0 up to, and without, 1. */
  next(): number;
  /** A whole number from `low` to `high`, both included. */
  whole(low: number, high: number): number;
  /** One of them. */
  pick<T>(from: readonly T[]): T;
  /** All of them in another order. */
  shuffle<T>(items: readonly T[]): T[];
}

/** A generator for one purpose: what one purpose draws never shifts what another draws. (Mulberry32 over an FNV-1a hash of seed and purpose.) */
export function randomOf(seed: number, purpose: string): Random {
  let state = Buffer.from(`${seed}/${purpose}`).reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193), 0x811c9dc5);
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    const a = Math.imul(state ^ (state >>> 15), state | 1);
    const b = (a + Math.imul(a ^ (a >>> 7), a | 61)) ^ a;
    return ((b ^ (b >>> 14)) >>> 0) / 2 ** 32;
  };
  const whole = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1));
  return {
    next,
    whole,
    pick<T>(from: readonly T[]): T {
      const found = from[whole(0, from.length - 1)];
      if (found === undefined) throw new Error('there is nothing to pick from');
      return found;
    },
    shuffle<T>(items: readonly T[]): T[] {
      return items
        .map((item) => [next(), item] as const)
        .sort(([a], [b]) => a - b)
        .map(([, item]) => item);
    },
  };
}
