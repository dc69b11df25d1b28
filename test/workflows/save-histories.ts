import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { launchRow } from '../../src/store/launches.ts';
import { conclude, hold, sign } from '../../src/store/people.ts';
import { workflowId } from '../../workflows/messages.ts';
import type { Stage } from '../../src/core/plan.ts';
import { everyone } from '../../src/core/exposure.ts';
import { ended, gateway, heard, personAsks, type Control } from '../rollback/control.ts';
import { freezeWrite } from '../rollback/unfenced.ts';
import { gate, order, stage } from '../support/orders.ts';
import { until } from '../support/until.ts';
import type { World } from '../support/world.ts';

/** Where the histories lie. */
export const HISTORIES = path.join(import.meta.dirname, '..', 'histories');
const HOUR = 3_600_000;
const anna = { name: 'Anna', roles: ['qa', 'release-engineer'] };
const now = () => new Date().toISOString();

/** What differs between the runs and machines that made them, and says nothing of the code, is left out. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const without = Object.entries(value).filter(([key]) => !['stackTrace', 'identity', 'meteringMetadata', 'workerVersion', 'binaryChecksum'].includes(key));
  return Object.fromEntries(without.map(([key, one]) => [key, plain(one)]));
}

async function save(world: World, name: string, id: string): Promise<void> {
  const history = await world.client.workflow.getHandle(id).fetchHistory();
  writeFileSync(path.join(HISTORIES, `${name}.json`), `${JSON.stringify(plain(JSON.parse(historyToJSON(history))))}\n`);
}

/** Lives through every ending of a launch, and through a rollback in each of its states, and saves what Temporal remembers of them. */
export async function saveHistories(world: World, control: Control): Promise<void> {
  const writing = gateway();
  control.writing.set('shifting.b', async (changes, signal, provider) => {
    await writing.pass();
    return provider.write(changes, signal);
  });
  async function live(
    name: string,
    more: Partial<Stage>,
    until: (id: string) => Promise<unknown>,
    end: (id: string) => Promise<unknown>,
    watch = 1_000,
  ): Promise<void> {
    const errors = `${name.replaceAll('-', '_')}_errors`;
    world.page.set({ [errors]: 0 });
    const plan = order(
      [stage('one', [`${name}.a`], { gates: [errors], bake: 1_000 }), stage('two', [`${name}.b`, `${name}.c`], { bake: 1_000, gates: [errors], ...more })],
      [gate(errors)],
      { name, watch },
    );
    await world.seed(plan);
    const { id, handle } = await world.start(plan);
    await until(id);
    await end(id);
    await handle.result();
    await save(world, `launch-${name}`, workflowId.launch(id));
    if ((await launchRow(world.house.store.db, id))?.outcome === 'rolled-back') await save(world, `rollback-${name}`, workflowId.rollback(id));
  }
  const back = async (id: string) => {
    await personAsks(world, id);
    await ended(world, id, 'rolled-back');
  };
  const state = (wanted: string) => (id: string) =>
    until(`${id} to be ${wanted}`, async () => (await launchRow(world.house.store.db, id))?.state === wanted, 60_000);
  const second = (kind: 'stage-opened' | 'witnessed') => (id: string) => heard(world, id, kind, 2);
  const signOff = [{ role: 'qa', count: 1 }];
  const breach = (name: string) => (id: string) => {
    world.page.set({ [`${name}_errors`]: 5 });
    return ended(world, id, 'rolled-back');
  };
  await Promise.all([
    live(
      'launched',
      {},
      () => Promise.resolve(),
      () => Promise.resolve(),
    ),
    live(
      'aborted',
      {},
      (id) => heard(world, id, 'opened'),
      async (id) => {
        await personAsks(world, id);
        await until('the end', async () => (await launchRow(world.house.store.db, id))?.outcome !== undefined, 60_000);
        await ended(world, id, (await launchRow(world.house.store.db, id))?.outcome ?? 'aborted');
      },
    ),
    live('waiting', { signOff }, second('stage-opened'), back),
    live('no-go', { signOff }, second('stage-opened'), async (id) => {
      await sign(world.house.store, {
        launch: id,
        stage: 'two',
        role: 'qa',
        decision: 'no-go',
        reason: 'not yet',
        recheckAt: new Date(Date.now() + HOUR).toISOString(),
        person: anna,
        at: now(),
      });
      await back(id);
    }),
    live(
      'shifting',
      {},
      () => writing.reached,
      async (id) => {
        await back(id);
        writing.open();
      },
    ),
    live('baking', { bake: HOUR }, second('witnessed'), breach('baking')),
    live('held', { bake: HOUR }, second('witnessed'), async (id) => {
      await hold(world.house.store, id, 'Anna', now(), 'lunch', 'person');
      await back(id);
    }),
    live('watching', {}, state('watching'), back, HOUR),
    live(
      'stage-scope',
      { bake: HOUR, onRollback: { scope: 'stage', set: [{ flag: 'stage-scope.mode', to: everyone(true), narrows: false }] } },
      second('witnessed'),
      async (id) => {
        world.page.set({ stage_scope_errors: 0 });
        await personAsks(world, id, 'two');
        await heard(world, id, 'held');
        await conclude(world.house.store, id, anna, now(), 'the fallback will do');
      },
    ),
  ]);
}

/** Lives through a rollback whose patrol finds a late write, in a world where nothing can be fenced, and saves what Temporal remembers of it. */
export async function savePatrol(world: World, control: Control): Promise<void> {
  const frozen = freezeWrite(control, 'patrol.one');
  const plan = order([stage('one', ['patrol.one'])], [], { name: 'patrol' });
  await world.seed(plan);
  const { id } = await world.start(plan);
  await frozen.reached;
  await personAsks(world, id);
  await ended(world, id, 'rolled-back');
  frozen.open();
  await heard(world, id, 'rollback-proven', 2);
  await ended(world, id, 'rolled-back');
  // It walks for a quarter of an hour more: what is there by now replays as well.
  await save(world, 'rollback-patrol', workflowId.rollback(id));
}
