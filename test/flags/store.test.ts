import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everyone, normalize, off, type Exposure } from '../../src/core/exposure.ts';
import { openFlagCache, logFlagStates } from '../../src/flags/cache.ts';
import { migrateFlagStore } from '../../src/flags/migrate.ts';
import { openFlagStore, type FlagStore } from '../../src/flags/store.ts';
import { freshDatabase, type FreshDatabase } from '../support/database.ts';
import { exposures } from './arbitrary.ts';
import { keepLog } from './support.ts';

let database: FreshDatabase;
let store: FlagStore;
const log = keepLog();
beforeAll(async () => {
  database = await freshDatabase();
  store = await openFlagStore(database.url, { log });
});
afterAll(async () => {
  await store.close();
  await database.drop();
});

let made = 0;
async function newFlag(exposure?: Exposure): Promise<string> {
  const key = `store.flag_${(made += 1)}`;
  await store.create([{ key, type: 'boolean', ...(exposure === undefined ? {} : { exposure }) }], { by: 'setup' });
  return key;
}
const share = (percent: number): Exposure => ({ value: true, share: percent, by: 'key', listed: [] });
const write = (key: string, to: Exposure, expected: string, change: string) => ({ key, to, expected, change, by: 'ann', comment: 'why' });

async function session<Result>(work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

describe('the schema', () => {
  it('is made once by eight processes that start together, and again without harm', async () => {
    const empty = await freshDatabase();
    try {
      await Promise.all(Array.from({ length: 8 }, () => migrateFlagStore(empty.url)));
      await migrateFlagStore(empty.url);
      const opened = await openFlagStore(empty.url, { migrate: false });
      expect(await opened.list()).toEqual([]);
      expect(await opened.permissions()).toEqual([]);
      await opened.close();
    } finally {
      await empty.drop();
    }
  });

  it('is left alone where a newer gonogo made it', async () => {
    const empty = await freshDatabase();
    try {
      await migrateFlagStore(empty.url);
      const client = new pg.Client({ connectionString: empty.url });
      await client.connect();
      await client.query('update flag_schema set version = 99; drop function flag_segment_put(text, jsonb, text)');
      await migrateFlagStore(empty.url);
      const { rows } = await client.query<{ there: boolean }>(`select to_regproc('flag_segment_put') is not null as there`);
      await client.end();
      expect(rows).toEqual([{ there: false }]);
    } finally {
      await empty.drop();
    }
  });
});

describe('making a flag', () => {
  const long = 'k'.repeat(201);
  it.each<[string, Parameters<FlagStore['create']>[0][number], string]>([
    ['a key of 201 characters', { key: long, type: 'boolean' }, 'has 201 characters; at most 200 are allowed'],
    ['a key with a space', { key: 'chat enabled', type: 'boolean' }, 'flag key "chat enabled" may hold only'],
    ['an empty key', { key: '', type: 'boolean' }, 'may hold only'],
    ['an allowed value of 201 characters', { key: 'v', type: { oneOf: ['a', 'v'.repeat(201)] } }, 'has 201 characters; at most 200 are allowed'],
    [
      'a listed value of 201 characters',
      { key: 'v', type: 'boolean', exposure: { value: true, share: 0, by: 'key', listed: [{ attribute: 'key', values: [long] }] } },
      'has 201 characters; at most 200 are allowed',
    ],
    ['a value with a NUL', { key: 'v', type: { oneOf: ['a', 'b\0'] } }, 'holds a control character'],
    ['half a character', { key: 'v', type: { oneOf: ['a', '\ud800'] } }, 'holds half a character'],
    ['a share of 101', { key: 'v', type: 'boolean', exposure: share(101) }, 'exposure.share is 101; expected a percentage from 0 to 100'],
    ['a share of NaN', { key: 'v', type: 'boolean', exposure: share(NaN) }, 'exposure.share is NaN'],
    ['a value that is not allowed', { key: 'v', type: { oneOf: ['a', 'b'] }, exposure: everyone('c') }, 'exposure.value is "c"; expected one of "a", "b"'],
    ['one allowed value', { key: 'v', type: { oneOf: ['a'] } }, 'type.oneOf has 1 values; expected 2 to 100'],
    ['a share drawn by segment', { key: 'v', type: 'boolean', exposure: { ...share(5), by: 'segment' } }, 'drawn by an attribute with one value'],
  ])('refuses %s, and makes nothing', async (_, flag, message) => {
    await expect(store.create([{ key: 'innocent', type: 'boolean' }, flag], { by: 'ann' })).rejects.toMatchObject({
      code: 'flag-invalid',
      message: expect.stringContaining(message) as string,
    });
    await expect(store.get('innocent')).rejects.toMatchObject({ code: 'flag-missing' });
  });

  it('keeps a key and a value of exactly 200 characters whole', async () => {
    const key = 'k'.repeat(200);
    const value = 'v'.repeat(200);
    await store.create([{ key, type: { oneOf: ['a', value] }, exposure: everyone(value) }], { by: 'ann' });
    expect((await store.get(key)).exposure.value).toBe(value);
  });

  it('refuses one that exists, and leaves it as it was', async () => {
    const key = await newFlag(everyone(true));
    await expect(store.create([{ key, type: 'boolean' }], { by: 'eve' })).rejects.toMatchObject({ code: 'flag-exists' });
    expect((await store.get(key)).exposure.share).toBe(100);
  });

  it('is made once by ten who make it at once', async () => {
    const results = await Promise.allSettled(Array.from({ length: 10 }, (_, i) => store.create([{ key: 'raced', type: 'boolean' }], { by: `p${i}` })));
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    expect(await store.history('raced')).toHaveLength(1);
  });
});

describe('writing', () => {
  it('keeps who, when, old, new, revisions and why of every change', async () => {
    const key = await newFlag();
    await store.putExposure(key, share(5), '1', { by: 'ann', comment: 'five percent', change: 'c-1' });
    const before = log.lines.length;
    await store.putExposure(key, everyone(true), '2', { by: 'bob' });
    expect(log.lines.slice(before)).toMatchObject([{ message: 'flag written', fields: { flag: key, by: 'bob', old: share(5), new: everyone(true) } }]);
    const [second, first, creation] = await store.history(key);
    expect(first).toMatchObject({
      kind: 'write',
      who: 'ann',
      comment: 'five percent',
      changeId: 'c-1',
      old: off(true),
      new: share(5),
      oldRevision: '1',
      newRevision: '2',
    });
    expect(second).toMatchObject({ kind: 'write', who: 'bob', old: share(5), new: everyone(true), oldRevision: '2', newRevision: '3' });
    expect(creation).toMatchObject({ kind: 'create', who: 'setup', old: undefined, newRevision: '1' });
    expect(Math.abs(Date.now() - Date.parse(second?.at ?? ''))).toBeLessThan(60_000);
    expect(await store.history(key, { limit: 1, before: second?.seq ?? '' })).toEqual([first]);
  });

  it('names who wrote when the revision has moved', async () => {
    const key = await newFlag();
    await store.putExposure(key, share(5), '1', { by: 'mallory', change: 'theirs' });
    await expect(store.putExposure(key, everyone(true), '1', { by: 'ann' })).rejects.toThrow(
      /is at revision 2; expected 1\. mallory wrote it at .* \(change theirs\); nothing was written/,
    );
  });

  it('lets exactly one of twenty writers through who saw the same revision', async () => {
    const key = await newFlag();
    const results = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => store.writeMany([write(key, share(i + 1), '1', `w-${i}`)])));
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    expect(await store.history(key)).toHaveLength(2);
  });

  it('writes all or none, also when two overlap and when they come in opposite orders', async () => {
    const [a, b, c] = [await newFlag(), await newFlag(), await newFlag()];
    const results = await Promise.allSettled([
      store.writeMany([write(a, everyone(true), '1', 'one'), write(b, everyone(true), '1', 'one')]),
      store.writeMany([write(c, share(7), '1', 'two'), write(b, share(7), '1', 'two'), write(a, share(7), '1', 'two')]),
    ]);
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    const [x, y] = [await store.get(a), await store.get(b)];
    expect([x.revision, y.revision, x.exposure]).toEqual(['2', '2', y.exposure]);
  });

  it('knows its own change again after somebody else wrote, and does not write it a second time', async () => {
    const key = await newFlag();
    const ours = write(key, everyone(true), '1', 'ours-1');
    await store.writeMany([ours]);
    await store.putExposure(key, off(true), '2', { by: 'mallory' });
    expect(await store.writeMany([ours])).toMatchObject([{ revision: '3', exposure: { share: 0 }, updatedBy: 'mallory' }]);
    expect(await store.history(key)).toHaveLength(3);
  });

  it('tells listeners once per call, after the commit, with every key', async () => {
    const [a, b] = [await newFlag(), await newFlag()];
    await session(async (client) => {
      const heard: string[] = [];
      const both = Promise.withResolvers<string>();
      client.on('notification', (message) => {
        heard.push(message.payload ?? '');
        both.resolve('heard');
      });
      await client.query('listen gonogo_flag');
      await store.writeMany([write(a, everyone(true), '1', 'n'), write(b, everyone(true), '1', 'n')]);
      await both.promise;
      await store.get(a);
      await client.query('select 1');
      expect(heard.map((payload) => payload.split(',').sort())).toEqual([[a, b].sort()]);
    });
  });
});

describe('putting back', () => {
  const entry = (key: string, revision: string, exposure: Exposure) => ({
    key,
    snapshot: { revision, exposure },
    phase: 'applied' as const,
    by: 'gonogo',
    comment: 'rollback',
    change: `r-${key}`,
  });

  it('writes random snapshots back exactly, character for character', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(exposures(true), exposures(true)), { minLength: 1, maxLength: 4 }), fc.boolean(), async (pairs, known) => {
        const keys = await Promise.all(pairs.map(([snapshot]) => newFlag(snapshot)));
        const written = await store.writeMany(keys.map((key, i) => write(key, pairs[i]?.[1] ?? off(true), '1', 'shift')));
        const outcomes = await store.restoreMany(
          keys.map((key, i) => ({
            ...entry(key, '1', pairs[i]?.[0] ?? off(true)),
            written: [pairs[i]?.[1] ?? off(true)],
            ...(known ? { revision: written[i]?.revision } : {}),
          })),
        );
        expect(outcomes.map((outcome) => outcome.kind)).toEqual(keys.map(() => 'restored'));
        const after = await Promise.all(keys.map((key) => store.get(key)));
        after.forEach((flag, i) => expect(normalize(flag.exposure)).toEqual(normalize(pairs[i]?.[0] ?? off(true))));
        outcomes.forEach((outcome, i) => {
          if (outcome.kind === 'restored' && outcome.wrote) expect(after[i]?.exposure).toEqual(pairs[i]?.[0]);
        });
      }),
      { numRuns: 40 },
    );
  });

  it('gives a fence a line of its own in the change log', async () => {
    const key = await newFlag(share(5));
    await store.restoreMany([{ ...entry(key, '1', share(5)), phase: 'intent', written: [everyone(true)] }]);
    expect((await store.history(key))[0]).toMatchObject({ kind: 'fence', old: share(5), new: share(5), oldRevision: '1', newRevision: '2', who: 'gonogo' });
  });

  it('puts the others back at once when somebody holds one row in an open transaction, and says which one failed', async () => {
    const keys = [await newFlag(), await newFlag(), await newFlag()];
    await store.writeMany(keys.map((key) => write(key, everyone(true), '1', 'held')));
    await session(async (client) => {
      await client.query('begin');
      await client.query('select 1 from flag where key = $1 for update', [keys[1]]);
      const outcomes = store.restoreMany(keys.map((key) => ({ ...entry(key, '1', off(true)), written: [everyone(true)], revision: '2' })));
      await expect
        .poll(async () => (await Promise.all(keys.map((key) => store.get(key)))).map((flag) => flag.revision), { interval: 5, timeout: 400 })
        .toEqual(['3', '2', '3']);
      expect((await outcomes).map((outcome) => outcome.kind)).toEqual(['restored', 'failed', 'restored']);
      await client.query('rollback');
    });
    const again = await store.restoreMany(keys.map((key) => ({ ...entry(key, '1', off(true)), written: [everyone(true)], revision: '2' })));
    expect(again.map((outcome) => outcome.kind === 'restored' && outcome.wrote)).toEqual([false, true, false]);
  });

  it('decides anew when a person writes in between, and touches the others once', async () => {
    const [mine, theirs] = [await newFlag(), await newFlag(share(50))];
    await store.writeMany([write(mine, everyone(true), '1', 'x'), write(theirs, everyone(true), '1', 'x')]);
    await store.putExposure(theirs, share(10), '2', { by: 'mallory' });
    const outcomes = await store.restoreMany([
      { ...entry(mine, '1', off(true)), written: [everyone(true)], revision: '2' },
      { ...entry(theirs, '1', share(50)), written: [everyone(true)], revision: '2' },
    ]);
    expect(outcomes).toMatchObject([
      { kind: 'restored', wrote: true, flag: { revision: '3' } },
      { kind: 'kept', flag: { updatedBy: 'mallory', revision: '3' } },
    ]);
    expect(await store.history(mine)).toHaveLength(3);
  });

  it('has connections of its own: it works while every everyday connection waits for a lock', async () => {
    const [stuck, ours] = [await newFlag(), await newFlag()];
    await store.writeMany([write(ours, everyone(true), '1', 'p')]);
    await session(async (client) => {
      await client.query('begin');
      await client.query('select 1 from flag where key = $1 for update', [stuck]);
      const waiting = Promise.allSettled(Array.from({ length: 8 }, (_, i) => store.writeMany([write(stuck, everyone(true), '1', `q-${i}`)])));
      const started = performance.now();
      const [outcome] = await store.restoreMany([{ ...entry(ours, '1', off(true)), written: [everyone(true)], revision: '2' }]);
      expect(outcome?.kind).toBe('restored');
      expect(performance.now() - started).toBeLessThan(500);
      await client.query('rollback');
      await waiting;
    });
  });

  it('is ended by a hundred hands at once with one write', async () => {
    const key = await newFlag();
    await store.writeMany([write(key, everyone(true), '1', 'z')]);
    const outcomes = (
      await Promise.all(Array.from({ length: 100 }, () => store.restoreMany([{ ...entry(key, '1', off(true)), written: [everyone(true)], revision: '2' }])))
    ).flat();
    expect(outcomes.filter((outcome) => outcome.kind === 'restored' && outcome.wrote)).toHaveLength(1);
    expect(outcomes.every((outcome) => outcome.kind === 'restored')).toBe(true);
    expect(await store.history(key)).toHaveLength(3);
  });
});

describe('the cache', () => {
  it('shows a write, a new flag and a new segment without waiting for its next look', async () => {
    const key = await newFlag();
    const cache = await openFlagCache(database.url, store, { every: 60_000 });
    try {
      await store.putExposure(key, everyone(true), '1', { by: 'ann' });
      await expect.poll(() => cache.view().flags.get(key)?.revision, { interval: 5, timeout: 2_000 }).toBe('2');
      const fresh = await newFlag();
      await expect.poll(() => cache.view().flags.has(fresh), { interval: 5, timeout: 2_000 }).toBe(true);
      await store.putSegment('internal', [{ attribute: 'key', values: ['ann'] }], 'ann');
      await expect.poll(() => cache.view().segments.get('internal'), { interval: 5, timeout: 2_000 }).toEqual([{ attribute: 'key', values: ['ann'] }]);
    } finally {
      await cache.close();
    }
  });

  it('finds a write whose notification was lost at its next look', async () => {
    const key = await newFlag();
    const cache = await openFlagCache(database.url, store, { every: 50 });
    try {
      await session((client) =>
        client.query(`update flag set exposure = jsonb_set(exposure, '{share}', '100'), revision = revision + 1 where key = $1`, [key]),
      );
      await expect.poll(() => cache.view().flags.get(key)?.exposure.share, { interval: 5, timeout: 2_000 }).toBe(100);
    } finally {
      await cache.close();
    }
  });

  it('keeps what users got while its connections are cut, says so once, and catches up', async () => {
    const key = await newFlag();
    const heard = keepLog();
    const cache = await openFlagCache(database.url, store, { every: 50, log: heard });
    try {
      await session((client) =>
        client.query(`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'gonogo flags-listen'`),
      );
      expect(cache.view().flags.has(key)).toBe(true);
      await store.putExposure(key, everyone(true), '1', { by: 'ann' });
      await expect.poll(() => cache.view().flags.get(key)?.revision, { interval: 5, timeout: 3_000 }).toBe('2');
      const told = cache.view().readAt;
      await expect.poll(() => cache.view().readAt, { interval: 5, timeout: 3_000 }).toBeGreaterThan(told);
    } finally {
      await cache.close();
    }
  });

  it('logs the state of every flag at start-up', async () => {
    const key = await newFlag(share(5));
    const cache = await openFlagCache(database.url, store);
    await cache.close();
    const heard = keepLog();
    logFlagStates(cache.view(), heard);
    expect(heard.lines).toHaveLength((await store.list()).length);
    expect(heard.lines.find((line) => line.fields['flag'] === key)?.fields).toMatchObject({ state: 'share', share: 5, revision: '1' });
  });
});
