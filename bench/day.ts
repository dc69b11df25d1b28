import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { off } from '../src/core/exposure.ts';
import { toolPath } from '../src/embedded/tools.ts';
import { openEvaluator } from '../src/evaluators/index.ts';
import { openFlagStore } from '../src/flags/store.ts';
import type { Clock, House } from '../src/house.ts';
import { openLog } from '../src/log.ts';
import { openNudger } from '../src/nudger.ts';
import { openProvider } from '../src/providers/index.ts';
import { launchRow } from '../src/store/launches.ts';
import { migrate, openStore } from '../src/store/store.ts';
import { openTelemetry } from '../src/telemetry.ts';
import { runWorkers } from '../src/worker.ts';
import { scriptedSource } from '../test/support/scripted-source.ts';
import { startTestServer } from '../test/support/servers/test-server.ts';
import { NAMES, queues, workflowId, type LaunchInput } from '../workflows/messages.ts';
import type { Embedded } from './embedded.ts';
import { DAY, orderOf } from './launches.ts';

/** What a launch with a bake of 24 h left behind, in skipped time. */
export interface Day {
  /** Real seconds. */
  readonly seconds: number;
  /** Events of Temporal's history, and rows of the event log. */
  readonly history: number;
  readonly events: number;
  /** Points that the gate judged, one each 15 s. */
  readonly points: number;
}

const HOUR = 3_600_000;

/** Runs one launch through a bake of 24 h under a gate of 15 s, every point judged, on the time-skipping server. Undefined where there is none. */
export async function bakeForADay(embedded: Embedded): Promise<Day | undefined> {
  if (toolPath('temporal-test-server') === undefined) return undefined;
  const env = await startTestServer();
  const url = await embedded.database();
  const store = openStore({ url });
  await migrate(store);
  const flags = await openFlagStore(url);
  const prefix = `bench-day-${randomBytes(3).toString('hex')}`;
  const id = prefix;
  const { plan, ...bound } = orderOf(id, 'app', ['d1', 'd2', 'd3'], 15_000);
  const order = { ...bound, plan: { ...plan, watch: 0 } };
  const log = openLog({ level: 'silent' });
  // An hour is slept at a time; the watcher looks back over it point by point, by the same code as after any gap.
  const clock: Clock = {
    now: () => env.currentTimeMs(),
    async sleep(ms, signal) {
      if (signal?.aborted === true) return;
      if ((await launchRow(store.db, id))?.state === 'baking') {
        await env.sleep(Math.max(ms, HOUR));
        return;
      }
      // News ends a sleep, as it does in real time.
      const news = await Promise.race([pause(100, false), new Promise<boolean>((resolve) => signal?.addEventListener('abort', () => resolve(true)))]);
      if (!news) await env.sleep(ms);
    },
  };
  const source = scriptedSource(
    () => env.currentTimeMs(),
    () => 0,
  );
  const context = { log, secret: (reference: string) => reference, databaseUrl: url, serverUrl: 'http://127.0.0.1' };
  const house: House = {
    store,
    clock,
    log,
    meter: openTelemetry().meter,
    nudge: openNudger(env.client, prefix, log),
    providers: new Map([['builtin', await openProvider('builtin', { kind: 'builtin' }, context)]]),
    evaluators: new Map([['store', await openEvaluator('store', { kind: 'store' }, context)]]),
    sources: new Map([['app', source]]),
    notifiers: new Map(),
    hand: prefix,
  };
  const workers = await runWorkers(house, env.nativeConnection, { namespace: 'default', prefix });
  try {
    await flags.create(
      order.flags.map(({ key }) => ({ key, type: 'boolean' as const, offValue: false, exposure: off(true), exposed: true, owner: 'bench', description: key })),
      { by: 'bench' },
    );
    const began = performance.now();
    const input: LaunchInput = { launch: id, order, startedBy: 'bench', speed: 1, heartbeat: 0 };
    // By the environment's client: time is skipped while it waits for a result.
    const handle = await env.client.workflow.start(NAMES.launch, { workflowId: workflowId.launch(id), taskQueue: queues(prefix).launch, args: [input] });
    const ending: unknown = await handle.result();
    const seconds = (performance.now() - began) / 1_000;
    if ((ending as { outcome?: string }).outcome !== 'launched') throw new Error(`the 24 h bake ended ${JSON.stringify(ending)}; expected launched`);
    const points = new Set(source.told('errors')).size;
    if (points < DAY / 15_000 - 2) throw new Error(`${points} points were judged in 24 h; expected one each 15 s`);
    const { historyLength } = await handle.describe();
    return { seconds, history: historyLength, events: (await launchRow(store.db, id))?.lastSeq ?? 0, points };
  } finally {
    await workers.stop();
    await Promise.allSettled([...house.providers.values(), ...house.evaluators.values()].map((one) => one.close()));
    await flags.close();
    await store.close();
    await env.teardown();
  }
}
