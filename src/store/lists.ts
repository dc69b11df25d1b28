import { sql } from 'kysely';
import type { LaunchEvent, LoggedEvent, Outcome, State } from '../core/event.ts';
import type { GateState } from '../core/gate.ts';
import type { Order } from '../core/plan.ts';
import type { Link } from './chain.ts';
import type { Db } from './events.ts';
import type { Store } from './store.ts';

/** A launch in a list. */
export interface ListedLaunch {
  readonly id: string;
  readonly plan: string;
  readonly order: Order;
  readonly environment: string;
  readonly state: State;
  readonly outcome?: Outcome;
  readonly startedBy: string;
  readonly startedAt: Date;
}

/** What a list is narrowed to. `before` is a launch's id to page on. */
export interface ListFilter {
  readonly state?: State;
  readonly environment?: string;
  readonly plan?: string;
  readonly live?: boolean;
  readonly before?: string;
  readonly limit: number;
}

/** Launches, newest first. */
export async function listLaunches(store: Store, filter: ListFilter): Promise<readonly ListedLaunch[]> {
  let query = store.db.selectFrom('launch').selectAll().orderBy('started_at', 'desc').orderBy('id').limit(filter.limit);
  if (filter.state !== undefined) query = query.where('state', '=', filter.state);
  if (filter.environment !== undefined) query = query.where('environment', '=', filter.environment);
  if (filter.plan !== undefined) query = query.where('plan_name', '=', filter.plan);
  if (filter.live === true) query = query.where((where) => where.or([where('outcome', 'is', null), where('outcome', '=', 'stuck')]));
  if (filter.before !== undefined)
    query = query.where('started_at', '<', (row) =>
      row
        .selectFrom('launch as l')
        .select('l.started_at')
        .where('l.id', '=', filter.before ?? ''),
    );
  const rows = await query.execute();
  return rows.map((row) => ({
    id: row.id,
    plan: row.plan_name,
    order: row.launch_order,
    environment: row.environment,
    state: row.state,
    startedBy: row.started_by,
    startedAt: row.started_at,
    ...(row.outcome === null ? {} : { outcome: row.outcome }),
  }));
}

/** The events of several launches that their headlines are told from (gate news left out: the live rows have it), by launch. */
export async function headlineEvents(store: Store, launches: readonly string[]): Promise<ReadonlyMap<string, readonly LoggedEvent[]>> {
  const byLaunch = new Map<string, LoggedEvent[]>(launches.map((id) => [id, []]));
  if (launches.length === 0) return byLaunch;
  const rows = await store.db
    .selectFrom('event')
    .selectAll()
    .where('launch', 'in', [...launches])
    .where('kind', 'not in', ['gate', 'gap', 'cleared', 'witnessed'])
    .orderBy('launch')
    .orderBy('seq')
    .execute();
  for (const row of rows) {
    const event = JSON.parse(row.body) as LaunchEvent;
    byLaunch.get(row.launch)?.push({
      launch: row.launch,
      seq: row.seq,
      key: row.key,
      recordedAt: row.recorded_at.toISOString(),
      event,
      hash: row.hash.toString('hex'),
      prev: row.prev_hash.toString('hex'),
    });
  }
  return byLaunch;
}

/** A launch's gates and bake clocks as its watcher last wrote them. */
export interface LiveRows {
  readonly gates: ReadonlyMap<string, GateState>;
  /** Bake earned by stage, ms. */
  readonly earned: ReadonlyMap<string, number>;
}

/** What changes too often to be an event: gate states and bake clocks, by launch. */
export async function liveRows(store: Store, launches: readonly string[]): Promise<ReadonlyMap<string, LiveRows>> {
  const found = new Map(launches.map((id) => [id, { gates: new Map<string, GateState>(), earned: new Map<string, number>() }]));
  if (launches.length === 0) return found;
  const [gates, stages] = await Promise.all([
    store.db
      .selectFrom('gate_state')
      .select(['launch', 'gate', 'state'])
      .where('launch', 'in', [...launches])
      .execute(),
    store.db
      .selectFrom('stage_state')
      .select(['launch', 'stage', 'earned'])
      .where('launch', 'in', [...launches])
      .execute(),
  ]);
  for (const row of gates) found.get(row.launch)?.gates.set(row.gate, row.state as GateState);
  for (const row of stages) found.get(row.launch)?.earned.set(row.stage, Number(row.earned));
  return found;
}

/** A launch's chain, in order, each body as it was hashed. */
export async function linksOf(db: Db, launch: string): Promise<readonly Link[]> {
  const rows = await db.selectFrom('event').select(['seq', 'recorded_at', 'body', 'hash']).where('launch', '=', launch).orderBy('seq').execute();
  return rows.map((row) => ({ seq: row.seq, recordedAt: row.recorded_at.toISOString(), body: row.body, hash: row.hash.toString('hex') }));
}

/** How many launches there are in each state; by the rollback's pool, so that a scrape fails in a second at most. */
export async function countByState(store: Store): Promise<ReadonlyMap<State, number>> {
  const rows = await store.urgent('select state, count(*)::int as n from launch group by state', [], 'count_by_state');
  return new Map(rows.map((row) => [row['state'] as State, Number(row['n'])]));
}

/** A launch as the janitor looks at it. Times in ms by the database's clock. */
export interface LaunchHealth {
  readonly launch: string;
  readonly state: State;
  readonly outcome?: Outcome;
  readonly now: number;
  readonly startedAt: number;
  readonly deadline: number;
  readonly watcherEpoch: number;
  readonly watcherTick?: number;
  readonly requested: boolean;
  /** Everything was asked back, not only a stage. */
  readonly wide: boolean;
  /** Unproven requests, with the time of their last progress. */
  readonly openRequests: readonly { readonly scope: string; readonly progressAt: number }[];
  /** Some journal entry is not void. */
  readonly moved: boolean;
}

/** Every launch that lives, stuck ones too, as it stands. */
export async function launchesToTend(store: Store): Promise<readonly LaunchHealth[]> {
  const { rows } = await sql<{
    id: string;
    state: State;
    outcome: Outcome | null;
    now: Date;
    started_at: Date;
    deadline: Date;
    watcher_epoch: number;
    watcher_tick: Date | null;
    moved: boolean;
    requests: readonly { scope: string; progress: string; proven: boolean }[];
  }>`
    select l.id, l.state, l.outcome, clock_timestamp() as now, l.started_at, l.deadline, l.watcher_epoch, l.watcher_tick,
      exists (select 1 from journal j where j.launch = l.id and j.phase <> 'void') as moved,
      coalesce((select jsonb_agg(jsonb_build_object('scope', r.scope, 'progress', r.progress_at, 'proven', r.proven_at is not null)) from rollback_request r where r.launch = l.id), '[]') as requests
    from launch l where l.outcome is null or l.outcome = 'stuck' order by l.id`.execute(store.db);
  return rows.map((row) => ({
    launch: row.id,
    state: row.state,
    now: row.now.getTime(),
    startedAt: row.started_at.getTime(),
    deadline: row.deadline.getTime(),
    watcherEpoch: row.watcher_epoch,
    requested: row.requests.length > 0,
    wide: row.requests.some((one) => one.scope === 'launch'),
    openRequests: row.requests.filter((one) => !one.proven).map((one) => ({ scope: one.scope, progressAt: Date.parse(one.progress) })),
    moved: row.moved,
    ...(row.outcome === null ? {} : { outcome: row.outcome }),
    ...(row.watcher_tick === null ? {} : { watcherTick: row.watcher_tick.getTime() }),
  }));
}

/** Launches that are over and keep their locks, since a patrol walks for them. */
export async function launchesOnPatrol(store: Store): Promise<readonly string[]> {
  const { rows } = await sql<{ id: string }>`
    select l.id from launch l where l.outcome = 'rolled-back'
      and exists (select 1 from flag_lock f where f.launch = l.id and f.kept_until > clock_timestamp()) order by l.id`.execute(store.db);
  return rows.map((row) => row.id);
}

/** Frees locks that no living launch holds and no patrol needs. Returns how many. */
export async function freeOrphanLocks(store: Store): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from flag_lock f where (f.kept_until is null or f.kept_until < clock_timestamp())
      and not exists (select 1 from launch l where l.id = f.launch and (l.outcome is null or l.outcome = 'stuck'))`.execute(store.db);
  return Number(numAffectedRows ?? 0n);
}
