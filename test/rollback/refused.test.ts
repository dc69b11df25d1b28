import { afterAll, beforeAll, expect, it } from 'vitest';
import { everyone, off } from '../../src/core/exposure.ts';
import { Terminal } from '../../src/core/failure.ts';
import { order, stage } from '../support/orders.ts';
import { until } from '../support/until.ts';
import { openWorld, type World } from '../support/world.ts';
import { ended, exposures, heard, openControl, personAsks, said } from './control.ts';

const control = openControl();
let world: World;
beforeAll(async () => {
  world = await openWorld({ dress: control.dress });
});
afterAll(() => world.close());

it('a rollback that the provider refuses pages at once with the commands, goes on, and is proven soon after a person has mended it', async () => {
  const plan = order([stage('one', ['no.a', 'no.b'], { bake: 3_600_000 })], [], { name: 'no' });
  await world.seed(plan);
  const { id } = await world.start(plan);
  await heard(world, id, 'witnessed', 1);
  let [tries, mended] = [0, false];
  control.restoring.set('no.a', (entries, signal, provider) => {
    tries += 1;
    return mended ? provider.restore(entries, signal) : Promise.reject(new Terminal('unauthorized', 'builtin answered 401: the token was taken back'));
  });
  const asked = performance.now();
  await personAsks(world, id);
  await heard(world, id, 'paged');
  // The page of a rollback that is unproven comes after two minutes; this one does not wait for it.
  expect(performance.now() - asked).toBeLessThan(60_000);
  const [page] = await said(world, id, 'paged');
  expect(page?.about).toBe('refused');
  expect(page?.text).toContain('builtin answered 401: the token was taken back');
  expect(page?.commands).toContainEqual(expect.stringContaining('no_a'));
  await until('it is tried again and again', () => tries >= 5);
  expect((await said(world, id, 'paged')).filter(({ about }) => about === 'refused')).toHaveLength(1);
  expect(await exposures(world, 'no_a')).toEqual([everyone(true)]);
  mended = true;
  const from = performance.now();
  await until('the flag is off', async () => (await exposures(world, 'no_a', 'no_b')).every(({ share }) => share === 0));
  expect(performance.now() - from).toBeLessThan(20_000);
  await ended(world, id, 'rolled-back');
  expect(await exposures(world, 'no_a', 'no_b')).toEqual([off(true), off(true)]);
}, 120_000);
