import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everyone, off } from '../../src/core/exposure.ts';
import { Retryable } from '../../src/core/failure.ts';
import { openFlagStore, type FlagStore } from '../../src/flags/store.ts';
import { freshDatabase, type FreshDatabase } from '../support/database.ts';
import { pausingProxy, type PausingProxy } from '../support/pausing-proxy.ts';

describe('a flag store whose database freezes', () => {
  let database: FreshDatabase;
  let proxy: PausingProxy;
  let store: FlagStore;
  beforeAll(async () => {
    database = await freshDatabase();
    const url = new URL(database.url);
    proxy = await pausingProxy(Number(url.port));
    url.port = String(proxy.port);
    store = await openFlagStore(url.href);
    await store.create(
      [
        { key: 'frozen', type: 'boolean' },
        { key: 'other', type: 'boolean' },
      ],
      { by: 'setup' },
    );
    await store.writeMany([{ key: 'frozen', to: everyone(true), expected: '1', change: 'c', by: 'ann', comment: '' }]);
  });
  afterAll(async () => {
    await store.close();
    await proxy.close();
    await database.drop();
  });
  const restore = () =>
    store.restoreMany([
      {
        key: 'frozen',
        snapshot: { revision: '1', exposure: off(true) },
        phase: 'applied',
        written: [everyone(true)],
        revision: '2',
        change: 'r',
        by: 'gonogo',
        comment: '',
      },
    ]);

  it('gives up a restore within its deadline, and puts back as soon as the database answers again', async () => {
    proxy.pause();
    const started = performance.now();
    await expect(restore()).rejects.toBeInstanceOf(Retryable);
    expect(performance.now() - started).toBeLessThan(1_500);
    proxy.resume();
    expect((await restore())[0]?.kind).toBe('restored');
    expect((await store.get('frozen')).exposure.share).toBe(0);
  });

  it('is opened patiently while its database is away, and works once it is back; without patience it is refused', async () => {
    const url = new URL(database.url);
    url.port = String(proxy.port);
    proxy.pause();
    await expect(openFlagStore(url.href)).rejects.toBeInstanceOf(Retryable);
    const early = await openFlagStore(url.href, { patient: true });
    await expect(early.list()).rejects.toBeInstanceOf(Retryable);
    proxy.resume();
    expect(await early.list()).toHaveLength(2);
    await early.close();
  });

  it('stops waiting when told to, and sends nothing once the time is up', async () => {
    const stop = new AbortController();
    const write = store.writeMany([{ key: 'other', to: everyone(true), expected: '1', change: 'd', by: 'ann', comment: '' }], {
      signal: stop.signal,
      stillWanted: () => {
        stop.abort();
        return Promise.resolve();
      },
    });
    await expect(write).rejects.toThrow('before anything was sent');
    expect(await store.history('other')).toHaveLength(1);
  });
});
