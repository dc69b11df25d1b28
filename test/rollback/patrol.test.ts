import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everyone, off } from '../../src/core/exposure.ts';
import { fold } from '../../src/core/fold.ts';
import { eventsOf } from '../../src/store/events.ts';
import { conclude } from '../../src/store/people.ts';
import { workflowId } from '../../workflows/messages.ts';
import { order, stage } from '../support/orders.ts';
import { until } from '../support/until.ts';
import { openWorld, type World } from '../support/world.ts';
import { openHands } from '../workflows/hands.ts';
import { ended, exposures, gateway, heard, openControl, outcomeOf, personAsks, said } from './control.ts';
import { dressed, freezeWrite } from './unfenced.ts';

const HOUR = 3_600_000;
const [ON, OFF] = [everyone(true), off(true)];

const locks = (world: World, id: string) => world.house.store.db.selectFrom('flag_lock').selectAll().where('launch', '=', id).execute();
const folded = async (world: World, id: string) => fold(await eventsOf(world.house.store.db, id));

describe('where a provider cannot fence, a hand that was frozen before its write', () => {
  const control = openControl();
  let world: World;
  beforeAll(async () => {
    world = await openWorld({ dress: dressed(() => world, control) });
  });
  afterAll(() => world.close());

  it.concurrent(
    'and thaws after the rollback has ended: the patrol puts it back, proves it again and pages, the flag still locked',
    async () => {
      const frozen = freezeWrite(control, 'thaw.one');
      const plan = order([stage('one', ['thaw.one', 'thaw.two'])], [], { name: 'thaw' });
      await world.seed(plan);
      const { id } = await world.start(plan);
      await frozen.reached;
      await personAsks(world, id);
      await heard(world, id, 'rollback-proven');
      await ended(world, id, 'rolled-back');
      expect((await locks(world, id)).map((lock) => lock.kept_until !== null)).toEqual([true, true]);
      await expect(world.start(plan)).rejects.toThrow();
      frozen.open();
      const thawed = performance.now();
      await until('the late write to land', async () => (await exposures(world, 'thaw_one'))[0]?.share === 100);
      await heard(world, id, 'relapsed');
      await until('it to be put back', async () => (await exposures(world, 'thaw_one'))[0]?.share === 0);
      console.log(`put back ${Math.round(performance.now() - thawed)} ms after the late write`);
      await heard(world, id, 'rollback-proven', 2);
      expect(await said(world, id, 'relapsed')).toMatchObject([{ flags: ['thaw.one', 'thaw.two'], patrol: true }]);
      const [page] = await said(world, id, 'paged');
      expect(page).toMatchObject({ about: 'patrol' });
      expect(page?.text).toContain('thaw.one by gonogo');
      expect(page?.commands).toHaveLength(2);
      await ended(world, id, 'rolled-back');
      expect((await world.kinds(id)).filter((kind) => kind === 'ended')).toHaveLength(2);
      expect(await exposures(world, 'thaw_one', 'thaw_two')).toEqual([OFF, OFF]);
      expect(await folded(world, id)).toMatchObject({ state: 'rolled-back', outcome: 'rolled-back', rollbacks: [{ relapses: 1 }] });
      expect((await locks(world, id)).map((lock) => lock.kept_until !== null)).toEqual([true, true]);
    },
    100_000,
  );

  it.concurrent(
    'whose write was tried again meanwhile is no less in doubt',
    async () => {
      const [frozen, retried] = [gateway(), gateway()];
      let tries = 0;
      control.writing.set('twice.one', async (changes, signal, provider) => {
        tries += 1;
        const write = () =>
          provider.write(
            changes.map((change) => ({ ...change, stillWanted: () => Promise.resolve() })),
            signal,
          );
        if (tries > 1) {
          void retried.pass();
          return provider.write(changes, signal);
        }
        // Its connection breaks for the one who asked; what was sent is still on its way.
        void frozen.pass().then(write, () => undefined);
        const error = new Error('the deadline is over');
        error.name = 'TimeoutError';
        throw error;
      });
      const plan = order([stage('one', ['twice.one'], { bake: HOUR })], [], { name: 'twice' });
      await world.seed(plan);
      const { id } = await world.start(plan);
      await retried.reached;
      await heard(world, id, 'witnessed');
      await personAsks(world, id);
      await ended(world, id, 'rolled-back');
      frozen.open();
      await heard(world, id, 'relapsed');
      await heard(world, id, 'rollback-proven', 2);
      expect(await exposures(world, 'twice_one')).toEqual([OFF]);
    },
    100_000,
  );

  it.concurrent(
    'is caught as well while a stage alone is rolled back and the launch waits in its fallback',
    async () => {
      let tries = 0;
      const frozen = gateway();
      control.writing.set('alone.two', async (changes, signal, provider) => {
        tries += 1;
        if (tries > 1) return provider.write(changes, signal);
        void frozen.pass().then(
          () =>
            provider.write(
              changes.map((change) => ({ ...change, stillWanted: () => Promise.resolve() })),
              signal,
            ),
          () => undefined,
        );
        const error = new Error('the deadline is over');
        error.name = 'TimeoutError';
        throw error;
      });
      const fallback = { scope: 'stage', set: [{ flag: 'alone.mode', to: ON, narrows: false }] } as const;
      const plan = order([stage('one', ['alone.one']), stage('two', ['alone.two'], { bake: HOUR, onRollback: fallback })], [], { name: 'alone' });
      await world.seed(plan);
      const { id } = await world.start(plan);
      await heard(world, id, 'witnessed', 2);
      await personAsks(world, id, 'two');
      await heard(world, id, 'held');
      frozen.open();
      await heard(world, id, 'relapsed');
      await heard(world, id, 'held', 2);
      expect(await exposures(world, 'alone_one', 'alone_two', 'alone_mode')).toEqual([ON, OFF, ON]);
      await conclude(world.house.store, id, { name: 'Anna', roles: ['release-engineer'] }, new Date().toISOString(), 'the fallback will do');
      expect((await locks(world, id)).every((lock) => lock.kept_until !== null)).toBe(true);
    },
    100_000,
  );

  it.concurrent(
    'is no doubt where every write was answered: the rollback workflow ends with the rollback, and the locks are free',
    async () => {
      const plan = order([stage('one', ['sure.one'], { bake: HOUR })], [], { name: 'sure' });
      await world.seed(plan);
      const { id } = await world.start(plan);
      await heard(world, id, 'witnessed');
      await personAsks(world, id);
      await ended(world, id, 'rolled-back');
      await world.client.workflow.getHandle(workflowId.rollback(id)).result();
      expect(await locks(world, id)).toEqual([]);
      const counted = await world.house.store.db.selectFrom('journal').select(['sends', 'answers']).where('launch', '=', id).execute();
      expect(counted).toEqual([{ sends: 1, answers: 1 }]);
    },
    100_000,
  );
});

describe('the patrol', () => {
  it('walks on where its worker died and another one came', async () => {
    const control = openControl();
    const world: World = await openWorld({ dress: dressed(() => world, control), worker: false });
    const hands = await openHands(world);
    try {
      const frozen = freezeWrite(control, 'crash.one');
      const plan = order([stage('one', ['crash.one'])], [], { name: 'crash' });
      await world.seed(plan);
      await Promise.all([hands.workflows(), hands.journey(), hands.watching()]);
      const first = await hands.restoring();
      const { id } = await world.start(plan);
      await frozen.reached;
      await personAsks(world, id);
      await ended(world, id, 'rolled-back');
      const run = world.client.workflow.getHandle(workflowId.rollback(id));
      await until('the patrol to set out', async () => (await run.fetchHistory()).events?.some((event) => event.timerStartedEventAttributes !== undefined));
      await first.stop();
      frozen.open();
      await until('the late write to land', async () => (await exposures(world, 'crash_one'))[0]?.share === 100);
      expect(await outcomeOf(world, id)).toBe('rolled-back');
      await hands.restoring();
      await heard(world, id, 'rollback-proven', 2);
      expect(await exposures(world, 'crash_one')).toEqual([OFF]);
    } finally {
      await hands.close();
      await world.close();
    }
  }, 100_000);

  it('does not walk where the provider fences: nothing is counted, kept or looked at after the end', async () => {
    const control = openControl();
    const world = await openWorld({ dress: control.dress });
    try {
      const frozen = freezeWrite(control, 'fenced.one');
      const plan = order([stage('one', ['fenced.one'])], [], { name: 'fenced' });
      await world.seed(plan);
      const { id } = await world.start(plan);
      await frozen.reached;
      await personAsks(world, id);
      await ended(world, id, 'rolled-back');
      await world.client.workflow.getHandle(workflowId.rollback(id)).result();
      expect(await locks(world, id)).toEqual([]);
      expect(await world.house.store.db.selectFrom('journal').select('sends').where('launch', '=', id).execute()).toEqual([{ sends: 0 }]);
      frozen.open();
    } finally {
      await world.close();
    }
  }, 100_000);
});
