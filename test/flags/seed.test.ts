import { afterAll, beforeAll, expect, test } from 'vitest';
import { everyone } from '../../src/core/exposure.ts';
import { loadRegistry } from '../../src/flags/registry.ts';
import { seedFlags } from '../../src/flags/seed.ts';
import { openFlagStore, type FlagStore } from '../../src/flags/store.ts';
import { freshDatabase, type FreshDatabase } from '../support/database.ts';

const REGISTRY = `
a.on: { title: A, owner: team, type: boolean, lives: { dev: builtin, stage: builtin }, default: { dev: true, stage: false }, purpose: p, effect: e, exposed: true }
b.mode: { title: B, owner: team, type: { oneOf: [full, sse-only] }, lives: { stage: builtin }, default: { stage: full }, purpose: p, effect: e }
c.away: { title: C, owner: team, type: boolean, lives: { stage: elsewhere }, default: { stage: false }, purpose: p, effect: e }
d.dev: { title: D, owner: team, type: boolean, lives: { dev: builtin }, default: { dev: true }, purpose: p, effect: e }
`;

let database: FreshDatabase;
let store: FlagStore;
beforeAll(async () => {
  database = await freshDatabase();
  store = await openFlagStore(database.url);
});
afterAll(async () => {
  await store.close();
  await database.drop();
});

test('makes what the registry has in this environment and this store, as it is there, and leaves what exists alone', async () => {
  const loaded = loadRegistry(REGISTRY);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const seed = (environment: string) => seedFlags(store, loaded.registry, environment, (provider) => provider === 'builtin', 'test');
  expect(await seed('stage')).toEqual(['a.on', 'b.mode']);
  const made = await store.list();
  expect(made.map(({ key, exposure, offValue, exposed, owner }) => ({ key, share: exposure.share, offValue, exposed, owner }))).toEqual([
    { key: 'a.on', share: 0, offValue: false, exposed: true, owner: 'team' },
    { key: 'b.mode', share: 0, offValue: 'full', exposed: false, owner: 'team' },
  ]);
  await store.putExposure('a.on', everyone(true), '*', { by: 'someone' });
  expect(await Promise.all([seed('stage'), seed('dev'), seed('dev')])).toEqual(expect.arrayContaining([[], ['d.dev']]));
  expect((await store.get('a.on')).exposure.share).toBe(100);
  expect((await store.get('d.dev')).exposure.share).toBe(100);
});
