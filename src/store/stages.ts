import { sql } from 'kysely';
import { clearance, type Clearance, type Signature } from '../core/clearance.ts';
import type { FlagProof, GateRecord, LaunchEvent, Outcome, State } from '../core/event.ts';
import type { Order } from '../core/plan.ts';
import { WATCH } from '../core/state.ts';
import type { Subject } from '../core/subject.ts';
import { writeEntries, type NewEntry } from './entries.ts';
import { appendEvent, type Db } from './events.ts';
import { rollbackState, type JournalEntry } from './journal.ts';
import { launchRow, lockLaunch, stateNow } from './launches.ts';
import type { NoGo } from './schema.ts';
import type { Store } from './store.ts';

/** What was said of a stage, and what it still waits for. */
export interface ClearanceNow {
  readonly launch: string;
  readonly stage: string;
  readonly round: number;
  readonly clearance: Clearance;
  readonly signatures: readonly Signature[];
  readonly noGo?: NoGo;
}

/** Judges a stage's clearance from the rows; `checked` are the machine checks that pass right now. */
export async function clearanceOf(db: Db, launch: string, order: Order, stageId: string, checked: ReadonlySet<string>): Promise<ClearanceNow> {
  const stage = order.plan.stages.find((one) => one.id === stageId);
  if (stage === undefined) throw new Error(`launch ${launch} has no stage ${stageId}`);
  const row = await db.selectFrom('stage_state').select(['round', 'no_go']).where('launch', '=', launch).where('stage', '=', stageId).executeTakeFirstOrThrow();
  const ticks = await db.selectFrom('checklist_tick').select('item').where('launch', '=', launch).where('done', '=', true).execute();
  const rows = await db.selectFrom('signature').selectAll().where('launch', '=', launch).where('stage', '=', stageId).where('round', '=', row.round).execute();
  const signatures = rows.map((one) => ({ role: one.role, person: one.person, decision: one.decision, planHash: one.plan_hash }));
  const facts = { planHash: order.hash, ticked: new Set(ticks.map((tick) => tick.item)), checked, signatures, noGo: row.no_go !== null };
  return {
    launch,
    stage: stageId,
    round: row.round,
    clearance: clearance(order.plan, stage, facts),
    signatures,
    ...(row.no_go === null ? {} : { noGo: row.no_go }),
  };
}

/** Opens a stage's clearance, with the evidence its signers are shown; a repeat changes nothing. False when a rollback was asked for. */
export async function openStage(store: Store, launch: string, stage: string, at: string, evidence: readonly GateRecord[]): Promise<boolean> {
  return store.db.transaction().execute(async (tx) => {
    const row = await lockLaunch(tx, launch);
    if (row === undefined || row.outcome !== null || (await isRequested(tx, launch))) return false;
    await tx
      .updateTable('stage_state')
      .set({ phase: 'clearance' })
      .where('launch', '=', launch)
      .where('stage', '=', stage)
      .where('phase', '=', 'pending')
      .execute();
    await appendEvent(tx, launch, `stage-opened:${stage}`, { kind: 'stage-opened', at, by: 'gonogo', stage, round: 1, evidence }, await stateNow(tx, launch));
    return true;
  });
}

/** Whether a stage's flags are in the journal and may be written. `wait` names what stands against it for now. */
export type Remembered =
  | { readonly kind: 'remembered'; readonly entries: readonly JournalEntry[] }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'wait'; readonly why: string; readonly until?: string };

async function isRequested(tx: Db, launch: string): Promise<boolean> {
  return (await tx.selectFrom('rollback_request').select('scope').where('launch', '=', launch).limit(1).executeTakeFirst()) !== undefined;
}

/** How old (ms, the database's clock) a watcher's tick may be for a write to be allowed. */
const WATCHER_FRESH = 20_000;

async function againstShift(
  tx: Db,
  launch: string,
  order: Order,
  stageId: string,
  row: { watcherTick: Date | null; now: Date },
  checked: ReadonlySet<string>,
): Promise<Remembered | undefined> {
  const { held } = await tx.selectFrom('launch').select('held').where('id', '=', launch).executeTakeFirstOrThrow();
  if (held !== null) return { kind: 'wait', why: `held: ${held.reason}` };
  const now = await clearanceOf(tx, launch, order, stageId, checked);
  if (!now.clearance.cleared) return { kind: 'wait', why: 'clearance is not complete' };
  const freeze = await tx
    .selectFrom('freeze')
    .selectAll()
    .where('starts_at', '<=', sql<Date>`clock_timestamp()`)
    .where('ends_at', '>', sql<Date>`clock_timestamp()`)
    .where((where) => where.or([where('environment', 'is', null), where('environment', '=', order.environment)]))
    .orderBy('ends_at', 'desc')
    .executeTakeFirst();
  if (freeze !== undefined) return { kind: 'wait', why: `frozen: ${freeze.reason}`, until: freeze.ends_at.toISOString() };
  if (row.watcherTick === null || row.now.getTime() - row.watcherTick.getTime() > WATCHER_FRESH) return { kind: 'wait', why: 'no live watcher' };
  const live = await tx.selectFrom('stage_state').select('stage').where('launch', '=', launch).where('phase', 'in', ['live', 'passed']).execute();
  const armed = new Set(order.plan.stages.filter((stage) => live.some((one) => one.stage === stage.id)).flatMap((stage) => stage.gates));
  for (const gate of order.plan.gates.filter((one) => armed.has(one.id))) {
    const state = await tx.selectFrom('gate_state').selectAll().where('launch', '=', launch).where('gate', '=', gate.id).executeTakeFirst();
    if (gate.kind === 'alert' && gate.source === undefined) continue;
    if (state === undefined || !state.passes || state.pending) return { kind: 'wait', why: `gate ${gate.id} does not pass` };
    if (state.measured_at === null || row.now.getTime() - state.measured_at.getTime() > 2 * gate.every + 10_000)
      return { kind: 'wait', why: `gate ${gate.id} has no fresh measurement` };
  }
  return undefined;
}

/**
 * Writes down what a stage's flags were, before any is touched: insert or return, so that a retry never takes a second
 * snapshot. Refused past a rollback request; waits while the launch is held, frozen, not cleared, not watched, or an
 * armed gate is not passing and fresh.
 */
export async function rememberStage(
  store: Store,
  launch: string,
  stageId: string,
  entries: readonly NewEntry[],
  checked: ReadonlySet<string>,
  event: LaunchEvent,
): Promise<Remembered> {
  const kept = await store.db.transaction().execute(async (tx): Promise<Remembered | undefined> => {
    const row = await lockLaunch(tx, launch);
    if (row === undefined || row.outcome !== null || (await isRequested(tx, launch))) return { kind: 'stopped' };
    const stage = await tx.selectFrom('stage_state').select('phase').where('launch', '=', launch).where('stage', '=', stageId).executeTakeFirstOrThrow();
    const voided = await tx
      .selectFrom('journal')
      .select('flag')
      .where('launch', '=', launch)
      .where('stage', '=', stageId)
      .where('phase', '=', 'void')
      .execute();
    if (stage.phase !== 'clearance' && !(stage.phase === 'shifting' && voided.length > 0)) return undefined;
    const known = await launchRow(tx, launch);
    if (known === undefined) return { kind: 'stopped' };
    const against = await againstShift(tx, launch, known.order, stageId, row, checked);
    if (against?.kind === 'wait' && against.until !== undefined) {
      const frozen: LaunchEvent = { kind: 'frozen', at: event.at, by: 'gonogo', stage: stageId, reason: against.why, until: against.until };
      await appendEvent(tx, launch, `frozen:${stageId}:${against.until}`, frozen, await stateNow(tx, launch, true));
    }
    if (against !== undefined) return against;
    await writeEntries(tx, launch, stageId, entries, false);
    await tx.updateTable('stage_state').set({ phase: 'shifting' }).where('launch', '=', launch).where('stage', '=', stageId).execute();
    await appendEvent(tx, launch, `cleared:${stageId}`, { kind: 'cleared', at: event.at, by: 'gonogo', stage: stageId });
    await appendEvent(tx, launch, `remembered:${stageId}${voided.length > 0 ? `:${known.lastSeq}` : ''}`, event, await stateNow(tx, launch));
    return undefined;
  });
  if (kept !== undefined) return kept;
  const view = await rollbackState(store, launch);
  return { kind: 'remembered', entries: view?.journal.filter((entry) => entry.stage === stageId && !entry.fallback) ?? [] };
}

/** Whether a write may still be sent: the launch lives and no rollback was asked for. Asked right before each write. */
export async function stillWanted(store: Store, launch: string): Promise<boolean> {
  const [row] = await store.urgent(
    'select outcome is null and not exists (select 1 from rollback_request r where r.launch = l.id) as wanted from launch l where id = $1',
    [launch],
    'still_wanted',
  );
  return row?.['wanted'] === true;
}

/** Marks a unit's entries written, where they are still `intent`. Returns how many moved. */
export async function markApplied(
  store: Store,
  launch: string,
  stage: string,
  written: readonly { readonly flag: string; readonly revision?: string }[],
): Promise<number> {
  const { numAffectedRows } = await sql`
    update journal j set phase = 'applied', written_revision = w->>'revision', applied_at = clock_timestamp()
    from jsonb_array_elements(${JSON.stringify(written)}::jsonb) w
    where j.launch = ${launch} and j.stage = ${stage} and j.flag = w->>'flag' and j.phase = 'intent'`.execute(store.db);
  return Number(numAffectedRows ?? 0n);
}

/** Marks entries that we never wrote, since the vendor refused the write for drift. */
export async function markVoid(store: Store, launch: string, stage: string, flags: readonly string[]): Promise<void> {
  await store.db
    .updateTable('journal')
    .set({ phase: 'void' })
    .where('launch', '=', launch)
    .where('stage', '=', stage)
    .where('flag', 'in', [...flags])
    .where('phase', '=', 'intent')
    .execute();
}

/** The stage's flags are written: it is live from `at` (judged time, ms), and its gates are armed. A repeat changes nothing. */
export async function stageShifted(store: Store, launch: string, stage: string, at: number, event: LaunchEvent): Promise<void> {
  await store.db.transaction().execute(async (tx) => {
    await lockLaunch(tx, launch);
    await tx
      .updateTable('stage_state')
      .set({ phase: 'live', shifted_at: at })
      .where('launch', '=', launch)
      .where('stage', '=', stage)
      .where('phase', '=', 'shifting')
      .execute();
    await appendEvent(tx, launch, `shifted:${stage}`, event, await stateNow(tx, launch));
  });
}

/** Keeps who has been seen to change, per flag, and writes the proof down once. */
export async function stageWitnessed(
  store: Store,
  launch: string,
  stage: string,
  witnesses: Readonly<Record<string, readonly Subject[]>>,
  proofs: readonly FlagProof[],
  at: string,
): Promise<void> {
  await store.db.transaction().execute(async (tx) => {
    await lockLaunch(tx, launch);
    for (const [flag, subjects] of Object.entries(witnesses)) {
      await tx
        .updateTable('journal')
        .set({ witnesses: JSON.stringify(subjects) })
        .where('launch', '=', launch)
        .where('stage', '=', stage)
        .where('flag', '=', flag)
        .execute();
    }
    await appendEvent(tx, launch, `witnessed:${stage}`, { kind: 'witnessed', at, by: 'gonogo', stage, proofs });
  });
}

/** A stage's bake is earned: it is passed, with its evidence. False when a rollback was asked for or it was passed before. */
export async function passStage(store: Store, launch: string, stage: string, event: LaunchEvent): Promise<boolean> {
  return store.db.transaction().execute(async (tx) => {
    const row = await lockLaunch(tx, launch);
    if (row === undefined || row.outcome !== null || (await isRequested(tx, launch))) return false;
    const { numUpdatedRows } = await tx
      .updateTable('stage_state')
      .set({ phase: 'passed' })
      .where('launch', '=', launch)
      .where('stage', '=', stage)
      .where('phase', '=', 'live')
      .where('baked_at', 'is not', null)
      .executeTakeFirstOrThrow();
    if (numUpdatedRows === 0n) return false;
    const state: State = await stateNow(tx, launch);
    const { fresh } = await appendEvent(tx, launch, `baked:${stage}`, event, state);
    return fresh;
  });
}

/** The watch after the last stage begins at `at` (judged time, ms). */
export async function startWatching(store: Store, launch: string, at: number, event: LaunchEvent): Promise<boolean> {
  return store.db.transaction().execute(async (tx) => {
    const row = await lockLaunch(tx, launch);
    if (row === undefined || row.outcome !== null || (await isRequested(tx, launch))) return false;
    await tx
      .updateTable('stage_state')
      .set({ phase: 'live', shifted_at: at })
      .where('launch', '=', launch)
      .where('stage', '=', WATCH)
      .where('phase', '=', 'pending')
      .execute();
    await appendEvent(tx, launch, 'watching', event, await stateNow(tx, launch));
    return true;
  });
}

/** The outcome so far: undefined while the launch lives. */
export async function outcomeOf(db: Db, launch: string): Promise<Outcome | undefined> {
  return (await launchRow(db, launch))?.outcome;
}

/** Keeps other witnesses for an entry: the ones before are gone. */
export async function keepWitnesses(store: Store, launch: string, stage: string, flag: string, witnesses: readonly Subject[]): Promise<void> {
  await store.db
    .updateTable('journal')
    .set({ witnesses: JSON.stringify(witnesses) })
    .where('launch', '=', launch)
    .where('stage', '=', stage)
    .where('flag', '=', flag)
    .execute();
}
