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
  const [row] = await store.urgent(
    'select request_rollback($1, $2, $3, $4, $5, $6, $7) as answer',
    [launch, scopeKey(scope), JSON.stringify(cause), by, new Date(firstBad(cause, at)), bodyOf(event), hand ?? null],
    'request_rollback',
  );
  const answer = row?.['answer'] as { status: Requested['status']; outcome?: Outcome };
  switch (answer.status) {
    case 'unknown':
      return { status: 'unknown' };
    case 'over':
      return { status: 'over', outcome: answer.outcome ?? 'rolled-back' };
    case 'requested':
    case 'covered':
      return { status: answer.status, ...(hand === undefined ? {} : { view: rollbackView(answer) }) };
  }
}
