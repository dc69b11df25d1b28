import { afterAll, beforeAll, expect, it } from 'vitest';
import { off } from '../../src/core/exposure.ts';
import { Retryable } from '../../src/core/failure.ts';
import type { FlagProvider } from '../../src/providers/provider.ts';
import { eventsOf } from '../../src/store/events.ts';
import { launchRow } from '../../src/store/launches.ts';
import { resume } from '../../src/store/people.ts';
import { gate, order, stage } from '../support/orders.ts';
import { until } from '../support/until.ts';
import { openWorld, type World } from '../support/world.ts';

let world: World;
/** What happens before each write of a flag. */
const before = new Map<string, () => Promise<void>>();
beforeAll(async () => {
  // Each flag is a unit of its own, as at LaunchDarkly and Unleash.
  const wrap = (inner: FlagProvider): FlagProvider => ({
    ...inner,
    unit: (flag) => flag.key,
    async write(changes, signal) {
      for (const { flag } of changes) await before.get(flag.flag)?.();
      return inner.write(changes, signal);
    },
  });
  world = await openWorld({ dress: (house) => ({ ...house, providers: new Map([...house.providers].map(([name, one]) => [name, wrap(one)])) }) });
});
afterAll(() => world.close());

const share = async (key: string): Promise<number> => (await world.flags.get(key)).exposure.share;
const told = async (id: string, kind: string): Promise<boolean> => (await eventsOf(world.house.store.db, id)).some(({ event }) => event.kind === kind);

it("rolls back on a breach while the stage's second flag cannot be written: users have the first already", async () => {
  world.page.set({ half_errors: 0 });
  const plan = order([stage('one', ['away.a', 'away.b'], { gates: ['half_errors'], bake: 3_600_000 })], [gate('half_errors')], { name: 'away' });
  await world.seed(plan);
  before.set('away.b', () => Promise.reject(new Retryable('the vendor is away')));
  const { id } = await world.start(plan);
  await until('users have the first flag', async () => (await share('away_a')) === 100, 30_000);
  world.page.set({ half_errors: 50 });
  await until('the launch to be over', async () => (await launchRow(world.house.store.db, id))?.outcome !== undefined, 60_000);
  expect((await launchRow(world.house.store.db, id))?.outcome).toBe('rolled-back');
  expect([await share('away_a'), await share('away_b')]).toEqual([0, 0]);
}, 100_000);

it('writes no further flag of a stage once somebody has changed one: the launch is held for a person', async () => {
  const plan = order([stage('one', ['left.a', 'left.b'])], [], { name: 'left' });
  await world.seed(plan);
  let written = 0;
  before.set('left.a', async () => {
    before.delete('left.a');
    await world.flags.putExposure('left_a', off(true), '*', { by: 'mallory', comment: 'touched' });
  });
  before.set('left.b', () => Promise.resolve(void (written += 1)));
  const { id } = await world.start(plan);
  await until('the launch to be held', () => told(id, 'held'), 30_000);
  await until(
    'the shift to have given up',
    async () => (await world.house.store.db.selectFrom('journal').select('phase').where('launch', '=', id).where('phase', '=', 'void').execute()).length > 0,
  );
  expect([written, await share('left_b')]).toEqual([0, 0]);
}, 60_000);

it('holds a stage one of whose flags somebody changed before its write, also where another flag could not be written at first: none is left behind', async () => {
  const { db } = world.house.store;
  const plan = order([stage('one', ['half.a', 'half.b'])], [], { name: 'half' });
  await world.seed(plan);
  // The same exposure at another revision: a change of something that is not ours.
  before.set('half.a', async () => {
    before.delete('half.a');
    await world.flags.putExposure('half_a', off(true), '*', { by: 'mallory', comment: 'touched' });
  });
  before.set('half.b', () => {
    before.delete('half.b');
    return Promise.reject(new Retryable('the vendor is away'));
  });
  const { id } = await world.start(plan);
  await until('the launch to be held, or to be over', async () => (await told(id, 'held')) || (await told(id, 'ended')));
  expect((await eventsOf(db, id)).flatMap(({ event }) => (event.kind === 'held' ? [event.cause] : []))).toEqual(['drift']);
  await resume(world.house.store, id, { name: 'Carl', roles: ['releaser'] }, new Date().toISOString(), 'seen');
  await until('the launch to be over', async () => (await launchRow(db, id))?.outcome !== undefined, 30_000);
  expect((await launchRow(db, id))?.outcome).toBe('launched');
  expect([await share('half_a'), await share('half_b')]).toEqual([100, 100]);
});
