import type { House } from '../house.ts';
import type { Store } from '../store/store.ts';
import { openRequests } from '../store/watch.ts';

/** How often the requests are read in case an announcement was lost, ms. */
const READ_EVERY = 2_000;

interface Ears {
  readonly by: Map<string, Set<() => void>>;
  timer: NodeJS.Timeout | undefined;
  off: (() => void) | undefined;
}

const byStore = new WeakMap<Store, Ears>();

function ring(ears: Ears, launch: string): void {
  for (const heard of ears.by.get(launch) ?? []) heard();
}

async function read(house: House, ears: Ears): Promise<void> {
  try {
    for (const launch of await openRequests(house.store, [...ears.by.keys()])) ring(ears, launch);
  } catch (error) {
    house.log.warn({ error: String(error) }, 'rollback requests could not be read; listening goes on');
  } finally {
    if (ears.timer !== undefined) ears.timer = setTimeout(() => void read(house, ears), READ_EVERY);
  }
}

/** Calls `heard` whenever this launch has an open rollback request: at once when it is announced, within 2 s when the announcement is lost. One connection and one statement serve the whole process. */
export function hearRequests(house: House, launch: string, heard: () => void): () => void {
  const ears = byStore.get(house.store) ?? { by: new Map<string, Set<() => void>>(), timer: undefined, off: undefined };
  byStore.set(house.store, ears);
  const own = ears.by.get(launch) ?? new Set();
  own.add(heard);
  ears.by.set(launch, own);
  ears.off ??= house.store.listener.on('gonogo_rollback', (id) => {
    if (id !== undefined) ring(ears, id);
    else for (const all of ears.by.keys()) ring(ears, all);
  });
  ears.timer ??= setTimeout(() => void read(house, ears), READ_EVERY);
  return () => {
    own.delete(heard);
    if (own.size === 0) ears.by.delete(launch);
    if (ears.by.size > 0) return;
    clearTimeout(ears.timer);
    ears.timer = undefined;
    ears.off?.();
    ears.off = undefined;
  };
}
