import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { inspect } from 'node:util';
import { FlagdProvider } from '@openfeature/flagd-provider';
import { afterEach, describe, expect, it } from 'vitest';
import { everyone, off } from '../../../src/core/exposure.ts';
import { openEvaluator } from '../../../src/evaluators/index.ts';
import type { Evaluation, Evaluator } from '../../../src/evaluators/evaluator.ts';
import { flagRef, openContext } from '../../flags/support.ts';
import { until } from '../../support/until.ts';
import * as fixtures from './fixtures.ts';
import { flagdDocument, flagdFlag, startFlagdSync } from './flagd.ts';

const ODD = path.join(import.meta.dirname, 'fixtures.ts');
const FLAGD = { kind: 'openfeature', module: '@openfeature/flagd-provider', export: FlagdProvider.name };
const SECRET = 'key-of-the-vendor-0123456789';
const flag = flagRef('chat.enabled');
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function open(config: object): Promise<Evaluator> {
  const evaluator = await openEvaluator('app', config, openContext({ secret: (reference) => (reference === '${VENDOR_KEY}' ? SECRET : reference) }));
  cleanups.push(() => evaluator.close());
  return evaluator;
}
const odd = (options: object, more: object = {}) => open({ kind: 'openfeature', module: ODD, export: fixtures.Odd.name, options, ...more });
async function answersOf(evaluator: Evaluator, about = flag, attributes: Readonly<Record<string, string>> = {}, key = 'u-1'): Promise<readonly Evaluation[]> {
  const [answers = []] = await evaluator.evaluate([{ flag: about, subject: { key, attributes }, with: {} }], AbortSignal.timeout(5_000));
  return answers;
}
const valueOf = async (evaluator: Evaluator): Promise<unknown> => {
  const [answer] = await answersOf(evaluator);
  return answer?.kind === 'value' ? answer.value : undefined;
};

describe("flagd's provider over a file", () => {
  function flagFile(document: string): { readonly file: string; readonly write: (next: string) => void } {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'gonogo-flagd-'));
    cleanups.push(() => rmSync(dir, { recursive: true, force: true }));
    const file = path.join(dir, 'flags.json');
    const write = (next: string): void => {
      writeFileSync(`${file}.new`, next);
      renameSync(`${file}.new`, file);
    };
    write(document);
    return { file, write };
  }
  const holding = (to = off(true)): string => flagdDocument({ [flag.key]: flagdFlag(flag, to) });
  const over = (file: string): Promise<Evaluator> => open({ ...FLAGD, options: { resolverType: 'in-process', offlineFlagSourcePath: file } });

  it('shows a change of the file, both ways', { timeout: 40_000 }, async () => {
    const { file, write } = flagFile(holding());
    const evaluator = await over(file);
    expect(await valueOf(evaluator)).toBe(false);
    write(holding(everyone(true)));
    await until('the flag to be on', async () => (await valueOf(evaluator)) === true);
    write(holding(off(true)));
    await until('the flag to be off', async () => (await valueOf(evaluator)) === false);
  });

  it('gives a share of the subjects the value, always the same ones, and the listed ones besides', async () => {
    const to = { value: true, share: 25, by: 'key', listed: [{ attribute: 'team', values: ['ops'] }] };
    const evaluator = await over(flagFile(holding(to)).file);
    const people = Array.from({ length: 400 }, (_, i) => ({ flag, subject: { key: `u-${i}`, attributes: {} }, with: {} }));
    const on = async (): Promise<readonly number[]> =>
      (await evaluator.evaluate(people, AbortSignal.timeout(5_000))).flatMap(([answer], i) => (answer?.kind === 'value' && answer.value === true ? [i] : []));
    const first = await on();
    expect(first.length).toBeGreaterThan(60);
    expect(first.length).toBeLessThan(140);
    expect(await on()).toEqual(first);
    expect(await answersOf(evaluator, flag, { team: 'ops' })).toEqual([{ kind: 'value', instance: 'app', value: true }]);
  });

  it('is silent about a flag that is disabled or missing: users get what their own code falls back to', async () => {
    const disabled = { ...(flagdFlag(flag, everyone(true)) as object), state: 'DISABLED' };
    const evaluator = await over(flagFile(flagdDocument({ [flag.key]: disabled })).file);
    for (const about of [flag, flagRef('missing'), flagRef('missing', { oneOf: ['full', 'sse-only'] })])
      expect(await answersOf(evaluator, about)).toMatchObject([{ kind: 'silent', detail: expect.stringMatching(/DISABLED|FLAG_NOT_FOUND/) as string }]);
  });

  it('is silent about a value of another type', async () => {
    const text = flagRef(flag.key, { oneOf: ['full', 'sse-only'] });
    const evaluator = await over(flagFile(flagdDocument({ [flag.key]: flagdFlag(text, everyone('full')) })).file);
    expect(await answersOf(evaluator, text)).toMatchObject([{ kind: 'value', value: 'full' }]);
    expect(await answersOf(evaluator, flag)).toMatchObject([{ kind: 'silent', detail: expect.stringContaining('TYPE_MISMATCH') as string }]);
    expect(await answersOf(evaluator, flagRef(flag.key, { oneOf: ['on', 'off'] }))).toMatchObject([
      { kind: 'silent', detail: expect.stringContaining('expected one of on, off') as string },
    ]);
  });

  it('comes up by itself once the file that was missing at its start is there', { timeout: 30_000 }, async () => {
    const { file, write } = flagFile(holding());
    rmSync(file);
    const evaluator = await over(file);
    const [problem] = await evaluator.check([flag], AbortSignal.timeout(5_000));
    expect(problem).toMatchObject({ where: 'evaluators.app', message: expect.stringContaining('ERROR (File not found') as string });
    expect(await answersOf(evaluator)).toMatchObject([{ kind: 'silent', instance: 'app' }]);
    write(holding(everyone(true)));
    await until('the provider to be made anew', async () => (await valueOf(evaluator)) === true);
    expect(await evaluator.check([flag], AbortSignal.timeout(5_000))).toEqual([]);
  });
});

describe('several instances', () => {
  it('are asked one by one: the one that went stale is named and its old value counts no more, until it is back', { timeout: 30_000 }, async () => {
    const document = (on: boolean): string => flagdDocument({ [flag.key]: flagdFlag(flag, on ? everyone(true) : off(true)) });
    const servers = await Promise.all([1, 2, 3].map(() => startFlagdSync(document(true))));
    for (const server of servers) cleanups.push(() => server.kill());
    const [, second] = servers;
    if (second === undefined) throw new Error('no server');
    const flagd = (port: number) => ({
      host: '127.0.0.1',
      port,
      resolverType: 'in-process',
      deadlineMs: 500,
      retryBackoffMs: 100,
      retryBackoffMaxMs: 200,
      retryGracePeriod: 600,
    });
    const evaluator = await open({
      ...FLAGD,
      instances: Object.fromEntries(['eu', 'us', 'ap'].map((name, i) => [name, { options: flagd(servers[i]?.port ?? 0) }])),
    });
    const value = (instance: string, of: boolean) => ({ kind: 'value', instance, value: of });
    await until('all three to be on', async () => (await answersOf(evaluator)).every((answer) => answer.kind === 'value' && answer.value === true));
    second.kill();
    const stale = await until('the second to go stale', async () => {
      const answers = await answersOf(evaluator);
      return answers[1]?.kind === 'silent' && answers;
    });
    expect(stale).toEqual([
      value('eu', true),
      { kind: 'silent', instance: 'us', detail: expect.stringMatching(/^us: the provider is STALE .*its values may be old$/) as string },
      value('ap', true),
    ]);
    expect(await evaluator.check([flag], AbortSignal.timeout(5_000))).toEqual([
      {
        where: 'evaluators.app',
        message: expect.stringMatching(/^us: the provider is STALE/) as string,
        hint: expect.stringContaining('proven here') as string,
      },
    ]);
    for (const server of servers) if (server !== second) server.push(document(false));
    await until('the others to be off', async () => (await valueOf(evaluator)) === false);
    expect((await answersOf(evaluator))[1]).toMatchObject({ kind: 'silent', instance: 'us' });
    const back = await startFlagdSync(document(false), second.port);
    cleanups.push(() => back.kill());
    await until('the second to be back', async () => (await answersOf(evaluator))[1]?.kind === 'value');
    expect(await answersOf(evaluator)).toEqual([value('eu', false), value('us', false), value('ap', false)]);
  });

  it('have their providers apart, also those of another evaluator of the same name', async () => {
    const [one, other] = [await odd({ doing: 'fine' }), await odd({ doing: 'throws' })];
    expect(await answersOf(one)).toMatchObject([{ kind: 'value', value: true }]);
    expect(await answersOf(other)).toMatchObject([{ kind: 'silent' }]);
    await other.close();
    expect(await answersOf(one)).toMatchObject([{ kind: 'value', value: true }]);
  });

  it('cost one deadline when all of them hang', async () => {
    const evaluator = await open({
      kind: 'openfeature',
      module: ODD,
      export: fixtures.Odd.name,
      instances: { a: { options: { doing: 'hangs' } }, b: { options: { start: 'hangs' } }, c: {} },
    });
    const began = performance.now();
    const answers = await evaluator.evaluate(
      Array.from({ length: 200 }, (_, i) => ({ flag, subject: { key: `u-${i}`, attributes: {} }, with: {} })),
      AbortSignal.timeout(10_000),
    );
    expect(performance.now() - began).toBeLessThan(3_500);
    expect(answers.map((each) => each.map(({ kind }) => kind))).toEqual(answers.map(() => ['silent', 'silent', 'value']));
  });
});

describe('a provider that', () => {
  const text = flagRef('mode', { oneOf: ['full', 'sse-only'] });
  it.each([
    ['throws', { doing: 'throws' }, /GENERAL/],
    ['gives back the default of a disabled flag', { doing: 'default' }, /own default .*reason DISABLED/],
    ['gives back the default and says nothing', { doing: 'reasonless' }, /own default .*reason UNKNOWN/],
    ['answers a number', { doing: 'numbers' }, /answered 1 for registry\.|TYPE_MISMATCH/],
    ['cannot start', { start: 'fails' }, /the provider is ERROR \(the key \*\*\* is not known\)/],
    ['throws while it starts', { start: 'throws' }, /the provider is ERROR \(no start with \*\*\*\)/],
  ])('%s is silent, for every type of flag, and shows no secret', async (_, options, detail) => {
    const evaluator = await odd({ ...options, token: '${VENDOR_KEY}' });
    for (const about of [flag, { ...flag, offValue: true }, text]) {
      const answers = await answersOf(evaluator, about);
      expect(answers).toMatchObject([{ kind: 'silent', instance: 'app', detail: expect.stringMatching(detail) as string }]);
      expect(inspect(answers)).not.toContain(SECRET);
    }
  });

  it.each(['stale', 'error'] as const)('says that it is in state %s is believed over the values that it still gives', async (emit) => {
    const evaluator = await odd({ emit, token: '${VENDOR_KEY}' });
    const answers = await until('the provider to say so', async () => {
      const found = await answersOf(evaluator);
      return found[0]?.kind === 'silent' && found;
    });
    expect(answers).toMatchObject([{ detail: expect.stringMatching(new RegExp(`${emit.toUpperCase()} \\(lost the server, key \\*\\*\\*\\)`)) as string }]);
  });

  it('is made by a function, or of several arguments, answers all the same', async () => {
    const made = await open({ kind: 'openfeature', module: ODD, export: fixtures.makeOdd.name, options: {} });
    const byKey = await open({ kind: 'openfeature', module: ODD, export: fixtures.OddByKey.name, args: ['${VENDOR_KEY}', {}] });
    for (const evaluator of [made, byKey]) for (const about of [flag, text]) expect(await answersOf(evaluator, about)).toMatchObject([{ kind: 'value' }]);
  });
});

describe('the config', () => {
  it.each<[string, object, RegExp]>([
    [
      'a package that is not installed',
      { module: '@vendor/of-provider', export: 'X' },
      /evaluators\.app\.module is @vendor\/of-provider, which cannot be loaded: .*; install it beside gonogo \(npm install @vendor\/of-provider\)/,
    ],
    [
      'an export that is not there',
      { module: '@openfeature/flagd-provider', export: 'Flagd' },
      /export is Flagd, which @openfeature\/flagd-provider does not export; expected one of FlagdProvider/,
    ],
    [
      'an export that is neither class nor function',
      { module: '@openfeature/server-sdk', export: 'ProviderStatus' },
      /exports as no class or function; expected one of .*InMemoryProvider/,
    ],
    ['an export that makes no provider', { module: ODD, export: fixtures.NoProvider.name }, /NoProvider, which makes no OpenFeature provider/],
    [
      'a provider for browsers',
      { module: ODD, export: fixtures.makeBrowserOdd.name },
      /for browsers \(runsOn client\); expected the vendor's provider for servers/,
    ],
    [
      'options that the provider refuses, whose secret is not shown',
      { module: ODD, export: fixtures.Odd.name, options: { token: 'refuse-me-0123456789' } },
      /refused its options: the key \*\*\* is malformed; correct options or args/,
    ],
    ['a relative path', { module: './mine.js', export: 'X' }, /evaluators\.app\.module: expected the name of an installed package.* or an absolute path/],
    ['options beside args', { module: 'x', export: 'X', options: {}, args: [] }, /options and args exclude each other/],
    [
      'options beside instances',
      { module: 'x', export: 'X', options: {}, instances: { a: {} } },
      /evaluators\.app\.instances: instances stands beside options/,
    ],
    ['no export', { module: 'x' }, /evaluators\.app\.export/],
  ])('with %s is refused with what to do', async (_, config, message) => {
    await expect(Promise.resolve().then(() => openEvaluator('app', { kind: 'openfeature', ...config }, openContext()))).rejects.toMatchObject({
      code: 'config',
      message: expect.stringMatching(message) as string,
    });
  });
});
