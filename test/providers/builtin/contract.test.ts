import { everyone } from '../../../src/core/exposure.ts';
import { openFlagStore } from '../../../src/flags/store.ts';
import { openEvaluator } from '../../../src/evaluators/index.ts';
import { openProvider } from '../../../src/providers/index.ts';
import { flagProviderContract } from '../../contracts/flag-provider.ts';
import { flagRef, openContext } from '../../flags/support.ts';
import { freshDatabase } from '../../support/database.ts';

const SECRET = 'pa55-word-of-the-store';

flagProviderContract('builtin', async () => {
  const database = await freshDatabase();
  const provider = await openProvider('store', { kind: 'builtin', database: database.url }, openContext());
  const others = await openFlagStore(database.url);
  const evaluator = await openEvaluator('store', { kind: 'store', database: database.url }, openContext());
  const withSecret = (change: (url: URL) => void): string => {
    const url = new URL(database.url);
    url.password = SECRET;
    change(url);
    return url.href;
  };
  const open = (url: string) => async () => {
    const opened = await openProvider('store', { kind: 'builtin', database: url }, openContext());
    try {
      await opened.read(flagRef('contract.flag_1'), AbortSignal.timeout(5_000));
    } finally {
      await opened.close();
    }
  };
  let made = 0;
  return {
    provider,
    async newFlag(type = 'boolean') {
      const key = `contract.flag_${(made += 1)}`;
      await others.create([{ key, type }], { by: 'setup' });
      return flagRef(key, type);
    },
    async someoneElse(flag, to) {
      await others.putExposure(flag.key, to, '*', { by: 'mallory' });
    },
    async valueFor(flag, subject) {
      const [answers] = await evaluator.evaluate([{ flag, subject, with: {} }], AbortSignal.timeout(5_000));
      const [answer] = answers ?? [];
      if (answer?.kind !== 'value') throw new Error(`no value: ${answer?.kind ?? 'no answer'}`);
      return answer.value;
    },
    secrets: [SECRET],
    failing: [
      open(withSecret((url) => (url.username = 'nobody_here'))),
      open(withSecret((url) => (url.port = '1'))),
      open(withSecret((url) => (url.pathname = '/no_such_database'))),
      open(`mysql://x:${SECRET}@127.0.0.1/x`),
      open(`no url but ${SECRET}`),
      async () => {
        const later = await openProvider('store', { kind: 'builtin', database: withSecret(() => undefined) }, openContext());
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
      await Promise.all([provider.close(), others.close(), evaluator.close()]);
      await database.drop();
    },
  };
});
