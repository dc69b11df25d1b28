import { everyone } from '../../../src/core/exposure.ts';
import type { FlagRef } from '../../../src/core/plan.ts';
import { openEvaluator } from '../../../src/evaluators/index.ts';
import { openProvider } from '../../../src/providers/index.ts';
import { flagProviderContract } from '../../contracts/flag-provider.ts';
import { openContext } from '../../flags/support.ts';
import { httpFront, type Exchange } from '../../support/front.ts';
import { hasTool } from '../../support/servers/require-tool.ts';
import { expose, flagOfFake, ownedOf } from '../../support/servers/launchdarkly/people.ts';
import { startJudged } from '../../support/servers/launchdarkly/start.ts';

const TOKEN = 'api-7f6d-service-token-of-the-contract';

async function contract() {
  const server = await startJudged(TOKEN);
  const front = await httpFront(server.url);
  const open = (more: object = {}) =>
    openProvider(
      'prod',
      {
        kind: 'launchdarkly',
        host: front.url,
        project: 'shop',
        environment: 'production',
        token: TOKEN,
        attributes: { contract: 'contract.key' },
        reserve: 0,
        ...more,
      },
      openContext(),
    );
  const provider = await open();
  const { sdkKey } = server.environment();
  const evaluator = await openEvaluator('sdk', { kind: 'launchdarkly-sdk', host: server.url, sdkKey, attributes: { contract: 'contract.key' } }, openContext());
  server.newSegment('beta', ['ann']);
  server.newFlag('master');
  server.edit('master', [{ kind: 'turnFlagOn' }]);
  let made = 0;
  const make = (type: FlagRef['type'] = 'boolean'): FlagRef => {
    const key = `contract-flag-${(made += 1)}`;
    const values = type === 'boolean' ? [true, false] : [...type.oneOf].reverse();
    const flag = server.newFlag(key, values);
    for (const setting of Object.values(flag.environments)) Object.assign(setting, { salt: 'contract', fallthrough: { variation: values.length - 1 } });
    return flagOfFake(key, type);
  };
  const failing = (more: object) => async () => {
    const opened = await open(more);
    try {
      return await opened.read(flagOfFake('master'), AbortSignal.timeout(5_000));
    } finally {
      await opened.close();
    }
  };
  const id = (key: string, value: unknown): string => {
    const found = server.account.flags.get(key)?.variations.find((variation) => variation.value === value);
    if (found === undefined) throw new Error(`no variation ${String(value)} on ${key}`);
    return found._id;
  };
  const isWrite = ({ method, url }: Exchange): boolean => method === 'PATCH' && !url.includes('dryRun=true');

  return {
    provider,
    front,
    writes: isWrite,
    lacks: {
      guarded: 'a semantic patch has no precondition: a write between our read and our patch is found afterwards, not refused',
      fences: 'without a precondition no write of ours could make a late one be refused; the patrol looks again',
    },
    newFlag: (type?: FlagRef['type']) => Promise.resolve(make(type)),
    someoneElse(flag: FlagRef, to: Parameters<typeof expose>[2]) {
      expose(server, flag, to);
      return Promise.resolve();
    },
    somebody: 'mallory@example.com',
    async valueFor(flag: FlagRef, subject: { readonly key: string; readonly attributes: Readonly<Record<string, string>> }) {
      const [answers] = await evaluator.evaluate([{ flag, subject, with: {} }], AbortSignal.timeout(5_000));
      const [answer] = answers ?? [];
      if (answer?.kind !== 'value') throw new Error(`no value: ${answer?.kind === undefined ? 'no answer' : answer.detail}`);
      return answer.value;
    },
    countFlags: () => Promise.resolve(server.account.flags.size),
    owned: (flag: FlagRef) => Promise.resolve(ownedOf(server, flag.key)),
    dressed: {
      make() {
        const ref = make();
        const [on, off] = [id(ref.key, true), id(ref.key, false)];
        const clause = (attribute: string, op: string, ...values: string[]) => ({ contextKind: 'user', attribute, op, negate: false, values });
        server.edit(ref.key, [
          { kind: 'addTargets', contextKind: 'user', variationId: on, values: ['bob', "o'hara", '$(id)'] },
          { kind: 'addTargets', contextKind: 'contract', variationId: on, values: ['c-1'] },
          { kind: 'addTargets', contextKind: 'user', variationId: off, values: ['eve'] },
          { kind: 'addRule', description: 'embargo', variationId: off, clauses: [clause('country', 'in', 'XX'), clause('plan', 'startsWith', 'free')] },
          { kind: 'addRule', description: 'beta', variationId: on, clauses: [clause('segmentMatch', 'segmentMatch', 'beta')] },
          { kind: 'addRule', description: 'gonogo: listed by country', variationId: on, clauses: [clause('country', 'in', 'CH', 'Ελλάδα')] },
          { kind: 'addPrerequisite', key: 'master', variationId: id('master', true) },
          {
            kind: 'updateFallthroughVariationOrRollout',
            rolloutContextKind: 'contract',
            rolloutBucketBy: 'key',
            rolloutWeights: { [on]: 12_500, [off]: 87_500 },
          },
          { kind: 'updateTrackEvents', trackEvents: true },
          { kind: 'addTags', values: ['chat'] },
          { kind: 'turnFlagOn' },
        ]);
        return Promise.resolve(ref);
      },
      ignored: [
        'salt, sel: LaunchDarkly refuses to change them',
        'ids of rules and clauses: a rule that is put back is a new one',
        "a rollout's seed: patches cannot name it",
        'version, lastModified: each write moves them, a restore too',
      ],
    },
    anotherRule: {
      change(flag: FlagRef) {
        const clause = { contextKind: 'user', attribute: 'country', op: 'in', negate: false, values: ['XX'] };
        server.edit(flag.key, [
          { kind: 'addRule', description: 'embargo', variationId: id(flag.key, false), clauses: [clause] },
          { kind: 'updateDescription', value: 'described by mallory' },
        ]);
        return Promise.resolve();
      },
      see(flag: FlagRef) {
        const found = server.account.flags.get(flag.key);
        return Promise.resolve([found?.description, found?.environments['production']?.rules]);
      },
    },
    offFirst: { cannot: 'the exact restore is one patch; only a flag that was off before is switched off blindly first' },
    gone: {
      archive(flag: FlagRef) {
        server.edit(flag.key, [{ kind: 'archiveFlag' }]);
        return Promise.resolve();
      },
      rename: { cannot: "a flag's key never changes in LaunchDarkly; its name is no key" },
      remove(flag: FlagRef) {
        server.account.flags.delete(flag.key);
        return Promise.resolve();
      },
    },
    statuses: true as const,
    resetHeader: 'x-ratelimit-reset',
    withoutEffect: true as const,
    shell: { LAUNCHDARKLY_TOKEN: TOKEN },
    failing: [
      failing({ token: `${TOKEN}-revoked` }),
      failing({ host: `http://127.0.0.1:1` }),
      failing({ project: 'nobodys' }),
      failing({ environment: 'nowhere' }),
      () => open({ triggers: { master: `no url but ${TOKEN}` } }),
      async () => {
        const later = await open({ host: 'http://127.0.0.1:1' });
        const expected = { revision: '1', exposure: everyone(true), native: {} };
        const change = { flag: flagOfFake('master'), to: everyone(true), expected, change: 'c', by: 'b', comment: '', stillWanted: () => Promise.resolve() };
        return later.write([change], AbortSignal.timeout(3_000));
      },
    ],
    secrets: [TOKEN, sdkKey],
    async close() {
      await Promise.all([provider.close(), evaluator.close()]);
      await front.close();
      await server.close();
    },
  };
}

if (hasTool('launchdarkly-schemas')) flagProviderContract('launchdarkly', contract);
