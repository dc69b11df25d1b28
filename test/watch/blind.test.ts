import { NativeConnection } from '@temporalio/worker';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { everyone, type Exposure } from '../../src/core/exposure.ts';
import type { GateState } from '../../src/core/gate.ts';
import { launchRow } from '../../src/store/launches.ts';
import { runWorkers } from '../../src/worker.ts';
import { ended, heard, said } from '../rollback/control.ts';
import { gate, order, stage } from '../support/orders.ts';
import { until } from '../support/until.ts';
import { openWorld, type World } from '../support/world.ts';

let world: World;
let native: NativeConnection;
beforeAll(async () => {
  world = await openWorld({ worker: false });
  native = await NativeConnection.connect({ address: inject('temporalAddress') });
});
afterAll(async () => {
  await world.close();
  await native.close();
});

const half: Exposure = { value: true, share: 50, by: 'key', listed: [] };
const gateState = async (id: string) =>
  (await world.house.store.db.selectFrom('gate_state').select('state').where('launch', '=', id).executeTakeFirst())?.state as GateState | undefined;

/** A launch whose plan does not say what to do when it is blind, and that is blind. */
async function blind(name: string, to: Exposure): Promise<string> {
  const errors = `${name}_errors`;
  world.page.set({ [errors]: 0 });
  const { noData: _noData, error: _error, ...unsaid } = gate(errors);
  const plan = order([stage('one', { [`${name}.a`]: to }, { bake: 3_600_000, gates: [errors] })], [unsaid], { name });
  await world.seed(plan);
  const { id } = await world.start(plan);
  await until(`${id} to pass a look`, async () => (await gateState(id))?.last?.kind === 'go', 60_000);
  world.page.set({ [errors]: null });
  await until(`${id} to be blind`, async () => (await gateState(id))?.blind !== undefined, 60_000);
  return id;
}

/** As if it had been blind for so long (ms) when its watcher died. */
async function blindFor(id: string, ms: number): Promise<void> {
  const state = await gateState(id);
  if (state?.blind === undefined) throw new Error(`${id} is not blind`);
  const aged: GateState = { ...state, blind: { ...state.blind, noData: ms } };
  await world.house.store.db
    .updateTable('gate_state')
    .set({ state: JSON.stringify(aged) })
    .where('launch', '=', id)
    .execute();
}

it('another watcher goes on counting how long a launch is blind, and does by its share what the first would have done', async () => {
  let workers = await runWorkers(world.house, native, { namespace: 'default', prefix: world.prefix });
  try {
    const [all, some] = [await blind('all', everyone(true)), await blind('some', half)];
    await workers.stop();
    // Two seconds short of the five minutes that everyone exposed has, and of the ten that half of them has.
    await blindFor(all, 298_000);
    await blindFor(some, 598_000);
    workers = await runWorkers(world.house, native, { namespace: 'default', prefix: world.prefix });
    await heard(world, all, 'rollback-requested');
    await ended(world, all, 'rolled-back');
    expect(await said(world, all, 'rollback-requested')).toMatchObject([
      {
        scope: { kind: 'launch' },
        cause: {
          kind: 'policy',
          gate: 'all_errors',
          reason: expect.stringMatching(/no data \(empty\).*no evidence for 5m.*of asking, with 100 % of the users exposed$/) as string,
        },
      },
    ]);
    await heard(world, some, 'held');
    const [held] = await said(world, some, 'held');
    expect(held).toMatchObject({
      cause: 'gate',
      reason: expect.stringMatching(/no data \(empty\).*no evidence for 10m.*of asking, with 50 % of the users exposed$/) as string,
    });
    expect((await launchRow(world.house.store.db, some))?.state).toBe('held');
    expect(await said(world, some, 'rollback-requested')).toEqual([]);
  } finally {
    await workers.stop();
  }
}, 200_000);
