import net from 'node:net';
import { openFlagCache, type FlagCache } from '../../src/flags/cache.ts';
import type { Exposure } from '../../src/core/exposure.ts';
import type { FlagRef } from '../../src/core/plan.ts';
import { openFlagStore, type FlagStore } from '../../src/flags/store.ts';
import { flagRef } from '../flags/support.ts';
import { freshDatabase } from '../support/database.ts';

/** A flag store with a cache over it, on a database of its own. */
export interface StoreUnderTest {
  readonly url: string;
  readonly store: FlagStore;
  readonly cache: FlagCache;
  newFlag(type?: FlagRef['type']): Promise<FlagRef>;
  /** Writes, and returns when the cache shows it. */
  set(flag: FlagRef, to: Exposure): Promise<void>;
  close(): Promise<void>;
}

/** Opens a store and a cache on a fresh database. */
export async function storeUnderTest(): Promise<StoreUnderTest> {
  const database = await freshDatabase();
  const store = await openFlagStore(database.url);
  const cache = await openFlagCache(database.url, store);
  let made = 0;
  async function shown(key: string, revision: string): Promise<void> {
    const current = (): boolean => cache.view().flags.get(key)?.revision === revision;
    if (current()) return;
    await new Promise<void>((resolve) => {
      const stop = cache.onChange(() => {
        if (!current()) return;
        stop();
        resolve();
      });
    });
  }
  return {
    url: database.url,
    store,
    cache,
    async newFlag(type = 'boolean') {
      const [flag] = await store.create([{ key: `asked.flag_${(made += 1)}`, type }], { by: 'setup' });
      if (flag === undefined) throw new Error('no flag was made');
      await shown(flag.key, flag.revision);
      return flagRef(flag.key, type);
    },
    async set(flag, to) {
      const { key, revision } = await store.putExposure(flag.key, to, '*', { by: 'setup' });
      await shown(key, revision);
    },
    async close() {
      await cache.close();
      await store.close();
      await database.drop();
    },
  };
}

/** A port that accepts connections and never answers. */
export async function hangingServer(): Promise<{ readonly url: string; close(): Promise<void> }> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the hanging server has no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
