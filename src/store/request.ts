import type { Cause, LaunchEvent, Outcome, Scope } from '../core/event.ts';
import { bodyOf } from './chain.ts';
import { rollbackView, type RollbackView } from './journal.ts';
import type { Store } from './store.ts';

/** What became of a request. `covered`: this scope, or the whole launch, was asked for before. `view` is for the hand that was named. */
export type Requested =
  | { readonly status: 'requested' | 'covered'; readonly view?: RollbackView }
  | { readonly status: 'over'; readonly outcome: Outcome }
  | { readonly status: 'unknown' };

/** `launch`, or `stage:` and the stage's id: how a scope is stored. */
export function scopeKey(scope: Scope): string {
  return scope.kind === 'launch' ? 'launch' : `stage:${scope.stage}`;
}

/** The scope behind its stored form. */
export function scopeOf(key: string): Scope {
  return key === 'launch' ? { kind: 'launch' } : { kind: 'stage', stage: key.slice('stage:'.length) };
}

function firstBad(cause: Cause, at: number): number {
  switch (cause.kind) {
    case 'gate':
    case 'policy':
      return cause.firstBadAt;
    case 'alert':
      return cause.receivedAt;
    default:
      return at;
  }
}

/**
 * Asks for a rollback: one row, durable when this returns, whoever asks and however often. `at` is judged time (ms).
 * `hand` is given by a caller who will write at once: it holds the entries as touched. Throws when the database cannot be reached within 1 s.
 */
export async function requestRollback(store: Store, launch: string, scope: Scope, cause: Cause, by: string, at: number, hand?: string): Promise<Requested> {
  const event: LaunchEvent = { kind: 'rollback-requested', at: new Date(at).toISOString(), by, scope, cause };
  const askedAt = performance.now();
  const given = await store.together({
    call: 'request',
    launch,
    with: [scopeKey(scope), cause, by, new Date(firstBad(cause, at)).toISOString(), bodyOf(event), hand ?? null],
  });
  const answer = given as { status: Requested['status']; outcome?: Outcome };
  switch (answer.status) {
    case 'unknown':
      return { status: 'unknown' };
    case 'over':
      return { status: 'over', outcome: answer.outcome ?? 'rolled-back' };
    case 'requested':
    case 'covered':
      return { status: answer.status, ...(hand === undefined ? {} : { view: rollbackView(answer, askedAt) }) };
  }
}

/** Whether a hand that puts back at this scope still may: the launch has not ended, and nobody has asked for more. */
export async function restoreWanted(store: Store, launch: string, scope: string): Promise<boolean> {
  const [row] = await store.urgent(
    `select (l.outcome is null or l.outcome = 'stuck')
       and (select r.scope from rollback_request r where r.launch = l.id order by r.scope = 'launch' desc limit 1) = $2 as wanted from launch l where l.id = $1`,
    [launch, scope],
    'restore_wanted',
  );
  return row?.['wanted'] === true;
}
