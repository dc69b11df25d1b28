/**
 * What one value says, before `for` and the latch. `good` and `bad` are evidence; `too-few` and `no-data` are none;
 * `undecided` is evidence that does not suffice for a go yet, `alone` evidence that does not and that nothing can be added to,
 * and `mismatch` that the numbers cannot be trusted.
 */
export interface Reading {
  readonly kind: 'good' | 'bad' | 'too-few' | 'no-data' | 'undecided' | 'alone' | 'mismatch';
  readonly why: string;
  /** Of `too-few`: every look adds to it, so that nothing is missing but time. */
  readonly growing?: true;
  /** The number that people are shown, where it is not the value itself. */
  readonly value?: number;
}

/**
 * What a judge made of one more value: its own state, small plain JSON, and what the value says. Every judge that remembers has
 * the same shape, (gate, its state or nothing at first, value) => Read, and is pure.
 */
export interface Read<S> {
  readonly state: S;
  readonly reading: Reading;
}
