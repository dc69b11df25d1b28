import { createHash, randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import type { Person } from './people.ts';
import type { Store } from './store.ts';

/** A token as it is listed: never the token itself, which only its owner has. */
export interface TokenRow {
  /** The first 12 hex digits of its hash: how people name it. */
  readonly id: string;
  readonly person: string;
  readonly name: string;
  readonly roles: readonly string[];
  readonly createdBy: string;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly expiresAt?: string;
  readonly revokedAt?: string;
}

/** A token to be made. */
export interface NewToken extends Person {
  /** What `name` of Person is to events: who acts. `label` tells a person's tokens apart. */
  readonly label: string;
  readonly by: string;
  readonly expiresAt?: Date;
}

/** How a token is kept: hex SHA-256 of its text. */
export function hashToken(token: string): string {
  return createHash('sha256').update(token, 'utf8').digest('hex');
}

/** Makes a token of 256 random bits and returns its text, this once. */
export async function createToken(store: Store, wanted: NewToken): Promise<{ readonly token: string; readonly id: string }> {
  const token = `gng_${randomBytes(32).toString('base64url')}`;
  const hash = hashToken(token);
  await store.db
    .insertInto('token')
    .values({ hash, person: wanted.name, name: wanted.label, roles: [...wanted.roles], created_by: wanted.by, expires_at: wanted.expiresAt ?? null, revoked_at: null })
    .execute();
  return { token, id: hash.slice(0, 12) };
}

/** Who holds this token now; undefined when it is unknown, revoked or expired. */
export async function personOf(store: Store, token: string): Promise<Person | undefined> {
  const row = await store.db
    .selectFrom('token')
    .select(['person', 'roles'])
    .where('hash', '=', hashToken(token))
    .where('revoked_at', 'is', null)
    .where((where) => where.or([where('expires_at', 'is', null), where('expires_at', '>', sql<Date>`clock_timestamp()`)]))
    .executeTakeFirst();
  return row === undefined ? undefined : { name: row.person, roles: row.roles };
}

/** Every token, the newest first. */
export async function listTokens(store: Store): Promise<readonly TokenRow[]> {
  const rows = await store.db.selectFrom('token').selectAll().orderBy('created_at', 'desc').execute();
  return rows.map((row) => ({
    id: row.hash.slice(0, 12),
    person: row.person,
    name: row.name,
    roles: row.roles,
    createdBy: row.created_by,
    createdAt: row.created_at.toISOString(),
    ...(row.expires_at === null ? {} : { expiresAt: row.expires_at.toISOString() }),
    ...(row.revoked_at === null ? {} : { revokedAt: row.revoked_at.toISOString() }),
  }));
}

/** Revokes the token with this id, from the next request on. False when there is none, or it was revoked before. */
export async function revokeToken(store: Store, id: string): Promise<boolean> {
  if (!/^[0-9a-f]{12,64}$/.test(id)) return false;
  const { numUpdatedRows } = await store.db
    .updateTable('token')
    .set({ revoked_at: sql`clock_timestamp()` })
    .where('hash', 'like', `${id}%`)
    .where('revoked_at', 'is', null)
    .executeTakeFirstOrThrow();
  return numUpdatedRows > 0n;
}
