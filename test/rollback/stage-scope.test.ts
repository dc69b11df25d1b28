import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everyone, off } from '../../src/core/exposure.ts';
import type { LaunchInput } from '../../workflows/messages.ts';
import { launchRow } from '../../src/store/launches.ts';
import { conclude, hold, resume } from '../../src/store/people.ts';
import { gate, order, stage } from '../support/orders.ts';
import { until } from '../support/until.ts';
import { openWorld, type World } from '../support/world.ts';
import { ended, exposures, heard, openControl, outcomeOf, personAsks, said, silent } from './control.ts';

const HOUR = 3_600_000;
const anna = { name: 'Anna', roles: ['release-engineer'] };
const now = () => new Date().toISOString();
const control = openControl();
let world: World;
beforeAll(async () => {
  world = await openWorld({ dress: control.dress });
});
afterAll(() => world.close());

/** Two stages: the second lists gate `<name>_own`, and goes back alone with a fallback; the first lists `<name>_other`. Seen on. */
async function live(name: string, more: Partial<LaunchInput> = {}) {
  const [own, other] = [`${name}_own`, `${name}_other`];
  world.page.set({ [own]: 0, [other]: 0 });
  const plan = order(
    [
      stage('one', [`${name}.base`], { gates: [other] }),
      stage('two', [`${name}.full`], {
        gates: [own],
        bake: HOUR,
        onRollback: { scope: 'stage', set: [{ flag: `${name}.mode`, to: everyone(true), narrows: false }] },
      }),
    ],
    [gate(own), gate(other)],
    { name },
  );
  await world.seed(plan);
  const { id, handle } = await world.start(plan, more);
  await heard(world, id, 'witnessed', 2);
  return {
    id,
    handle,
    own,
    other,
    flags: () => exposures(world, `${name}_base`, `${name}_full`, `${name}_mode`),
    breach: (which: string) => world.page.set({ [which]: 5 }),
  };
}

const scopes = async (id: string) =>
  (await said(world, id, 'rollback-requested')).map((event) => (event.scope.kind === 'stage' ? event.scope.stage : 'launch'));
const state = async (id: string) => (await launchRow(world.house.store.db, id))?.state;
const [ON, OFF] = [everyone(true), off(true)];

describe('a breach of a gate that the last stage lists', () => {
  it.concurrent(
    'puts only that stage back, turns its fallback on and holds; resume is refused; conclude ends it',
    async () => {
      const { id, own, flags, breach, handle } = await live('alone');
      breach(own);
      await heard(world, id, 'held');
      expect(await flags()).toEqual([ON, OFF, ON]);
      expect(await scopes(id)).toEqual(['two']);
      expect(await state(id)).toBe('held');
      await expect(resume(world.house.store, id, anna, now(), 'go on')).rejects.toMatchObject({ code: 'conclude_only' });
      await conclude(world.house.store, id, anna, now(), 'the fallback will do');
      expect(await handle.result()).toEqual({ outcome: 'rolled-back' });
      expect(await said(world, id, 'ended')).toMatchObject([{ outcome: 'rolled-back', scope: { kind: 'stage', stage: 'two' } }]);
      expect(await flags()).toEqual([ON, OFF, ON]);
      expect(await world.house.store.db.selectFrom('flag_lock').selectAll().where('launch', '=', id).execute()).toEqual([]);
    },
    100_000,
  );

  it.concurrent(
    'is not widened by that same breach while its fallback is not seen yet',
    async () => {
      const { id, own, flags, breach } = await live('patient');
      control.answering.set('patient.mode', silent);
      breach(own);
      await until('the stage to be back', async () => (await flags())[1]?.share === 0);
      // The gate stays bad, and is asked each second.
      await delay(3_500);
      expect(await scopes(id)).toEqual(['two']);
      control.answering.delete('patient.mode');
      await heard(world, id, 'held');
      expect(await flags()).toEqual([ON, OFF, ON]);
    },
    100_000,
  );

  it.concurrent(
    'widens to the launch, pages, and ends, when the stage is not proven within 2 min',
    async () => {
      const { id, own, flags, breach } = await live('unproven');
      control.answering.set('unproven.full', (_question, given) => given.map((one) => ({ kind: 'value', instance: one.instance, value: true })));
      breach(own);
      await heard(world, id, 'rollback-requested');
      await sql`update rollback_request set requested_at = clock_timestamp() - interval '121 s' where launch = ${id}`.execute(world.house.store.db);
      await heard(world, id, 'rollback-requested', 2);
      expect(await scopes(id)).toEqual(['two', 'launch']);
      expect(await said(world, id, 'paged')).toMatchObject([{ about: 'rollback not verified' }]);
      control.answering.delete('unproven.full');
      await ended(world, id, 'rolled-back');
      expect(await flags()).toEqual([OFF, OFF, OFF]);
    },
    100_000,
  );

  it.concurrent(
    'widens when its fallback is not seen within 2 min',
    async () => {
      const { id, own, flags, breach } = await live('dumb');
      control.answering.set('dumb.mode', (_question, given) => given.map((one) => ({ kind: 'value', instance: one.instance, value: false })));
      breach(own);
      await heard(world, id, 'rollback-proven');
      await sql`update rollback_request set requested_at = clock_timestamp() - interval '121 s' where launch = ${id}`.execute(world.house.store.db);
      await heard(world, id, 'rollback-requested', 2);
      await ended(world, id, 'rolled-back');
      expect(await flags()).toEqual([OFF, OFF, OFF]);
    },
    100_000,
  );

  it.concurrent(
    'waits in its fallback again after a relapse within 15 s',
    async () => {
      const { id, own, flags, breach } = await live('again');
      breach(own);
      await heard(world, id, 'held');
      await world.flags.putExposure('again_full', ON, '*', { by: 'mallory' });
      await heard(world, id, 'relapsed');
      expect(await state(id)).toBe('rolling-back');
      await heard(world, id, 'rollback-proven', 2);
      await until('it to be held again', async () => (await state(id)) === 'held');
      expect(await flags()).toEqual([ON, OFF, ON]);
      await conclude(world.house.store, id, anna, now(), 'the fallback will do');
      expect(await outcomeOf(world, id)).toBe('rolled-back');
    },
    100_000,
  );

  it.concurrent(
    'stays as it is when, long after, the fallback is silent and another hand looks',
    async () => {
      const { id, own, flags, breach } = await live('later');
      breach(own);
      await heard(world, id, 'held');
      control.answering.set('later.mode', silent);
      await sql`update rollback_request set requested_at = requested_at - interval '1 h', proven_at = proven_at - interval '1 h' where launch = ${id}`.execute(
        world.house.store.db,
      );
      await sql`select pg_notify('gonogo_rollback', ${id})`.execute(world.house.store.db);
      await delay(1_500);
      expect(await scopes(id)).toEqual(['two']);
      expect(await flags()).toEqual([ON, OFF, ON]);
    },
    100_000,
  );
});

describe('the whole launch goes back', () => {
  it.concurrent(
    'when the gate that breaches belongs to an earlier stage',
    async () => {
      const { id, other, flags, breach } = await live('earlier');
      breach(other);
      await ended(world, id, 'rolled-back');
      expect(await scopes(id)).toEqual(['launch']);
      expect(await flags()).toEqual([OFF, OFF, OFF]);
    },
    100_000,
  );

  it.concurrent(
    'when a person asks, also out of the fallback mode',
    async () => {
      const { id, own, flags, breach } = await live('person');
      breach(own);
      await heard(world, id, 'held');
      await personAsks(world, id);
      await ended(world, id, 'rolled-back');
      expect(await scopes(id)).toEqual(['two', 'launch']);
      expect(await flags()).toEqual([OFF, OFF, OFF]);
    },
    100_000,
  );

  it.concurrent(
    'when a gate is bad after the gates have rested',
    async () => {
      const { id, own, flags, breach } = await live('rested');
      breach(own);
      await heard(world, id, 'held');
      await delay(2_500);
      expect(await scopes(id)).toEqual(['two']);
      const longAgo = JSON.stringify(new Date(Date.now() - 600_000).toISOString());
      await sql`update launch set held = jsonb_set(held, '{at}', ${longAgo}::jsonb) where id = ${id}`.execute(world.house.store.db);
      await heard(world, id, 'rollback-requested', 2);
      expect(await scopes(id)).toEqual(['two', 'launch']);
      await ended(world, id, 'rolled-back');
      expect(await flags()).toEqual([OFF, OFF, OFF]);
    },
    100_000,
  );

  it.concurrent(
    'not, where a held launch breaches a gate of its last stage: a hold changes nothing',
    async () => {
      const { id, own, flags, breach } = await live('onhold');
      await hold(world.house.store, id, 'Anna', now(), 'lunch', 'person');
      breach(own);
      await until('the fallback', async () => (await said(world, id, 'held')).some((event) => event.cause === 'fallback'));
      expect(await flags()).toEqual([ON, OFF, ON]);
    },
    100_000,
  );
});
