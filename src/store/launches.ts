import { sql } from 'kysely';
import type { LaunchEvent, Outcome, State } from '../core/event.ts';
import type { Order } from '../core/plan.ts';
import { stateOf, WATCH } from '../core/state.ts';
import { appendEvent, type Db } from './events.ts';
import { releaseLocks } from './patrol.ts';
import type { Store } from './store.ts';

/** A launch's id, kept for whoever comes with the same Idempotency-Key. */
export interface Reservation {
  readonly launch: string;
  /** False when the key was used before with another body. */
  readonly sameBody: boolean;
}

/** Gives a launch its id, `<plan>-<environment>-<n>`, once per Idempotency-Key. Nothing else is written. */
export async function reserve(store: Store, key: string, plan: string, environment: string, bodyHash: string, by: string): Promise<Reservation> {
  return store.db.transaction().execute(async (tx) => {
    await sql`select pg_advisory_xact_lock(hashtext(${key}))`.execute(tx);
    const known = await tx.selectFrom('reservation').selectAll().where('idempotency_key', '=', key).executeTakeFirst();
    if (known !== undefined) return { launch: known.launch, sameBody: known.body_hash === bodyHash };
    const { last } = await tx
      .insertInto('launch_number')
      .values({ plan_name: plan, environment, last: 1 })
      .onConflict((conflict) => conflict.columns(['plan_name', 'environment']).doUpdateSet({ last: sql`launch_number.last + 1` }))
      .returning('last')
      .executeTakeFirstOrThrow();
    const launch = `${plan}-${environment}-${last}`;
    await tx.insertInto('reservation').values({ idempotency_key: key, launch, body_hash: bodyHash, reserved_by: by }).execute();
    return { launch, sameBody: true };
  });
}

/** A refused launch leaves nothing behind: its key may be used again. */
export async function unreserve(store: Store, launch: string): Promise<void> {
  await store.db.deleteFrom('reservation').where('launch', '=', launch).execute();
}

/** What a launch is opened with. `lockable` are all flags it will ever touch, fallbacks included. */
export interface Opening {
  readonly launch: string;
  readonly order: Order;
  readonly startedBy: string;
  readonly note?: string;
  readonly speed: number;
  /** When `maxDuration` is over, ms by the database's clock. */
  readonly deadline: number;
  readonly event: LaunchEvent;
}

/** A flag that another live launch holds. */
export interface FlagHeld {
  readonly flag: string;
  readonly launch: string;
}

/** Writes the launch, its stages and all its locks in one transaction; a repeat changes nothing. Returns the flags that others hold: then nothing was written. */
export async function openLaunch(store: Store, opening: Opening): Promise<readonly FlagHeld[]> {
  const { order, launch } = opening;
  return store.db.transaction().execute(async (tx) => {
    const known = await tx.selectFrom('launch').select('id').where('id', '=', launch).executeTakeFirst();
    if (known !== undefined) return [];
    const flags = [...order.flags].sort((a, b) => (a.provider + a.key < b.provider + b.key ? -1 : 1));
    await sql`delete from flag_lock where kept_until < clock_timestamp()`.execute(tx);
    const held: FlagHeld[] = [];
    for (const flag of flags) {
      const lock = { provider: flag.provider, environment: order.environment, key: flag.key };
      const { numInsertedOrUpdatedRows } = await tx
        .insertInto('flag_lock')
        .values({ ...lock, launch, kept_until: null })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirstOrThrow();
      if (numInsertedOrUpdatedRows === 1n) continue;
      const owner = await tx
        .selectFrom('flag_lock')
        .select('launch')
        .where('provider', '=', lock.provider)
        .where('environment', '=', lock.environment)
        .where('key', '=', lock.key)
        .executeTakeFirst();
      held.push({ flag: flag.flag, launch: owner?.launch ?? 'a launch that has just ended' });
    }
    if (held.length > 0) {
      await tx.deleteFrom('flag_lock').where('launch', '=', launch).execute();
      return held;
    }
    await tx
      .insertInto('launch')
      .values({
        id: launch,
        plan_name: order.plan.name,
        environment: order.environment,
        launch_order: JSON.stringify(order),
        plan_hash: order.hash,
        state: 'waiting',
        outcome: null,
        note: opening.note ?? null,
        speed: opening.speed,
        started_by: opening.startedBy,
        deadline: new Date(opening.deadline),
        held: null,
        ended_at: null,
        watcher_tick: null,
      })
      .execute();
    const stages = [...order.plan.stages.map((stage) => stage.id), WATCH];
    await tx
      .insertInto('stage_state')
      .values(stages.map((stage, ordinal) => ({ launch, stage, ordinal, shifted_at: null, bake_cursor: null, baked_at: null, no_go: null })))
      .execute();
    await appendEvent(tx, launch, 'opened', opening.event, 'waiting');
    return [];
  });
}

/** A launch's row, as people and workers read it. */
export interface LaunchRow {
  readonly id: string;
  readonly order: Order;
  readonly state: State;
  readonly outcome?: Outcome;
  readonly speed: number;
  readonly startedBy: string;
  readonly startedAt: Date;
  readonly deadline: Date;
  readonly note?: string;
  readonly watcherEpoch: number;
  readonly watcherTick?: Date;
  readonly lastSeq: number;
}

/** One launch, or undefined. */
export async function launchRow(db: Db, id: string): Promise<LaunchRow | undefined> {
  const row = await db.selectFrom('launch').selectAll().where('id', '=', id).executeTakeFirst();
  if (row === undefined) return undefined;
  return {
    id: row.id,
    order: row.launch_order,
    state: row.state,
    speed: row.speed,
    startedBy: row.started_by,
    startedAt: row.started_at,
    deadline: row.deadline,
    watcherEpoch: row.watcher_epoch,
    lastSeq: row.last_seq,
    ...(row.outcome === null ? {} : { outcome: row.outcome }),
    ...(row.note === null ? {} : { note: row.note }),
    ...(row.watcher_tick === null ? {} : { watcherTick: row.watcher_tick }),
  };
}

/** The state that the rows under the launch say, for an event that changes it. Call it under the launch row's lock. */
export async function stateNow(tx: Db, launch: string, frozen = false): Promise<State> {
  const row = await tx.selectFrom('launch').select(['outcome', 'held']).where('id', '=', launch).executeTakeFirstOrThrow();
  const stages = await tx.selectFrom('stage_state').select(['stage', 'phase', 'no_go']).where('launch', '=', launch).orderBy('ordinal').execute();
  const open = await tx.selectFrom('rollback_request').select(['scope', 'proven_at']).where('launch', '=', launch).execute();
  return stateOf({
    outcome: row.outcome,
    rollingBack: open.some((request) => request.scope === 'launch' || request.proven_at === null),
    held: row.held !== null,
    frozen,
    stages: stages.map((stage) => ({ stage: stage.stage, phase: stage.phase, noGo: stage.no_go !== null })),
  });
}

/** Locks the launch row until the transaction ends: whoever decides, decides alone. Undefined when there is no such launch. */
export async function lockLaunch(
  tx: Db,
  launch: string,
): Promise<{ readonly outcome: Outcome | null; readonly watcherTick: Date | null; readonly now: Date } | undefined> {
  const { rows } = await sql<{ outcome: Outcome | null; watcher_tick: Date | null; now: Date }>`
    select outcome, watcher_tick, clock_timestamp() as now from launch where id = ${launch} for update`.execute(tx);
  const row = rows[0];
  return row === undefined ? undefined : { outcome: row.outcome, watcherTick: row.watcher_tick, now: row.now };
}

/** Whether an end was written, or what stands against it. */
export type Ended = { readonly kind: 'ended'; readonly outcome: Outcome } | { readonly kind: 'stopped' } | { readonly kind: 'not-yet'; readonly why: string };

/** What stands against `launched`: a request, a hold, or an armed gate that has not said go past the end of the watch. */
async function againstLaunched(tx: Db, launch: string, now: Date): Promise<Ended | undefined> {
  const requested = await tx.selectFrom('rollback_request').select('scope').where('launch', '=', launch).executeTakeFirst();
  if (requested !== undefined) return { kind: 'stopped' };
  const { held } = await tx.selectFrom('launch').select('held').where('id', '=', launch).executeTakeFirstOrThrow();
  if (held !== null) return { kind: 'not-yet', why: `held: ${held.reason}` };
  const watched = await tx.selectFrom('stage_state').select('baked_at').where('launch', '=', launch).where('stage', '=', WATCH).executeTakeFirstOrThrow();
  if (watched.baked_at === null) return { kind: 'not-yet', why: 'the watch after the last stage is not over' };
  const gates = await tx.selectFrom('gate_state').selectAll().where('launch', '=', launch).where('measured', '=', true).execute();
  for (const gate of gates) {
    if (!gate.passes || gate.pending) return { kind: 'not-yet', why: `gate ${gate.gate} does not pass` };
    if (Number(gate.cursor_at) < Number(watched.baked_at)) return { kind: 'not-yet', why: `gate ${gate.gate} was not judged to the end` };
    if (gate.measured_at === null || now.getTime() - gate.measured_at.getTime() > 2 * Number(gate.every_ms) + 10_000) {
      return { kind: 'not-yet', why: `gate ${gate.gate} has no fresh measurement` };
    }
  }
  return undefined;
}

/**
 * Ends a launch, in one transaction under its row's lock: `launched` only with no request and every armed gate passing
 * past the end; `rolled-back` and `aborted` only when every request is proven. Locks are released with it, or kept
 * for a quarter of an hour where a patrol still walks.
 */
export async function endLaunch(store: Store, launch: string, outcome: 'launched' | 'rolled-back' | 'aborted', event: LaunchEvent): Promise<Ended> {
  return store.db.transaction().execute(async (tx) => {
    const row = await lockLaunch(tx, launch);
    if (row === undefined) throw new Error(`launch ${launch} does not exist`);
    if (row.outcome !== null && row.outcome !== 'stuck') return { kind: 'ended', outcome: row.outcome };
    if (outcome === 'launched') {
      const against = await againstLaunched(tx, launch, row.now);
      if (against !== undefined) return against;
    } else {
      const open = await tx.selectFrom('rollback_request').select('scope').where('launch', '=', launch).where('proven_at', 'is', null).executeTakeFirst();
      if (open !== undefined) return { kind: 'not-yet', why: `the rollback of ${open.scope} is not proven` };
    }
    await appendEvent(tx, launch, await endKey(tx, launch), event, outcome);
    await tx
      .updateTable('launch')
      .set({ outcome, state: outcome, held: null, ended_at: sql`clock_timestamp()` })
      .where('id', '=', launch)
      .execute();
    await releaseLocks(tx, launch, outcome);
    await sql`select pg_notify('gonogo_rollback', ${launch})`.execute(tx);
    return { kind: 'ended', outcome };
  });
}

/** The key of a launch's end: a rollback that a patrol took up again ends once more. */
export async function endKey(tx: Db, launch: string): Promise<string> {
  const { ends } = await tx
    .selectFrom('event')
    .select((row) => row.fn.countAll<string>().as('ends'))
    .where('launch', '=', launch)
    .where('kind', '=', 'ended')
    .executeTakeFirstOrThrow();
  return Number(ends) === 0 ? 'ended' : `ended:${ends}`;
}

/** Says that a rollback could not be proven in time: loud, and still tried. False when it was said, or the launch is over. */
export async function markStuck(store: Store, launch: string, scope: string, event: LaunchEvent): Promise<boolean> {
  return store.db.transaction().execute(async (tx) => {
    const row = await lockLaunch(tx, launch);
    if (row === undefined || row.outcome !== null) return false;
    const { numUpdatedRows } = await tx
      .updateTable('rollback_request')
      .set({ stuck_at: sql`clock_timestamp()` })
      .where('launch', '=', launch)
      .where('scope', '=', scope)
      .where('proven_at', 'is', null)
      .executeTakeFirstOrThrow();
    if (numUpdatedRows === 0n) return false;
    await tx.updateTable('launch').set({ outcome: 'stuck' }).where('id', '=', launch).execute();
    const { last_seq: seq } = await tx.selectFrom('launch').select('last_seq').where('id', '=', launch).executeTakeFirstOrThrow();
    await appendEvent(tx, launch, `stuck:${scope}:${seq}`, event, 'stuck');
    return true;
  });
}

/** Pages a person, once per key: the event and, for an unproven rollback, its mark. True when this call was the first. */
export async function page(store: Store, launch: string, key: string, event: LaunchEvent, scope?: string): Promise<boolean> {
  return store.db.transaction().execute(async (tx) => {
    if ((await lockLaunch(tx, launch)) === undefined) return false;
    const { fresh } = await appendEvent(tx, launch, `paged:${key}`, event);
    if (fresh && scope !== undefined) {
      await tx
        .updateTable('rollback_request')
        .set({ paged_at: sql`clock_timestamp()` })
        .where('launch', '=', launch)
        .where('scope', '=', scope)
        .execute();
    }
    return fresh;
  });
}
