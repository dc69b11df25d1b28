import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FlagRef } from '../../../src/core/plan.ts';
import { openProvider } from '../../../src/providers/index.ts';
import type { FlagProvider, Problem } from '../../../src/providers/provider.ts';
import { openContext } from '../../flags/support.ts';
import { hasTool } from '../../support/servers/require-tool.ts';
import { flagOfFake } from '../../support/servers/launchdarkly/people.ts';
import { startJudged } from '../../support/servers/launchdarkly/start.ts';
import type { LaunchdarklyServer } from '../../support/servers/launchdarkly/server.ts';

describe.skipIf(!hasTool('launchdarkly-schemas'))('before a launch on LaunchDarkly', () => {
  let server: LaunchdarklyServer;
  let opened: FlagProvider[];
  const chat = flagOfFake('chat');
  beforeEach(async () => {
    opened = [];
    server = await startJudged();
    server.newFlag('chat');
    server.newFlag('master');
  });
  afterEach(async () => {
    await Promise.all(opened.map((provider) => provider.close()));
    await server.close();
  });

  const id = (value: unknown, key = 'chat'): string => server.account.flags.get(key)?.variations.find((variation) => variation.value === value)?._id ?? '';
  const clause = (attribute: string) => ({ contextKind: 'user', attribute, op: 'in', negate: false, values: ['x'] });
  async function check(more: object = {}, flags: readonly FlagRef[] = [chat]): Promise<readonly Problem[]> {
    const config = { kind: 'launchdarkly', host: server.url, project: 'shop', environment: 'production', token: server.token, ...more };
    const provider = await openProvider('prod', config, openContext());
    opened.push(provider);
    return provider.check(flags, AbortSignal.timeout(10_000));
  }
  function allow(...actions: string[]): undefined {
    server.account.tokens.set(server.token, { name: 'gonogo', actions: new Set(actions) });
    return undefined;
  }

  it('finds nothing where all is well, and changes nothing', async () => {
    const flags = structuredClone([...server.account.flags]);
    expect(await check()).toEqual([]);
    expect([...server.account.flags]).toEqual(flags);
    expect(server.account.entries).toEqual([]);
    expect(server.requests.filter((one) => one.startsWith('PATCH'))).toEqual(['PATCH /api/v2/flags/shop/chat?dryRun=true&ignoreConflicts=true']);
  });

  it.each<[string, () => object | undefined, string, string]>([
    ['the token is not valid', () => ({ token: 'api-revoked-0123456789' }), 'answered 401', 'make a new token'],
    ['the project is none', () => ({ project: 'nobodys' }), 'answered 404', 'they are keys, not names'],
    ['the environment is none', () => ({ environment: 'nowhere' }), 'answered 404', 'they are keys, not names'],
    ['nothing answers', () => ({ host: 'http://127.0.0.1:1' }), 'ECONNREFUSED', 'must answer before a launch'],
    [
      'the role may not turn flags on and off',
      () => allow('updateFallthrough', 'updateTargets', 'updateRules'),
      'updateOn',
      "the actions that the provider's page lists",
    ],
    [
      'the role may not change rules',
      () => allow('updateOn', 'updateFallthrough', 'updateTargets'),
      'updateRules',
      "the actions that the provider's page lists",
    ],
    [
      'a change waits for an approval',
      () => {
        server.environment().approvals = { required: true, tags: [] };
        allow('updateOn', 'updateFallthrough', 'updateTargets', 'updateRules');
        return undefined;
      },
      'need an approval',
      'bypassRequiredApproval',
    ],
    [
      'approvals are asked for, though the dry run passes',
      () => {
        server.environment().approvals = { required: true, tags: [] };
        return undefined;
      },
      'a rollback would wait for a person',
      'approvals: bypassed',
    ],
    [
      'the flag is archived',
      () => {
        server.edit('chat', [{ kind: 'archiveFlag' }]);
        return undefined;
      },
      'is archived',
      'restore it',
    ],
    [
      'the flag is deprecated',
      () => {
        server.edit('chat', [{ kind: 'deprecateFlag' }]);
        return undefined;
      },
      'is deprecated',
      'restore it',
    ],
    [
      'the flag is gone',
      () => {
        server.account.flags.delete('chat');
        return undefined;
      },
      "a flag's key never changes there",
      'gonogo never makes one',
    ],
    [
      'off is not off',
      () => {
        server.edit('chat', [{ kind: 'updateOffVariation', variationId: id(true) }]);
        return undefined;
      },
      'serves true when it is off, and off is false in the registry',
      'make the two agree',
    ],
    [
      'a dormant rule would reach people whom no plan can name',
      () => {
        server.edit('chat', [{ kind: 'addRule', description: 'friends', variationId: id(true), clauses: [clause('a'), clause('b')] }]);
        return undefined;
      },
      'turning it on would serve people by rule "friends"',
      'turn it into one clause',
    ],
    [
      'a rule reaches people whom no plan can name',
      () => {
        server.edit('chat', [
          { kind: 'addRule', description: 'friends', variationId: id(true), clauses: [clause('a'), clause('b')] },
          { kind: 'updateFallthroughVariationOrRollout', variationId: id(false) },
          { kind: 'turnFlagOn' },
        ]);
        return undefined;
      },
      'gives true to people whom no list can name',
      'turn it into one clause',
    ],
    [
      'a prerequisite is off',
      () => {
        server.edit('chat', [{ kind: 'addPrerequisite', key: 'master', variationId: id(true, 'master') }]);
        return undefined;
      },
      'has the prerequisite master, which is off',
      'turn the prerequisite on first',
    ],
    [
      'the second path is none',
      () => ({ triggers: { chat: 'https://example.invalid/webhook/triggers/1/secret' } }),
      'has no enabled trigger that turns it off',
      'make a generic trigger',
    ],
  ])('says that %s, and what to do', async (_, spoil, message, hint) => {
    const problems = await check(spoil() ?? {});
    expect(problems).toHaveLength(1);
    expect(problems[0]?.message).toContain(message);
    expect(problems[0]?.hint).toContain(hint);
    expect(inspect(problems, { depth: 10 })).not.toContain(server.token);
  });

  it('asks for no approval where the flag has none of the tags that need one, or where somebody has tried that the role bypasses it', async () => {
    server.environment().approvals = { required: true, tags: ['payments'] };
    expect(await check()).toEqual([]);
    server.environment().approvals = { required: true, tags: [] };
    expect(await check({ approvals: 'bypassed' })).toEqual([]);
  });

  it('says which of the values the flag cannot answer', async () => {
    server.newFlag('transport', ['full', 'off']);
    const problems = await check({}, [flagOfFake('transport', { oneOf: ['off', 'full', 'sse-only'] })]);
    expect(problems).toMatchObject([{ where: 'flags.registry.transport', message: 'flag transport has no variation "sse-only"; it has "full", "off"' }]);
  });

  it('passes a trigger that is enabled and turns the flag off', async () => {
    expect(await check({ triggers: { chat: await server.newTrigger('chat') } })).toEqual([]);
  });

  it('passes a flag whose other rules serve off, are disabled, or name their people', async () => {
    server.newSegment('beta', ['ann']);
    server.edit('chat', [
      { kind: 'addRule', description: 'embargo', variationId: id(false), clauses: [clause('a'), clause('b')] },
      { kind: 'addRule', description: 'beta', variationId: id(true), clauses: [{ ...clause('segmentMatch'), op: 'segmentMatch', values: ['beta'] }] },
      { kind: 'addRule', description: 'old', variationId: id(true), clauses: [clause('a'), clause('b')] },
    ]);
    const old = server.account.flags.get('chat')?.environments['production']?.rules.find((rule) => rule.description === 'old');
    if (old === undefined) throw new Error('no rule');
    old.disabled = true;
    expect(await check()).toEqual([]);
  });
});
