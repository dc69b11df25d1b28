import { afterAll, beforeAll, expect, it } from 'vitest';
import { off } from '../../src/core/exposure.ts';
import { Retryable } from '../../src/core/failure.ts';
import type { FlagProvider } from '../../src/providers/provider.ts';
import { eventsOf } from '../../src/store/events.ts';
import { launchRow } from '../../src/store/launches.ts';
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
