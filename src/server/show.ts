import { view, type LaunchView } from '../core/view.ts';
import { fold } from '../core/fold.ts';
import { headline } from '../core/headline.ts';
import { eventsOf } from '../store/events.ts';
import { launchRow } from '../store/launches.ts';
import { headlineEvents, listLaunches, liveRows, type ListFilter } from '../store/lists.ts';
import type { Store } from '../store/store.ts';
import { HttpProblem } from './problem.ts';

/** There is no such launch. */
export function unknownLaunch(id: string): HttpProblem {
  return new HttpProblem(404, 'launch_unknown', `there is no launch ${JSON.stringify(id.slice(0, 200))}`);
}

/** The view of one launch as it stands. Throws HttpProblem 404. */
export async function showLaunch(store: Store, id: string): Promise<LaunchView> {
  const row = await launchRow(store.db, id);
  if (row === undefined) throw unknownLaunch(id);
  const [events, live] = await Promise.all([eventsOf(store.db, id), liveRows(store, [id])]);
  return view(row.order, events, live.get(id) ?? { gates: new Map(), earned: new Map() });
}

/** One line of the list of launches. */
export interface LaunchLine {
  readonly id: string;
  readonly headline: string;
  readonly plan: { readonly name: string; readonly title?: string; readonly hash: string };
  readonly environment: string;
  readonly state: string;
  readonly stage?: string;
  readonly outcome?: string;
  readonly startedBy: string;
  readonly startedAt: string;
}

/** Launches, newest first, each with the headline that its own view has. */
export async function showLaunches(store: Store, filter: ListFilter): Promise<readonly LaunchLine[]> {
  const rows = await listLaunches(store, filter);
  const ids = rows.map((row) => row.id);
  const [events, live] = await Promise.all([headlineEvents(store, ids), liveRows(store, ids)]);
  return rows.map((row) => {
    const { order } = row;
    const told = fold(events.get(row.id) ?? []);
    const now = live.get(row.id);
    const gates = new Map([...(now?.gates ?? [])].flatMap(([gate, state]) => (state.last === undefined ? [] : [[gate, state.latched ?? state.last] as const])));
    return {
      id: row.id,
      headline: headline(told, { plan: order.plan, gates, ...(now === undefined ? {} : { earned: now.earned }) }),
      plan: { name: order.plan.name, ...(order.plan.title === undefined ? {} : { title: order.plan.title }), hash: order.hash },
      environment: row.environment,
      state: row.state,
      ...(told.stage === undefined || told.stage.startsWith('$') ? {} : { stage: told.stage }),
      ...(row.outcome === undefined ? {} : { outcome: row.outcome }),
      startedBy: row.startedBy,
      startedAt: row.startedAt.toISOString(),
    };
  });
}
