import type { WorkflowHandle } from '@temporalio/client';
import type { WorkflowBundle } from '@temporalio/worker';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { off } from '../../src/core/exposure.ts';
import { startRollback } from '../../src/nudger.ts';
import { openJanitor } from '../../src/server/janitor.ts';
import { requestRollback } from '../../src/store/request.ts';
import { NAMES, workflowId } from '../../workflows/messages.ts';
import { ended, exposures, gateway, heard, openControl, personAsks } from '../rollback/control.ts';
import { gate, order, stage } from '../support/orders.ts';
import { until } from '../support/until.ts';
import { openWorld, quietLog, type World } from '../support/world.ts';
import { bundleWith, openHands, type Hands } from './hands.ts';

const HOUR = 3_600_000;
/** Launches whose code is wedged: 20 where it counts, fewer on a laptop that says so. */
const WEDGED = process.env['CI'] === undefined ? Number(process.env['WEDGED_RUNS'] ?? 20) : 20;
const control = openControl();
let world: World;
let hands: Hands;
beforeAll(async () => {
  world = await openWorld({ dress: control.dress, worker: false });
});
afterEach(() => hands.close());
afterAll(() => world.close());

type Step = 'scheduled' | 'started' | 'completed' | 'signaled' | `activity ${string}`;

/** A history as the order of workflow tasks, completions of activities and signals. */
async function storyOf(handle: WorkflowHandle): Promise<readonly { readonly step: Step; readonly what: string }[]> {
  const { events } = await handle.fetchHistory();
  const names = new Map((events ?? []).map((event) => [String(event.eventId), event.activityTaskScheduledEventAttributes?.activityType?.name ?? '']));
  return (events ?? []).flatMap((event): { step: Step; what: string }[] => {
    if (event.workflowTaskScheduledEventAttributes) return [{ step: 'scheduled', what: '' }];
    if (event.workflowTaskStartedEventAttributes) return [{ step: 'started', what: '' }];
    if (event.workflowExecutionSignaledEventAttributes) return [{ step: 'signaled', what: event.workflowExecutionSignaledEventAttributes.signalName ?? '' }];
    if (event.activityTaskScheduledEventAttributes)
      return [{ step: 'activity scheduled', what: event.activityTaskScheduledEventAttributes.activityType?.name ?? '' }];
    if (event.activityTaskCompletedEventAttributes)
      return [{ step: 'activity completed', what: names.get(String(event.activityTaskCompletedEventAttributes.scheduledEventId)) ?? '' }];
    return [];
  });
}

const scheduled = async (handle: WorkflowHandle) => (await storyOf(handle)).flatMap((one) => (one.step === 'activity scheduled' ? [one.what] : []));

/** What arrived between two starts of the workflow's code, joined: the task that holds all of `wanted`. */
async function inOneTask(handle: WorkflowHandle, wanted: readonly string[]): Promise<boolean> {
  const tasks: string[][] = [[]];
  for (const { step, what } of await storyOf(handle)) {
    if (step === 'started') tasks.push([]);
    else if (step === 'signaled' || step === 'activity completed') tasks.at(-1)?.push(what);
  }
  return tasks.some((task) => wanted.every((what) => task.includes(what)));
}

describe('a stop and a completion that arrive in one workflow task', () => {
  it('stop the launch: what would follow the shift is never begun', async () => {
    hands = await openHands(world);
    await Promise.all([hands.journey(), hands.watching(), hands.restoring()]);
    const code = await hands.workflows();
    const frozen = gateway();
    control.writing.set('joint.one', async (changes, signal, provider) => {
      await frozen.pass();
      return provider.write(changes, signal);
    });
    const plan = order([stage('one', ['joint.one'], { bake: HOUR }), stage('two', ['joint.two'])], [], { name: 'joint' });
    await world.seed(plan);
    const { id, handle } = await world.start(plan);
    await frozen.reached;
    await code.stop();
    frozen.open();
    await until('the shift to be completed', async () => (await storyOf(handle)).some((one) => one.step === 'activity completed' && one.what === 'shift'));
    await handle.signal(NAMES.stopped);
    await hands.workflows();
    await until('the launch to ask for its end', async () => (await scheduled(handle)).includes('outcome'));
    expect(await inOneTask(handle, ['shift', NAMES.stopped])).toBe(true);
    expect(await scheduled(handle)).not.toContain('witness');
    await personAsks(world, id);
    await ended(world, id, 'rolled-back');
    expect(await handle.result()).toEqual({ outcome: 'rolled-back' });
  }, 100_000);

  it('stop the launch: the next stage is never opened', async () => {
    hands = await openHands(world);
    await Promise.all([hands.journey(), hands.watching(), hands.restoring()]);
    const code = await hands.workflows();
    const plan = order([stage('one', ['nudge.one'], { bake: HOUR }), stage('two', ['nudge.two'])], [], { name: 'nudge' });
    await world.seed(plan);
    const { id, handle } = await world.start(plan);
    await until('the witness to be done', async () => (await storyOf(handle)).some((one) => one.step === 'activity completed' && one.what === 'witness'));
    await code.stop();
    await handle.signal(NAMES.passed, { stage: 'one' });
    await handle.signal(NAMES.stopped);
    await hands.workflows();
    await until('the launch to ask for its end', async () => (await scheduled(handle)).includes('outcome'));
    expect(await inOneTask(handle, [NAMES.passed, NAMES.stopped])).toBe(true);
    expect((await scheduled(handle)).filter((name) => name === 'openStage')).toHaveLength(1);
    await personAsks(world, id);
    await ended(world, id, 'rolled-back');
    expect(await exposures(world, 'nudge_one', 'nudge_two')).toEqual([off(true), off(true)]);
  }, 100_000);
});

describe('with the launch workflow wedged', () => {
  it(`an alert still has 3 flags proven off within 10 s, ${WEDGED} of ${WEDGED}`, async () => {
    hands = await openHands(world);
    await Promise.all([hands.journey(), hands.watching(), hands.restoring(), hands.workflows(await bundleWith('./wedged/launch.ts'))]);
    const seconds: number[] = [];
    const numbers = Array.from({ length: WEDGED }, (_, n) => n);
    // A few at a time: it is not the starting that is measured.
    for (const group of Map.groupBy(numbers, (n) => Math.floor(n / 5)).values()) {
      const took = group.map(async (n) => {
        const name = `wedged${n}`;
        world.page.set({ [`${name}_errors`]: 0 });
        const plan = order([stage('one', [`${name}.a`, `${name}.b`, `${name}.c`], { bake: HOUR, gates: [`${name}_errors`] })], [gate(`${name}_errors`)], {
          name,
        });
        await world.seed(plan);
        const { id, handle } = await world.start(plan);
        await heard(world, id, 'shifted');
        await until('its code to fail', async () => ((await handle.describe()).raw.pendingWorkflowTask?.attempt ?? 0) > 1, 60_000);
        const began = performance.now();
        await requestRollback(
          world.house.store,
          id,
          { kind: 'launch' },
          { kind: 'alert', source: 'main', alert: 'Down', labels: {}, receivedAt: Date.now() },
          'main',
          Date.now(),
        );
        world.house.nudge.stopped(id);
        await heard(world, id, 'rollback-proven');
        const seconds = (performance.now() - began) / 1_000;
        expect(await exposures(world, ...['a', 'b', 'c'].map((flag) => `${name}_${flag}`))).toEqual([off(true), off(true), off(true)]);
        await ended(world, id, 'rolled-back');
        await handle.terminate();
        return seconds;
      });
      seconds.push(...(await Promise.all(took)));
    }
    expect(Math.max(...seconds)).toBeLessThan(10);
  }, 200_000);

  it('a breach still rolls back, and the janitor holds and pages one that nothing has happened to', async () => {
    hands = await openHands(world);
    await Promise.all([hands.journey(), hands.watching(), hands.restoring(), hands.workflows(await bundleWith('./wedged/launch.ts'))]);
    world.page.set({ stuckcode_errors: 0 });
    const plan = order([stage('one', ['stuckcode.a'], { bake: HOUR, gates: ['stuckcode_errors'] })], [gate('stuckcode_errors')], { name: 'stuckcode' });
    await world.seed(plan);
    const { id, handle } = await world.start(plan);
    await until('its code to fail again and again', async () => ((await handle.describe()).raw.pendingWorkflowTask?.attempt ?? 0) > 3, 60_000);
    const janitor = openJanitor({ store: world.house.store, temporal: () => Promise.resolve(world.client), taskQueue: world.prefix, log: quietLog });
    const round = await janitor.round();
    expect(round.did.filter((one) => one.launch === id).map((one) => one.what)).toEqual(['paged', 'held']);
    world.page.set({ stuckcode_errors: 5 });
    await heard(world, id, 'rollback-proven');
    await ended(world, id, 'rolled-back');
    await handle.terminate();
  }, 100_000);
});

describe('with the rollback workflow wedged, and no watcher', () => {
  let broken: WorkflowBundle;
  beforeAll(async () => {
    broken = await bundleWith('./wedged/rollback.ts');
  });

  it('the janitor ends the run that makes no progress and starts anew', async () => {
    hands = await openHands(world);
    const living = await Promise.all([hands.journey(), hands.watching(), hands.workflows()]);
    const plan = order([stage('one', ['stalled.a'], { bake: HOUR })], [], { name: 'stalled' });
    await world.seed(plan);
    const { id } = await world.start(plan);
    await heard(world, id, 'witnessed');
    await Promise.all(living.map((hand) => hand.stop()));
    const wedged = await hands.restoring(broken);
    await requestRollback(world.house.store, id, { kind: 'launch' }, { kind: 'person', reason: 'errors' }, 'Anna', Date.now());
    await startRollback(world.client, world.prefix, id);
    const run = world.client.workflow.getHandle(workflowId.rollback(id));
    await until('its code to fail', async () => ((await run.describe()).raw.pendingWorkflowTask?.attempt ?? 0) > 1, 60_000);
    const first = (await run.describe()).runId;
    await wedged.stop();
    const janitor = openJanitor({ store: world.house.store, temporal: () => Promise.resolve(world.client), taskQueue: world.prefix, log: quietLog });
    expect((await janitor.round()).did.filter((one) => one.launch === id && one.what === 'rollback-restarted')).toEqual([]);
    await world.house.store.db
      .updateTable('rollback_request')
      .set({ progress_at: new Date(Date.now() - 16_000) })
      .where('launch', '=', id)
      .execute();
    expect((await janitor.round()).did.filter((one) => one.launch === id)).toMatchObject([{ what: 'rollback-restarted' }]);
    expect((await run.describe()).runId).not.toBe(first);
    await hands.restoring();
    await heard(world, id, 'rollback-proven');
    await ended(world, id, 'rolled-back');
    expect(await exposures(world, 'stalled_a')).toEqual([off(true)]);
  }, 100_000);
});
