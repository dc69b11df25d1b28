import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Person } from './people.ts';
import type { Store } from './store.ts';

/** What every token begins with, so that scanners of repositories and logs know one when they see it. */
export const TOKEN_PREFIX = 'gng_';

const SHAPE = /^gng_[A-Za-z0-9_-]{43}$/;

/** What a token is made for. `name` tells a person's tokens apart. */
export interface NewToken {
  readonly person: string;
  readonly roles: readonly string[];
  readonly name?: string;
  readonly createdBy?: string;
  /** Never, when left out. */
  readonly expiresAt?: Date;
}

/** A token without its secret. */
export interface TokenRow {
  /** First 12 hex digits of its hash: enough to name it. */
  readonly id: string;
  readonly person: string;
  readonly name: string;
  readonly roles: readonly string[];
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly expiresAt?: Date;
  readonly revokedAt?: Date;
}

/** Hex SHA-256: how a token is kept. */
export function hashToken(token: string): string {
  return createHash('sha256').update(token, 'utf8').digest('hex');
}

/** Makes a token of 256 random bits. It is returned once and kept only as its hash. */
export async function createToken(store: Store, wanted: NewToken): Promise<{ readonly token: string; readonly id: string }> {
  const token = TOKEN_PREFIX + randomBytes(32).toString('base64url');
  const hash = hashToken(token);
  await store.db
    .insertInto('token')
    .values({
      hash,
      person: wanted.person,
      name: wanted.name ?? '',
      roles: [...wanted.roles],
      created_by: wanted.createdBy ?? wanted.person,
      expires_at: wanted.expiresAt ?? null,
      revoked_at: null,
    })
    .execute();
  return { token, id: hash.slice(0, 12) };
}

/**
 * Whose token it is, or undefined for a token that is unknown, expired or revoked. Asked anew each time, so that
 * revoking works at once; by the rollback's own connections, so that nothing else can keep the asker waiting. Throws when the database cannot be reached within 1 s.
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

/** Revokes a person's token by its id. False when there is none, or it was revoked before. */
export async function revokeToken(store: Store, id: string): Promise<boolean> {
  if (!/^[0-9a-f]{12,64}$/.test(id)) return false;
  const { numUpdatedRows } = await store.db
    .updateTable('token')
    .set({ revoked_at: new Date() })
    .where('hash', 'like', `${id}%`)
    .where('revoked_at', 'is', null)
    .executeTakeFirstOrThrow();
  return numUpdatedRows > 0n;
}

/** Every token, newest first, without its secret. */
export async function listTokens(store: Store): Promise<readonly TokenRow[]> {
  const rows = await store.db.selectFrom('token').selectAll().orderBy('created_at', 'desc').execute();
  return rows.map((row) => ({
    id: row.hash.slice(0, 12),
    person: row.person,
    name: row.name,
    roles: row.roles,
    createdBy: row.created_by,
    createdAt: row.created_at,
    ...(row.expires_at === null ? {} : { expiresAt: row.expires_at }),
    ...(row.revoked_at === null ? {} : { revokedAt: row.revoked_at }),
  }));
}
