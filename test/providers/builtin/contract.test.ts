import pg from 'pg';
import { everyone, off } from '../../../src/core/exposure.ts';
import { openEvaluator } from '../../../src/evaluators/index.ts';
import { openProvider } from '../../../src/providers/index.ts';
import { flagProviderContract } from '../../contracts/flag-provider.ts';
import { flagRef, openContext } from '../../flags/support.ts';
import { openBench } from '../../server/support.ts';
import { tcpFront } from '../../support/front.ts';

const SECRET = 'pa55-word-of-the-store';
/** Equal for all flags of a run: what is compared is the flag's people, not its dice. */
const SALT = 'contract';

flagProviderContract('builtin', async () => {
  // The real API server, for the command that a person pastes.
  const house = await openBench();
  const others = house.flags;
  const direct = new URL(house.databaseUrl);
  const front = await tcpFront(Number(direct.port));
  const at = (change: (url: URL) => void, password = SECRET): string => {
    const url = new URL(house.databaseUrl);
    url.password = password;
    change(url);
    return url.href;
  };
  const behind = at((url) => (url.port = String(front.port)), direct.password);
  const provider = await openProvider('store', { kind: 'builtin', database: behind }, openContext({ serverUrl: house.url }));
  const evaluator = await openEvaluator('store', { kind: 'store', database: house.databaseUrl }, openContext());
  const vendor = new pg.Pool({ connectionString: house.databaseUrl, max: 2 });
  vendor.on('error', () => undefined);
  await others.putSegment('beta', [{ attribute: 'key', values: ['ann'] }], 'setup');

  async function ask(sql: string, ...values: readonly unknown[]): Promise<readonly Record<string, unknown>[]> {
    return (await vendor.query<Record<string, unknown>>(sql, [...values])).rows;
  }
  const open = (url: string) => async () => {
    const opened = await openProvider('store', { kind: 'builtin', database: url }, openContext());
    try {
      await opened.read(flagRef('contract.flag_1'), AbortSignal.timeout(5_000));
    } finally {
      await opened.close();
    }
  };
  let made = 0;
  async function make(type: Parameters<typeof flagRef>[1], exposure = off(true)) {
    const key = `contract.flag_${(made += 1)}`;
    await others.create([{ key, type: type ?? 'boolean', salt: SALT, ...(type === 'boolean' ? { exposure } : {}) }], { by: 'setup' });
    return flagRef(key, type);
  }

  return {
    provider,
    front,
    // The names of the prepared statements that write.
    writes: ({ body }) => /gonogo_flag_(write|restore)/.test(body),
    lacks: {},
    newFlag: (type = 'boolean') => make(type),
    async someoneElse(flag, to) {
      await others.putExposure(flag.key, to, '*', { by: 'mallory' });
    },
    somebody: 'mallory',
    async valueFor(flag, subject) {
      const [answers] = await evaluator.evaluate([{ flag, subject, with: {} }], AbortSignal.timeout(5_000));
      const [answer] = answers ?? [];
      if (answer?.kind !== 'value') throw new Error(`no value: ${answer?.kind ?? 'no answer'}`);
      return answer.value;
    },
    async countFlags() {
      return Number((await ask('select count(*) as n from flag'))[0]?.['n']);
    },
    async owned(flag) {
      const [row] = await ask('select type, allowed, off_value, exposure, salt, exposed, owner, description from flag where key = $1', flag.key);
      if (row === undefined) throw new Error(`no flag ${flag.key} in the store`);
      return row;
    },
    dressed: {
      make: () =>
        make('boolean', {
          value: true,
          share: 12.5,
          by: 'contract',
          listed: [
            { attribute: 'segment', values: ['beta'] },
            { attribute: 'key', values: ['bob', "o'hara", '$(id)'] },
            { attribute: 'country', values: ['CH', 'Ελλάδα'] },
          ],
        }),
      ignored: ['revision, updated_by, change_id, updated_at: each write moves them, a restore too'],
    },
    anotherRule: {
      async change(flag) {
        await others.putSegment('beta', [{ attribute: 'key', values: ['ann', `by-${flag.key}`] }], 'mallory');
      },
      see: async () => ask('select listed, revision from flag_segment where name = $1', 'beta'),
    },
    offFirst: { cannot: 'the exact restore is one write' },
    gone: {
      archive: { cannot: 'the store has no archive' },
      async rename(flag) {
        await ask('delete from flag_change where key = $1', flag.key);
        await ask(`update flag set key = key || '_renamed' where key = $1`, flag.key);
      },
      async remove(flag) {
        await ask('delete from flag_change where key = $1', flag.key);
        await ask('delete from flag where key = $1', flag.key);
      },
    },
    statuses: { cannot: 'Postgres speaks no HTTP; wrong users, ports and databases are tried instead' },
    withoutEffect: { cannot: 'the answer is the row as it was committed, from the statement that wrote it' },
    shell: { GONOGO_TOKEN: house.tokens.rita },
    secrets: [SECRET, direct.password, house.tokens.rita],
    failing: [
      open(at(() => undefined)),
      open(at((url) => (url.username = 'nobody_here'))),
      open(at((url) => (url.port = '1'))),
      open(at((url) => (url.pathname = '/no_such_database'))),
      open(`mysql://x:${SECRET}@127.0.0.1/x`),
      open(`no url but ${SECRET}`),
      async () => {
        const later = await openProvider('store', { kind: 'builtin', database: behind }, openContext());
        await later.close();
        return later.write(
          [
            {
              flag: flagRef('contract.flag_1'),
              to: everyone(true),
              expected: { revision: '1', exposure: everyone(true), native: {} },
              change: 'c',
              by: 'b',
              comment: '',
              stillWanted: () => Promise.resolve(),
            },
          ],
          AbortSignal.timeout(3_000),
        );
      },
    ],
    async close() {
      await Promise.all([provider.close(), evaluator.close(), vendor.end()]);
      await front.close();
      await house.close();
    },
  };
});
