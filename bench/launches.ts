import { setTimeout as pause } from 'node:timers/promises';
import { everyone, off } from '../src/core/exposure.ts';
import type { AlertGate, FlagRef, Gate, Order, Plan } from '../src/core/plan.ts';
import { hashOf } from '../src/plan/order.ts';
import { NAMES, queues, workflowId, type LaunchInput } from '../workflows/messages.ts';
import type { Setting } from './embedded.ts';

/** A launch of three flags that bakes for a day, and the page's slot that its gate reads. */
export interface BenchLaunch {
  readonly id: string;
  /** None where only an alert can stop it. */
  readonly slot?: string;
  readonly flags: readonly string[];
}

/** Milliseconds. */
export const DAY = 86_400_000;
const HOLD = { after: 600_000, then: 'hold' } as const;
/** So many launches are started at a time: more only queue in Temporal. */
const AT_ONCE = 10;

/** The label by which an alert finds its launch. */
export const ALERT_LABEL = 'bench_launch';

/** An order of one stage with these flags and an alert gate; with a slot also a threshold gate over its page every `every` ms. */
export function orderOf(id: string, slot: string | undefined, flags: readonly string[], every: number): Order {
  const measured: readonly Gate[] =
    slot === undefined
      ? []
      : [
          {
            kind: 'threshold',
            id: 'errors',
            source: slot,
            query: 'errors',
            bound: { op: 'max', limit: 1 },
            every,
            for: 0,
            noData: HOLD,
            error: HOLD,
            minSamples: 0,
          },
        ];
  const alert: AlertGate = { kind: 'alert', id: 'paged', labels: { [ALERT_LABEL]: id }, every: 15_000, for: 0, noData: HOLD, error: HOLD };
  const plan: Plan = {
    name: 'bench',
    environments: ['bench'],
    maxDuration: 14 * DAY,
    rollback: { within: 300_000 },
    checklist: [],
    gates: [...measured, alert],
    stages: [
      {
        id: 'one',
        checklist: [],
        signOff: [],
        set: flags.map((flag) => ({ flag, to: everyone(true), narrows: false })),
        bake: DAY,
        gates: [...measured.map((gate) => gate.id), 'paged'],
      },
    ],
    watch: DAY,
  };
  const refs = flags.map((flag): FlagRef => ({
    flag,
    provider: 'builtin',
    key: flag,
    type: 'boolean',
    offValue: false,
    proof: [{ evaluator: 'store', with: {} }],
  }));
  const bound = { plan, flags: refs, environment: 'bench' };
  return { ...bound, hash: hashOf(bound) };
}

let count = 0;

/** Starts `n` launches, launch i over slot i (none without `every`, ms), and resolves when all bake and each measured gate has passed. Their flags are made first, off. */
export async function startBaking(setting: Setting, n: number, every: number | undefined): Promise<readonly BenchLaunch[]> {
  const launches = Array.from({ length: n }, (_, index): BenchLaunch => {
    count += 1;
    return {
      id: `${setting.taskQueue}-${count}`,
      flags: ['a', 'b', 'c'].map((name) => `${name}${count}`),
      ...(every === undefined ? {} : { slot: `s${index}` }),
    };
  });
  await setting.flags.create(
    launches.flatMap(({ flags }) =>
      flags.map((key) => ({ key, type: 'boolean' as const, offValue: false, exposure: off(true), exposed: true, owner: 'bench', description: key })),
    ),
    { by: 'bench' },
  );
  for (const { slot } of launches) if (slot !== undefined) setting.page.heal(slot);
  const left = [...launches];
  const start = async (): Promise<void> => {
    for (let launch = left.shift(); launch !== undefined; launch = left.shift()) {
      const { id, slot, flags } = launch;
      const input: LaunchInput = { launch: id, order: orderOf(id, slot, flags, every ?? 0), startedBy: 'bench', speed: 1 };
      await setting.embedded.client.workflow.start(NAMES.launch, {
        workflowId: workflowId.launch(id),
        taskQueue: queues(setting.taskQueue).launch,
        args: [input],
      });
      await untilBaking(setting, id);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, start));
  return launches;
}

/** Witnessed, and every measured gate has passed. */
async function untilBaking(setting: Setting, id: string): Promise<void> {
  const end = performance.now() + 120_000;
  for (;;) {
    // A machine that stands still for a second is no reason to break off: only what is measured has a deadline.
    const asked = setting.store.urgent(
      `select exists (select 1 from event where launch = $1 and kind = 'witnessed')
         and (select count(*) from gate_state where launch = $1 and measured and passes) = (select count(*) from launch, jsonb_array_elements(launch_order->'plan'->'gates') g where id = $1 and g ? 'source') as bakes`,
      [id],
      'bench_bakes',
    );
    const [row] = await asked.catch(() => []);
    if (row?.['bakes'] === true) return;
    if (performance.now() > end) throw new Error(`${id} did not come to bake within 2 min; see the worker's log ${setting.embedded.logFile}`);
    await pause(100);
  }
}

/** Throws unless every flag of these launches is off in the store and every rollback is proven in the record: what was heard was true. */
export async function checkRolledBack(setting: Setting, launches: readonly BenchLaunch[]): Promise<void> {
  const { flags } = await setting.flags.read(launches.flatMap((launch) => launch.flags));
  const on = flags.filter((flag) => flag.exposure.share !== 0).map((flag) => flag.key);
  if (on.length > 0 || flags.length !== 3 * launches.length)
    throw new Error(`${on.length} of ${flags.length} flags are still on: ${on.slice(0, 5).join(', ')}`);
  const proven = await setting.store.urgent(
    'select launch from rollback_request where proven_at is not null and launch = any($1)',
    [launches.map((launch) => launch.id)],
    'bench_proven',
  );
  if (proven.length !== launches.length) throw new Error(`${proven.length} of ${launches.length} rollbacks are proven in the record`);
}

/** Resolves when these launches have ended. */
export async function untilEnded(setting: Setting, launches: readonly BenchLaunch[]): Promise<void> {
  const ids = launches.map((launch) => launch.id);
  const end = performance.now() + 90_000;
  for (;;) {
    const rows = await setting.store.urgent(`select count(*)::int as n from launch where outcome is not null and id = any($1)`, [ids], 'bench_ended');
    if (rows[0]?.['n'] === ids.length) return;
    if (performance.now() > end) throw new Error(`only ${String(rows[0]?.['n'])} of ${ids.length} launches have ended`);
    await pause(200);
  }
}
