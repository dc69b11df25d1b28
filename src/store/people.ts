import { itemsBefore } from '../core/clearance.ts';
import type { LaunchEvent } from '../core/event.ts';
import type { Order, Stage } from '../core/plan.ts';
import { refuseSignature } from '../core/sign-off.ts';
import { appendEvent, type Appended, type Db } from './events.ts';
import { endKey, launchRow, lockLaunch, stateNow, type LaunchRow } from './launches.ts';
import { releaseLocks } from './patrol.ts';
import type { Hold } from './schema.ts';
import { sql } from 'kysely';
import type { Store } from './store.ts';

/** A person as their token says: a name and the roles held. */
export interface Person {
  readonly name: string;
  readonly roles: readonly string[];
}

/** An act that is refused, with a stable code. `authority` is true when the person may not: such a refusal is audited. */
export class Refusal extends Error {
  readonly code: string;
  readonly kind: 'authority' | 'conflict' | 'missing' | 'invalid';
  constructor(kind: Refusal['kind'], code: string, message: string) {
    super(message);
    this.name = 'Refusal';
    this.kind = kind;
    this.code = code;
  }
}

const conflict = (code: string, message: string) => new Refusal('conflict', code, message);

/** A launch that lives, under its row's lock, for an act that is decided here and now. */
async function act<T>(store: Store, id: string, decide: (tx: Db, launch: LaunchRow) => Promise<T>): Promise<T> {
  return store.db.transaction().execute(async (tx) => {
    const row = await lockLaunch(tx, id);
    const launch = row === undefined ? undefined : await launchRow(tx, id);
    if (launch === undefined) throw new Refusal('missing', 'launch_unknown', `there is no launch ${id}`);
    if (launch.outcome !== undefined && launch.outcome !== 'stuck')
      throw conflict('launch_over', `launch ${id} has ended ${launch.outcome}; nothing can be changed any more`);
    return decide(tx, launch);
  });
}

async function refuseWhileRollingBack(tx: Db, id: string): Promise<void> {
  const open = await tx.selectFrom('rollback_request').select('scope').where('launch', '=', id).executeTakeFirst();
  if (open !== undefined) throw conflict('rolling_back', `launch ${id} is rolling back or was rolled back; it does not go on`);
}

function itemAndStage(order: Order, item: string): { readonly stage: Stage; readonly role?: string; readonly evidence: string; readonly machine: boolean } {
  for (const stage of order.plan.stages) {
    const found = itemsBefore(order.plan, stage).find((one) => one.id === item);
    if (found !== undefined) {
      return { stage, evidence: found.evidence, machine: found.check !== undefined, ...(found.role === undefined ? {} : { role: found.role }) };
    }
  }
  throw new Refusal('missing', 'item_unknown', `the plan has no checklist item ${item}`);
}

/** A tick: what was done, by whom, with what evidence. */
export interface Ticking {
  readonly launch: string;
  readonly item: string;
  readonly done: boolean;
  readonly evidence?: string;
  readonly person: Person;
  /** Judged time, ISO. */
  readonly at: string;
}

/** Ticks or unticks an item, before its stage shifts. Throws Refusal. */
export async function tickItem(store: Store, ticking: Ticking): Promise<Appended> {
  return act(store, ticking.launch, async (tx, launch) => {
    const { person } = ticking;
    const item = itemAndStage(launch.order, ticking.item);
    await refuseWhileRollingBack(tx, launch.id);
    if (item.machine) throw conflict('item_machine_checked', `${ticking.item} is checked by the machine; nobody ticks it`);
    if (item.role !== undefined && !person.roles.includes(item.role)) {
      throw new Refusal(
        'authority',
        'role_not_held',
        `${ticking.item} is ticked by ${item.role}; ${person.name} holds ${person.roles.join(', ') || 'no role'}`,
      );
    }
    const row = await tx.selectFrom('stage_state').select('phase').where('launch', '=', launch.id).where('stage', '=', item.stage.id).executeTakeFirstOrThrow();
    if (row.phase !== 'pending' && row.phase !== 'clearance')
      throw conflict('stage_begun', `stage ${item.stage.id} has begun; ${ticking.item} can no longer be changed`);
    const evidence = ticking.evidence?.trim() ?? '';
    if (ticking.done && item.evidence !== 'none' && evidence === '')
      throw new Refusal('invalid', 'evidence_missing', `${ticking.item} needs ${item.evidence === 'link' ? 'a link' : 'a text'} as evidence`);
    if (ticking.done && item.evidence === 'link' && !/^https?:\/\/\S+$/.test(evidence))
      throw new Refusal('invalid', 'evidence_not_a_link', `the evidence of ${ticking.item} is not a link; expected https://…`);
    const values = { done: ticking.done, evidence: evidence === '' ? null : evidence, person: person.name, role: item.role ?? null };
    await tx
      .insertInto('checklist_tick')
      .values({ launch: launch.id, item: ticking.item, ...values })
      .onConflict((c) => c.columns(['launch', 'item']).doUpdateSet({ ...values, ticked_at: sql`clock_timestamp()` }))
      .execute();
    const event: LaunchEvent = {
      kind: 'ticked',
      at: ticking.at,
      by: person.name,
      item: ticking.item,
      done: ticking.done,
      ...(evidence === '' ? {} : { evidence }),
      ...(item.role === undefined ? {} : { role: item.role }),
    };
    return appendEvent(tx, launch.id, `ticked:${ticking.item}:${launch.lastSeq}`, event);
  });
}

/** One person's answer for one stage. `planHash` and `seal`, where given, must be those of the stage's evidence now. */
export interface Signing {
  readonly launch: string;
  readonly stage: string;
  readonly role: string;
  readonly decision: 'go' | 'no-go';
  readonly person: Person;
  readonly at: string;
  readonly planHash?: string;
  readonly seal?: string;
  readonly reason?: string;
  readonly bugs?: readonly string[];
  readonly recheckAt?: string;
  readonly meanwhile?: 'hold' | 'roll-back';
}

function needNoGo(signing: Signing): { readonly reason: string; readonly recheckAt: string } {
  const reason = signing.reason?.trim() ?? '';
  if (reason === '') throw new Refusal('invalid', 'reason_missing', 'a no-go needs a reason');
  const recheck = Date.parse(signing.recheckAt ?? '');
  if (Number.isNaN(recheck))
    throw new Refusal('invalid', 'recheck_missing', 'a no-go needs recheckAt, the time of the recheck in ISO 8601, e.g. 2026-04-24T10:00:00Z');
  if (recheck <= Date.parse(signing.at)) throw new Refusal('invalid', 'recheck_past', `recheckAt ${signing.recheckAt ?? ''} is not in the future`);
  return { reason, recheckAt: new Date(recheck).toISOString() };
}

/** The hash of the stage's newest opening in the log: what a signature is bound to, beside the plan's hash. */
export async function sealOf(db: Db, launch: string, stage: string): Promise<string | undefined> {
  const { rows } = await sql<{ hash: Buffer }>`
    select hash from event where launch = ${launch} and kind in ('stage-opened', 'reopened') and body::jsonb->>'stage' = ${stage} order by seq desc limit 1`.execute(
    db,
  );
  return rows[0]?.hash.toString('hex');
}

/** Signs a stage, go or no-go. A no-go holds the stage until its recheck. Throws Refusal; an exact repeat returns undefined. */
export async function sign(store: Store, signing: Signing): Promise<Appended | undefined> {
  return act(store, signing.launch, async (tx, launch) => {
    const { person } = signing;
    const stage = launch.order.plan.stages.find((one) => one.id === signing.stage);
    if (stage === undefined) throw new Refusal('missing', 'stage_unknown', `the plan has no stage ${signing.stage}`);
    await refuseWhileRollingBack(tx, launch.id);
    const row = await tx.selectFrom('stage_state').selectAll().where('launch', '=', launch.id).where('stage', '=', stage.id).executeTakeFirstOrThrow();
    const given = await tx
      .selectFrom('signature')
      .selectAll()
      .where('launch', '=', launch.id)
      .where('stage', '=', stage.id)
      .where('round', '=', row.round)
      .execute();
    const refusal = refuseSignature({
      stage,
      role: signing.role,
      person: person.name,
      roles: person.roles,
      startedBy: launch.startedBy,
      decision: signing.decision,
      given: given.map((one) => ({ role: one.role, person: one.person, decision: one.decision, planHash: one.plan_hash })),
    });
    if (refusal?.code === 'already_signed') return undefined;
    if (refusal !== undefined) throw new Refusal(refusal.code === 'one_person_one_role' ? 'conflict' : 'authority', refusal.code, refusal.message);
    if (row.phase !== 'clearance')
      throw conflict('wrong_stage', `stage ${stage.id} is ${row.phase === 'pending' ? 'not open for signatures yet' : 'past its signatures'}`);
    if (row.no_go !== null) throw conflict('no_go_stands', `${row.no_go.person} said no-go to stage ${stage.id}; it opens again at ${row.no_go.recheckAt}`);
    const seal = (await sealOf(tx, launch.id, stage.id)) ?? '';
    if ((signing.planHash !== undefined && signing.planHash !== launch.order.hash) || (signing.seal !== undefined && signing.seal !== seal)) {
      throw conflict('seal_stale', `the evidence or the plan of stage ${stage.id} has changed since it was shown; look again and sign again`);
    }
    const noGo = signing.decision === 'no-go' ? needNoGo(signing) : undefined;
    await tx
      .insertInto('signature')
      .values({
        launch: launch.id,
        stage: stage.id,
        round: row.round,
        role: signing.role,
        person: person.name,
        decision: signing.decision,
        plan_hash: launch.order.hash,
        seal,
      })
      .onConflict((c) => c.columns(['launch', 'stage', 'round', 'person']).doUpdateSet({ decision: signing.decision, seal, signed_at: sql`clock_timestamp()` }))
      .execute();
    const meanwhile = signing.meanwhile ?? 'hold';
    const bugs = signing.bugs ?? [];
    if (noGo !== undefined) {
      const standing = { role: signing.role, person: person.name, ...noGo, bugs, meanwhile };
      await tx
        .updateTable('stage_state')
        .set({ no_go: JSON.stringify(standing) })
        .where('launch', '=', launch.id)
        .where('stage', '=', stage.id)
        .execute();
    }
    const event: LaunchEvent = {
      kind: 'signed',
      at: signing.at,
      by: person.name,
      stage: stage.id,
      round: row.round,
      role: signing.role,
      decision: signing.decision,
      planHash: launch.order.hash,
      seal,
      ...(signing.reason === undefined ? {} : { reason: signing.reason }),
      ...(noGo === undefined ? {} : { ...noGo, bugs, meanwhile }),
    };
    return appendEvent(tx, launch.id, `signed:${stage.id}:${row.round}:${person.name}:${launch.lastSeq}`, event, await stateNow(tx, launch.id));
  });
}

/** Opens a stage's signatures again after a no-go, with the old ones cleared. False when no no-go of that round stands. */
export async function reopenStage(store: Store, launch: string, stage: string, round: number, at: string, reason: string): Promise<boolean> {
  return store.db.transaction().execute(async (tx) => {
    const row = await lockLaunch(tx, launch);
    if (row === undefined || row.outcome !== null) return false;
    const { numUpdatedRows } = await tx
      .updateTable('stage_state')
      .set({ no_go: null, round: round + 1 })
      .where('launch', '=', launch)
      .where('stage', '=', stage)
      .where('round', '=', round)
      .where('no_go', 'is not', null)
      .executeTakeFirstOrThrow();
    if (numUpdatedRows === 0n) return false;
    await appendEvent(
      tx,
      launch,
      `reopened:${stage}:${round + 1}`,
      { kind: 'reopened', at, by: 'gonogo', stage, round: round + 1, reason },
      await stateNow(tx, launch),
    );
    return true;
  });
}

/** Holds a launch; rollback stays armed. A launch that is held already stays as it is (undefined). Throws Refusal. */
export async function hold(
  store: Store,
  launchId: string,
  by: string,
  at: string,
  reason: string,
  cause: Extract<LaunchEvent, { kind: 'held' }>['cause'],
): Promise<Appended | undefined> {
  return act(store, launchId, async (tx, launch) => {
    await refuseWhileRollingBack(tx, launch.id);
    return holdNow(tx, launch.id, `held:${launch.lastSeq}`, { by, at, reason, cause });
  });
}

async function holdNow(
  tx: Db,
  launch: string,
  key: string,
  standing: Hold & { readonly cause: Extract<LaunchEvent, { kind: 'held' }>['cause'] },
): Promise<Appended | undefined> {
  const { held } = await tx.selectFrom('launch').select('held').where('id', '=', launch).executeTakeFirstOrThrow();
  if (held !== null) return undefined;
  await tx
    .updateTable('launch')
    .set({ held: JSON.stringify(standing) })
    .where('id', '=', launch)
    .execute();
  const { at, by, reason, cause } = standing;
  return appendEvent(tx, launch, key, { kind: 'held', at, by, reason, cause }, await stateNow(tx, launch));
}

/** Holds a launch whose live stage is undecided; not again (undefined) within `again` ms after a person has let it bake on. Throws Refusal. */
export async function holdUndecided(store: Store, launchId: string, stage: string, at: string, reason: string, again: number): Promise<Appended | undefined> {
  return act(store, launchId, async (tx, launch) => {
    await refuseWhileRollingBack(tx, launch.id);
    const key = `held:undecided:${stage}:`;
    const holds = await tx.selectFrom('event').select('seq').where('launch', '=', launch.id).where('key', 'like', `${key}%`).orderBy('seq', 'desc').execute();
    const resumed = tx
      .selectFrom('event')
      .select('at')
      .where('launch', '=', launch.id)
      .where('kind', '=', 'resumed')
      .where('seq', '>', holds[0]?.seq ?? 0);
    const on = holds.length === 0 ? undefined : await resumed.orderBy('seq').limit(1).executeTakeFirst();
    if (on !== undefined && Date.parse(at) - on.at.getTime() < again) return undefined;
    return holdNow(tx, launch.id, `${key}${holds.length + 1}`, { by: 'gonogo', at, reason, cause: 'gate' });
  });
}

/** Lets a held launch go on. Throws Refusal: not held, or held after a stage-scope rollback, which can only be concluded. */
export async function resume(store: Store, launchId: string, person: Person, at: string, reason: string): Promise<Appended> {
  return act(store, launchId, async (tx, launch) => {
    const { held } = await tx.selectFrom('launch').select('held').where('id', '=', launch.id).executeTakeFirstOrThrow();
    if (held?.fallback === true)
      throw conflict('conclude_only', `launch ${launch.id} runs in its fallback mode after a stage rollback; conclude it, and try again with a new launch`);
    await refuseWhileRollingBack(tx, launch.id);
    if (held === null) throw conflict('not_held', `launch ${launch.id} is not held`);
    await tx.updateTable('launch').set({ held: null }).where('id', '=', launch.id).execute();
    return appendEvent(tx, launch.id, `resumed:${launch.lastSeq}`, { kind: 'resumed', at, by: person.name, reason }, await stateNow(tx, launch.id));
  });
}

/** After a stage's rollback was proven, the launch waits in its fallback mode to be concluded . False when it waits so already, or the whole launch is asked for. */
export async function holdInFallback(store: Store, launchId: string, at: string, stage: string): Promise<boolean> {
  return store.db.transaction().execute(async (tx) => {
    const row = await lockLaunch(tx, launchId);
    if (row === undefined || row.outcome !== null) return false;
    const wide = await tx.selectFrom('rollback_request').select('scope').where('launch', '=', launchId).where('scope', '=', 'launch').executeTakeFirst();
    if (wide !== undefined) return false;
    const {
      held,
      state,
      last_seq: seq,
    } = await tx.selectFrom('launch').select(['held', 'state', 'last_seq']).where('id', '=', launchId).executeTakeFirstOrThrow();
    // After a relapse it is rolling back again, and waits anew once that is proven.
    if (held?.fallback === true && state === 'held') return false;
    const reason = `stage ${stage} is rolled back and its fallback is on; conclude when people agree`;
    const standing: Hold = { reason, cause: 'fallback', by: 'gonogo', at, fallback: true };
    await tx
      .updateTable('launch')
      .set({ held: JSON.stringify(standing) })
      .where('id', '=', launchId)
      .execute();
    await appendEvent(
      tx,
      launchId,
      `held-in-fallback:${stage}:${seq}`,
      { kind: 'held', at, by: 'gonogo', reason, cause: 'fallback' },
      await stateNow(tx, launchId),
    );
    return true;
  });
}

/** Ends a launch that waits in its fallback mode: `rolled-back`, scope stage. Throws Refusal. */
export async function conclude(store: Store, launchId: string, person: Person, at: string, reason: string): Promise<Appended> {
  return act(store, launchId, async (tx, launch) => {
    const { held } = await tx.selectFrom('launch').select('held').where('id', '=', launch.id).executeTakeFirstOrThrow();
    const requests = await tx.selectFrom('rollback_request').selectAll().where('launch', '=', launch.id).execute();
    const stage = requests.find((request) => request.scope.startsWith('stage:'));
    if (held?.fallback !== true || stage === undefined || requests.some((request) => request.scope === 'launch' || request.proven_at === null)) {
      throw conflict('not_concludable', `launch ${launch.id} is not waiting in its fallback mode`);
    }
    await appendEvent(tx, launch.id, `concluded:${launch.lastSeq}`, { kind: 'concluded', at, by: person.name, reason });
    await tx
      .updateTable('launch')
      .set({ outcome: 'rolled-back', held: null, ended_at: sql`clock_timestamp()` })
      .where('id', '=', launch.id)
      .execute();
    await releaseLocks(tx, launch.id, 'rolled-back');
    const event: LaunchEvent = {
      kind: 'ended',
      at,
      by: person.name,
      outcome: 'rolled-back',
      scope: { kind: 'stage', stage: stage.scope.slice('stage:'.length) },
      why: reason,
    };
    const appended = await appendEvent(tx, launch.id, await endKey(tx, launch.id), event, 'rolled-back');
    await sql`select pg_notify('gonogo_rollback', ${launch.id})`.execute(tx);
    return appended;
  });
}
