import { NativeConnection } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { everyone, off } from '../../src/core/exposure.ts';
import type { House } from '../../src/house.ts';
import { eventsOf } from '../../src/store/events.ts';
import { launchRow } from '../../src/store/launches.ts';
import type { Owed } from '../../src/watch/watch.ts';
import { runWatch, type WatchEnd } from '../../src/watch/watcher.ts';
import { runWorkers } from '../../src/worker.ts';
import { gate, order, stage } from '../support/orders.ts';
import { until } from '../support/until.ts';
import { openWorld, type World } from '../support/world.ts';

let world: World;
let native: NativeConnection;
beforeAll(async () => {
  world = await openWorld({ worker: false });
  native = await NativeConnection.connect({ address: inject('temporalAddress') });
});
afterAll(async () => {
  await world.close();
  await native.close();
});

const exposure = async (key: string) => (await world.flags.get(key)).exposure;
const row = (id: string) => launchRow(world.house.store.db, id);
const requested = async (id: string) => (await eventsOf(world.house.store.db, id)).flatMap(({ event }) => (event.kind === 'rollback-requested' ? [event] : []));

/** A launch that bakes for an hour, and that nobody watches any more. */
async function unwatched(name: string) {
  const errors = `${name}_errors`;
  world.page.set({ [errors]: 0 });
  const plan = order([stage('one', [`${name}.a`], { bake: 3_600_000, gates: [errors] })], [gate(errors)], { name });
  await world.seed(plan);
  const workers = await runWorkers(world.house, native, { namespace: 'default', prefix: world.prefix });
  try {
    const { id } = await world.start(plan);
    await until('the change to be seen', async () => (await world.kinds(id)).includes('witnessed'), 60_000);
    return { id, errors, key: `${name}_a` };
  } finally {
    await workers.stop();
  }
}

/** A hand that loses and finds its database as the test says. */
function handWithDatabase(name: string): { readonly house: House; away: boolean } {
  const { store } = world.house;
  const hand = { away: false, house: { ...world.house, hand: name } };
  hand.house = {
    ...hand.house,
    store: {
      ...store,
      urgent: (...call: Parameters<typeof store.urgent>) => (hand.away ? Promise.reject(new Error('the database is away')) : store.urgent(...call)),
      together: (call: Parameters<typeof store.together>[0]) => (hand.away ? Promise.reject(new Error('the database is away')) : store.together(call)),
    },
  };
  return hand;
}

describe('a rollback that could not be written down', () => {
  it('is written by the watcher that owes it although a newer one rules, with the clock of the first bad sample', async () => {
    const { id, errors, key } = await unwatched('superseded');
    const quit = new AbortController();
    const first = handWithDatabase('first');
    const before = await row(id);
    let end: WatchEnd | undefined;
    const owed: (readonly Owed[])[] = [];
    const watching = runWatch(first.house, id, { signal: quit.signal, beat: (now) => owed.push(now) }).then((why) => (end = why));
    // Two ticks: from the second on it remembers the journal.
    const ticks = async () => (await row(id))?.watcherTick?.getTime() ?? 0;
    await until('the first to rule', async () => ((await row(id))?.watcherEpoch ?? 0) > (before?.watcherEpoch ?? 0));
    for (let n = 0; n < 3; n += 1) {
      const last = await ticks();
      await until('a tick', async () => (await ticks()) > last);
    }
    expect(await exposure(key)).toEqual(everyone(true));
    first.away = true;
    const from = Date.now();
    world.page.set({ [errors]: 5 });
    await until('the flag to be put back from memory', async () => (await exposure(key)).share === 0);
    const to = Date.now();
    await until('several looks more, each of them bad', () => owed.filter((now) => now.length > 0).length >= 3);
    expect(owed.at(-1)).toHaveLength(1);
    world.page.set({ [errors]: 0 });
    const second = runWatch({ ...world.house, hand: 'second' }, id, { signal: quit.signal, beat: () => undefined });
    await until('the second to rule', async () => ((await row(id))?.watcherEpoch ?? 0) > (before?.watcherEpoch ?? 0) + 1);
    expect(await requested(id)).toEqual([]);
    first.away = false;
    await watching;
    expect(end).toBe('superseded');
    const [event, ...others] = await requested(id);
    expect(others).toEqual([]);
    const since = event?.cause.kind === 'gate' ? event.cause.firstBadAt : 0;
    expect(since).toBeGreaterThanOrEqual(from);
    expect(since).toBeLessThanOrEqual(to);
    expect(await second).toBe('over');
    expect((await row(id))?.outcome).toBe('rolled-back');
    expect(await exposure(key)).toEqual(off(true));
    quit.abort();
  }, 120_000);
});
