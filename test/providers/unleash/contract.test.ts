import { openEvaluator } from '../../../src/evaluators/index.ts';
import { openProvider } from '../../../src/providers/index.ts';
import { flagProviderContract } from '../../contracts/flag-provider.ts';
import { openContext } from '../../flags/support.ts';
import { httpFront } from '../../support/front.ts';
import { startUnleash } from '../../support/servers/unleash.ts';
import { until } from '../../support/until.ts';
import { adminOf, strategyOf, unleashFlag } from './admin.ts';

const ENVIRONMENT = 'production';

flagProviderContract('unleash', async () => {
  const server = await startUnleash();
  const front = await httpFront(server.url);
  const { tokens } = server;
  const open = (url: string, token: string) =>
    openProvider('unleash', { kind: 'unleash', url, token, environment: ENVIRONMENT, refreshInterval: '1s' }, openContext());
  const provider = await open(front.url, tokens.gonogo);
  const evaluator = await openEvaluator('sdk', { kind: 'unleash-sdk', url: server.url, token: tokens.production }, openContext());
  const mallory = adminOf(server.url, tokens.mallory, ENVIRONMENT);
  const wrong = `*:*.${'5ecret'.repeat(8)}`;
  const { id: segment } = (await mallory.call('POST', '/api/admin/segments', {
    name: 'gold',
    constraints: [{ contextName: 'tier', operator: 'IN', values: ['gold'] }],
  })) as { id: number };
  let made = 0;
  const newKey = async (): Promise<string> => {
    const key = `contract.flag_${(made += 1)}`;
    await mallory.make(key);
    return key;
  };
  const failing = (url: string, token: string) => async () => {
    const opened = await open(url, token);
    try {
      await opened.read(unleashFlag('contract.flag_1'), AbortSignal.timeout(5_000));
    } finally {
      await opened.close();
    }
  };

  return {
    provider,
    front,
    writes: ({ method, url }) => method !== 'GET' && !url.includes('no-such-flag'),
    lacks: {
      fractions: "Unleash's SDKs draw in whole percent",
      guarded: 'Unleash heeds no If-Match, and turning a flag on or off can be bound to nothing',
      fences: 'a late on or off is refused by no revision; the patrol looks for it',
    },
    async newFlag(type = 'boolean') {
      return unleashFlag(await newKey(), type);
    },
    someoneElse: (flag, to) => mallory.set(flag.key, to),
    somebody: 'mallory',
    async valueFor(flag, subject) {
      // A flag made a moment ago is not served yet.
      return until(`a value of ${flag.key}`, async () => {
        const [answers] = await evaluator.evaluate([{ flag, subject, with: {} }], AbortSignal.timeout(5_000));
        const [answer] = answers ?? [];
        return answer?.kind === 'value' ? { value: answer.value } : undefined;
      }).then(({ value }) => value);
    },
    async countFlags() {
      const counted = ['false', 'true'].map((archived) => mallory.call('GET', `/api/admin/search/features?limit=1&archived=IS:${archived}`));
      return ((await Promise.all(counted)) as { total: number }[]).reduce((sum, { total }) => sum + total, 0);
    },
    async owned(flag) {
      const { enabled, strategies } = await mallory.environment(flag.key);
      const bare = strategies.map(({ id: _, title, ...strategy }) => JSON.stringify({ ...strategy, title: title?.replace(/\[[^\]]*\]/, '[]') ?? null }));
      return { enabled, strategies: bare.map((each) => each.replaceAll(flag.key, 'KEY')).sort() };
    },
    dressed: {
      async make() {
        const key = await newKey();
        const add = (more: Record<string, unknown>, share = 100) => mallory.addStrategy(key, { ...strategyOf(key, share), ...more });
        await add({ title: 'gold in Chile', segments: [segment], constraints: [{ contextName: 'country', operator: 'IN', values: ['CL', 'PE'] }] }, 60);
        await add({ title: 'old apps', disabled: true, constraints: [{ contextName: 'appVersion', operator: 'SEMVER_LT', value: '2.0.0' }] });
        await add({ constraints: [{ contextName: 'tier', operator: 'IN', values: ['gold', 'silver'] }], variants: strategyOf(key, 1, 'blue')['variants'] });
        // What an earlier launch has left, as it should.
        await add({ title: 'gonogo [earlier-1/beta] chat for 10 %' }, 10);
        await add({ title: 'gonogo [earlier-1/beta] chat for 10 %', constraints: [{ contextName: 'userId', operator: 'IN', values: ['ann', 'bob'] }] });
        await mallory.call('POST', `/api/admin/projects/default/features/${key}/environments/${ENVIRONMENT}/on`);
        return unleashFlag(key);
      },
      ignored: [
        'strategy ids: Unleash gives a new one to a strategy that was removed',
        'title: a strategy that had none has an empty one after gonogo switched it off, for Unleash takes no title away',
        'lastSeenAt, yes and no: counters of the users',
      ],
    },
    anotherRule: {
      async change(flag) {
        await mallory.addStrategy(flag.key, {
          ...strategyOf(flag.key, 30),
          title: 'theirs',
          constraints: [{ contextName: 'tier', operator: 'IN', values: ['gold'] }],
        });
      },
      async see(flag) {
        return (await mallory.environment(flag.key)).strategies.filter((strategy) => strategy.title === 'theirs');
      },
    },
    offFirst: true,
    gone: {
      async archive(flag) {
        await mallory.call('DELETE', `/api/admin/projects/default/features/${flag.key}`);
      },
      rename: { cannot: "Unleash never renames a flag; a copy has a name of its own, and the flag's stays" },
      async remove(flag) {
        await mallory.call('DELETE', `/api/admin/projects/default/features/${flag.key}`);
        await mallory.call('DELETE', `/api/admin/archive/${flag.key}`);
      },
    },
    statuses: true,
    resetHeader: 'RateLimit-Reset',
    withoutEffect: true,
    shell: { UNLEASH_TOKEN: tokens.mallory },
    secrets: [tokens.gonogo, wrong],
    failing: [
      failing(server.url, wrong),
      failing('http://127.0.0.1:1', tokens.gonogo),
      failing(server.url, tokens.production),
      failing(`${server.url}/nowhere`, tokens.gonogo),
    ],
    async close() {
      await Promise.all([provider.close(), evaluator.close(), front.close()]);
      await server.stop();
    },
  };
});
