import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { sql } from 'kysely';
import type { Client } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import type { LaunchEvent } from '../../src/core/event.ts';
import { openJanitor, type Janitor } from '../../src/server/janitor.ts';
import { eventsOf } from '../../src/store/events.ts';
import { openLaunch } from '../../src/store/launches.ts';
import { resume } from '../../src/store/people.ts';
import { requestRollback } from '../../src/store/request.ts';
import { takeWatch } from '../../src/store/watch.ts';
import { NAMES, queues, workflowId } from '../../workflows/messages.ts';
import { order, stage } from '../support/orders.ts';
import { until } from '../support/until.ts';
import { openWorld, quietLog, type World } from '../support/world.ts';

let world: World;
let janitor: Janitor;
let blind: Janitor;
const opened: string[] = [];

beforeAll(async () => {
  world = await openWorld({ worker: false });
  const deps = { store: world.house.store, taskQueue: world.prefix, log: quietLog };
  janitor = openJanitor({ ...deps, temporal: () => Promise.resolve(world.client) });
  blind = openJanitor({ ...deps, temporal: () => Promise.reject<Client>(new Error('away')) });
});
afterAll(async () => {
  await Promise.all([janitor.close(), blind.close()]);
  await world.close();
});
afterEach(async () => {
  const { db } = world.house.store;
  for (const launch of opened.splice(0)) {
    await db.updateTable('launch').set({ outcome: 'rolled-back' }).where('id', '=', launch).execute();
    for (const id of [workflowId.launch(launch), workflowId.rollback(launch)])
      await world.client.workflow
        .getHandle(id)
        .terminate('test over')
        .catch(() => undefined);
  }
  await db.deleteFrom('flag_lock').execute();
});

const plan = order([stage('one', ['a.one'])]);

/** A launch in the database; `runs`: with its workflow in Temporal too, where no worker takes it on. */
async function open(runs: boolean, deadline = Date.now() + 14 * 86_400_000): Promise<string> {
  const launch = `janitor-${randomUUID().slice(0, 8)}`;
  const event: LaunchEvent = {
    kind: 'opened',
    at: new Date().toISOString(),
    by: 'rita',
    launch,
    plan: 'p',
    planHash: plan.hash,
    environment: 'test',
    speed: 1,
    deadline: new Date(deadline).toISOString(),
    stages: ['one'],
    flags: [],
  };
  const own = { ...plan, flags: plan.flags.map((flag) => ({ ...flag, key: launch })) };
  await openLaunch(world.house.store, { launch, order: own, startedBy: 'rita', speed: 1, deadline, event });
  opened.push(launch);
  if (runs) await world.client.workflow.start(NAMES.launch, { workflowId: workflowId.launch(launch), taskQueue: queues(world.prefix).launch, args: [] });
  return launch;
}

const ago = (seconds: number) => sql<Date>`clock_timestamp() - make_interval(secs => ${seconds})`;
const kinds = async (launch: string) => (await eventsOf(world.house.store.db, launch)).map((logged) => logged.event.kind);

describe('the janitor', () => {
  test('leaves a launch alone that is watched and whose workflow runs', async () => {
    const launch = await open(true);
    expect(await janitor.round()).toMatchObject({ ran: true, tended: 1, did: [], locksFreed: 0 });
    expect(await kinds(launch)).toEqual(['opened']);
  });

  test('asks for the rollback of a launch whose workflow is lost, once', async () => {
    const launch = await open(false);
    expect((await janitor.round()).did).toEqual([{ launch, what: 'rollback-requested', why: 'launch workflow lost' }]);
    expect((await eventsOf(world.house.store.db, launch)).at(-1)?.event).toMatchObject({
      kind: 'rollback-requested',
      by: 'janitor',
      scope: { kind: 'launch' },
      cause: { kind: 'janitor' },
    });
    expect((await janitor.round()).did).toEqual([]);
  });

  test('asks for the rollback of a launch whose workflow was terminated', async () => {
    const launch = await open(true);
    await world.client.workflow.getHandle(workflowId.launch(launch)).terminate('by hand');
    expect((await janitor.round()).did).toMatchObject([{ launch, what: 'rollback-requested' }]);
  });

  test('takes no workflow for lost while Temporal is away', async () => {
    const launch = await open(false);
    expect(await blind.round()).toMatchObject({ ran: true, did: [] });
    expect(await kinds(launch)).toEqual(['opened']);
  });

  test('pages once when nobody has watched for 30 s, and again after another watcher was lost', async () => {
    const launch = await open(true);
    const { db } = world.house.store;
    await db
      .updateTable('launch')
      .set({ watcher_tick: ago(31), watcher_epoch: 1 })
      .where('id', '=', launch)
      .execute();
    expect((await janitor.round()).did).toMatchObject([{ launch, what: 'paged' }]);
    expect((await janitor.round()).did).toEqual([]);
    await db.updateTable('launch').set({ watcher_epoch: 2 }).where('id', '=', launch).execute();
    expect((await janitor.round()).did).toMatchObject([{ launch, what: 'paged' }]);
    expect(await kinds(launch)).toEqual(['opened', 'paged', 'paged']);
  });

  test('rolls back when maxDuration is over, and pages a day before', async () => {
    const [over, near, far] = [
      await open(true, Date.now() - 1_000),
      await open(true, Date.now() + 23 * 3_600_000),
      await open(true, Date.now() + 25 * 3_600_000),
    ];
    for (const launch of [over, near, far])
      await world.house.store.db
        .updateTable('launch')
        .set({ started_at: ago(13 * 86_400), watcher_tick: ago(1) })
        .where('id', '=', launch)
        .execute();
    const { did } = await janitor.round();
    expect(did).toHaveLength(2);
    expect(did.find((one) => one.launch === over)).toMatchObject({ what: 'rollback-requested', why: expect.stringContaining('maxDuration is over') as string });
    expect(did.find((one) => one.launch === near)).toMatchObject({ what: 'paged' });
    expect((await janitor.round()).did).toEqual([]);
  });

  test('ends a rollback run that has made no progress for 15 s, and starts anew', async () => {
    const launch = await open(true);
    await requestRollback(world.house.store, launch, { kind: 'launch' }, { kind: 'person', reason: 'x' }, 'carl', Date.now());
    const first = await world.client.workflow.start(NAMES.rollback, {
      workflowId: workflowId.rollback(launch),
      taskQueue: queues(world.prefix).rollback,
      args: [{ launch }],
    });
    expect((await janitor.round()).did).toEqual([]);
    await world.house.store.db
      .updateTable('rollback_request')
      .set({ progress_at: ago(16) })
      .where('launch', '=', launch)
      .execute();
    expect((await janitor.round()).did).toMatchObject([{ launch, what: 'rollback-restarted' }]);
    const now = await world.client.workflow.getHandle(workflowId.rollback(launch)).describe();
    expect(now.status.name).toBe('RUNNING');
    expect(now.runId).not.toBe(first.firstExecutionRunId);
    expect((await world.client.workflow.getHandle(workflowId.rollback(launch), first.firstExecutionRunId).describe()).status.name).toBe('TERMINATED');
  });

  test('frees locks that no living launch holds, and leaves those that a patrol keeps', async () => {
    const { db } = world.house.store;
    const launch = await open(true);
    const lock = (key: string, kept: Date | null) =>
      db.insertInto('flag_lock').values({ provider: 'p', environment: 'test', key, launch: 'gone-1', kept_until: kept }).execute();
    await lock('orphan', null);
    await lock('patrolled', new Date(Date.now() + 60_000));
    await lock('patrol-over', new Date(Date.now() - 60_000));
    expect(await janitor.round()).toMatchObject({ locksFreed: 2 });
    expect((await db.selectFrom('flag_lock').select('key').orderBy('key').execute()).map((one) => one.key)).toEqual([launch, 'patrolled'].sort());
  });

  test('pages and holds a launch whose workflow fails again and again, once: a person may resume it', async () => {
    const launch = await open(true);
    const native = await NativeConnection.connect({ address: inject('temporalAddress') });
    const worker = await Worker.create({
      connection: native,
      namespace: 'default',
      taskQueue: queues(world.prefix).launch,
      workflowsPath: fileURLToPath(new URL('./wedged-launch.ts', import.meta.url)),
    });
    const running = worker.run();
    try {
      const { did } = await until(
        'the janitor to see it',
        async () => {
          // Its watcher works on.
          await takeWatch(world.house.store, launch);
          const round = await janitor.round();
          return round.did.length > 0 ? round : undefined;
        },
        90_000,
      );
      expect(did).toMatchObject([
        { launch, what: 'paged' },
        { launch, what: 'held', why: 'wedged' },
      ]);
      await resume(world.house.store, launch, { name: 'carl', roles: ['on-call'] }, new Date().toISOString(), 'looked at');
      expect((await janitor.round()).did).toEqual([]);
    } finally {
      worker.shutdown();
      await running;
      await native.close();
    }
  }, 120_000);

  test('starts the patrol of a launch that is over and keeps its locks, where nobody could, and joins one that walks', async () => {
    const launch = await open(false);
    const { db } = world.house.store;
    await db.updateTable('launch').set({ outcome: 'rolled-back' }).where('id', '=', launch).execute();
    await sql`update flag_lock set kept_until = clock_timestamp() + interval '5 minutes' where launch = ${launch}`.execute(db);
    const run = () => world.client.workflow.getHandle(workflowId.rollback(launch)).describe();
    await expect(run()).rejects.toThrow();
    await blind.round();
    await janitor.round();
    const first = await run();
    expect(first.status.name).toBe('RUNNING');
    await janitor.round();
    expect((await run()).runId).toBe(first.runId);
  });

  test('goes round in one process at a time', async () => {
    const { db } = world.house.store;
    await db.connection().execute(async (connection) => {
      await sql`select pg_advisory_lock(hashtext('gonogo janitor'))`.execute(connection);
      expect(await janitor.round()).toMatchObject({ ran: false, tended: 0 });
      await sql`select pg_advisory_unlock(hashtext('gonogo janitor'))`.execute(connection);
    });
    expect(await janitor.round()).toMatchObject({ ran: true });
  });
});
