import type { Store } from './store.ts';

/** A refusal of authority or a login: who, what, on what, why. Never part of a launch's events. */
export interface AuditEntry {
  readonly person?: string;
  readonly action: string;
  readonly target?: string;
  readonly why: string;
  readonly origin?: string;
}

/** Writes an entry; durable when it returns. */
export async function audit(store: Store, entry: AuditEntry): Promise<void> {
  await store.db
    .insertInto('audit')
    .values({ person: entry.person ?? null, action: entry.action, target: entry.target ?? null, why: entry.why, origin: entry.origin ?? null })
    .execute();
}
