import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LaunchEvent } from '../../src/core/event.ts';
import type { Order } from '../../src/core/plan.ts';
import { off } from '../../src/core/exposure.ts';
import { WATCH } from '../../src/core/state.ts';
import { brokenLink } from '../../src/store/chain.ts';
import type { NewEntry } from '../../src/store/entries.ts';
import { appendEvent, eventsOf } from '../../src/store/events.ts';
import { endLaunch, launchRow, openLaunch } from '../../src/store/launches.ts';
import { linksOf } from '../../src/store/lists.ts';
import { hold } from '../../src/store/people.ts';
import { requestRollback } from '../../src/store/request.ts';
import { openStage, rememberStage } from '../../src/store/stages.ts';
import { migrate, openStore, type Store } from '../../src/store/store.ts';
import { freshDatabase, type FreshDatabase } from '../support/database.ts';
import { gate, order, stage } from '../support/orders.ts';
import { until } from '../support/until.ts';

const at = new Date().toISOString();
let database: FreshDatabase;
let store: Store;
let other: Store;
beforeAll(async () => {
  database = await freshDatabase();
  [store, other] = [openStore({ url: database.url }), openStore({ url: database.url })];
  await Promise.all([migrate(store), migrate(other)]);
  await Promise.all([store.prime(), other.prime()]);
});
afterAll(async () => {
  await Promise.all([store.close(), other.close()]);
  await database.drop();
});

let count = 0;

/** A launch of its own flags that has just been opened. */
async function opened(plan: Order = order([stage('one', [`flag${count + 1}`])])): Promise<string> {
  count += 1;
  const launch = `checkout-test-${count}`;
  const event: LaunchEvent = {
    kind: 'opened',
    at,
    by: 'releaser',
    launch,
    plan: 'checkout',
    planHash: plan.hash,
    environment: 'test',
    speed: 1,
    deadline: at,
    stages: [],
    flags: [],
  };
  await openLaunch(store, { launch, order: plan, startedBy: 'releaser', speed: 1, deadline: Date.now() + 3_600_000, event });
  return launch;
}

/** As above, its watch baked: nothing but `launched` is left. */
async function atTheEnd(): Promise<string> {
  const launch = await opened();
  await store.db.updateTable('stage_state').set({ phase: 'live', baked_at: 1 }).where('launch', '=', launch).where('stage', '=', WATCH).execute();
  return launch;
}

const launched = (launch: string) => endLaunch(store, launch, 'launched', { kind: 'ended', at, by: 'gonogo', outcome: 'launched', why: 'all is well' });
const ask = (launch: string) => requestRollback(other, launch, { kind: 'launch' }, { kind: 'person', reason: 'errors' }, 'Anna', Date.now());

/** A session of somebody else's, with a transaction of its own. */
async function session<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    await client.query('begin');
    return await work(client);
  } finally {
    await client.end();
  }
}

const waits = async (work: Promise<unknown>) => expect(await Promise.race([work.then(() => 'done'), delay(200, 'waits')])).toBe('waits');

describe('the end and a request', () => {
  it('never both commit: launched waits for a request that is being written, and is refused', async () => {
    const launch = await atTheEnd();
    const end = await session(async (client) => {
      await client.query(`select request_rollback($1, 'launch', '{}', 'Anna', null, $2)`, [launch, JSON.stringify({ kind: 'rollback-requested', at })]);
      const ending = launched(launch);
      await waits(ending);
      await client.query('commit');
      return ending;
    });
    expect(end).toEqual({ kind: 'stopped' });
    expect((await launchRow(store.db, launch))?.outcome).toBeUndefined();
  });

  it('never both commit: a request waits for an end that is being written, and is told that it is over', async () => {
    const launch = await atTheEnd();
    const [end, asked] = await session(async (client) => {
      // The end's own transaction stops at its locks, the launch's row in its hands.
      await client.query('select 1 from flag_lock where launch = $1 for update', [launch]);
      const ending = launched(launch);
      await until('the end to wait for its locks', async () => {
        // Outside of the transaction, which would be shown the same answer again and again.
        const { rows } =
          await sql`select 1 from pg_stat_activity where wait_event_type = 'Lock' and query ilike 'delete%flag_lock%' and datname = current_database()`.execute(
            other.db,
          );
        return rows.length === 1;
      });
      const asking = ask(launch);
      await waits(asking);
      await client.query('commit');
      return [await ending, await asking] as const;
    });
    expect(end).toEqual({ kind: 'ended', outcome: 'launched' });
    expect(asked).toEqual({ status: 'over', outcome: 'launched' });
    expect(await store.db.selectFrom('rollback_request').selectAll().where('launch', '=', launch).execute()).toEqual([]);
  });

  it('a request after the end changes nothing at all', async () => {
    const launch = await atTheEnd();
    await launched(launch);
    const before = await eventsOf(store.db, launch);
    expect(await ask(launch)).toEqual({ status: 'over', outcome: 'launched' });
    expect(await eventsOf(store.db, launch)).toEqual(before);
    expect(await store.db.selectFrom('rollback_request').selectAll().where('launch', '=', launch).execute()).toEqual([]);
  });

  it('a launch that a person holds is not launched', async () => {
    const launch = await atTheEnd();
    await hold(store, launch, 'Anna', at, 'wait for me', 'person');
    expect(await launched(launch)).toMatchObject({ kind: 'not-yet' });
  });
});

describe('a hand that is frozen inside a transaction', () => {
  it('loses the launch row within seconds: the request of another goes through', async () => {
    const launch = await opened();
    const child = spawn(process.execPath, [path.join(import.meta.dirname, 'frozen-hand.ts'), database.url, launch], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await once(child.stdout, 'data');
      child.kill('SIGSTOP');
      const began = performance.now();
      await until(
        'the request to go through',
        () =>
          ask(launch).then(
            // Covered: an answer was lost to its deadline, and what it asked for was written all the same.
            ({ status }) => status === 'requested' || status === 'covered',
            () => false,
          ),
        10_000,
      );
      expect(performance.now() - began).toBeLessThan(5_000);
    } finally {
      child.kill('SIGKILL');
    }
  });
});

describe('the event log', () => {
  it('has no gap and one chain, however many write at once; a repeat changes nothing', async () => {
    const launch = await opened();
    const write = (from: Store, n: number) => appendEvent(from.db, launch, `key-${n}`, { kind: 'resumed', at, by: `person ${n}`, reason: `${n}` });
    const all = await Promise.all(Array.from({ length: 120 }, (_, i) => write(i % 2 === 0 ? store : other, Math.floor(i / 3))));
    const links = await linksOf(store.db, launch);
    expect(brokenLink(links)).toBeUndefined();
    expect(links).toHaveLength(41);
    expect(all.filter((one) => one.fresh)).toHaveLength(40);
    for (const seqs of Map.groupBy(
      all.map((one, i) => ({ key: Math.floor(i / 3), seq: one.seq })),
      (one) => one.key,
    ).values())
      expect(new Set(seqs.map((one) => one.seq)).size).toBe(1);
    const again = await appendEvent(store.db, launch, 'key-1', { kind: 'resumed', at, by: 'mallory', reason: 'another body' }, 'launched');
    expect(again).toMatchObject({ fresh: false });
    expect(await linksOf(store.db, launch)).toEqual(links);
    expect((await launchRow(store.db, launch))?.state).toBe('waiting');
  });
});

describe('remember', () => {
  const entry = (flag: string): NewEntry => ({
    flag,
    provider: 'builtin',
    unit: 'u',
    key: flag,
    snapshot: { revision: '1', exposure: off(true), native: {} },
    target: off(true),
    before: {},
    undo: 'undo',
    candidates: [],
  });

  /** A launch whose stage one is live under gate `errors`, and whose stage two is cleared. */
  async function between(): Promise<{ launch: string; remember: () => Promise<string>; set: (sql: string) => Promise<void> }> {
    const n = count + 1;
    const launch = await opened(order([stage('one', [`r${n}a`], { gates: ['errors'] }), stage('two', [`r${n}b`])], [gate('errors')]));
    await store.db.updateTable('stage_state').set({ phase: 'passed' }).where('launch', '=', launch).where('stage', '=', 'one').execute();
    await openStage(store, launch, 'two', at, []);
    await store.db
      .insertInto('gate_state')
      .values({ launch, gate: 'errors', armed_at: 1, state: '{}', cursor_at: 1, every_ms: 1_000, passes: true, pending: false, measured_at: new Date() })
      .execute();
    await store.db.updateTable('launch').set({ watcher_tick: new Date(), watcher_epoch: 1 }).where('id', '=', launch).execute();
    const event: LaunchEvent = { kind: 'remembered', at, by: 'gonogo', stage: 'two', flags: [] };
    return {
      launch,
      remember: async () => {
        const done = await rememberStage(store, launch, 'two', [entry(`r${n}b`)], new Set(), event);
        return done.kind === 'wait' ? done.why : done.kind;
      },
      set: (statement) =>
        session(async (client) => {
          await client.query(statement.replaceAll(':launch', `'${launch}'`));
          await client.query('commit');
        }),
    };
  }

  it.each([
    ['nobody has ever watched', 'update launch set watcher_tick = null where id = :launch', 'no live watcher'],
    ['the watcher is silent for 21 s', `update launch set watcher_tick = clock_timestamp() - interval '21 s' where id = :launch`, 'no live watcher'],
    ['an armed gate was never measured', 'delete from gate_state where launch = :launch', 'gate errors does not pass'],
    ['an armed gate does not pass', 'update gate_state set passes = false where launch = :launch', 'gate errors does not pass'],
    ['a breach is pending', 'update gate_state set pending = true where launch = :launch', 'gate errors does not pass'],
    [
      'its measurement is too old',
      `update gate_state set measured_at = clock_timestamp() - interval '13 s' where launch = :launch`,
      'gate errors has no fresh measurement',
    ],
    ['the launch is held', `update launch set held = '{"reason":"lunch"}' where id = :launch`, 'held: lunch'],
    [
      'a freeze is on',
      `insert into "freeze" (environment, starts_at, ends_at, reason) select 'test', now() - interval '1 s', now() + interval '300 ms', 'holidays' where :launch <> ''`,
      'frozen: holidays',
    ],
  ])('waits where %s, and writes nothing down', async (_name, statement, why) => {
    const { launch, remember, set } = await between();
    await set(statement);
    expect(await remember()).toBe(why);
    expect(await store.db.selectFrom('journal').selectAll().where('launch', '=', launch).execute()).toEqual([]);
    await store.db.deleteFrom('freeze').execute();
  });

  it('is refused past a request, and takes one snapshot however often it is tried', async () => {
    const { launch, remember } = await between();
    expect(await remember()).toBe('remembered');
    await store.db.updateTable('journal').set({ written_revision: '7' }).where('launch', '=', launch).execute();
    expect(await remember()).toBe('remembered');
    expect(await store.db.selectFrom('journal').select('written_revision').where('launch', '=', launch).execute()).toEqual([{ written_revision: '7' }]);
    const next = await between();
    await ask(next.launch);
    expect(await next.remember()).toBe('stopped');
  });
});

describe('requests of many launches at once', () => {
  const flights = (n: number) => Promise.all(Array.from({ length: n }, () => opened()));

  it('are each written down in their own launch, its chain whole', async () => {
    const launches = await flights(40);
    const answers = await Promise.all(launches.map(ask));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set(['requested']));
    for (const launch of launches) {
      const events = await eventsOf(store.db, launch);
      expect(events.map(({ event }) => event.kind)).toEqual(['opened', 'rollback-requested']);
      expect(brokenLink(await linksOf(store.db, launch))).toBeUndefined();
    }
    expect(await Promise.all(launches.map(ask))).toEqual(launches.map(() => ({ status: 'covered' })));
  });

  it('do not wait for one whose row somebody holds, which is written down when it is free', async () => {
    const launches = await flights(20);
    const [held = ''] = launches;
    const late = await session(async (client) => {
      await client.query('select 1 from launch where id = $1 for update', [held]);
      const asked = launches.map(ask);
      const others = await Promise.race([Promise.all(asked.slice(1)), delay(800, undefined)]);
      expect(others).toEqual(launches.slice(1).map(() => ({ status: 'requested' })));
      await client.query('commit');
      return asked[0];
    });
    expect(late).toEqual({ status: 'requested' });
  });

  it('do not pay for one that is wrong, which fails for itself', async () => {
    const launches = await flights(10);
    const wrong = store.together({ call: 'request', launch: launches[0] ?? '', with: ['launch', {}, 'Anna', at, 'not an event', null] });
    const asked = launches.slice(1).map(ask);
    await expect(wrong).rejects.toThrow(/json/);
    expect(await Promise.all(asked)).toEqual(asked.map(() => ({ status: 'requested' })));
    expect(await Promise.all([ask('nobody'), ask(launches[0] ?? '')])).toEqual([{ status: 'unknown' }, { status: 'requested' }]);
  });
});
