import { readFile } from 'node:fs/promises';
import { itemsBefore } from '../../src/core/clearance.ts';
import type { Order, Stage } from '../../src/core/plan.ts';
import { loadRegistry } from '../../src/flags/registry.ts';
import { loadPlan } from '../../src/plan/load.ts';
import { bindOrder } from '../../src/plan/order.ts';
import { eventsOf } from '../../src/store/events.ts';
import { sign, tickItem, type Person } from '../../src/store/people.ts';
import type { Store } from '../../src/store/store.ts';

const HOUR = 3_600_000;

/** One person for each role; the launch is started by somebody else. */
const people: Readonly<Record<string, Person>> = Object.fromEntries(
  (
    [
      ['qa', 'Anna'],
      ['release-engineer', 'Boris'],
      ['product', 'Clara'],
      ['legal', 'Dan'],
      ['on-call', 'Eve'],
    ] as const
  ).map(([role, name]) => [role, { name, roles: [role] }]),
);

/** What the numbers of the communications plan are while all is well; latency breathes a little. */
export function wellness(query: string, at: number): number {
  if (query.startsWith('histogram_quantile')) return 0.3 + 0.2 * Math.sin(at / HOUR);
  if (query.includes('notifications_total') && !query.includes('dropped')) return 900;
  if (query.startsWith('sum(increase(chat_delivery_seconds_count')) return 300;
  if (query === 'dump_age_seconds') return 86_400;
  if (query.startsWith('length(')) return 4;
  return query === 'dashboards_with_data' ? 1 : 0;
}

/** The communications plan as it lies in plans/, bound to prod. */
export async function communications(): Promise<Order> {
  const text = (name: string) => readFile(new URL(`../../plans/${name}.yaml`, import.meta.url), 'utf8');
  const plan = loadPlan(await text('communications'));
  const registry = loadRegistry(await text('flags'));
  if (!plan.ok || !registry.ok) throw new Error('the plan or the registry cannot be read');
  return bindOrder(plan.plan, registry.registry, 'prod');
}

/** Ticks every item and signs for every role as soon as a stage opens, also where the news of it was lost: whoever starts the launch tells them as well. */
export function scriptedPeople(store: Store, order: Order, now: () => Promise<number>): { readonly hear: (launch: string) => void; readonly stop: () => void } {
  const clear = async (launch: string, stage: Stage): Promise<void> => {
    const at = new Date(await now()).toISOString();
    for (const item of itemsBefore(order.plan, stage)) {
      if (item.check !== undefined) continue;
      const person = people[item.role ?? 'qa'];
      if (person !== undefined) await tickItem(store, { launch, item: item.id, done: true, evidence: `https://records.example/${item.id}`, person, at });
    }
    for (const { role } of stage.signOff) {
      const person = people[role];
      if (person !== undefined) await sign(store, { launch, stage: stage.id, role, decision: 'go', person, at });
    }
  };
  const read = new Map<string, number>();
  let known: string | undefined;
  // One after another: a stage that could not be cleared is tried again at the next news, and at the latest in a second.
  let acting = Promise.resolve();
  let again: NodeJS.Timeout | undefined;
  const act = (launch: string): void => {
    acting = acting.then(async () => {
      try {
        for (const { seq, event } of await eventsOf(store.db, launch, read.get(launch))) {
          const stage = event.kind === 'stage-opened' ? order.plan.stages.find((one) => one.id === event.stage) : undefined;
          if (stage !== undefined) await clear(launch, stage);
          read.set(launch, seq);
        }
      } catch (error) {
        console.error(error);
        again = setTimeout(() => act(launch), 1_000);
      }
    });
  };
  const hear = (launch: string | undefined): void => {
    known = launch ?? known;
    if (known !== undefined) act(known);
  };
  const off = store.listener.on('gonogo_event', hear);
  return {
    hear,
    stop: () => {
      clearTimeout(again);
      off();
    },
  };
}
