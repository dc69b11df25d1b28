import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everyone, off, type Exposure } from '../../../src/core/exposure.ts';
import type { FlagRef } from '../../../src/core/plan.ts';
import { openProvider } from '../../../src/providers/index.ts';
import type { Change, FlagProvider, Snapshot } from '../../../src/providers/provider.ts';
import { openContext } from '../../flags/support.ts';
import { httpFront, type Front } from '../../support/front.ts';
import { startUnleash, type UnleashServer } from '../../support/servers/unleash.ts';
import { adminOf, strategyOf, unleashFlag, type Admin } from './admin.ts';

const signal = (): AbortSignal => AbortSignal.timeout(10_000);
const share = (percent: number): Exposure => ({ value: true, share: percent, by: 'key', listed: [] });
/** What Unleash itself says where change requests are on and the token may not skip them. */
const REFUSAL = JSON.stringify({
  name: 'PermissionError',
  message: 'You don\'t have the required permissions to perform this operation. To perform this action, you need the "SKIP_CHANGE_REQUEST" permission.',
});

describe('Unleash as a provider', () => {
  let server: UnleashServer;
  let front: Front;
  let mallory: Admin;
  let provider: FlagProvider;
  const opened: FlagProvider[] = [];
  let ids = 0;

  async function open(token: string, url = front.url): Promise<FlagProvider> {
    const other = await openProvider('prod', { kind: 'unleash', url, token, environment: 'production' }, openContext());
    opened.push(other);
    return other;
  }
  /** A personal access token of a new user with this root role: 2 is Editor, 3 is Viewer. */
  async function tokenOf(username: string, rootRole: number): Promise<string> {
    const password = 'C0rrect-horse-battery-staple!';
    const user = { username, email: `${username}@example.com`, name: username, password, rootRole, sendEmail: false };
    await mallory.call('POST', '/api/admin/user-admin', user);
    const login = await fetch(`${server.url}/auth/simple/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username, password }),
    });
    const answer = await fetch(`${server.url}/api/admin/user/tokens`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        cookie: login.headers
          .getSetCookie()
          .map((cookie) => cookie.split(';')[0])
          .join('; '),
      },
      body: JSON.stringify({ description: 'test', expiresAt: '2099-01-01T00:00:00Z' }),
    });
    return ((await answer.json()) as { secret: string }).secret;
  }
  async function newFlag(): Promise<FlagRef> {
    const key = `own.flag_${(ids += 1)}`;
    await mallory.make(key);
    return unleashFlag(key);
  }
  function change(flag: FlagRef, to: Exposure, expected: Snapshot): Change {
    return { flag, to, expected, change: `launch-1/beta/${(ids += 1)}`, by: 'ann', comment: 'try it', stillWanted: () => Promise.resolve() };
  }
  async function write(flag: FlagRef, to: Exposure, by = provider): Promise<{ before: Snapshot; after: Snapshot }> {
    const before = await by.read(flag, signal());
    const [after] = await by.write([change(flag, to, before)], signal());
    if (after === undefined) throw new Error('nothing was written');
    return { before, after };
  }
  const back = (flag: FlagRef, before: Snapshot, after: Snapshot, written: readonly Exposure[]) =>
    provider.restore(
      [{ flag, snapshot: before, phase: 'applied', written, revision: after.revision, change: 'launch-1/rollback', by: 'gonogo', comment: '' }],
      signal(),
    );
  const switched = (flag: FlagRef, how: 'on' | 'off', environment = 'production') =>
    mallory.call('POST', `/api/admin/projects/default/features/${flag.key}/environments/${environment}/${how}`);

  beforeAll(async () => {
    server = await startUnleash();
    front = await httpFront(server.url);
    mallory = adminOf(server.url, server.tokens.mallory, 'production');
    provider = await open(server.tokens.gonogo);
  });
  afterAll(async () => {
    await Promise.all(opened.map((each) => each.close()));
    await front.close();
    await server.stop();
  });

  it('gives 5 % of a flag that was made in the UI, on for everyone and off again, and puts it back as it was', async () => {
    const flag = await newFlag();
    await switched(flag, 'on');
    await switched(flag, 'off');
    const document = await mallory.environment(flag.key);
    expect(document.strategies).toMatchObject([{ parameters: { rollout: '100' } }]);
    const { before, after } = await write(flag, share(5));
    expect(after.exposure).toEqual(share(5));
    expect(await back(flag, before, after, [share(5)])).toMatchObject([{ kind: 'restored', wrote: true }]);
    // Unleash cannot take a title away again: no title has become an empty one.
    const strategies = document.strategies.map((strategy) => ({ ...strategy, title: '' }));
    expect(await mallory.environment(flag.key)).toEqual({ ...document, strategies });
  });

  it('sends nothing more when a wider rollback has overtaken it, and lets its word pass as it is', async () => {
    const flag = await newFlag();
    const { before, after } = await write(flag, share(5));
    const overtaken = new Error('the launch is rolled back as a whole');
    let asked = 0;
    const stillWanted = () => ((asked += 1) > 1 ? Promise.reject(overtaken) : Promise.resolve());
    const entry = { flag, snapshot: before, phase: 'applied' as const, written: [share(5)], revision: after.revision, change: 'r', by: 'gonogo', comment: '' };
    await expect(provider.restore([{ ...entry, stillWanted }], signal())).rejects.toBe(overtaken);
    expect(await mallory.environment(flag.key)).toMatchObject({ enabled: false, strategies: [{ disabled: false }] });
    expect(await provider.restore([entry], signal())).toMatchObject([{ kind: 'restored', wrote: true }]);
    expect((await mallory.environment(flag.key)).strategies).toEqual([]);
  });

  it("gives a command that takes ours away and leaves somebody's strategy as it was, pasted as it was sent", async () => {
    const flag = await newFlag();
    await mallory.addStrategy(flag.key, { ...strategyOf(flag.key, 5), title: 'Ann\'s 5 % & "more"' });
    await switched(flag, 'on');
    const document = await mallory.environment(flag.key);
    const { before, after } = await write(flag, everyone(true));
    expect(after.exposure).toEqual(everyone(true));
    const command = provider.undo(flag, before);
    await promisify(execFile)('bash', ['-c', command], { env: { PATH: process.env['PATH'] ?? '', UNLEASH_TOKEN: server.tokens.mallory } });
    expect(await mallory.environment(flag.key)).toEqual(document);
  });

  it('says in plain words who did what', async () => {
    const flag = await newFlag();
    await mallory.addStrategy(flag.key, { ...strategyOf(flag.key, 10), title: 'theirs' });
    const change = await provider.lastChange(flag, signal());
    expect(change).toMatchObject({
      who: 'mallory',
      what: expect.stringContaining(`mallory added strategy theirs to ${flag.key} for the production environment`) as string,
    });
  });

  it("keeps somebody's edit of a strategy that it had switched off", async () => {
    const flag = await newFlag();
    const id = await mallory.addStrategy(flag.key, { ...strategyOf(flag.key, 100), title: 'full release' });
    const { before, after } = await write(flag, share(5));
    const at = `/api/admin/projects/default/features/${flag.key}/environments/production/strategies/${id}`;
    await mallory.call('PATCH', at, [{ op: 'replace', path: '/parameters/rollout', value: '50' }]);
    expect(await back(flag, before, after, [share(5)])).toMatchObject([{ kind: 'restored' }]);
    expect(await mallory.environment(flag.key)).toMatchObject({
      enabled: false,
      strategies: [{ id, title: 'full release', disabled: false, parameters: { rollout: '50' } }],
    });
  });

  it('answers Drift where Unleash itself refuses: somebody changed our strategy between our look and our write', async () => {
    const flag = await newFlag();
    const { after } = await write(flag, share(5));
    const [ours] = (await mallory.environment(flag.key)).strategies;
    const at = `/api/admin/projects/default/features/${flag.key}/environments/production/strategies/${ours?.id ?? ''}`;
    front.next({
      match: ({ method }) => method === 'PATCH',
      answer: {
        first: async () => {
          await mallory.call('PATCH', at, [{ op: 'replace', path: '/title', value: 'mine now' }]);
        },
      },
    });
    await expect(provider.write([change(flag, share(25), after)], signal())).rejects.toMatchObject({ name: 'Drift', flag: flag.flag });
    expect(await mallory.environment(flag.key)).toMatchObject({ strategies: [{ title: 'mine now', parameters: { rollout: '5' } }] });
    await front.clear();
  });

  it('moves its revision when the flag has gone there and back, and not when another environment changes', async () => {
    const flag = await newFlag();
    const { revision } = await provider.read(flag, signal());
    await switched(flag, 'on', 'development');
    expect((await provider.read(flag, signal())).revision).toBe(revision);
    await mallory.addStrategy(flag.key, strategyOf(flag.key, 10));
    const first = await provider.read(flag, signal());
    await switched(flag, 'on');
    await switched(flag, 'off');
    const second = await provider.read(flag, signal());
    expect(second.native).toEqual(first.native);
    expect(second.revision).not.toBe(first.revision);
  });

  it('keeps segments, constraints and variants in its snapshot, and nothing of another environment', async () => {
    const flag = await newFlag();
    const { id } = (await mallory.call('POST', '/api/admin/segments', { name: 'gold', constraints: [] })) as { id: number };
    await mallory.addStrategy(flag.key, {
      ...strategyOf(flag.key, 10, 'blue'),
      segments: [id],
      constraints: [{ contextName: 'tier', operator: 'IN', values: ['gold'] }],
    });
    await adminOf(server.url, server.tokens.mallory, 'development').addStrategy(flag.key, { ...strategyOf(flag.key, 77), title: 'neighbour' });
    const { native } = await provider.read(flag, signal());
    expect(native).toMatchObject({
      environment: 'production',
      strategies: [{ segments: [id], constraints: [{ values: ['gold'] }], variants: [{ name: 'blue' }] }],
    });
    expect(JSON.stringify(native)).not.toContain('neighbour');
  });

  it('says before a launch which permissions a token lacks, and accepts one of an editor', async () => {
    const flag = await newFlag();
    const viewer = await open(await tokenOf('viewer', 3));
    expect(await viewer.check([flag], signal())).toMatchObject([
      { where: 'providers.prod', message: expect.stringMatching(/UPDATE_FEATURE_ENVIRONMENT.*DELETE_FEATURE_STRATEGY.*production/) as string },
    ]);
    await expect(write(flag, everyone(true), viewer)).rejects.toMatchObject({ name: 'Terminal', code: 'forbidden' });
    const editor = await open(await tokenOf('editor', 2));
    expect(await editor.check([flag], signal())).toEqual([]);
    const { before, after } = await write(flag, everyone(true), editor);
    expect(await editor.lastChange(flag, signal())).toMatchObject({ who: 'editor@example.com' });
    const entry = { flag, snapshot: before, phase: 'applied' as const, written: [], revision: after.revision, change: 'r', by: 'gonogo', comment: '' };
    expect(await editor.restore([entry], signal())).toMatchObject([{ kind: 'restored', wrote: true }]);
  });

  it("says before a launch that an SDK's token cannot write, and that a wrong one is wrong", async () => {
    for (const [token, words] of [
      [server.tokens.production, /403/],
      ['*:*.nonsense', /401/],
    ] as const) {
      const problems = await (await open(token)).check([await newFlag()], signal());
      expect(problems).toMatchObject([
        { where: 'providers.prod', message: expect.stringMatching(words) as string, hint: expect.stringContaining('token') as string },
      ]);
      expect(JSON.stringify(problems)).not.toContain(token);
    }
  });

  it('says before a launch that the environment asks for change requests, and changes nothing to find out', async () => {
    const flag = await newFlag();
    const count = async () => ((await mallory.call('GET', '/api/admin/search/events?limit=1')) as { total: number }).total;
    const events = await count();
    expect(await provider.check([flag], signal())).toEqual([]);
    expect(await count()).toBe(events);
    front.next({ match: ({ method }) => method !== 'GET', times: Infinity, answer: { status: 403, body: REFUSAL } });
    expect(await provider.check([flag], signal())).toMatchObject([
      {
        where: 'providers.prod',
        message: expect.stringContaining('change request') as string,
        hint: expect.stringContaining('skip change requests') as string,
      },
    ]);
    await expect(write(flag, everyone(true))).rejects.toMatchObject({ name: 'Terminal', code: 'needs-approval' });
    await front.clear();
    expect((await provider.read(flag, signal())).exposure).toEqual(off(true));
  });

  it('says before a launch that a strategy which nobody can read lets in nobody knows whom', async () => {
    const flag = await newFlag();
    await mallory.addStrategy(flag.key, {
      ...strategyOf(flag.key, 100),
      title: 'new apps',
      constraints: [{ contextName: 'v', operator: 'SEMVER_GT', value: '2.0.0' }],
    });
    await switched(flag, 'on');
    expect((await provider.read(flag, signal())).exposure).toEqual(everyone(true));
    expect(await provider.check([flag], signal())).toMatchObject([{ where: `flags.${flag.flag}`, message: expect.stringContaining('"new apps"') as string }]);
  });

  it('says that the environment or the type in the registry is not what Unleash has', async () => {
    const flag = await newFlag();
    const elsewhere = await openProvider('prod', { kind: 'unleash', url: server.url, token: server.tokens.gonogo, environment: 'staging' }, openContext());
    opened.push(elsewhere);
    await expect(elsewhere.read(flag, signal())).rejects.toMatchObject({ name: 'Terminal', code: 'environment-missing' });
    expect(await provider.check([{ ...flag, offValue: true }], signal())).toMatchObject([{ where: `flags.${flag.flag}` }]);
  });

  it('writes nothing to an archived flag, though Unleash would take its strategy', async () => {
    const flag = await newFlag();
    const before = await provider.read(flag, signal());
    await mallory.call('DELETE', `/api/admin/projects/default/features/${flag.key}`);
    front.forget();
    await expect(provider.write([change(flag, share(5), before)], signal())).rejects.toMatchObject({ code: 'flag-missing' });
    expect(front.seen.filter(({ method }) => method !== 'GET')).toEqual([]);
  });

  it('goes on with its own begun write, and says so when somebody has been there since: the journal must not forget the flag', async () => {
    const flag = await newFlag();
    const before = await provider.read(flag, signal());
    const same = change(flag, share(5), before);
    front.next({ match: ({ url }) => url.endsWith('/on'), answer: { status: 500, body: '{}' } });
    await expect(provider.write([same], signal())).rejects.toMatchObject({ name: 'Retryable' });
    await front.clear();
    const theirs = await mallory.addStrategy(flag.key, { ...strategyOf(flag.key, 1), title: 'theirs' });
    await expect(provider.write([same], signal())).rejects.toMatchObject({ name: 'Terminal', code: 'interrupted' });
    expect((await mallory.environment(flag.key)).enabled).toBe(false);
    // As we told them to: the newest change is theirs still, and nothing of it is left.
    await mallory.call('DELETE', `/api/admin/projects/default/features/${flag.key}/environments/production/strategies/${theirs}`);
    expect((await provider.write([same], signal()))[0]?.exposure).toEqual(share(5));
  });

  it('takes back the part of a write that had arrived when somebody changed something beside it, and leaves theirs', async () => {
    const flag = await newFlag();
    const path = `/api/admin/projects/default/features/${flag.key}/environments/production/strategies`;
    const asleep = { ...strategyOf(flag.key, 100), title: 'old apps', disabled: true };
    const theirs = await mallory.addStrategy(flag.key, asleep);
    await mallory.addStrategy(flag.key, {
      ...strategyOf(flag.key, 60),
      title: 'gold',
      constraints: [{ contextName: 'tier', operator: 'IN', values: ['gold'] }],
    });
    await mallory.addStrategy(flag.key, { ...strategyOf(flag.key, 10), title: 'gonogo [earlier-1/beta] for 10 %' });
    await switched(flag, 'on');
    const document = await mallory.environment(flag.key);
    const before = await provider.read(flag, signal());
    const wide: Exposure = { value: true, share: 82, by: 'contract', listed: [] };
    const same = change(flag, wide, before);
    front.next({ match: ({ method }) => method !== 'GET', answer: 'cut-after-apply' });
    await expect(provider.write([same], signal())).rejects.toMatchObject({ name: 'Retryable' });
    await front.clear();
    await mallory.call('PUT', `${path}/${theirs}`, { ...asleep, title: 'older apps' });
    await expect(provider.write([same], signal())).rejects.toMatchObject({ name: 'Terminal', code: 'interrupted' });
    const entry = { flag, snapshot: before, phase: 'intent' as const, written: [wide], change: 'launch-1/rollback', by: 'gonogo', comment: '' };
    expect(await provider.restore([entry], signal())).toMatchObject([{ kind: 'restored', wrote: true }]);
    const strategies = document.strategies.map((each) => (each.id === theirs ? { ...each, title: 'older apps' } : each));
    expect(await mallory.environment(flag.key)).toEqual({ ...document, strategies });
  });

  it('leaves off what a person turned off when a part of a write had arrived', async () => {
    const flag = await newFlag();
    await mallory.addStrategy(flag.key, { ...strategyOf(flag.key, 10), title: 'gonogo [earlier-1/beta] for 10 %' });
    await switched(flag, 'on');
    const before = await provider.read(flag, signal());
    const wide: Exposure = { value: true, share: 82, by: 'contract', listed: [] };
    front.next({ match: ({ method }) => method !== 'GET', answer: 'cut-after-apply' });
    await expect(provider.write([change(flag, wide, before)], signal())).rejects.toMatchObject({ name: 'Retryable' });
    await front.clear();
    await switched(flag, 'off');
    const entry = { flag, snapshot: before, phase: 'intent' as const, written: [wide], change: 'launch-1/rollback', by: 'gonogo', comment: '' };
    expect(await provider.restore([entry], signal())).toMatchObject([{ kind: 'kept', who: 'mallory' }]);
    expect((await mallory.environment(flag.key)).enabled).toBe(false);
  });

  it("leaves somebody's change of our own strategy to them, though the write that made it was not marked yet", async () => {
    const flag = await newFlag();
    await mallory.addStrategy(flag.key, { ...strategyOf(flag.key, 10), title: 'gonogo [earlier-1/beta] for 10 %' });
    await switched(flag, 'on');
    const { before } = await write(flag, share(25));
    const [own] = (await mallory.environment(flag.key)).strategies;
    await mallory.call('PUT', `/api/admin/projects/default/features/${flag.key}/environments/production/strategies/${own?.id ?? ''}`, {
      ...own,
      ...strategyOf(flag.key, 5, true, 'contract'),
    });
    const document = await mallory.environment(flag.key);
    const entry = { flag, snapshot: before, phase: 'intent' as const, written: [share(25)], change: 'launch-1/rollback', by: 'gonogo', comment: '' };
    expect(await provider.restore([entry], signal())).toMatchObject([{ kind: 'foreign', who: 'mallory' }]);
    expect(await mallory.environment(flag.key)).toEqual(document);
  });

  it('goes on with a write of which only the first step has arrived, on a flag that somebody keeps strategies on while it is off', async () => {
    const flag = await newFlag();
    await mallory.addStrategy(flag.key, { ...strategyOf(flag.key, 60), title: 'theirs' });
    const document = await mallory.environment(flag.key);
    const before = await provider.read(flag, signal());
    const same = change(flag, share(5), before);
    front.next({ match: ({ method }) => method !== 'GET', answer: 'cut-after-apply' });
    await expect(provider.write([same], signal())).rejects.toMatchObject({ name: 'Retryable' });
    await front.clear();
    const [after] = await provider.write([same], signal());
    expect(after?.exposure).toEqual(share(5));
    if (after !== undefined) expect(await back(flag, before, after, [share(5)])).toMatchObject([{ kind: 'restored', wrote: true }]);
    expect(await mallory.environment(flag.key)).toEqual(document);
  });
});
