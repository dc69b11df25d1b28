import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everyone } from '../../src/core/exposure.ts';
import { brokenLink } from '../../src/store/chain.ts';
import { eventsOf } from '../../src/store/events.ts';
import { launchRow } from '../../src/store/launches.ts';
import { sign, tickItem } from '../../src/store/people.ts';
import { requestRollback } from '../../src/store/request.ts';
import { gate, order, stage } from '../support/orders.ts';
import { until } from '../support/until.ts';
import { openWorld, type World } from '../support/world.ts';

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const outcome = async (id: string) => (await launchRow(world.house.store.db, id))?.outcome;
const at = () => new Date().toISOString();

describe('a launch', () => {
  it('goes stage by stage to launched: ticked, signed, shifted, seen, baked, watched', async () => {
    world.page.set({ errors: 0 });
    const plan = order(
      [
        stage('one', ['a.one'], {
          gates: ['errors'],
          signOff: [
            { role: 'qa', count: 1 },
            { role: 'release-engineer', count: 1 },
          ],
          checklist: [{ id: 'tested', text: 'tested', evidence: 'link' }],
        }),
        stage('two', { 'a.two': { value: true, share: 25, by: 'contract', listed: [] } }),
      ],
      [gate('errors')],
    );
    await world.seed(plan);
    const { id, handle } = await world.start(plan);
    const { store } = world.house;
    await until('clearance', async () => (await world.kinds(id)).includes('stage-opened'));
    await tickItem(store, { launch: id, item: 'tested', done: true, evidence: 'https://ci.example/1', person: { name: 'Anna', roles: ['qa'] }, at: at() });
    await sign(store, { launch: id, stage: 'one', role: 'qa', decision: 'go', person: { name: 'Anna', roles: ['qa'] }, at: at() });
    await sign(store, { launch: id, stage: 'one', role: 'release-engineer', decision: 'go', person: { name: 'Boris', roles: ['release-engineer'] }, at: at() });
    expect(await handle.result()).toEqual({ outcome: 'launched' });
    expect(await world.kinds(id)).toEqual([
      'opened',
      'stage-opened',
      'ticked',
      'signed',
      'signed',
      'cleared',
      'remembered',
      'shifted',
      ...expectAny(['gate', 'witnessed'], (await world.kinds(id)).slice(8, 10)),
      'baked',
      'stage-opened',
      'cleared',
      'remembered',
      'shifted',
      'witnessed',
      'baked',
      'watching',
      'watched',
      'ended',
    ]);
    expect((await world.flags.get('a_one')).exposure).toEqual(everyone(true));
    const events = await eventsOf(store.db, id);
    const rows = await store.db.selectFrom('event').select(['seq', 'body']).where('launch', '=', id).orderBy('seq').execute();
    expect(
      brokenLink(events.map((one, index) => ({ seq: one.seq, recordedAt: one.recordedAt, body: rows[index]?.body ?? '', hash: one.hash }))),
    ).toBeUndefined();
    expect(await store.db.selectFrom('flag_lock').selectAll().where('launch', '=', id).execute()).toEqual([]);
  });

  it('puts every flag back, proven, when a gate breaches in its second stage', async () => {
    world.page.set({ errors: 0 });
    const plan = order([stage('one', ['b.one'], { gates: ['errors'] }), stage('two', ['b.two', 'b.three'], { bake: 3_600_000 })], [gate('errors')]);
    await world.seed(plan);
    const { id, handle } = await world.start(plan);
    await until('stage two live', async () => (await world.kinds(id)).filter((kind) => kind === 'witnessed').length === 2);
    world.page.set({ errors: 5 });
    await until('flags off', async () =>
      (await Promise.all(['b_one', 'b_two', 'b_three'].map((key) => world.flags.get(key)))).every((flag) => flag.exposure.share === 0),
    );
    expect(await handle.result()).toEqual({ outcome: 'rolled-back' });
    const events = await eventsOf(world.house.store.db, id);
    const proven = events.find((logged) => logged.event.kind === 'rollback-proven')?.event;
    expect(proven).toMatchObject({ scope: { kind: 'launch' } });
    expect(proven?.kind === 'rollback-proven' ? proven.seconds : Infinity).toBeLessThan(5);
  }, 60_000);

  it('ends aborted when it is stopped before any flag moved', async () => {
    const plan = order([stage('one', ['c.one'], { signOff: [{ role: 'qa', count: 1 }] })]);
    await world.seed(plan);
    const { id, handle } = await world.start(plan);
    await requestRollback(world.house.store, id, { kind: 'launch' }, { kind: 'person', reason: 'not today' }, 'Anna', Date.now());
    await until('the end', async () => (await outcome(id)) === 'aborted');
    expect(await handle.result()).toEqual({ outcome: 'aborted' });
  });
});

/** Two events whose order is the world's to choose. */
function expectAny(kinds: readonly string[], found: readonly string[]): readonly string[] {
  return [...found].sort().join() === [...kinds].sort().join() ? found : kinds;
}
