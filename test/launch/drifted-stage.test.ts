import { afterAll, beforeAll, expect, it } from 'vitest';
import { off } from '../../src/core/exposure.ts';
import { Retryable } from '../../src/core/failure.ts';
import type { FlagProvider } from '../../src/providers/provider.ts';
import { eventsOf } from '../../src/store/events.ts';
import { launchRow } from '../../src/store/launches.ts';
import { resume } from '../../src/store/people.ts';
import { order, stage } from '../support/orders.ts';
import { until } from '../support/until.ts';
import { openWorld, type World } from '../support/world.ts';

let world: World;
/** What happens to a flag's next write, once. */
const before = new Map<string, () => Promise<void>>();
beforeAll(async () => {
  // Each flag is a unit of its own, as at LaunchDarkly and Unleash.
  const wrap = (inner: FlagProvider): FlagProvider => ({
    ...inner,
    unit: (flag) => flag.key,
    async write(changes, signal) {
      for (const { flag } of changes) {
        const happens = before.get(flag.flag);
        before.delete(flag.flag);
        await happens?.();
      }
      return inner.write(changes, signal);
    },
  });
  world = await openWorld({ dress: (house) => ({ ...house, providers: new Map([...house.providers].map(([name, one]) => [name, wrap(one)])) }) });
});
afterAll(() => world.close());

it('holds a stage one of whose flags somebody changed before its write, also where another flag could not be written at first: none is left behind', async () => {
  const { db } = world.house.store;
  const plan = order([stage('one', ['half.a', 'half.b'])], [], { name: 'half' });
  await world.seed(plan);
  // The same exposure at another revision: a change of something that is not ours.
  before.set('half.a', async () => {
    await world.flags.putExposure('half_a', off(true), '*', { by: 'mallory', comment: 'touched' });
  });
  before.set('half.b', () => Promise.reject(new Retryable('the vendor is away')));
  const { id } = await world.start(plan);
  const told = async (kind: string) => (await eventsOf(db, id)).some(({ event }) => event.kind === kind);
  await until('the launch to be held, or to be over', async () => (await told('held')) || (await told('ended')));
  expect((await eventsOf(db, id)).flatMap(({ event }) => (event.kind === 'held' ? [event.cause] : []))).toEqual(['drift']);
  await resume(world.house.store, id, { name: 'Carl', roles: ['releaser'] }, new Date().toISOString(), 'seen');
  await until('the launch to be over', async () => (await launchRow(db, id))?.outcome !== undefined, 30_000);
  expect((await launchRow(db, id))?.outcome).toBe('launched');
  expect((await Promise.all(['half_a', 'half_b'].map((key) => world.flags.get(key)))).map((flag) => flag.exposure.share)).toEqual([100, 100]);
});
