import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everyone } from '../../../src/core/exposure.ts';
import type { FlagRef } from '../../../src/core/plan.ts';
import { openEvaluator } from '../../../src/evaluators/index.ts';
import type { Evaluation, Evaluator } from '../../../src/evaluators/evaluator.ts';
import { openContext } from '../../flags/support.ts';
import { expose, flagOfFake } from '../../support/servers/launchdarkly/people.ts';
import { startLaunchdarkly, type LaunchdarklyServer } from '../../support/servers/launchdarkly/server.ts';
import { until } from '../../support/until.ts';

describe("LaunchDarkly's SDK as an evaluator", () => {
  let server: LaunchdarklyServer;
  const opened: Evaluator[] = [];
  beforeAll(async () => {
    server = await startLaunchdarkly();
  });
  afterAll(async () => {
    await Promise.all(opened.map((each) => each.close()));
    await server.close();
  });

  async function open(more: object = {}): Promise<Evaluator> {
    const evaluator = await openEvaluator('sdk', { kind: 'launchdarkly-sdk', host: server.url, sdkKey: server.environment().sdkKey, ...more }, openContext());
    opened.push(evaluator);
    return evaluator;
  }
  async function ask(evaluator: Evaluator, flag: FlagRef, key = 'u-1', attributes: Readonly<Record<string, string>> = {}): Promise<Evaluation> {
    const [answers] = await evaluator.evaluate([{ flag, subject: { key, attributes }, with: {} }], AbortSignal.timeout(5_000));
    const [answer] = answers ?? [];
    if (answer === undefined) throw new Error('no answer');
    return answer;
  }
  let made = 0;
  function newFlag(): FlagRef {
    const ref = flagOfFake(`sdk-flag-${(made += 1)}`);
    server.newFlag(ref.key);
    return ref;
  }

  it('is silent, never off, while its stream is open and says nothing of a change', async () => {
    const evaluator = await open();
    const flag = newFlag();
    expect(await ask(evaluator, flag)).toMatchObject({ kind: 'value', value: false });
    server.streams.silence(true);
    try {
      expose(server, flag, everyone(true));
      const answer = await until('the stale SDK is found out', async () => {
        const found = await ask(evaluator, flag);
        return found.kind === 'silent' ? found : undefined;
      });
      expect(answer).toMatchObject({ kind: 'silent', detail: expect.stringContaining('stream is behind: it holds version 1') as string });
    } finally {
      server.streams.silence(false);
    }
  });

  it('is silent while nobody can say whether it is up to date, and answers again when they can', async () => {
    const evaluator = await open();
    const flag = newFlag();
    expect(await ask(evaluator, flag)).toMatchObject({ kind: 'value', value: false });
    server.faults.add({ on: `GET /sdk/flags/${flag.key}`, kind: 'answer', status: 503, times: 1_000 });
    await until('what it knew is too old to be believed', async () => (await ask(evaluator, flag)).kind === 'silent');
    server.faults.clear();
    expect(await ask(evaluator, flag)).toMatchObject({ kind: 'value', value: false });
  });

  it('needs nobody to say so while the stream has just spoken of the flag: a proof depends on the stream alone', async () => {
    const evaluator = await open();
    const flag = newFlag();
    expect(await ask(evaluator, flag)).toMatchObject({ kind: 'value', value: false });
    server.faults.add({ on: 'GET /sdk/flags/', kind: 'answer', status: 503, times: 1_000 });
    expose(server, flag, everyone(true));
    await until(
      'the change is seen',
      async () => {
        const found = await ask(evaluator, flag);
        return found.kind === 'value' && found.value === true;
      },
      2_000,
    );
    server.faults.clear();
  });

  it('is silent about a flag without an off variation: each app decides by its own default', async () => {
    const evaluator = await open();
    const flag = newFlag();
    const setting = server.account.flags.get(flag.key)?.environments['production'];
    if (setting === undefined) throw new Error('no setting');
    delete setting.offVariation;
    server.edit(flag.key, [{ kind: 'updateTrackEvents', trackEvents: true }]);
    expect(
      await until('the SDK is told', async () => {
        const found = await ask(evaluator, flag);
        return found.kind === 'silent' ? found : undefined;
      }),
    ).toMatchObject({ detail: expect.stringContaining('choose an off variation') as string });
  });

  it('is silent about an archived flag', async () => {
    const evaluator = await open();
    const flag = newFlag();
    expect(await ask(evaluator, flag)).toMatchObject({ kind: 'value' });
    server.edit(flag.key, [{ kind: 'archiveFlag' }]);
    expect(
      await until('the SDK is told', async () => {
        const found = await ask(evaluator, flag);
        return found.kind === 'silent' ? found : undefined;
      }),
    ).toMatchObject({ detail: expect.stringContaining('FLAG_NOT_FOUND') as string });
  });

  it('asks as a member of the segment where a subject is made up for it, and is silent where the segment names nobody', async () => {
    const evaluator = await open();
    server.newSegment('internal', ['ann']);
    server.newSegment('empty', []);
    const flag = newFlag();
    const on = server.account.flags.get(flag.key)?.variations[0]?._id;
    const off = server.account.flags.get(flag.key)?.variations[1]?._id;
    const clauses = [{ contextKind: 'user', attribute: 'segmentMatch', op: 'segmentMatch', values: ['internal', 'empty'] }];
    server.edit(flag.key, [
      { kind: 'addRule', variationId: on, clauses },
      { kind: 'updateFallthroughVariationOrRollout', variationId: off },
      { kind: 'turnFlagOn' },
    ]);
    await until('the SDK is told', async () => {
      const found = await ask(evaluator, flag, 'ann');
      return found.kind === 'value' && found.value === true;
    });
    expect(await ask(evaluator, flag, 'gonogo-segment-internal', { segment: 'internal' })).toMatchObject({ kind: 'value', value: true });
    expect(await ask(evaluator, flag, 'gonogo-segment-empty', { segment: 'empty' })).toMatchObject({ kind: 'silent' });
    expect(await ask(evaluator, flag, 'gonogo-segment-x', { segment: 'unheard-of' })).toMatchObject({ kind: 'silent' });
    expect(await ask(evaluator, flag, 'bob')).toMatchObject({ kind: 'value', value: false });
  });

  it('asks several kinds of contexts at once, as the config places the attributes', async () => {
    const evaluator = await open({ attributes: { contract: 'contract.key' } });
    const flag = newFlag();
    const [on, off] = server.account.flags.get(flag.key)?.variations.map((variation) => variation._id) ?? [];
    server.edit(flag.key, [
      { kind: 'addTargets', contextKind: 'contract', variationId: on, values: ['c-1'] },
      { kind: 'updateFallthroughVariationOrRollout', variationId: off },
      { kind: 'turnFlagOn' },
    ]);
    await until('the SDK is told', async () => {
      const found = await ask(evaluator, flag, 'bob', { contract: 'c-1' });
      return found.kind === 'value' && found.value === true;
    });
    expect(await ask(evaluator, flag, 'bob', { contract: 'c-2' })).toMatchObject({ kind: 'value', value: false });
    expect(await ask(evaluator, flag, 'c-1')).toMatchObject({ kind: 'value', value: false });
  });

  it('shares one stream between all evaluators of one SDK key, until the last is closed', async () => {
    const own = await startLaunchdarkly();
    const config = { kind: 'launchdarkly-sdk', host: own.url, sdkKey: own.environment().sdkKey };
    const flag = flagOfFake('shared');
    own.newFlag(flag.key);
    const [one, two] = await Promise.all([openEvaluator('a', config, openContext()), openEvaluator('b', config, openContext())]);
    expect([await ask(one, flag), await ask(two, flag)]).toMatchObject([{ value: false }, { value: false }]);
    expect(own.streams.open).toBe(1);
    await one.close();
    await one.close();
    expect(await ask(two, flag)).toMatchObject({ value: false });
    await two.close();
    await until('the stream is closed', () => own.streams.open === 0);
    await own.close();
  });

  it('comes back by itself when its stream was cut', async () => {
    const evaluator = await open();
    const flag = newFlag();
    expect(await ask(evaluator, flag)).toMatchObject({ kind: 'value', value: false });
    server.streams.dropAll();
    expose(server, flag, everyone(true));
    await until('the stream is back', async () => {
      const found = await ask(evaluator, flag);
      return found.kind === 'value' && found.value === true;
    });
  });
});
