import type { Cause, LaunchEvent, Outcome, State } from '../core/event.ts';
import type { Exposure, FlagValue } from '../core/exposure.ts';
import type { Phase } from '../core/journal.ts';
import type { Order } from '../core/plan.ts';
import type { Candidate, Subject } from '../core/subject.ts';
import type { Snapshot } from '../providers/provider.ts';
import { bodyOf } from './chain.ts';
import type { Store } from './store.ts';

/** What a flag was before a stage touched it, and how far putting it back has come. */
export interface JournalEntry {
  readonly launch: string;
  readonly stage: string;
  /** Registry key. */
  readonly flag: string;
  readonly ordinal: number;
  readonly provider: string;
  readonly unit: string;
  readonly key: string;
  /** Written by a stage-scope rollback itself, after the stage's flags were back. */
  readonly fallback: boolean;
  readonly phase: Phase;
  readonly snapshot: Snapshot;
  readonly target: Exposure;
  readonly writtenRevision?: string;
  readonly restoredAs?: string;
  /** Candidates' values right before this stage, by subject key. */
  readonly before: Readonly<Record<string, FlagValue>>;
  readonly witnesses?: readonly Subject[];
  readonly undo: string;
  readonly appliedAt?: number;
  /** When a hand last said that it writes it, ms by the database's clock. */
  readonly touchedAt?: number;
  /** A write of it was sent and no answer is known: a hand may still be frozen before it. Counted only where the provider cannot fence. */
  readonly unanswered?: boolean;
}

/** A rollback asked for: its scope's own clock and proof. Times in ms by the database's clock, `firstBadAt` judged time. */
export interface RequestRow {
  readonly scope: string;
  readonly cause: Cause;
  readonly by: string;
  readonly firstBadAt: number;
  readonly requestedAt: number;
  readonly provenAt?: number;
  readonly verifiedAt?: number;
  readonly pagedAt?: number;
  readonly stuckAt?: number;
}

/** All that a hand needs for one attempt at putting back. */
export interface RollbackView {
  readonly launch: string;
  readonly outcome?: Outcome;
  readonly state: State;
  readonly order: Order;
  /** The database's clock, ms. */
  readonly now: number;
  /** This process's monotonic clock (ms) right before the database was asked: how old the view is at most. */
  readonly askedAt: number;
  readonly requests: readonly RequestRow[];
  readonly journal: readonly JournalEntry[];
  readonly candidates: Readonly<Record<string, readonly Candidate[]>>;
}

type Raw = Record<string, unknown>;
const optional = <K extends string, V>(key: K, value: V | null | undefined): Partial<Record<K, V>> =>
  value === null || value === undefined ? {} : ({ [key]: value } as Partial<Record<K, V>>);
const ms = (value: unknown): number | undefined => (typeof value === 'string' ? Date.parse(value) : undefined);

function entryOf(raw: Raw): JournalEntry {
  return {
    launch: raw['launch'] as string,
    stage: raw['stage'] as string,
    flag: raw['flag'] as string,
    ordinal: raw['ordinal'] as number,
    provider: raw['provider'] as string,
    unit: raw['unit'] as string,
    key: raw['key'] as string,
    fallback: raw['fallback'] as boolean,
    phase: raw['phase'] as Phase,
    snapshot: raw['snapshot'] as Snapshot,
    target: raw['target'] as Exposure,
    before: raw['before'] as Readonly<Record<string, FlagValue>>,
    undo: raw['undo'] as string,
    ...optional('writtenRevision', raw['written_revision'] as string | null),
    ...optional('restoredAs', raw['restored_as'] as string | null),
    ...optional('witnesses', raw['witnesses'] as readonly Subject[] | null),
    ...optional('appliedAt', ms(raw['applied_at'])),
    ...optional('touchedAt', ms(raw['touched_at'])),
    ...((raw['sends'] as number) > (raw['answers'] as number) ? { unanswered: true } : {}),
  };
}

function requestOf(raw: Raw): RequestRow {
  const requestedAt = ms(raw['requested_at']) ?? 0;
  return {
    scope: raw['scope'] as string,
    cause: raw['cause'] as Cause,
    by: raw['requested_by'] as string,
    requestedAt,
    firstBadAt: ms(raw['first_bad_at']) ?? requestedAt,
    ...optional('provenAt', ms(raw['proven_at'])),
    ...optional('verifiedAt', ms(raw['verified_at'])),
    ...optional('pagedAt', ms(raw['paged_at'])),
    ...optional('stuckAt', ms(raw['stuck_at'])),
  };
}

/** The document of `rollback_state`, typed; asked for at `askedAt` of the monotonic clock. */
export function rollbackView(raw: unknown, askedAt: number): RollbackView {
  const view = raw as Raw;
  return {
    launch: view['launch'] as string,
    state: view['state'] as State,
    order: view['order'] as Order,
    now: ms(view['now']) ?? 0,
    askedAt,
    requests: (view['requests'] as Raw[]).map(requestOf),
    journal: (view['journal'] as Raw[]).map(entryOf),
    candidates: view['candidates'] as RollbackView['candidates'],
    ...optional('outcome', view['outcome'] as Outcome | null),
  };
}

/** Requests, journal, order and candidates of a launch, by the rollback's own pool. Undefined when there is no such launch. */
export async function rollbackState(store: Store, launch: string): Promise<RollbackView | undefined> {
  const askedAt = performance.now();
  const [row] = await store.urgent('select rollback_state($1) as view', [launch], 'rollback_state');
  return row?.['view'] === null || row === undefined ? undefined : rollbackView(row['view'], askedAt);
}

/** A hand says that it is about to write a unit: whether it may (nobody else touched it within `takes` ms), and the widest scope right now. */
export async function touchUnit(
  store: Store,
  launch: string,
  provider: string,
  unit: string,
  hand: string,
  takes: number,
): Promise<{ readonly yours: boolean; readonly widest?: string }> {
  const [row] = await store.urgent('select touch_unit($1, $2, $3, $4, $5) as answer', [launch, provider, unit, hand, takes], 'touch_unit');
  const answer = row?.['answer'] as { yours: boolean; widest: string | null };
  return { yours: answer.yours, ...optional('widest', answer.widest) };
}

/** An entry written back: the revision it then had, and whether a person's narrower value was kept. */
export interface RestoredMark {
  readonly stage: string;
  readonly flag: string;
  readonly revision: string;
  readonly as: 'restored' | 'kept';
}

/** Marks entries `restored` where they are `intent` or `applied`; the event is written only if one moved. Returns how many did. */
export async function markRestored(store: Store, launch: string, marks: readonly RestoredMark[], event: LaunchEvent): Promise<number> {
  const [row] = await store.urgent(
    'select mark_restored($1, $2, $3, $4) as moved',
    [launch, JSON.stringify(marks), 'restored', bodyOf(event)],
    'mark_restored',
  );
  return row?.['moved'] as number;
}

/** Marks flags `proven` where they are `restored`, and the request with the last of them. True for the one call that proved the request. */
export async function markProven(
  store: Store,
  launch: string,
  scope: string,
  flags: readonly string[],
  verifiedAt: number,
  event: LaunchEvent,
): Promise<boolean> {
  const [row] = await store.urgent(
    'select mark_proven($1, $2, $3, $4, $5) as proven',
    [launch, scope, JSON.stringify(flags), new Date(verifiedAt), bodyOf(event)],
    'mark_proven',
  );
  return row?.['proven'] as boolean;
}

/** Says that a hand is at work on what is not proven yet, also while it only waits. */
export async function atWork(store: Store, launch: string): Promise<number> {
  await store.urgent('update rollback_request set progress_at = clock_timestamp() where launch = $1 and proven_at is null', [launch], 'at_work');
  return 0;
}

/** Both marks in one commit, where the proof came right after the write. True for the one call that proved the request. */
export async function finishRollback(
  store: Store,
  launch: string,
  restored: { readonly marks: readonly RestoredMark[]; readonly event: LaunchEvent },
  proven: { readonly scope: string; readonly flags: readonly string[]; readonly verifiedAt: number; readonly event: LaunchEvent },
): Promise<boolean> {
  const proved = await store.together({
    call: 'finish',
    launch,
    with: [restored.marks, bodyOf(restored.event), proven.scope, proven.flags, new Date(proven.verifiedAt).toISOString(), bodyOf(proven.event)],
  });
  return proved as boolean;
}

/** Takes a proof back after a relapse: the flags are tried again. False when the launch is over or the request was not proven. */
export async function unprove(store: Store, launch: string, scope: string, flags: readonly string[], event: LaunchEvent): Promise<boolean> {
  const [row] = await store.urgent('select unprove($1, $2, $3, $4) as done', [launch, scope, JSON.stringify(flags), bodyOf(event)], 'unprove');
  return row?.['done'] as boolean;
}

/** Marks flags `proven` where they are `restored`, while the rest of the rollback is not; the event is written only if one moved. */
export async function markPartProven(store: Store, launch: string, scope: string, flags: readonly string[], event: LaunchEvent): Promise<boolean> {
  const [row] = await store.urgent(
    'select mark_part_proven($1, $2, $3, $4) as moved',
    [launch, scope, JSON.stringify(flags), bodyOf(event)],
    'mark_part_proven',
  );
  return row?.['moved'] === true;
}

/** Flags that were written back or proven are not so after all, while the rest is still tried: they are put back again. */
export async function relapsePart(store: Store, launch: string, scope: string, flags: readonly string[], event: LaunchEvent): Promise<boolean> {
  const [row] = await store.urgent('select relapse_part($1, $2, $3, $4) as moved', [launch, scope, JSON.stringify(flags), bodyOf(event)], 'relapse_part');
  return row?.['moved'] === true;
}
