import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import { NativeConnection } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { everyone, off } from '../../src/core/exposure.ts';
import type { House } from '../../src/house.ts';
import { sign } from '../../src/store/people.ts';
import { watchTick } from '../../src/store/watch.ts';
import { launchRow } from '../../src/store/launches.ts';
import { runWatch, type WatchEnd } from '../../src/watch/watcher.ts';
import { runWorkers } from '../../src/worker.ts';
import { lookAtWitnesses } from '../../src/watch/patrol.ts';
import { ended, exposures, heard, openControl, outcomeOf, personAsks, said, silent } from '../rollback/control.ts';
import { gate, order, stage } from '../support/orders.ts';
import { until } from '../support/until.ts';
import { openWorld, type World } from '../support/world.ts';
import { openPast, type Past } from './past.ts';

const HOUR = 3_600_000;
const control = openControl();
let world: World;
let past: Past;
let workers: { readonly stop: () => Promise<void> } | undefined;
let native: NativeConnection;

async function startWorkers(): Promise<void> {
  workers = await runWorkers(world.house, native, { namespace: 'default', prefix: world.prefix });
}
async function killWorkers(): Promise<void> {
  await workers?.stop();
  workers = undefined;
}

beforeAll(async () => {
  past = await openPast();
  native = await NativeConnection.connect({ address: inject('temporalAddress') });
  world = await openWorld({ dress: control.dress, worker: false, sources: { prometheus: past.source } });
  await startWorkers();
});
afterAll(async () => {
  await killWorkers();
  await world.close();
  await native.close();
  await past.close();
});

const now = () => new Date().toISOString();
const state = async (id: string) => (await launchRow(world.house.store.db, id))?.state;
const gateState = (id: string) => world.house.store.db.selectFrom('gate_state').selectAll().where('launch', '=', id).executeTakeFirst();

/** A launch of one stage that bakes for an hour under one gate. */
async function live(name: string, source: 'app' | 'prometheus' = 'app', flags: readonly string[] = [`${name}.a`]) {
  const errors = `${name}_errors`;
  world.page.set({ [errors]: 0 });
  const plan = order([stage('one', flags, { bake: HOUR, gates: [errors] })], [gate(errors, { source })], { name });
  await world.seed(plan);
  const { id, handle } = await world.start(plan);
  await heard(world, id, 'witnessed');
  await until('a first good look', async () => (await gateState(id))?.passes, 60_000);
  return { id, handle, errors, key: `${name}_a` };
}

describe('of two watchers', () => {
  it("only the newest counts: the older one's writes are refused and its loop ends, and there is one rollback", async () => {
    const { id, errors, key } = await live('two');
    const quit = new AbortController();
    const ends: Record<string, WatchEnd> = {};
    const watch = (hand: string) => {
      const house: House = { ...world.house, hand };
      return runWatch(house, id, { signal: quit.signal, beat: () => undefined }).then((end) => (ends[hand] = end));
    };
    const first = watch('first');
    await until('the first to rule', async () => ((await launchRow(world.house.store.db, id))?.watcherEpoch ?? 0) >= 2);
    const before = (await launchRow(world.house.store.db, id))?.watcherEpoch ?? 0;
    const second = watch('second');
    await first;
    expect(ends).toEqual({ first: 'superseded' });
    // What an older one writes late changes nothing.
    const standing = await gateState(id);
    const tick = { gate: errors, armedAt: 1, state: {}, cursor: 1, every: 1_000, measured: true, passes: false, pending: true };
    expect(
      await watchTick(world.house.store, id, before, { gates: [tick], measurements: [], bake: { stage: 'one', earned: 9e9, cursor: 9e12, bakedAt: 1 } }),
    ).toEqual({ superseded: true });
    expect((await gateState(id))?.armed_at).toBe(standing?.armed_at);
    expect((await gateState(id))?.pending).toBe(false);
    world.page.set({ [errors]: 5 });
    await heard(world, id, 'rollback-requested');
    await ended(world, id, 'rolled-back');
    expect(await exposures(world, key)).toEqual([off(true)]);
    // Whoever asks may put back, an older watcher in its last look too: one effect.
    expect(await said(world, id, 'restored')).toHaveLength(1);
    await second;
    expect(ends).toEqual({ first: 'superseded', second: 'over' });
    quit.abort();
  }, 100_000);
});

describe('after a gap without any watcher', () => {
  it('a breach that came and went is found where the source remembers, and rolls back', async () => {
    const { id, errors, key } = await live('gone', 'prometheus');
    await killWorkers();
    const from = Date.now();
    await delay(2_000);
    past.was(errors, 5, from + 500, Date.now());
    await delay(1_500);
    expect(await outcomeOf(world, id)).toBeUndefined();
    await startWorkers();
    await heard(world, id, 'rollback-requested');
    await ended(world, id, 'rolled-back');
    expect(await exposures(world, key)).toEqual([off(true)]);
    const [requested] = await said(world, id, 'rollback-requested');
    expect(requested?.cause).toMatchObject({ kind: 'gate', gate: errors });
  }, 100_000);

  it('the time earns no bake where the source does not remember, and is no lack of data', async () => {
    const { id, errors } = await live('blind', 'app');
    const earned = async () => {
      const row = await world.house.store.db
        .selectFrom('stage_state')
        .select(['earned', 'bake_cursor'])
        .where('launch', '=', id)
        .where('stage', '=', 'one')
        .executeTakeFirstOrThrow();
      return { earned: Number(row.earned), cursor: Number(row.bake_cursor) };
    };
    await until('some bake', async () => (await earned()).earned > 1_000, 60_000);
    await killWorkers();
    const before = await earned();
    await delay(8_000);
    await startWorkers();
    await until('the clock to go on', async () => (await earned()).cursor > before.cursor + 8_000, 60_000);
    const after = await earned();
    // The newest measurement counts for 2 s at most: of the gap of 8 s, 6 are lost.
    expect(after.cursor - before.cursor - (after.earned - before.earned)).toBeGreaterThan(5_000);
    expect((await gateState(id))?.state).not.toHaveProperty('blind');
    expect(await said(world, id, 'paged')).toEqual([]);
    world.page.set({ [errors]: 5 });
    await ended(world, id, 'rolled-back');
  }, 100_000);

  it('a no-go opens again by itself at its time, its signatures cleared', async () => {
    const anna = { name: 'Anna', roles: ['qa', 'release-engineer'] };
    const boris = { name: 'Boris', roles: ['release-engineer'] };
    const plan = order(
      [
        stage('one', ['recheck.a'], {
          signOff: [
            { role: 'qa', count: 1 },
            { role: 'release-engineer', count: 1 },
          ],
        }),
      ],
      [],
      { name: 'recheck' },
    );
    await world.seed(plan);
    const { id } = await world.start(plan);
    await heard(world, id, 'stage-opened');
    const { store } = world.house;
    await sign(store, { launch: id, stage: 'one', role: 'release-engineer', decision: 'go', person: boris, at: now() });
    await sign(store, {
      launch: id,
      stage: 'one',
      role: 'qa',
      decision: 'no-go',
      reason: 'bug 7',
      recheckAt: new Date(Date.now() + 2_500).toISOString(),
      bugs: ['7'],
      person: anna,
      at: now(),
    });
    expect(await state(id)).toBe('no-go');
    await killWorkers();
    await delay(3_000);
    expect(await state(id)).toBe('no-go');
    await startWorkers();
    await heard(world, id, 'reopened');
    expect(await state(id)).toBe('waiting');
    await delay(1_000);
    // Boris' old go does not count any more.
    await sign(store, { launch: id, stage: 'one', role: 'qa', decision: 'go', person: anna, at: now() });
    await delay(1_500);
    expect(await exposures(world, 'recheck_a')).toEqual([off(true)]);
    await sign(store, { launch: id, stage: 'one', role: 'release-engineer', decision: 'go', person: boris, at: now() });
    await until('the launch to end', async () => (await outcomeOf(world, id)) === 'launched', 60_000);
  }, 100_000);
});

describe('while its evaluators', () => {
  /** A launch whose evaluator says something else from its first write on; the 2 min are over in the database. */
  async function shifting(name: string, flags: readonly string[]) {
    const plan = order([stage('one', flags, { bake: HOUR })], [], { name });
    await world.seed(plan);
    const { id } = await world.start(plan);
    await heard(world, id, 'shifted');
    const applied = () => sql`update journal set applied_at = applied_at - interval '121 s' where launch = ${id}`.execute(world.house.store.db);
    return { id, applied };
  }
  const written = new Set<string>();
  /** Answers so only once the flag is written. */
  const onceWritten = (key: string, reply: typeof control.answering extends Map<string, infer R> ? R : never) => {
    control.writing.set(key, (changes, signal, provider) => {
      for (const change of changes) written.add(change.flag.flag);
      return provider.write(changes, signal);
    });
    control.answering.set(key, (question, given) => (written.has(key) ? reply(question, given) : given));
  };

  it.concurrent(
    'are silent after a shift, it waits, holds after 2 min and pages once; then goes on',
    async () => {
      let n = 0;
      onceWritten('away.a', (question) => [{ kind: 'silent', instance: 'away', detail: `${question.flag.flag} refused (${(n += 1)})` }]);
      const { id, applied } = await shifting('away', ['away.a']);
      await delay(1_500);
      expect(await world.kinds(id)).not.toContain('held');
      await applied();
      await heard(world, id, 'held');
      await heard(world, id, 'paged');
      expect(await said(world, id, 'held')).toMatchObject([{ cause: 'witness' }]);
      await delay(3_000);
      expect(await said(world, id, 'paged')).toHaveLength(1);
      expect(await exposures(world, 'away_a')).toEqual([everyone(true)]);
      control.answering.delete('away.a');
      await heard(world, id, 'witnessed');
      await personAsks(world, id);
      await ended(world, id, 'rolled-back');
    },
    100_000,
  );

  it.concurrent(
    'answer the old value after a shift, it rolls back after 2 min',
    async () => {
      onceWritten('old.a', (_question, given) => given.map((one) => ({ kind: 'value', instance: one.instance, value: false })));
      const { id, applied } = await shifting('old', ['old.a']);
      await applied();
      await heard(world, id, 'rollback-requested');
      expect(await said(world, id, 'rollback-requested')).toMatchObject([{ cause: { kind: 'witness', flag: 'old.a' } }]);
      await ended(world, id, 'rolled-back');
      expect(await exposures(world, 'old_a')).toEqual([off(true)]);
    },
    100_000,
  );

  it.concurrent(
    'are partly silent and partly old, the bad news wins: it rolls back',
    async () => {
      onceWritten('mixed.a', silent);
      onceWritten('mixed.b', () => [
        { kind: 'value', instance: 'pod-1', value: false },
        { kind: 'silent', instance: 'pod-2', detail: 'away' },
      ]);
      const { id, applied } = await shifting('mixed', ['mixed.a', 'mixed.b']);
      await applied();
      await heard(world, id, 'rollback-requested');
      expect(await said(world, id, 'rollback-requested')).toMatchObject([{ cause: { kind: 'witness', flag: 'mixed.b' } }]);
      control.answering.delete('mixed.a');
      control.answering.delete('mixed.b');
      await ended(world, id, 'rolled-back');
    },
    100_000,
  );
});

describe('a witness', () => {
  /** A launch whose flag goes to three listed users and a segment. */
  async function listed(name: string) {
    await world.flags.putSegment(`${name}-team`, [{ attribute: 'user', values: ['zoe'] }], 'setup');
    const to = { value: true, share: 0, by: 'key', listed: [{ attribute: 'user', values: ['anna', 'boris', 'carla'] }] };
    const plan = order([stage('one', { [`${name}.a`]: to }, { bake: HOUR })], [], { name });
    await world.seed(plan);
    const { id } = await world.start(plan);
    await heard(world, id, 'witnessed');
    const witnesses = async () => {
      const row = await world.house.store.db.selectFrom('journal').select('witnesses').where('launch', '=', id).executeTakeFirstOrThrow();
      return (row.witnesses ?? []).map((subject) => subject.attributes['user'] ?? subject.key).sort();
    };
    return { id, witnesses, key: `${name}_a` };
  }
  const gone =
    (...users: readonly string[]): Parameters<typeof control.answering.set>[1] =>
    (question, given) =>
      users.includes(question.subject.attributes['user'] ?? '') ? given.map((one) => ({ kind: 'gone', instance: one.instance, detail: '404' })) : given;

  it.concurrent(
    'that is deleted is replaced by others who show the change',
    async () => {
      const { id, witnesses } = await listed('deleted');
      expect(await witnesses()).toEqual(['anna', 'boris', 'carla']);
      control.answering.set('deleted.a', gone('anna', 'boris'));
      await lookAtWitnesses(world.house, id);
      expect(await witnesses()).toEqual(['carla']);
      await personAsks(world, id);
      await ended(world, id, 'rolled-back');
    },
    100_000,
  );

  it.concurrent(
    'is not replaced because its evaluator is silent for a moment',
    async () => {
      const { id, witnesses } = await listed('dumb');
      control.answering.set('dumb.a', silent);
      await lookAtWitnesses(world.house, id);
      expect(await witnesses()).toEqual(['anna', 'boris', 'carla']);
      expect(await state(id)).toBe('baking');
      control.answering.delete('dumb.a');
      await personAsks(world, id);
      await ended(world, id, 'rolled-back');
    },
    100_000,
  );

  it.concurrent(
    'of whom none is left holds the launch and pages',
    async () => {
      const { id } = await listed('none');
      control.answering.set('none.a', gone('anna', 'boris', 'carla'));
      await lookAtWitnesses(world.house, id);
      expect(await said(world, id, 'held')).toMatchObject([{ cause: 'witness' }]);
      expect(await said(world, id, 'paged')).toHaveLength(1);
      await personAsks(world, id);
      await ended(world, id, 'rolled-back');
    },
    100_000,
  );

  it.concurrent(
    'that no list names any more, since the list was edited, is replaced, or holds and pages',
    async () => {
      const { id, witnesses, key } = await listed('edited');
      await world.flags.putExposure(key, { value: true, share: 0, by: 'key', listed: [{ attribute: 'user', values: ['carla'] }] }, '*', { by: 'mallory' });
      await lookAtWitnesses(world.house, id);
      expect(await witnesses()).toEqual(['carla']);
      await world.flags.putExposure(key, { value: true, share: 0, by: 'key', listed: [{ attribute: 'user', values: ['zoe'] }] }, '*', { by: 'mallory' });
      await lookAtWitnesses(world.house, id);
      expect(await said(world, id, 'held')).toMatchObject([{ cause: 'witness' }]);
      await personAsks(world, id);
      await ended(world, id, 'rolled-back');
      expect(await exposures(world, key)).toEqual([off(true)]);
    },
    100_000,
  );

  it.concurrent(
    'that is deleted during a rollback does not keep it unproven: whoever else was drawn tells',
    async () => {
      const { id } = await listed('during');
      await world.house.store.db
        .updateTable('journal')
        .set({ witnesses: JSON.stringify([{ key: 'gonogo-user-anna', attributes: { user: 'anna' } }]) })
        .where('launch', '=', id)
        .execute();
      control.answering.set('during.a', gone('anna'));
      await personAsks(world, id);
      await ended(world, id, 'rolled-back');
    },
    100_000,
  );
});

describe('before a stage shifts', () => {
  it('a flag that somebody changed since holds it and pages, and nothing is written', async () => {
    const plan = order(
      [
        stage('one', { 'drift.a': { value: true, share: 5, by: 'key', listed: [] } }),
        stage('two', ['drift.a', 'drift.b'], { signOff: [{ role: 'qa', count: 1 }] }),
      ],
      [],
      { name: 'drift' },
    );
    await world.seed(plan);
    const { id } = await world.start(plan);
    await heard(world, id, 'stage-opened', 2);
    await world.flags.putExposure('drift_a', { value: true, share: 1, by: 'key', listed: [] }, '*', { by: 'mallory' });
    await sign(world.house.store, { launch: id, stage: 'two', role: 'qa', decision: 'go', person: { name: 'Anna', roles: ['qa'] }, at: now() });
    await heard(world, id, 'held');
    expect(await said(world, id, 'held')).toMatchObject([{ cause: 'drift' }]);
    expect(await said(world, id, 'paged')).toHaveLength(1);
    expect(await exposures(world, 'drift_b')).toEqual([off(true)]);
    await personAsks(world, id);
    await ended(world, id, 'rolled-back');
    expect(await exposures(world, 'drift_a')).toEqual([off(true)]);
  }, 100_000);
});
