import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everyone, off } from '../../src/core/exposure.ts';
import { Retryable } from '../../src/core/failure.ts';
import { shift } from '../../src/launch/shift.ts';
import { startRollback } from '../../src/nudger.ts';
import { openLaunch } from '../../src/store/launches.ts';
import { sendBegins } from '../../src/store/patrol.ts';
import { requestRollback } from '../../src/store/request.ts';
import { openStage, rememberStage } from '../../src/store/stages.ts';
import { takeWatch } from '../../src/store/watch.ts';
import { workflowId } from '../../workflows/messages.ts';
import { order, stage } from '../support/orders.ts';
import { startTestServer } from '../support/servers/test-server.ts';
import { openWorld, type World } from '../support/world.ts';
import { openHands, type Hands } from '../workflows/hands.ts';
import { ended, exposures, openControl, outcomeOf } from './control.ts';

/** How often the provider refuses: 5,000 times where it counts, fewer on a laptop. */
const ATTEMPTS = process.env['CI'] === undefined ? Number(process.env['ROLLBACK_ATTEMPTS'] ?? 1_000) : 5_000;
const control = openControl();
let environment: TestWorkflowEnvironment;
let world: World;
let hands: Hands;
beforeAll(async () => {
  environment = await startTestServer();
  world = await openWorld({ dress: control.dress, environment, worker: false });
  hands = await openHands(world, environment.nativeConnection);
}, 120_000);
afterAll(async () => {
  await hands.close();
  await world.close();
  await environment.teardown();
});

/** A launch whose one flag, `<name>.a`, is on, without any workflow or watcher of its own. */
async function shifted(name: string): Promise<string> {
  const plan = order([stage('one', [`${name}.a`])], [], { name });
  const [id, at] = [`${name}-test-1`, new Date().toISOString()];
  await world.seed(plan);
  const { store, providers } = world.house;
  await openLaunch(store, {
    launch: id,
    order: plan,
    startedBy: 'releaser',
    speed: 1,
    deadline: Date.now() + 3_600_000,
    event: {
      kind: 'opened',
      at,
      by: 'releaser',
      launch: id,
      plan: name,
      planHash: plan.hash,
      environment: 'test',
      speed: 1,
      deadline: at,
      stages: ['one'],
      flags: [],
    },
  });
  await openStage(store, id, 'one', at, []);
  await takeWatch(store, id);
  const [flag] = plan.flags;
  const provider = providers.get('builtin');
  if (flag === undefined || provider === undefined) throw new Error('the order has no flag');
  const snapshot = await provider.read(flag, AbortSignal.timeout(5_000));
  const subject = { key: 'anna', attributes: {} };
  const entry = {
    flag: flag.flag,
    provider: 'builtin',
    unit: provider.unit(flag),
    key: flag.key,
    snapshot,
    target: everyone(true),
    before: {},
    undo: 'undo',
    candidates: [{ subject, standing: 'sampled' as const, baseline: false }],
  };
  await rememberStage(store, id, 'one', [entry], new Set(), { kind: 'remembered', at, by: 'gonogo', stage: 'one', flags: [] });
  expect(await shift(world.house, id, 'one')).toBe('shifted');
  return id;
}

describe('a rollback that cannot be proven', () => {
  it(`is tried ${ATTEMPTS} times without its history growing, and is proven when the provider is back`, async () => {
    const id = await shifted('endless');
    expect(await exposures(world, 'endless_a')).toEqual([everyone(true)]);
    let [tries, refuse] = [0, true];
    const many = Promise.withResolvers<undefined>();
    control.restoring.set('endless.a', (entries, signal, provider) => {
      tries += 1;
      if (tries >= ATTEMPTS) many.resolve(undefined);
      return refuse ? Promise.reject(new Retryable(`refused ${tries} times`)) : provider.restore(entries, signal);
    });
    await requestRollback(world.house.store, id, { kind: 'launch' }, { kind: 'person', reason: 'errors' }, 'Anna', Date.now());
    await hands.restoring();
    await startRollback(environment.client, world.prefix, id);
    const run = environment.client.workflow.getHandle(workflowId.rollback(id));
    // Waiting for the result is what lets skipped time pass.
    const result = run.result();
    await many.promise;
    expect(await outcomeOf(world, id)).toBeUndefined();
    expect((await run.fetchHistory()).events?.length).toBeLessThan(10);
    expect(await exposures(world, 'endless_a')).toEqual([everyone(true)]);
    refuse = false;
    await ended(world, id, 'rolled-back');
    expect(await exposures(world, 'endless_a')).toEqual([off(true)]);
    await result;
    expect((await run.fetchHistory()).events?.length).toBeLessThan(15);
  }, 240_000);
});

describe('the patrol after a rollback that leaves a hand in doubt', () => {
  it('looks each 10 s for 2 min, then each minute to 15 min, and then frees the locks', async () => {
    const id = await shifted('walk');
    const { store } = world.house;
    await sendBegins(store, id, [{ stage: 'one', flag: 'walk.a' }]);
    await requestRollback(store, id, { kind: 'launch' }, { kind: 'person', reason: 'errors' }, 'Anna', Date.now());
    await startRollback(environment.client, world.prefix, id);
    const run = environment.client.workflow.getHandle(workflowId.rollback(id));
    const result = run.result();
    await ended(world, id, 'rolled-back');
    await result;
    const events = (await run.fetchHistory()).events ?? [];
    const waits = events.flatMap((event) => Number(event.timerStartedEventAttributes?.startToFireTimeout?.seconds ?? 0) || []);
    expect(waits).toEqual([...Array<number>(12).fill(10), ...Array<number>(13).fill(60)]);
    expect(waits.reduce((all, one) => all + one, 0)).toBe(15 * 60);
    const looks = events.filter((event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'patrol');
    expect(looks).toHaveLength(25);
    expect(await store.db.selectFrom('flag_lock').selectAll().where('launch', '=', id).execute()).toEqual([]);
  }, 240_000);
});
