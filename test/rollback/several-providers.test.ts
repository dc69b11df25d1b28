import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everyone, off, type Exposure } from '../../src/core/exposure.ts';
import { Retryable } from '../../src/core/failure.ts';
import { report } from '../../src/core/report.ts';
import { openEvaluator } from '../../src/evaluators/index.ts';
import type { Evaluator } from '../../src/evaluators/evaluator.ts';
import { openFlagStore, type FlagStore } from '../../src/flags/store.ts';
import { openProvider } from '../../src/providers/index.ts';
import type { FlagProvider } from '../../src/providers/provider.ts';
import { freshDatabase, type FreshDatabase } from '../support/database.ts';
import { flagRef, order, stage } from '../support/orders.ts';
import { pausingProxy, type PausingProxy } from '../support/pausing-proxy.ts';
import { until } from '../support/until.ts';
import { openWorld, quietLog, type World } from '../support/world.ts';
import { ended, exposures, heard, openControl, personAsks, said } from './control.ts';

const HOUR = 3_600_000;
const [ON, OFF] = [everyone(true), off(true)];
const control = openControl();
let [database, proxy, far, world]: [FreshDatabase?, PausingProxy?, FlagStore?, World?] = [];

/** A second flag store in a database of its own, reached only through a proxy that can stand still; and its own evaluator, behind the same proxy. */
async function openSecond(): Promise<{ provider: FlagProvider; evaluator: Evaluator }> {
  database = await freshDatabase();
  far = await openFlagStore(database.url);
  const url = new URL(database.url);
  proxy = await pausingProxy(Number(url.port));
  url.hostname = '127.0.0.1';
  url.port = String(proxy.port);
  const context = { log: quietLog, secret: (reference: string) => reference, databaseUrl: url.href, serverUrl: 'http://127.0.0.1:7078' };
  return {
    provider: await openProvider('second', { kind: 'builtin' }, context),
    evaluator: await openEvaluator('second', { kind: 'store' }, context),
  };
}

beforeAll(async () => {
  const second = await openSecond();
  world = await openWorld({
    dress: (house) =>
      control.dress({
        ...house,
        providers: new Map([...house.providers, ['second', second.provider]]),
        evaluators: new Map([...house.evaluators, ['second', second.evaluator]]),
      }),
  });
});
afterAll(async () => {
  proxy?.resume();
  await world?.close();
  await far?.close();
  await proxy?.close();
  await database?.drop();
});

/** Everything is there once the file has begun. */
function there() {
  if (world === undefined || far === undefined || proxy === undefined) throw new Error('the world is not open');
  return { world, far, proxy };
}

/** An order over both stores: `<name>.near` lives in the first, `<name>.far` in the second. */
async function planned(name: string) {
  const here = there();
  const refs = [flagRef(`${name}.far`, { provider: 'second', proof: [{ evaluator: 'second', with: {} }] })];
  const plan = order([stage('one', [`${name}.far`, `${name}.near`], { bake: HOUR })], [], { name }, refs);
  await here.world.seed(plan);
  await here.far.create([{ key: `${name}_far`, type: 'boolean', offValue: false, exposure: OFF, exposed: true, owner: 'test', description: name }], {
    by: 'seed',
  });
  return plan;
}

const near = async (name: string): Promise<Exposure | undefined> => (await exposures(there().world, `${name}_near`))[0];
const remote = async (name: string): Promise<Exposure> => (await there().far.get(`${name}_far`)).exposure;

async function live(name: string) {
  const plan = await planned(name);
  const { id } = await there().world.start(plan);
  await heard(there().world, id, 'witnessed');
  expect([await near(name), await remote(name)]).toEqual([ON, ON]);
  return id;
}

async function reportOf(id: string) {
  const rows = await there().world.house.store.db.selectFrom('event').selectAll().where('launch', '=', id).orderBy('seq').execute();
  return report(rows.map((row) => ({ seq: row.seq, recordedAt: row.recorded_at.toISOString(), body: row.body, hash: row.hash.toString('hex') })));
}

const undoOf = async (id: string, flag: string) =>
  (await there().world.house.store.db.selectFrom('journal').select('undo').where('launch', '=', id).where('flag', '=', flag).executeTakeFirstOrThrow()).undo;
const since = (began: number) => Math.round(performance.now() - began);

describe('a launch over two providers', () => {
  it('is shifted in the order that its plan is written in: nothing of the second is written while the first is not', async () => {
    const plan = await planned('inorder');
    let refuse = true;
    let tries = 0;
    const seen: (Exposure | undefined)[] = [];
    control.writing.set('inorder.far', async (changes, signal, provider) => {
      tries += 1;
      seen.push(await near('inorder'));
      if (refuse) throw new Retryable('not now');
      return provider.write(changes, signal);
    });
    const { id } = await there().world.start(plan);
    await until('three refusals', () => tries >= 3);
    refuse = false;
    await heard(there().world, id, 'witnessed');
    expect(seen.length).toBeGreaterThan(3);
    expect(seen.every((one) => one?.share === 0)).toBe(true);
    await personAsks(there().world, id);
    await ended(there().world, id, 'rolled-back');
    expect([await near('inorder'), await remote('inorder')]).toEqual([OFF, OFF]);
  }, 100_000);

  it('goes back in both at once, each with its own seconds in the report', async () => {
    const id = await live('both');
    await personAsks(there().world, id);
    await ended(there().world, id, 'rolled-back');
    const made = await reportOf(id);
    expect(made.remainder).toEqual([]);
    const [rollback] = made.rollbacks;
    expect(rollback?.parts).toHaveLength(1);
    expect(rollback?.seconds).toBeLessThan(3);
    console.log(`both alive: ${rollback?.parts.map((part) => `${part.provider} ${part.seconds} s`).join()}, all ${rollback?.seconds} s`);
  }, 100_000);

  it('of which one hangs: the other is back and proven on time, what is left is named, and the dead one is back within 10 s of its return', async () => {
    const { world: here, proxy: between } = there();
    const id = await live('hangs');
    between.pause();
    const began = performance.now();
    await personAsks(here, id);
    await heard(here, id, 'part-proven');
    const proven = since(began);
    expect(await near('hangs')).toEqual(OFF);
    expect(await said(here, id, 'part-proven')).toMatchObject([{ provider: 'builtin', proofs: [{ flag: 'hangs.near' }] }]);
    const undo = await undoOf(id, 'hangs.far');
    expect((await reportOf(id)).remainder).toEqual([{ flag: 'hangs.far', provider: 'second', key: 'hangs_far', was: 'off', undo }]);
    await sql`update rollback_request set requested_at = clock_timestamp() - interval '121 s' where launch = ${id}`.execute(here.house.store.db);
    await heard(here, id, 'paged');
    expect(await said(here, id, 'paged')).toMatchObject([{ about: 'rollback not verified', commands: [undo] }]);
    await until('every call that was under way to be given up', () => performance.now() - began > 12_000);
    expect(await here.kinds(id)).not.toContain('rollback-proven');
    between.resume();
    const returned = performance.now();
    await heard(here, id, 'rollback-proven');
    const back = since(returned);
    expect(await remote('hangs')).toEqual(OFF);
    console.log(`one hangs: the other proven after ${proven} ms; the dead one back and proven ${back} ms after its return`);
    expect(proven).toBeLessThan(3_000);
    expect(back).toBeLessThan(10_000);
    await ended(here, id, 'rolled-back');
    expect((await reportOf(id)).remainder).toEqual([]);
  }, 100_000);

  it('of which one refuses is not hammered meanwhile, and put back within 10 s of its return', async () => {
    const { world: here } = there();
    const id = await live('refuses');
    let calls = 0;
    control.restoring.set('refuses.far', () => {
      calls += 1;
      return Promise.reject(new Retryable('connect ECONNREFUSED'));
    });
    const began = performance.now();
    await personAsks(here, id);
    await heard(here, id, 'part-proven');
    const proven = since(began);
    await until('15 s to go by', () => performance.now() - began > 15_000);
    const asked = calls;
    control.restoring.delete('refuses.far');
    const returned = performance.now();
    await heard(here, id, 'rollback-proven');
    console.log(`one refuses: the other proven after ${proven} ms; asked ${asked} times in 15 s; back and proven ${since(returned)} ms after its return`);
    expect(proven).toBeLessThan(3_000);
    expect(asked).toBeLessThan(30);
    expect(since(returned)).toBeLessThan(10_000);
    await ended(here, id, 'rolled-back');
  }, 100_000);

  it('puts back again what was proven and changed since, while the other provider is still away', async () => {
    const { world: here } = there();
    const id = await live('again');
    control.restoring.set('again.far', () => Promise.reject(new Retryable('away')));
    await personAsks(here, id);
    await heard(here, id, 'part-proven');
    await here.flags.putExposure('again_near', ON, '*', { by: 'mallory' });
    await heard(here, id, 'relapsed');
    await heard(here, id, 'part-proven', 2);
    expect(await near('again')).toEqual(OFF);
    control.restoring.delete('again.far');
    await ended(here, id, 'rolled-back');
    expect([await near('again'), await remote('again')]).toEqual([OFF, OFF]);
  }, 100_000);
});
