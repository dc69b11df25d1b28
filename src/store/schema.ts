import type { ColumnType, Generated, JSONColumnType } from 'kysely';
import type { Exposure, FlagValue } from '../core/exposure.ts';
import type { Cause, Outcome, State } from '../core/event.ts';
import type { Phase } from '../core/journal.ts';
import type { Order } from '../core/plan.ts';
import type { Candidate, Subject } from '../core/subject.ts';
import type { Snapshot } from '../providers/provider.ts';

type Defaulted<T> = ColumnType<T, T | undefined, T>;
/** A jsonb column: read as a value, written as JSON text. */
type Json<T> = ColumnType<T, string, string>;
type NullableJson<T> = ColumnType<T | null, string | null, string | null>;

/** Where a stage stands in the database; `passed` once its bake is earned and the next may open. */
export type StagePhase = 'pending' | 'clearance' | 'shifting' | 'live' | 'passed';

/** Why a launch waits for a person. */
export interface Hold {
  readonly reason: string;
  readonly cause: string;
  readonly by: string;
  readonly at: string;
  /** `stage` after a stage-scope rollback: it can only be concluded. */
  readonly fallback?: boolean;
}

/** A standing no-go on a stage. */
export interface NoGo {
  readonly role: string;
  readonly person: string;
  readonly reason: string;
  readonly bugs: readonly string[];
  readonly recheckAt: string;
  readonly meanwhile: 'hold' | 'roll-back';
}

/** A measurement kept: bad ones all, good ones thinned. `at` in ms. */
export interface MeasurementRow {
  readonly gate: string;
  readonly at: number;
  readonly value?: number;
  readonly kind: string;
  readonly detail?: string;
}

/** The tables of gonogo's own database (migrations/0001-first.ts). */
export interface Database {
  reservation: { idempotency_key: string; launch: string; body_hash: string; reserved_by: string; reserved_at: Generated<Date> };
  launch_number: { plan_name: string; environment: string; last: number };
  launch: {
    id: string;
    plan_name: string;
    environment: string;
    launch_order: JSONColumnType<Order>;
    plan_hash: string;
    state: State;
    outcome: Outcome | null;
    ended_at: Date | null;
    note: string | null;
    speed: Defaulted<number>;
    started_by: string;
    started_at: Generated<Date>;
    deadline: Date;
    held: NullableJson<Hold>;
    watcher_epoch: Generated<number>;
    watcher_tick: Date | null;
    last_seq: Generated<number>;
    head: Generated<Buffer>;
  };
  event: {
    launch: string;
    seq: number;
    key: string;
    kind: string;
    at: Date;
    recorded_at: Date;
    body: string;
    prev_hash: Buffer;
    hash: Buffer;
  };
  stage_state: {
    launch: string;
    stage: string;
    ordinal: number;
    phase: Defaulted<StagePhase>;
    round: Defaulted<number>;
    shifted_at: string | number | null;
    earned: Defaulted<string | number>;
    bake_cursor: string | number | null;
    baked_at: string | number | null;
    no_go: NullableJson<NoGo>;
  };
  checklist_tick: { launch: string; item: string; done: boolean; evidence: string | null; person: string; role: string | null; ticked_at: Generated<Date> };
  signature: {
    launch: string;
    stage: string;
    round: number;
    role: string;
    person: string;
    decision: 'go' | 'no-go';
    plan_hash: string;
    seal: string;
    signed_at: Generated<Date>;
  };
  gate_state: {
    launch: string;
    gate: string;
    armed_at: string | number;
    state: Json<unknown>;
    cursor_at: string | number;
    every_ms: string | number;
    measured: Defaulted<boolean>;
    passes: Defaulted<boolean>;
    pending: Defaulted<boolean>;
    measured_at: Date | null;
  };
  measurement: { launch: string; gate: string; at: string | number; value: number | null; kind: string; detail: string | null };
  candidate: { launch: string; flag: string; candidates: Json<readonly Candidate[]> };
  journal: {
    launch: string;
    stage: string;
    flag: string;
    ordinal: Generated<number>;
    provider: string;
    unit: string;
    key: string;
    fallback: Defaulted<boolean>;
    phase: Defaulted<Phase>;
    snapshot: Json<Snapshot>;
    target: Json<Exposure>;
    written_revision: string | null;
    restored_revision: string | null;
    restored_as: string | null;
    before: Json<Readonly<Record<string, FlagValue>>>;
    witnesses: NullableJson<readonly Subject[]>;
    undo: string;
    remembered_at: Generated<Date>;
    applied_at: Date | null;
    touched_at: Date | null;
    touched_by: string | null;
    sends: Defaulted<number>;
    answers: Defaulted<number>;
  };
  rollback_request: {
    launch: string;
    scope: string;
    cause: Json<Cause>;
    requested_by: string;
    first_bad_at: Date | null;
    requested_at: Generated<Date>;
    progress_at: Generated<Date>;
    verified_at: Date | null;
    proven_at: Date | null;
    paged_at: Date | null;
    stuck_at: Date | null;
  };
  flag_lock: { provider: string; environment: string; key: string; launch: string; kept_until: Date | null };
  audit: { id: Generated<string>; at: Generated<Date>; person: string | null; action: string; target: string | null; why: string; origin: string | null };
  notification: {
    launch: string;
    seq: number;
    channel: string;
    claimed_at: Generated<Date>;
    sent_at: Date | null;
    attempts: Defaulted<number>;
    last_error: string | null;
  };
  alert_receipt: {
    source: string;
    fingerprint: string;
    starts_at: Date;
    received_at: Generated<Date>;
    labels: Json<Readonly<Record<string, string>>>;
    times: Defaulted<number>;
    last_at: Generated<Date>;
    resolved_at: Date | null;
  };
  freeze: { id: Generated<string>; environment: string | null; starts_at: Date; ends_at: Date; reason: string };
  token: {
    hash: string;
    person: string;
    name: string;
    roles: string[];
    created_by: string;
    created_at: Generated<Date>;
    expires_at: Date | null;
    revoked_at: Date | null;
  };
}
