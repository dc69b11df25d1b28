import type { Store } from '../store/store.ts';

interface Hands {
  count: number;
  quiet: PromiseWithResolvers<undefined>;
}

const byStore = new WeakMap<Store, Hands>();

/** For how long (ms) an attempt is made room for: one that hangs must not slow the others down. */
const FRESH = 1_000;
/** The longest (ms) that anything waits for hands. */
const PATIENCE = 500;

/** Does a hand's work: while it is fresh, whatever calls `letHandsFirst` in this process waits. */
export async function asHand<T>(store: Store, work: () => Promise<T>): Promise<T> {
  const hands = byStore.get(store) ?? { count: 0, quiet: Promise.withResolvers<undefined>() };
  byStore.set(store, hands);
  if (hands.count === 0) hands.quiet = Promise.withResolvers();
  hands.count += 1;
  let fresh = true;
  const rest = () => {
    clearTimeout(timer);
    if (fresh) hands.count -= 1;
    fresh = false;
    if (hands.count === 0) hands.quiet.resolve(undefined);
  };
  const timer = setTimeout(rest, FRESH);
  try {
    return await work();
  } finally {
    rest();
  }
}

/** Waits half a second at most until no hand is at it in this process: a tick would lock the row that one needs, and when many launches break at once the processor is theirs. */
export async function letHandsFirst(store: Store): Promise<void> {
  const hands = byStore.get(store);
  if (hands === undefined || hands.count === 0) return;
  const patience = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => patience.resolve(undefined), PATIENCE);
  await Promise.race([hands.quiet.promise, patience.promise]);
  clearTimeout(timer);
}
