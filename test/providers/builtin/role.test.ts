import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { expect, it } from 'vitest';
import { everyone } from '../../../src/core/exposure.ts';
import { openFlagStore } from '../../../src/flags/store.ts';
import { openProvider } from '../../../src/providers/index.ts';
import { flagRef, openContext } from '../../flags/support.ts';
import { freshDatabase } from '../../support/database.ts';

const README = path.resolve(import.meta.dirname, '../../../src/providers/builtin/README.md');

it('writes, restores and tells who changed a flag with the rights that its README grants, and cannot make a flag', async () => {
  const sql = /```sql\n([^]+?)```/.exec(readFileSync(README, 'utf8'))?.[1];
  if (sql === undefined) throw new Error(`${README} holds no SQL; expected the grants`);
  // Roles belong to the whole server, which other tests use as well.
  const role = `gonogo_flags_${randomBytes(4).toString('hex')}`;
  const database = await freshDatabase();
  const owner = await openFlagStore(database.url);
  const admin = new pg.Client({ connectionString: database.url });
  await admin.connect();
  try {
    await owner.create([{ key: 'f', type: 'boolean' }], { by: 'setup' });
    await admin.query(sql.replaceAll('gonogo_flags', role));
    const url = new URL(database.url);
    [url.username, url.password] = [role, 'from your secret store'];
    const provider = await openProvider('store', { kind: 'builtin', database: url.href }, openContext());
    const limited = await openFlagStore(url.href, { migrate: false });
    try {
      const [flag, signal] = [flagRef('f'), AbortSignal.timeout(10_000)];
      expect(await provider.check([flag], signal)).toEqual([]);
      const before = await provider.read(flag, signal);
      const shift = { flag, to: everyone(true), expected: before, change: 'c', by: 'rita', comment: '', stillWanted: () => Promise.resolve() };
      const [after] = await provider.write([shift], signal);
      expect(after?.exposure.share).toBe(100);
      expect(await provider.lastChange(flag, signal)).toMatchObject({ who: 'rita' });
      const entry = { flag, snapshot: before, phase: 'applied', written: [everyone(true)], change: 'r', by: 'gonogo', comment: '' } as const;
      expect(await provider.restore([entry], signal)).toMatchObject([{ kind: 'restored', wrote: true }]);
      await expect(limited.create([{ key: 'g', type: 'boolean' }], { by: 'mallory' })).rejects.toMatchObject({ code: 'flag-store-forbidden' });
    } finally {
      await Promise.all([provider.close(), limited.close()]);
    }
    // With one right fewer the check says so before a launch.
    await admin.query(`revoke update on flag from ${role}`);
    const poorer = await openProvider('store', { kind: 'builtin', database: url.href }, openContext());
    const problems = await poorer.check([flagRef('f')], AbortSignal.timeout(10_000)).finally(() => poorer.close());
    expect(problems.map((problem) => problem.message)).toEqual(['no right to update flag']);
  } finally {
    await owner.close();
    await admin.query(`drop owned by ${role}`).catch(() => undefined);
    await admin.query(`drop role if exists ${role}`);
    await admin.end();
    await database.drop();
  }
});
