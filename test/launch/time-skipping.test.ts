import { once } from 'node:events';
import { WorkflowClient } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LoggedEvent } from '../../src/core/event.ts';
import type { Order } from '../../src/core/plan.ts';
import { measurementsOf } from '../../src/core/query.ts';
import type { Clock, House } from '../../src/house.ts';
import { eventsOf } from '../../src/store/events.ts';
import { communications, scriptedPeople, wellness } from '../support/communications.ts';
import { nameOfQuery, scriptedSource, type ScriptedSource } from '../support/scripted-source.ts';
import { startTestServer } from '../support/servers/test-server.ts';
import { hasTool } from '../support/servers/require-tool.ts';
import { openWorld, type World } from '../support/world.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** The server's time. While a stage bakes nothing is urgent, and an hour is slept at a time; otherwise news ends a sleep, as it does in real time. */
function skippedClock(env: TestWorkflowEnvironment, state: () => Promise<string | undefined>): Clock & { readonly slept: () => number } {
  let slept = 0;
  let asking: Promise<number> | undefined;
  return {
    slept: () => slept,
    // Those who ask at once are told once.
    now: () => {
      asking ??= env.currentTimeMs().finally(() => {
        asking = undefined;
      });
      return asking;
    },
    async sleep(ms, signal) {
      const isNews = () => signal?.aborted === true;
      if (isNews()) return;
      slept += 1;
      const now = await state();
      if (now === 'baking' || now === 'watching') {
        await env.sleep(Math.max(ms, HOUR));
        return;
      }
      const news = Promise.withResolvers<undefined>();
      const heard = () => news.resolve(undefined);
      signal?.addEventListener('abort', heard);
      const patience = setTimeout(heard, 200);
      await news.promise;
      clearTimeout(patience);
      signal?.removeEventListener('abort', heard);
      if (!isNews()) await env.sleep(ms);
    },
  };
}

/** Every evaluator that the registry names reads the store itself here: no app runs. */
function dress(house: House): House {
  const store = house.evaluators.get('store');
  if (store === undefined) throw new Error('the world has no evaluator called store');
  return {
    ...house,
    evaluators: new Map([
      ['store', store],
      ['ofrep', store],
      ['http', store],
    ]),
  };
}

describe.skipIf(!hasTool('temporal-test-server'))('the communications launch with its true bakes, in skipped time', () => {
  let env: TestWorkflowEnvironment;
  let world: World;
  let source: ScriptedSource;
  let order: Order;
  let team: { readonly hear: (launch: string) => void; readonly stop: () => void } | undefined;
  let events: readonly LoggedEvent[] = [];
  let ending: unknown;
  const numbers = { seconds: 0, cpuSeconds: 0, sleeps: 0, history: 0, rows: 0, instants: 0, ranges: 0, judged: 0 };

  /** When something first happened, ms. */
  const when = (kind: string, stage?: string): number => {
    const found = events.find(({ event }) => event.kind === kind && (stage === undefined || ('stage' in event && event.stage === stage)));
    if (found === undefined) throw new Error(`there is no event ${kind} of ${stage ?? 'the launch'}`);
    return Date.parse(found.event.at);
  };

  beforeAll(async () => {
    env = await startTestServer();
    order = await communications();
    const live: { world?: World; launch?: string } = {};
    const clock = skippedClock(env, async () => {
      const row = await live.world?.house.store.db
        .selectFrom('launch')
        .select('state')
        .where('id', '=', live.launch ?? '')
        .executeTakeFirst();
      return row?.state;
    });
    source = scriptedSource(() => clock.now(), wellness);
    world = await openWorld({
      clock,
      dress,
      environment: { client: env.client, nativeConnection: env.nativeConnection },
      sources: { prometheus: source, app: source },
    });
    live.world = world;
    await world.seed(order);
    team = scriptedPeople(world.house.store, order, () => clock.now());
    const began = performance.now();
    const spent = process.cpuUsage();
    const { id, handle } = await world.start(order, { heartbeat: 0 });
    live.launch = id;
    team.hear(id);
    // By a plain client: the environment's own unlocks time once for each that waits, and one waits already.
    const late = AbortSignal.timeout(150_000);
    ending = await Promise.race([
      new WorkflowClient({ connection: env.connection }).getHandle(handle.workflowId).result(),
      once(late, 'abort').then(async () => {
        const said = (await eventsOf(world.house.store.db, id)).slice(-8).map(({ event }) => JSON.stringify(event).slice(0, 300));
        throw new Error(`the launch is not over after 150 s and ${clock.slept()} sleeps; its last events:\n${said.join('\n')}`);
      }),
    ]);
    numbers.seconds = (performance.now() - began) / 1_000;
    const { user, system } = process.cpuUsage(spent);
    numbers.cpuSeconds = (user + system) / 1e6;
    events = await eventsOf(world.house.store.db, id);
    numbers.rows = events.length;
    numbers.sleeps = clock.slept();
    numbers.history = (await handle.describe()).historyLength;
    numbers.instants = source.asked.instants;
    numbers.ranges = source.asked.ranges;
  }, 180_000);
  afterAll(async () => {
    team?.stop();
    await world.close();
    await env.teardown();
    console.info('skipped time:', JSON.stringify(numbers));
  });

  it('ends launched, five days later', () => {
    expect(ending).toEqual({ outcome: 'launched' });
    expect(when('ended') - when('opened')).toBeGreaterThanOrEqual(5 * DAY);
    expect(events.filter(({ event }) => event.kind === 'baked').map(({ event }) => (event.kind === 'baked' ? event.earned >= DAY : false))).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect(events.flatMap(({ event }) => (event.kind === 'held' || event.kind === 'paged' || event.kind === 'gap' ? [event] : []))).toEqual([]);
  });

  // Its wall time is measured where speed is, in bench/; a busy machine must not fail a test. Work is work on any machine.
  it('takes at most 10 s of work, 300 events of history and 400 rows', () => {
    expect(numbers.cpuSeconds).toBeLessThanOrEqual(10);
    expect(numbers.history).toBeLessThanOrEqual(300);
    expect(numbers.rows).toBeLessThanOrEqual(400);
  });

  it('judges every point of every armed gate exactly once', () => {
    const watched = events.find(({ event }) => event.kind === 'watched')?.event;
    if (watched?.kind !== 'watched') throw new Error('the launch was not watched to its end');
    for (const gate of order.plan.gates) {
      const first = order.plan.stages.find((stage) => stage.gates.includes(gate.id));
      const armedAt = when('shifted', first?.id);
      const record = watched.gates.find((one) => one.gate === gate.id);
      for (const query of measurementsOf(gate)) {
        const told = source.told(nameOfQuery(query)).filter((at) => at > armedAt && at <= when('watched'));
        const steps = told.toSorted((a, b) => a - b).map((at, index, all) => at - (all[index - 1] ?? armedAt));
        // Asked for once, never more than `every` apart but for the moments that a look takes, and every one of them judged.
        expect.soft(new Set(told).size, `${gate.id}: points asked for twice`).toBe(told.length);
        expect.soft(Math.max(...steps), `${gate.id}: widest step`).toBeLessThan(gate.every + 1_000);
        expect.soft(told.length, `${gate.id}: points`).toBeGreaterThanOrEqual(Math.floor((when('watched') - armedAt) / (gate.every + 50)));
        expect.soft(record?.samples, `${gate.id}: judged`).toBe(told.length);
      }
      numbers.judged += record?.samples ?? 0;
    }
  });
});
