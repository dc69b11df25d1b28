import { afterAll, beforeAll, expect, it } from 'vitest';
import type { LaunchEvent } from '../../src/core/event.ts';
import { eventsOf } from '../../src/store/events.ts';
import { launchRow } from '../../src/store/launches.ts';
import { holdUndecided, resume } from '../../src/store/people.ts';
import { heard } from '../rollback/control.ts';
import { gate, order, stage } from '../support/orders.ts';
import { until } from '../support/until.ts';
import { openWorld, type World } from '../support/world.ts';

const MINUTE = 60_000;
const ANNA = { name: 'Anna', roles: ['qa'] };
let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const holdsOf = async (id: string): Promise<readonly (LaunchEvent & { readonly kind: 'held' })[]> =>
  (await eventsOf(world.house.store.db, id)).flatMap(({ event }) => (event.kind === 'held' ? [event] : []));
const looks = async (id: string): Promise<number> => {
  const row = await world.house.store.db.selectFrom('gate_state').select('cursor_at').where('launch', '=', id).executeTakeFirst();
  return Number(row?.cursor_at ?? 0);
};

it('a stage that is undecided past its bake bakes on to its maxBake, waits for a person, and passes when the evidence comes and not before', async () => {
  const { db } = world.house.store;
  world.page.set({ few_errors: 0, few_samples: 3 });
  const plan = order(
    [stage('one', ['few.a'], { bake: 1_000, maxBake: 4_000, gates: ['few_errors'] }), stage('two', ['few.b'])],
    [gate('few_errors', { samples: 'few_samples', minSamples: 10 })],
    { name: 'few' },
  );
  await world.seed(plan);
  const { id, handle } = await world.start(plan);
  await heard(world, id, 'held');
  const row = await launchRow(db, id);
  expect(row?.state).toBe('held');
  const [held] = await holdsOf(id);
  expect(held).toMatchObject({ cause: 'gate', by: 'gonogo' });
  expect(held?.reason).toMatch(
    /^one is undecided, 0s of 1s earned in \d+s: few_errors drawn from 3 of at least 10 samples; resume to let it bake on \(you are asked again after 10m\)/,
  );
  const shifted = (await eventsOf(db, id)).find(({ event }) => event.kind === 'shifted')?.event.at ?? '';
  expect(Date.parse(held?.at ?? '') - Date.parse(shifted)).toBeGreaterThanOrEqual(4_000);

  const at = new Date(await world.house.clock.now());
  await resume(world.house.store, id, ANNA, at.toISOString(), 'let it bake on');
  const from = await looks(id);
  await until('five more looks', async () => (await looks(id)) >= from + 5_000, 60_000);
  // Not asked again so soon, by this watcher or one that takes over; and no time makes a go of it.
  const again = (later: number) => holdUndecided(world.house.store, id, 'one', new Date(at.getTime() + later).toISOString(), 'still undecided', 10 * MINUTE);
  expect(await again(10 * MINUTE - 1)).toBeUndefined();
  expect(await holdsOf(id)).toHaveLength(1);
  expect(await world.kinds(id)).not.toContain('baked');
  expect(await again(10 * MINUTE)).toMatchObject({ fresh: true });
  expect(await again(20 * MINUTE)).toBeUndefined();
  expect((await holdsOf(id)).map(({ reason }) => reason.slice(0, 15))).toEqual(['one is undecide', 'still undecided']);

  await resume(world.house.store, id, ANNA, new Date(await world.house.clock.now()).toISOString(), 'there is traffic now');
  world.page.set({ few_samples: 50 });
  expect(await handle.result()).toEqual({ outcome: 'launched' });
  expect(await world.kinds(id)).toContain('baked');
}, 120_000);
