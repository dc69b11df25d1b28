import { init, type LDClient, type LDContext } from '@launchdarkly/node-server-sdk';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasTool, requireTool } from '../require-tool.ts';
import { until } from '../../until.ts';
import type { Flag } from './account.ts';
import { evaluate } from './evaluate.ts';
import { arbitrarySetting, instructionsOf, PEOPLE } from './arbitrary.ts';
import { flagRep } from './representations.ts';
import { judgeBy } from './schemas.ts';
import { startJudged } from './start.ts';
import type { LaunchdarklyServer } from './server.ts';

describe.skipIf(!hasTool('launchdarkly-schemas'))('the LaunchDarkly of the tests', () => {
  let server: LaunchdarklyServer;
  let sdk: LDClient;
  const silence = (): void => undefined;
  beforeAll(async () => {
    server = await startJudged();
    server.newSegment('beta', ['user-1', 'user-2']);
    sdk = init(server.environment().sdkKey, {
      baseUri: server.url,
      streamUri: server.url,
      eventsUri: server.url,
      flushInterval: 1,
      logger: { debug: silence, info: silence, warn: silence, error: silence },
    });
    await sdk.waitForInitialization({ timeout: 5 });
  });
  afterAll(async () => {
    sdk.close();
    await server.close();
  });

  async function call(method: string, path: string, body?: unknown, more: Readonly<Record<string, string>> = {}): Promise<{ status: number; body: unknown }> {
    const response = await fetch(`${server.url}${path}`, {
      method,
      headers: {
        authorization: server.token,
        'ld-api-version': '20240415',
        'content-type': 'application/json; domain-model=launchdarkly.semanticpatch',
        ...more,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : (JSON.parse(text) as unknown) };
  }
  const flagPath = (key: string): string => `/api/v2/flags/shop/${key}`;
  const off = { comment: 'c', environmentKey: 'production', instructions: [{ kind: 'turnFlagOff' }] };

  it("is read by LaunchDarkly's own SDK, which gets what the REST API says, for any rules, targets, shares and prerequisites", async () => {
    server.newFlag('ahead');
    let made = 0;
    await fc.assert(
      fc.asyncProperty(arbitrarySetting, async (setting) => {
        const flag = server.newFlag(`any-${(made += 1)}`);
        const changed = server.edit(flag.key, instructionsOf(server.account, flag, setting));
        const { version } = changed.environments['production'] ?? { version: 0 };
        await until('the SDK is told', async () => {
          const state = await sdk.allFlagsState({ kind: 'user', key: 'x' });
          const meta = (state.toJSON() as { $flagsState?: Record<string, { version?: number }> }).$flagsState;
          return (meta?.[flag.key]?.version ?? 0) >= version;
        });
        for (const person of PEOPLE) {
          const detail = await sdk.variationDetail(flag.key, person as unknown as LDContext, 'none');
          const ours = evaluate(server.account.flags, server.environment(), changed, person);
          expect([detail.value, detail.reason.kind]).toEqual([ours.value, ours.reason.kind]);
        }
      }),
      { numRuns: 60 },
    );
  }, 60_000);

  it("answers as LaunchDarkly's own schemas describe it, everywhere", async () => {
    server.newFlag('described');
    await server.newTrigger('described');
    const paths = [
      '/api/v2/projects/shop',
      '/api/v2/projects/shop/environments/production',
      '/api/v2/caller-identity',
      flagPath('described'),
      `${flagPath('described')}?env=production`,
      `${flagPath('described')}/triggers/production`,
      '/api/v2/segments/shop/production',
      '/api/v2/segments/shop/production/beta',
      '/api/v2/auditlog?spec=proj/shop:env/production:flag/described&limit=5',
    ];
    for (const path of paths) expect(await call('GET', path), path).toMatchObject({ status: 200 });
    expect(await call('PATCH', flagPath('described'), { ...off, instructions: [{ kind: 'turnFlagOn' }] })).toMatchObject({ status: 200 });
    const evaluated = await call('POST', '/api/v2/projects/shop/environments/production/flags/evaluate?filter=query%20equals%20%22described%22', {
      kind: 'user',
      key: 'u',
    });
    expect(evaluated).toMatchObject({ status: 200, body: { items: [{ key: 'described', _value: true, reason: { kind: 'FALLTHROUGH' } }] } });
    expect(
      await call('PATCH', '/api/v2/segments/shop/production/beta', { instructions: [{ kind: 'addIncludedTargets', contextKind: 'user', values: ['user-9'] }] }),
    ).toMatchObject({
      status: 200,
      body: { included: ['user-1', 'user-2', 'user-9'] },
    });
    for (const path of [flagPath('nobodys'), '/api/v2/projects/nobodys', '/api/v2/segments/shop/production/nobodys'])
      expect(await call('GET', path)).toMatchObject({ status: 404 });
    expect(server.violations).toEqual([]);
  });

  it('is held to schemas that refuse what LaunchDarkly would not send', () => {
    const judge = judgeBy(requireTool('launchdarkly-schemas'));
    const flag = flagRep(server.account, server.newFlag('judged')) as Record<string, unknown>;
    expect(judge('FeatureFlag', flag)).toBeUndefined();
    const { archived: _, ...thin } = flag;
    expect(judge('FeatureFlag', thin)).toContain("must have required property 'archived'");
    expect(judge('FeatureFlag', { ...flag, _version: 'one' })).toContain('must be integer');
    expect(judge('ErrorRep', { message: 'no code' })).toContain("must have required property 'code'");
  });

  it.each<[string, Partial<typeof off>, Readonly<Record<string, string>>, number]>([
    ['is no semantic patch by its content type', {}, { 'content-type': 'application/json' }, 400],
    ['names no environment for a change in one', { environmentKey: undefined as unknown as string }, {}, 400],
    ['has no comment where the environment asks for one', { comment: '' }, {}, 400],
    ['has an unknown instruction', { instructions: [{ kind: 'turnFlagSideways' }] }, {}, 400],
    ['names a variation that is none', { instructions: [{ kind: 'updateOffVariation', variationId: 'x' } as never] }, {}, 400],
    ['has no valid token', {}, { authorization: 'api-nobodys' }, 401],
    ['names an environment that is none', { environmentKey: 'nowhere' }, {}, 404],
  ])('refuses a patch that %s, and changes nothing', async (_, more, headers, status) => {
    const flag = server.newFlag('refusing');
    const before = structuredClone(flag);
    expect(await call('PATCH', flagPath('refusing'), { ...off, ...more }, headers)).toMatchObject({ status });
    expect(server.account.flags.get('refusing')).toEqual(before);
  });

  it('keeps a target in one variation only, and applies a patch whole or not at all', async () => {
    const flag = server.newFlag('whole');
    const [on, no] = flag.variations.map((variation) => variation._id);
    const add = (variationId: string | undefined) => ({ kind: 'addTargets', variationId, values: ['ann'] });
    const patch = (instructions: readonly unknown[]) => call('PATCH', flagPath('whole'), { ...off, instructions });
    expect(await patch([{ kind: 'turnFlagOn' }, add(on), add(no)])).toMatchObject({ status: 400 });
    expect(server.account.flags.get('whole')).toEqual(flag);
    expect(await patch([add(on)])).toMatchObject({ status: 200 });
    const versions = (one: Flag | undefined) => [one?._version, one?.environments['production']?.version, one?.environments['staging']?.version];
    expect(versions(server.account.flags.get('whole'))).toEqual([2, 2, 1]);
    expect(await patch([add(on)])).toMatchObject({ status: 200 });
    expect(versions(server.account.flags.get('whole'))).toEqual([2, 2, 1]);
  });

  it('shows a dry run and keeps nothing of it', async () => {
    const flag = server.newFlag('dry');
    const answer = await call('PATCH', `${flagPath('dry')}?dryRun=true`, { ...off, instructions: [{ kind: 'turnFlagOn' }] });
    expect(answer).toMatchObject({ status: 200, body: { environments: { production: { on: true, version: 2 } } } });
    expect(server.account.flags.get('dry')).toEqual(flag);
  });
});
