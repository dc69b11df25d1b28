import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { sql } from 'kysely';
import type { Person } from './people.ts';
import type { Store } from './store.ts';

/** A token as it is listed: never the token itself, which only its owner has. */
export interface TokenRow {
  /** The first 12 hex digits of its hash: how people name it. */
  readonly id: string;
  readonly person: string;
  readonly label: string;
  readonly roles: readonly string[];
  readonly createdBy: string;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly expiresAt?: string;
  readonly revokedAt?: string;
}

/** A token to be made. `label` tells a person's tokens apart; `by` is who made it. */
export interface NewToken {
  readonly person: string;
  readonly roles: readonly string[];
  readonly label?: string;
  readonly by?: string;
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
    .values({
      hash,
      person: wanted.person,
      name: wanted.label ?? '',
      roles: [...wanted.roles],
      created_by: wanted.by ?? 'gonogo',
      expires_at: wanted.expiresAt ?? null,
      revoked_at: null,
    })
    .execute();
  return { token, id: hash.slice(0, 12) };
}

const SHAPE = /^gng_[A-Za-z0-9_-]{43}$/;

/**
 * Who holds this token now; undefined when it is unknown, revoked or expired. Asked anew each time, so that revoking works at once, and by the
 * rollback's own connections, so that nothing else keeps the asker waiting. Throws when the database cannot be reached within 1 s.
 */
export async function personOf(store: Store, token: string): Promise<Person | undefined> {
  if (!SHAPE.test(token)) return undefined;
  const hash = hashToken(token);
  const [row] = await store.urgent(
    'select hash, person, roles from token where hash = $1 and revoked_at is null and (expires_at is null or expires_at > clock_timestamp())',
    [hash],
    'token_person',
  );
  if (row === undefined || !timingSafeEqual(Buffer.from(String(row['hash'])), Buffer.from(hash))) return undefined;
  return { name: String(row['person']), roles: row['roles'] as readonly string[] };
}

/** Every token, the newest first. */
export async function listTokens(store: Store): Promise<readonly TokenRow[]> {
  const rows = await store.db.selectFrom('token').selectAll().orderBy('created_at', 'desc').execute();
  return rows.map((row) => ({
    id: row.hash.slice(0, 12),
    person: row.person,
    label: row.name,
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
