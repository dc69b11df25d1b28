import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everyone, off, type Exposure } from '../../src/core/exposure.ts';
import { report } from '../../src/core/report.ts';
import type { FlagProvider, Snapshot } from '../../src/providers/provider.ts';
import { launchRow } from '../../src/store/launches.ts';
import { sign } from '../../src/store/people.ts';
import { freshDriftMemory, lookAtDrift } from '../../src/watch/drift.ts';
import { ended, exposures, gateway, heard, openControl, personAsks, said } from '../rollback/control.ts';
import { gate, order, stage } from '../support/orders.ts';
import { openWorld, type World } from '../support/world.ts';

const HOUR = 3_600_000;
const share = (percent: number): Exposure => ({ value: true, share: percent, by: 'key', listed: [] });
const reading = new Map<string, (read: () => Promise<Snapshot>) => Promise<Snapshot>>();
const control = openControl();
let world: World;
beforeAll(async () => {
  const wrap = (inner: FlagProvider): FlagProvider => ({
    ...inner,
    read(flag, signal) {
      const read = () => inner.read(flag, signal);
      return reading.get(flag.flag)?.(read) ?? read();
    },
  });
  world = await openWorld({
    dress: (house) => control.dress({ ...house, providers: new Map([...house.providers].map(([name, provider]) => [name, wrap(provider)])) }),
  });
});
afterAll(() => world.close());

/** A launch of two flags that bakes for an hour behind a gate, seen at 25 %. */
async function live(name: string) {
  world.page.set({ [name]: 0 });
  const plan = order([stage('one', { [`${name}.a`]: share(25), [`${name}.b`]: share(25) }, { bake: HOUR, gates: [name] })], [gate(name)], { name });
  await world.seed(plan);
  const { id } = await world.start(plan);
  await heard(world, id, 'witnessed');
  const memory = freshDriftMemory();
  return {
    id,
    look: (fresh = false) => lookAtDrift(world.house, id, plan, fresh ? freshDriftMemory() : memory),
    change: (exposure: Exposure, comment = '') => world.flags.putExposure(`${name}_a`, exposure, '*', { by: 'mallory', comment }),
    state: async () => (await launchRow(world.house.store.db, id))?.state,
    back: () => exposures(world, `${name}_a`, `${name}_b`),
  };
}

async function reportOf(id: string) {
  const rows = await world.house.store.db.selectFrom('event').selectAll().where('launch', '=', id).orderBy('seq').execute();
  return report(rows.map((row) => ({ seq: row.seq, recordedAt: row.recorded_at.toISOString(), body: row.body, hash: row.hash.toString('hex') })));
}

describe('a change that somebody else makes to a flag of a live launch', () => {
  it.concurrent(
    'is shown within one interval with who and what, holds it and pages; a rollback asked for then puts all back',
    async () => {
      const { id, change, state, back } = await live('seen');
      await change(share(60), 'just trying');
      const began = performance.now();
      await heard(world, id, 'drifted');
      const took = performance.now() - began;
      console.log(`shown ${Math.round(took)} ms after the change`);
      expect(took).toBeLessThan(17_000);
      expect(await said(world, id, 'drifted')).toMatchObject([
        {
          flag: 'seen.a',
          provider: 'builtin',
          who: 'mallory',
          before: share(25),
          now: share(60),
          holds: true,
          what: expect.stringContaining('just trying') as string,
        },
      ]);
      const [held] = await said(world, id, 'held');
      expect(held).toMatchObject({ cause: 'drift' });
      expect(held?.reason).toMatch(/seen\.a .*mallory.*just trying/);
      expect(await said(world, id, 'paged')).toMatchObject([{ about: 'drift' }]);
      expect(await state()).toBe('held');
      expect((await reportOf(id)).drifts).toMatchObject([{ flag: 'seen.a', who: 'mallory', held: true }]);
      await personAsks(world, id);
      await ended(world, id, 'rolled-back');
      expect(await back()).toEqual([off(true), off(true)]);
    },
    100_000,
  );

  it.concurrent(
    'is said once for each revision, also by a watcher that has just begun; the next change is said again',
    async () => {
      const { id, look, change } = await live('once');
      await look();
      expect(await said(world, id, 'drifted')).toEqual([]);
      await change(share(60));
      for (const fresh of [false, false, true, true]) await look(fresh);
      expect(await said(world, id, 'drifted')).toHaveLength(1);
      expect(await said(world, id, 'paged')).toHaveLength(1);
      await change(share(70));
      await Promise.all([look(), look(true)]);
      expect(await said(world, id, 'drifted')).toMatchObject([{ now: share(60) }, { now: share(70) }]);
      expect(await said(world, id, 'held')).toHaveLength(1);
      expect(await said(world, id, 'paged')).toHaveLength(2);
    },
    100_000,
  );

  it.concurrent(
    'and leaves who sees it as it was, is shown and holds nothing',
    async () => {
      const { id, look, change, state } = await live('same');
      await change(share(30));
      await change(share(25), 'and back');
      await look();
      await look(true);
      expect(await said(world, id, 'drifted')).toMatchObject([{ who: 'mallory', holds: false, now: share(25) }]);
      expect(await world.kinds(id)).not.toContain('held');
      expect(await world.kinds(id)).not.toContain('paged');
      expect(await state()).toBe('baking');
    },
    100_000,
  );

  it.concurrent(
    'is seen also where another flag cannot be read, and that is no drift; no gate waits for it',
    async () => {
      const { id, change, back } = await live('deaf');
      const hanging = gateway();
      reading.set('deaf.b', async (read) => {
        await hanging.pass();
        return read();
      });
      await change(share(60));
      await heard(world, id, 'drifted');
      await hanging.reached;
      const began = performance.now();
      world.page.set({ deaf: 5 });
      await heard(world, id, 'rollback-requested');
      expect(performance.now() - began).toBeLessThan(3_000);
      expect(await said(world, id, 'drifted')).toMatchObject([{ flag: 'deaf.a' }]);
      await ended(world, id, 'rolled-back');
      expect(await back()).toEqual([off(true), off(true)]);
    },
    100_000,
  );
});

describe('what the launch itself does while its flags are compared', () => {
  it.concurrent(
    'is no drift: the next stage writes between the look at the journal and the look at the flag',
    async () => {
      const plan = order(
        [stage('one', { 'own.a': share(25) }), stage('two', { 'own.a': everyone(true) }, { bake: HOUR, signOff: [{ role: 'qa', count: 1 }] })],
        [],
        { name: 'own' },
      );
      await world.seed(plan);
      const { id } = await world.start(plan);
      await heard(world, id, 'stage-opened', 2);
      const stop = gateway();
      let first = true;
      reading.set('own.a', async (read) => {
        if (first) {
          first = false;
          await stop.pass();
        }
        return read();
      });
      const looking = lookAtDrift(world.house, id, plan, freshDriftMemory());
      await stop.reached;
      await sign(world.house.store, {
        launch: id,
        stage: 'two',
        role: 'qa',
        decision: 'go',
        person: { name: 'Anna', roles: ['qa'] },
        at: new Date().toISOString(),
      });
      await heard(world, id, 'shifted', 2);
      stop.open();
      await looking;
      expect(await said(world, id, 'drifted')).toEqual([]);
      expect(await world.kinds(id)).not.toContain('held');
    },
    100_000,
  );

  it.concurrent(
    'is no drift either where a rollback comes in between',
    async () => {
      const { id, look } = await live('back');
      const stop = gateway();
      reading.set('back.a', async (read) => {
        await stop.pass();
        return read();
      });
      const looking = look();
      await stop.reached;
      await personAsks(world, id);
      await heard(world, id, 'rollback-proven');
      stop.open();
      await looking;
      await ended(world, id, 'rolled-back');
      expect(await said(world, id, 'drifted')).toEqual([]);
    },
    100_000,
  );
});
