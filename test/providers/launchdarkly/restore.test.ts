import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { everyone, off, sameExposure, type Exposure } from '../../../src/core/exposure.ts';
import type { FlagRef } from '../../../src/core/plan.ts';
import { openProvider } from '../../../src/providers/index.ts';
import type { Change, FlagProvider, RestoreEntry, Snapshot } from '../../../src/providers/provider.ts';
import { keepLog, openContext } from '../../flags/support.ts';
import { hasTool } from '../../support/servers/require-tool.ts';
import { expose, flagOfFake, ownedOf } from '../../support/servers/launchdarkly/people.ts';
import { startJudged } from '../../support/servers/launchdarkly/start.ts';
import type { LaunchdarklyServer } from '../../support/servers/launchdarkly/server.ts';

const signal = (): AbortSignal => AbortSignal.timeout(10_000);
const share = (percent: number): Exposure => ({ value: true, share: percent, by: 'key', listed: [] });

describe.skipIf(!hasTool('launchdarkly-schemas'))('putting a LaunchDarkly flag back', () => {
  let server: LaunchdarklyServer;
  const opened: FlagProvider[] = [];
  beforeAll(async () => {
    server = await startJudged();
  });
  afterEach(() => {
    server.faults.clear();
    server.limit = undefined;
    for (const environment of server.account.environments.values()) environment.scheduled.clear();
  });
  afterAll(async () => {
    await Promise.all(opened.map((provider) => provider.close()));
    await server.close();
  });

  const log = keepLog();
  async function open(more: object = {}): Promise<FlagProvider> {
    const provider = await openProvider(
      'prod',
      { kind: 'launchdarkly', host: server.url, project: 'shop', environment: 'production', token: server.token, reserve: 0, ...more },
      openContext({ log }),
    );
    opened.push(provider);
    return provider;
  }
  let made = 0;
  function newFlag(): FlagRef {
    const ref = flagOfFake(`restore-${(made += 1)}`);
    server.newFlag(ref.key);
    return ref;
  }
  let ids = 0;
  const change = (flag: FlagRef, to: Exposure, expected: Snapshot): Change => ({
    flag,
    to,
    expected,
    change: `c-${(ids += 1)}`,
    by: 'rita',
    comment: 'a launch',
    stillWanted: () => Promise.resolve(),
  });
  async function shifted(provider: FlagProvider, to: Exposure = everyone(true), from?: Exposure) {
    const flag = newFlag();
    if (from !== undefined) expose(server, flag, from);
    const before = await provider.read(flag, signal());
    const [after] = await provider.write([change(flag, to, before)], signal());
    const entry: RestoreEntry = {
      flag,
      snapshot: before,
      phase: 'applied',
      written: [to],
      change: `r-${(ids += 1)}`,
      by: 'gonogo',
      comment: 'rollback',
      ...(after === undefined ? {} : { revision: after.revision }),
    };
    return { flag, before, entry };
  }
  const isOn = (flag: FlagRef): boolean => server.account.flags.get(flag.key)?.environments['production']?.on === true;
  const since = (mark: number): readonly string[] => server.requests.slice(mark);

  it('turns a flag off by the first thing it sends, before it asks anything, where it was off', async () => {
    const provider = await open();
    const { flag, entry } = await shifted(provider, share(5));
    const mark = server.requests.length;
    const [outcome] = await provider.restore([entry], signal());
    expect(outcome).toMatchObject({ kind: 'restored', wrote: true });
    expect(since(mark)).toEqual([`PATCH /api/v2/flags/shop/${flag.key}?ignoreConflicts=true`, `PATCH /api/v2/flags/shop/${flag.key}?ignoreConflicts=true`]);
    expect(server.account.entries.slice(0, 2).map((one) => [one.description, one.comment])).toEqual([
      ['updateFallthroughVariationOrRollout', expect.stringMatching(/^rollback \(gonogo\) \[gonogo r-\d+\]$/)],
      ['turnFlagOff', expect.stringMatching(/^rollback/)],
    ]);
  });

  it('has turned it off though the exact restore after it fails, and says that it failed', async () => {
    const provider = await open();
    const { flag, entry, before } = await shifted(provider, share(5));
    server.faults.add({ on: 'PATCH', kind: 'answer', status: 503, after: 1 });
    expect(await provider.restore([entry], signal())).toMatchObject([{ kind: 'failed', error: { name: 'Retryable' } }]);
    expect(isOn(flag)).toBe(false);
    expect(await provider.restore([entry], signal())).toMatchObject([{ kind: 'restored', wrote: true }]);
    expect((await provider.read(flag, signal())).exposure).toEqual(before.exposure);
  });

  it('goes through a change that somebody has scheduled, where a forward write is refused', async () => {
    const provider = await open();
    const { flag, before, entry } = await shifted(provider);
    server.environment().scheduled.add(flag.key);
    const now = await provider.read(flag, signal());
    await expect(provider.write([change(flag, share(5), now)], signal())).rejects.toMatchObject({ name: 'Terminal', code: 'bad-request' });
    expect(isOn(flag)).toBe(true);
    expect(await provider.restore([entry], signal())).toMatchObject([{ kind: 'restored', wrote: true }]);
    expect((await provider.read(flag, signal())).exposure).toEqual(before.exposure);
  });

  it.each<[string, number, number]>([
    ['a conflict with another write once', 1, 409],
    ['conflicts four times', 4, 409],
  ])('writes anew at once after %s', async (_, times, status) => {
    const provider = await open();
    const { flag, entry } = await shifted(provider);
    server.faults.add({ on: 'PATCH', kind: 'answer', status, times, body: { code: 'optimistic_locking_error', message: 'Conflict' } });
    expect(await provider.restore([entry], signal())).toMatchObject([{ kind: 'restored', wrote: true }]);
    expect(isOn(flag)).toBe(false);
  });

  describe('by its second path', () => {
    it.each<[string, Parameters<LaunchdarklyServer['faults']['add']>[0]]>([
      ['is away', { kind: 'cut', times: 100 }],
      ['answers 503', { kind: 'answer', status: 503, times: 100 }],
      ['wants an approval', { kind: 'answer', status: 405, times: 100 }],
      ['says that the role may not', { kind: 'answer', status: 403, times: 100 }],
      ['says that the token is revoked', { kind: 'answer', status: 401, times: 100 }],
      ['says that too many ask', { kind: 'answer', status: 429, times: 100 }],
    ])('turns a flag off by its trigger while the API %s', async (_, fault) => {
      const flags = newFlag();
      const url = await server.newTrigger(flags.key);
      const provider = await open({ triggers: { [flags.key]: url } });
      const before = await provider.read(flags, signal());
      const [after] = await provider.write([change(flags, everyone(true), before)], signal());
      if (after === undefined) throw new Error('no answer to the write');
      const entry: RestoreEntry = {
        flag: flags,
        snapshot: before,
        phase: 'applied',
        written: [everyone(true)],
        revision: after.revision,
        change: `r-${(ids += 1)}`,
        by: 'gonogo',
        comment: 'rollback',
      };
      for (const on of ['PATCH /api/', 'GET /api/']) server.faults.add({ ...fault, on });
      for (const phase of ['applied', 'intent'] as const) {
        server.edit(flags.key, [{ kind: 'turnFlagOn' }]);
        expect(await provider.restore([{ ...entry, phase }], signal())).toMatchObject([{ kind: 'restored', wrote: true }]);
        expect(isOn(flags)).toBe(false);
      }
      // When the API is back the rest is put back as well.
      server.faults.clear();
      expect(await provider.restore([{ ...entry, phase: 'restored' }], signal())).toMatchObject([{ kind: 'restored' }]);
      expect((await provider.read(flags, signal())).exposure).toEqual(before.exposure);
      const secret = url.split('/').at(-1) ?? '';
      expect(secret.length).toBeGreaterThan(10);
      expect(inspect(log.lines, { depth: 10 })).not.toContain(secret);
    });

    it('puts back the rest as well where the API was only having a moment', async () => {
      const flag = newFlag();
      const url = await server.newTrigger(flag.key);
      const provider = await open({ triggers: { [flag.key]: url } });
      const before = await provider.read(flag, signal());
      const was = ownedOf(server, flag.key);
      await provider.write([change(flag, share(5), before)], signal());
      server.faults.add({ on: 'PATCH', kind: 'answer', status: 503, times: 2 });
      const entry: RestoreEntry = { flag, snapshot: before, phase: 'applied', written: [share(5)], change: `r-${(ids += 1)}`, by: 'gonogo', comment: '' };
      expect(await provider.restore([entry], signal())).toMatchObject([{ kind: 'restored', wrote: true }]);
      expect(server.account.triggers.find((one) => one.flag === flag.key)?.pulled).toBe(1);
      expect(ownedOf(server, flag.key)).toEqual(was);
    });

    it('says that it failed, without the secret, where the trigger does not answer either', async () => {
      const flag = newFlag();
      const url = await server.newTrigger(flag.key);
      const provider = await open({ triggers: { [flag.key]: url } });
      const before = await provider.read(flag, signal());
      server.edit(flag.key, [{ kind: 'turnFlagOn' }]);
      server.faults.add({ kind: 'answer', status: 503, times: 100 });
      const [outcome] = await provider.restore([{ flag, snapshot: before, phase: 'applied', written: [], change: 'r-x', by: 'gonogo', comment: '' }], signal());
      expect(outcome).toMatchObject({ kind: 'failed', error: { name: 'Retryable' } });
      expect(inspect([outcome, log.lines], { depth: 10, showHidden: true })).not.toContain(url.split('/').at(-1));
    });

    it('pulls no trigger for a flag that was not off before, nor for one that is gone', async () => {
      const flag = newFlag();
      const url = await server.newTrigger(flag.key);
      const provider = await open({ triggers: { [flag.key]: url } });
      expose(server, flag, share(5));
      const before = await provider.read(flag, signal());
      server.edit(flag.key, [{ kind: 'updateFallthroughVariationOrRollout', variationId: server.account.flags.get(flag.key)?.variations[0]?._id }]);
      server.faults.add({ on: 'PATCH', kind: 'answer', status: 503, times: 100 });
      const entry: RestoreEntry = { flag, snapshot: before, phase: 'applied', written: [everyone(true)], change: 'r-y', by: 'gonogo', comment: '' };
      expect(await provider.restore([entry], signal())).toMatchObject([{ kind: 'failed' }]);
      expect(isOn(flag)).toBe(true);
      expect(server.account.triggers.find((one) => one.flag === flag.key)?.pulled).toBe(0);
    });
  });

  it('sends nothing, neither patch nor trigger, when a wider rollback has overtaken this hand, and lets that pass as it is', async () => {
    const flag = newFlag();
    const url = await server.newTrigger(flag.key);
    const provider = await open({ triggers: { [flag.key]: url } });
    const before = await provider.read(flag, signal());
    server.edit(flag.key, [{ kind: 'turnFlagOn' }]);
    const overtaken = new Error('a wider rollback was asked for');
    const entry: RestoreEntry = {
      flag,
      snapshot: before,
      phase: 'applied',
      written: [everyone(true)],
      change: 'r-z',
      by: 'gonogo',
      comment: '',
      stillWanted: () => Promise.reject(overtaken),
    };
    for (const phase of ['applied', 'intent'] as const) await expect(provider.restore([{ ...entry, phase }], signal())).rejects.toBe(overtaken);
    expect(isOn(flag)).toBe(true);
  });

  it('spends what others may not: of the rate limit the last third is for rollbacks', async () => {
    const provider = await open({ reserve: 30 });
    const { flag, before, entry } = await shifted(provider);
    server.limit = { global: 100, resetAt: Date.now() + 60_000 };
    const asked: unknown[] = [];
    for (let i = 0; i < 100; i += 1) asked.push(await provider.read(flag, signal()).catch((error: unknown) => error));
    const refused = asked.filter((one) => one instanceof Error);
    expect(refused.length).toBeGreaterThan(25);
    expect(refused[0]).toMatchObject({ name: 'Retryable', message: expect.stringContaining('kept for rollbacks') as string });
    expect(server.limit.global).toBeGreaterThanOrEqual(29);
    expect(await provider.restore([entry], signal())).toMatchObject([{ kind: 'restored', wrote: true }]);
    server.limit = undefined;
    expect(ownedOf(server, flag.key)).toMatchObject({ on: false });
    const another = await open();
    expect((await another.read(flag, signal())).exposure).toEqual(before.exposure);
  });

  it("narrows what somebody's rule has widened as far as our fields reach, and leaves their rule", async () => {
    const provider = await open();
    const { flag, entry } = await shifted(provider, share(50), share(5));
    const on = server.account.flags.get(flag.key)?.variations[0]?._id;
    const clause = (attribute: string, value: string) => ({ contextKind: 'user', attribute, op: 'in', negate: false, values: [value] });
    server.edit(flag.key, [{ kind: 'addRule', description: 'theirs', variationId: on, clauses: [clause('country', 'CH'), clause('plan', 'paid')] }]);
    expect(await provider.restore([entry], signal())).toMatchObject([{ kind: 'restored', wrote: true }]);
    expect(ownedOf(server, flag.key)).toMatchObject({
      on: true,
      fallthrough: {
        parts: [
          [false, 95_000],
          [true, 5_000],
        ],
      },
      rules: [{ description: 'theirs' }],
    });
    // Once: what is left is not ours to write, and is not written again and again.
    const mark = server.requests.length;
    expect(await provider.restore([{ ...entry, phase: 'restored' }], signal())).toMatchObject([{ kind: 'restored', wrote: false }]);
    expect(since(mark).filter((one) => one.startsWith('PATCH'))).toEqual([]);
  });

  it('tells who changed the flag last, and what they did', async () => {
    const provider = await open();
    const { flag } = await shifted(provider);
    expect(await provider.lastChange(flag, signal())).toMatchObject({ who: 'gonogo', what: expect.stringContaining('turnFlagOn') as string });
    server.edit(flag.key, [{ kind: 'turnFlagOff' }], 'mallory@example.com');
    expect(await provider.lastChange(flag, signal())).toMatchObject({
      who: 'mallory@example.com',
      what: 'turnFlagOff',
      at: expect.stringMatching(/^\d{4}-/) as string,
    });
    expect(await provider.lastChange(newFlag(), signal())).toBeUndefined();
  });

  it('knows a write of its own again in another process, also while the audit log lags behind', async () => {
    const [one, two] = [await open(), await open()];
    const flag = newFlag();
    const same = change(flag, everyone(true), await one.read(flag, signal()));
    const [first] = await one.write([same], signal());
    expect(await two.write([same], signal())).toEqual([first]);
    const entries = server.account.entries.splice(0);
    expect(await two.write([same], signal())).toEqual([first]);
    server.account.entries.push(...entries);
    expect(sameExposure(first?.exposure ?? off(true), everyone(true))).toBe(true);
  });

  it('knows a write whose answer was lost, also when somebody has added a tag since: nobody else wrote it', async () => {
    const flag = newFlag();
    const [first, second] = [await open(), await open()];
    const before = await first.read(flag, signal());
    const sent = change(flag, everyone(true), before);
    await first.write([sent], signal());
    server.edit(flag.key, [{ kind: 'addTags', values: ['reviewed'] }], 'mallory@example.com');
    const [again] = await second.write([sent], signal());
    expect(again?.exposure).toEqual(everyone(true));
  });
});
