import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everyone, off, type Exposure } from '../../src/core/exposure.ts';
import { Drift } from '../../src/core/failure.ts';
import { putBack } from '../../src/rollback/put-back.ts';
import { order, stage } from '../support/orders.ts';
import { until } from '../support/until.ts';
import { openWorld, type World } from '../support/world.ts';
import { changesOf, ended, exposures, gateway, heard, openControl, outcomeOf, personAsks, said } from './control.ts';

const HOUR = 3_600_000;
const share = (percent: number, by = 'key'): Exposure => ({ value: true, share: percent, by, listed: [] });
const listed = (attribute: string, ...values: string[]): Exposure => ({ value: true, share: 0, by: 'key', listed: [{ attribute, values }] });
const control = openControl();
let world: World;
beforeAll(async () => {
  world = await openWorld({ dress: control.dress });
});
afterAll(() => world.close());

/** A launch of one stage that bakes for an hour, its flags seen on. */
async function live(name: string, flags: readonly string[] | Readonly<Record<string, Exposure>>, before: Readonly<Record<string, Exposure>> = {}) {
  const plan = order([stage('one', flags, { bake: HOUR })], [], { name });
  await world.seed(plan);
  for (const [key, exposure] of Object.entries(before)) await world.flags.putExposure(key, exposure, '*', { by: 'somebody' });
  const { id, handle } = await world.start(plan);
  await heard(world, id, 'witnessed');
  return { id, handle };
}

describe('a stop during a write', () => {
  it.concurrent(
    'acts at once while the write takes 6 s, and what lands late is put back',
    async () => {
      const reached = gateway();
      control.writing.set('slow.one', async (changes) => {
        for (const change of changes) await change.stillWanted();
        void reached.pass();
        await delay(6_000);
        // A vendor without guarded writes: it lands whatever has happened meanwhile.
        for (const change of changes) await world.flags.putExposure(change.flag.key, change.to, '*', { by: 'gonogo', change: change.change });
        return changes.map((change) => change.expected);
      });
      const plan = order([stage('one', ['slow.one']), stage('two', ['slow.two'])], [], { name: 'slow' });
      await world.seed(plan);
      const { id, handle } = await world.start(plan);
      await reached.reached;
      const began = performance.now();
      await personAsks(world, id);
      await heard(world, id, 'rollback-proven');
      await until('the launch workflow to ask for its end', async () =>
        (await handle.fetchHistory()).events?.some((event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'outcome'),
      );
      expect(performance.now() - began).toBeLessThan(3_000);
      expect(await exposures(world, 'slow_one')).toEqual([off(true)]);
      await heard(world, id, 'relapsed');
      await heard(world, id, 'rollback-proven', 2);
      expect(await exposures(world, 'slow_one')).toEqual([off(true)]);
      await ended(world, id, 'rolled-back');
      expect(await handle.result()).toEqual({ outcome: 'rolled-back' });
      expect(await world.kinds(id)).not.toContain('shifted');
    },
    100_000,
  );

  it.concurrent(
    'refuses at the fence a forward write that was frozen between its last question and its sending',
    async () => {
      const frozen = gateway();
      let answer: unknown;
      control.writing.set('zombie.one', async (changes, signal, provider) => {
        for (const change of changes) await change.stillWanted();
        await frozen.pass();
        try {
          return await provider.write(
            changes.map((change) => ({ ...change, stillWanted: () => Promise.resolve() })),
            signal,
          );
        } catch (error) {
          answer = error;
          throw error;
        }
      });
      const plan = order([stage('one', ['zombie.one'])], [], { name: 'zombie' });
      await world.seed(plan);
      const { id } = await world.start(plan);
      await frozen.reached;
      await personAsks(world, id);
      await heard(world, id, 'rollback-proven');
      frozen.open();
      await until('the thawed write to be answered', () => answer !== undefined);
      expect(answer).toBeInstanceOf(Drift);
      await ended(world, id, 'rolled-back');
      expect(await changesOf(world, 'zombie_one')).toEqual(['fence']);
      expect(await world.kinds(id)).not.toContain('relapsed');
      // That drift is our own fence: nobody is called for it, and nothing is said after the end.
      expect(await world.kinds(id)).not.toContain('paged');
      expect((await world.kinds(id)).at(-1)).toBe('ended');
    },
    100_000,
  );

  it.concurrent.each([
    ['wider', { value: true, share: 5, by: 'contract', listed: [{ attribute: 'user', values: ['anna'] }] }, everyone(true)],
    ['narrower', everyone(true), listed('user', 'anna')],
  ] as const)(
    'restores exactly what was written, %s, before a crash could mark it',
    async (how, before, to) => {
      const [name, key] = [`crash-${how}`, `crash-${how}_one`];
      const crashed = gateway();
      control.writing.set(`${name}.one`, async (changes, signal, provider) => {
        const written = await provider.write(changes, signal);
        await crashed.pass();
        return written;
      });
      const plan = order([{ ...stage('one', { [`${name}.one`]: to }), set: [{ flag: `${name}.one`, to, narrows: true }] }], [], { name });
      await world.seed(plan);
      await world.flags.putExposure(key, before, '*', { by: 'somebody' });
      const { id } = await world.start(plan);
      await crashed.reached;
      expect(await exposures(world, key)).toEqual([to]);
      const marked = () => world.house.store.db.selectFrom('journal').select(['phase', 'written_revision']).where('launch', '=', id).execute();
      expect(await marked()).toEqual([{ phase: 'intent', written_revision: null }]);
      await personAsks(world, id);
      await heard(world, id, 'rollback-proven');
      expect(await exposures(world, key)).toEqual([before]);
      // The hand that never died marks late: nothing moves any more.
      crashed.open();
      await ended(world, id, 'rolled-back');
      expect(await marked()).toEqual([{ phase: 'proven', written_revision: null }]);
      expect(await changesOf(world, key)).toEqual(['write', 'write', 'restore']);
    },
    100_000,
  );

  it.concurrent(
    'does not take a change made by hand after a crash for its own write',
    async () => {
      let writes = 0;
      control.writing.set('lost.one', async (changes, signal, provider) => {
        const written = await provider.write(changes, signal);
        writes += 1;
        if (writes === 1) {
          await world.flags.putExposure('lost_one', off(true), '*', { by: 'mallory' });
          throw new Error('the worker died before it could mark');
        }
        return written;
      });
      const plan = order([stage('one', { 'lost.one': everyone(true) })], [], { name: 'lost' });
      await world.seed(plan);
      await world.flags.putExposure('lost_one', share(50), '*', { by: 'somebody' });
      const { id } = await world.start(plan);
      await heard(world, id, 'shifted');
      await personAsks(world, id);
      await ended(world, id, 'rolled-back');
      expect(await exposures(world, 'lost_one')).toEqual([off(true)]);
    },
    100_000,
  );
});

describe('a narrow hand', () => {
  /** Stage one, then stage two with a fallback; a narrow hand is stopped right before its restore, and the whole launch is asked for. */
  async function narrowFrozen(
    name: string,
    start: Exposure,
    first: Exposure,
    second: Exposure,
    where: 'before it asks' | 'before it sends' = 'before it asks',
  ) {
    const frozen = gateway();
    const done = Promise.withResolvers<undefined>();
    let narrow = 0;
    control.restoring.set(`${name}.x`, async (entries, signal, provider) => {
      if (!entries.some((entry) => entry.change.includes('/rollback/stage:'))) return provider.restore(entries, signal);
      narrow += 1;
      if (narrow > 1) return provider.restore(entries, signal);
      if (where === 'before it asks') await frozen.pass();
      // Its last question is answered yes, and then it stands still.
      const lastWord = async (asked: Promise<void> | undefined) => {
        await asked;
        await frozen.pass();
      };
      const asking = entries.map((entry) => ({ ...entry, stillWanted: () => lastWord(entry.stillWanted?.()) }));
      return provider.restore(where === 'before it sends' ? asking : entries, signal).finally(() => done.resolve(undefined));
    });
    const plan = order(
      [
        { ...stage('one', { [`${name}.x`]: first }), set: [{ flag: `${name}.x`, to: first, narrows: true }] },
        {
          ...stage('two', { [`${name}.x`]: second }, { bake: HOUR }),
          set: [{ flag: `${name}.x`, to: second, narrows: true }],
          onRollback: { scope: 'stage', set: [{ flag: `${name}.mode`, to: everyone(true), narrows: false }] },
        },
      ],
      [],
      { name },
    );
    await world.seed(plan);
    await world.flags.putExposure(`${name}_x`, start, '*', { by: 'somebody' });
    const { id } = await world.start(plan);
    await heard(world, id, 'witnessed', 2);
    await personAsks(world, id, 'two');
    await frozen.reached;
    await personAsks(world, id);
    await until('the wide proof', async () => (await said(world, id, 'rollback-proven')).some((event) => event.scope.kind === 'launch'));
    expect(await exposures(world, `${name}_x`)).toEqual([start]);
    const count = (await changesOf(world, `${name}_x`)).length;
    frozen.open();
    await done.promise;
    await ended(world, id, 'rolled-back');
    expect(await exposures(world, `${name}_x`)).toEqual([start]);
    expect((await changesOf(world, `${name}_x`)).length).toBe(count);
    expect(await exposures(world, `${name}_mode`)).toEqual([off(true)]);
  }

  it.concurrent(
    'that was frozen before its write widens nothing after the wide one has proven',
    () => narrowFrozen('narrow', off(true), share(25), everyone(true)),
    100_000,
  );
  it.concurrent(
    'widens nothing either where its stage had turned the flag off by itself',
    () => narrowFrozen('narrower', off(true), share(25), off(true)),
    100_000,
  );
  it.concurrent('narrows nothing after the wide one has widened the flag again', () => narrowFrozen('renarrow', share(50), share(25), share(5)), 100_000);
  it.concurrent(
    'narrows nothing either where it was frozen after its last question, right before its sending',
    () => narrowFrozen('lastword', share(50), share(25), share(5), 'before it sends'),
    100_000,
  );
});

describe('a hand of the whole launch', () => {
  it.concurrent(
    'that thaws after the launch has ended leaves alone what the next launch wrote',
    async () => {
      const frozen = gateway();
      const thawed = Promise.withResolvers<unknown>();
      let first = true;
      control.restoring.set('heir.one', async (entries, signal, provider) => {
        if (!first) return provider.restore(entries, signal);
        first = false;
        // It stands still inside the provider, past every deadline that was looked at on the way in.
        const late = async (ask: (() => Promise<void>) | undefined) => {
          await frozen.pass();
          await ask?.();
        };
        const asking = entries.map((entry) => ({ ...entry, stillWanted: () => late(entry.stillWanted) }));
        return provider.restore(asking, signal).finally(() => thawed.resolve(undefined));
      });
      const { id } = await live('heir', ['heir.one']);
      await personAsks(world, id);
      await frozen.reached;
      const began = performance.now();
      await ended(world, id, 'rolled-back');
      const next = await live('heir', ['heir.one']);
      await until('the hand to be too old for a launch that ends 15 s after its proof', () => performance.now() - began > 5_500);
      frozen.open();
      await thawed.promise;
      expect(await exposures(world, 'heir_one')).toEqual([everyone(true)]);
      await personAsks(world, next.id);
      await ended(world, next.id, 'rolled-back');
    },
    100_000,
  );
});

describe('a change made by hand in between', () => {
  it.concurrent(
    'is narrowed back where it is wider than before the launch',
    async () => {
      const { id } = await live('wider', { 'wider.one': share(25) });
      await world.flags.putExposure('wider_one', share(80), '*', { by: 'mallory' });
      await personAsks(world, id);
      await ended(world, id, 'rolled-back');
      expect(await exposures(world, 'wider_one')).toEqual([off(true)]);
    },
    100_000,
  );

  it.concurrent(
    'stays where it is narrower, and the launch ends rolled back',
    async () => {
      const { id } = await live('kept', ['kept.one'], { kept_one: share(50) });
      await world.flags.putExposure('kept_one', off(true), '*', { by: 'mallory' });
      await personAsks(world, id);
      await ended(world, id, 'rolled-back');
      expect(await exposures(world, 'kept_one')).toEqual([off(true)]);
      expect(await said(world, id, 'restored')).toMatchObject([{ flags: [{ flag: 'kept.one', outcome: 'kept' }] }]);
    },
    100_000,
  );

  it.concurrent(
    'stays where it cannot be compared: paged, and unproven until a person has put it back',
    async () => {
      const { id } = await live('foreign', ['foreign.one', 'foreign.two'], { foreign_one: share(50) });
      await world.flags.putExposure('foreign_one', share(30, 'contract'), '*', { by: 'mallory' });
      await personAsks(world, id);
      await heard(world, id, 'paged');
      const [paged] = await said(world, id, 'paged');
      expect(paged?.text).toContain('mallory');
      expect(paged?.commands).toHaveLength(1);
      expect(await exposures(world, 'foreign_one', 'foreign_two')).toEqual([share(30, 'contract'), off(true)]);
      expect(await world.kinds(id)).not.toContain('rollback-proven');
      await world.flags.putExposure('foreign_one', share(50), '*', { by: 'Anna' });
      await ended(world, id, 'rolled-back');
      expect(await exposures(world, 'foreign_one')).toEqual([share(50)]);
    },
    100_000,
  );
});

describe('a rollback', () => {
  it.concurrent(
    'that relapses within 15 s of its proof is rolling back again, and proven again',
    async () => {
      const { id } = await live('relapse', ['relapse.one']);
      await personAsks(world, id);
      await heard(world, id, 'rollback-proven');
      await world.flags.putExposure('relapse_one', everyone(true), '*', { by: 'mallory' });
      await heard(world, id, 'relapsed');
      await heard(world, id, 'rollback-proven', 2);
      expect(await exposures(world, 'relapse_one')).toEqual([off(true)]);
      expect(await outcomeOf(world, id)).toBeUndefined();
      await ended(world, id, 'rolled-back');
    },
    100_000,
  );

  it.concurrent(
    'has one effect, whoever asks: two hands at once and a thousand requests',
    async () => {
      const { id } = await live('crowd', ['crowd.one', 'crowd.two', 'crowd.three']);
      const ask = async (): Promise<string> => {
        try {
          return (await personAsks(world, id)).status;
        } catch {
          return 'busy';
        }
      };
      const hands = ['left', 'right'].map((hand) => async () => {
        await heard(world, id, 'rollback-requested');
        return putBack({ ...world.house, hand }, id);
      });
      const [answers] = await Promise.all([Promise.all(Array.from({ length: 1_000 }, ask)), ...hands.map((hand) => hand())]);
      expect(answers.filter((answer) => answer === 'requested')).toHaveLength(1);
      expect(answers.filter((answer) => answer === 'covered').length).toBeGreaterThan(0);
      await ended(world, id, 'rolled-back');
      for (const key of ['crowd_one', 'crowd_two', 'crowd_three']) expect(await changesOf(world, key)).toEqual(['write', 'restore']);
      const kinds = await world.kinds(id);
      for (const kind of ['rollback-requested', 'restored', 'rollback-proven', 'ended']) expect(kinds.filter((one) => one === kind)).toHaveLength(1);
    },
    100_000,
  );

  it.concurrent(
    'pages after 2 min with the commands of what is not proven, is stuck after 5, and is rolled back once proven',
    async () => {
      const { id } = await live('late', ['late.one', 'late.two']);
      let asked = 0;
      control.answering.set('late.one', (_question, given) => {
        asked += 1;
        return given.map((one) => ({ kind: 'value', instance: one.instance, value: true }));
      });
      const undo = await world.house.store.db
        .selectFrom('journal')
        .select('undo')
        .where('launch', '=', id)
        .where('flag', '=', 'late.one')
        .executeTakeFirstOrThrow();
      const back = (seconds: number) =>
        sql`update rollback_request set requested_at = clock_timestamp() - make_interval(secs => ${seconds}) where launch = ${id}`.execute(
          world.house.store.db,
        );
      await personAsks(world, id);
      await heard(world, id, 'restored');
      await back(119);
      expect(await world.kinds(id)).not.toContain('paged');
      await back(125);
      await heard(world, id, 'paged');
      const [page] = await said(world, id, 'paged');
      expect(page).toMatchObject({ about: 'rollback not verified', commands: [undo.undo] });
      expect(await outcomeOf(world, id)).toBeUndefined();
      await back(305);
      await heard(world, id, 'stuck');
      expect(await outcomeOf(world, id)).toBe('stuck');
      const then = asked;
      await until('it to go on trying', () => asked > then + 3);
      expect((await world.kinds(id)).filter((kind) => kind === 'paged')).toHaveLength(1);
      control.answering.delete('late.one');
      await ended(world, id, 'rolled-back');
      expect((await world.kinds(id)).slice(-4)).toEqual(['paged', 'stuck', 'rollback-proven', 'ended']);
    },
    100_000,
  );

  it.concurrent(
    'shows that it is at work each second while it waits for its proof',
    async () => {
      const { id } = await live('alive', ['alive.one']);
      control.answering.set('alive.one', (_question, given) => given.map((one) => ({ kind: 'value', instance: one.instance, value: true })));
      await personAsks(world, id);
      await heard(world, id, 'restored');
      for (let look = 0; look < 3; look += 1) {
        await delay(1_500);
        const { rows } = await sql<{
          old: number;
        }>`select extract(epoch from clock_timestamp() - progress_at)::float as old from rollback_request where launch = ${id}`.execute(world.house.store.db);
        expect(rows[0]?.old).toBeLessThan(3);
      }
      control.answering.delete('alive.one');
      await ended(world, id, 'rolled-back');
    },
    100_000,
  );

  it.concurrent(
    'is tried, paged and stuck also when the flag drifts under every attempt',
    async () => {
      const { id } = await live('drifting', ['drifting.one', 'drifting.two']);
      control.restoring.set('drifting.one', () => Promise.reject(new Drift('drifting.one', 'somebody writes it all the time')));
      await personAsks(world, id);
      await delay(300);
      await sql`update rollback_request set requested_at = clock_timestamp() - interval '301 s' where launch = ${id}`.execute(world.house.store.db);
      await heard(world, id, 'stuck');
      control.restoring.delete('drifting.one');
      await ended(world, id, 'rolled-back');
    },
    100_000,
  );
});
