import { InMemStorageProvider, Unleash } from 'unleash-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everyone, off } from '../../../src/core/exposure.ts';
import type { Evaluation, Evaluator } from '../../../src/evaluators/evaluator.ts';
import { openEvaluator } from '../../../src/evaluators/index.ts';
import { openContext } from '../../flags/support.ts';
import { adminOf, unleashFlag, type Admin } from '../../providers/unleash/admin.ts';
import { startUnleash, type UnleashServer } from '../../support/servers/unleash.ts';
import { until } from '../../support/until.ts';

const flag = unleashFlag('chat.enabled');

describe('what the apps report, as an evaluator', () => {
  let server: UnleashServer;
  let admin: Admin;
  let app: Unleash;
  let asking: NodeJS.Timeout;
  const opened: Evaluator[] = [];
  const open = async (more: Readonly<Record<string, unknown>> = {}): Promise<Evaluator> => {
    const { url, tokens } = server;
    const config = { kind: 'unleash-metrics', url, token: tokens.gonogo, environment: 'production', apps: ['shop'], metricsInterval: '1s', ...more };
    const evaluator = await openEvaluator('apps', config, openContext());
    opened.push(evaluator);
    return evaluator;
  };
  const one = async (evaluator: Evaluator, asked = flag): Promise<Evaluation | undefined> =>
    (await evaluator.evaluate([{ flag: asked, subject: { key: 'ann', attributes: {} }, with: {} }], AbortSignal.timeout(5_000)))[0]?.[0];
  const says = (evaluator: Evaluator, value: boolean): Promise<true> =>
    until(
      `the apps report ${String(value)}`,
      async () => {
        const answer = await one(evaluator);
        return answer?.kind === 'value' && answer.value === value;
      },
      60_000,
    );

  beforeAll(async () => {
    server = await startUnleash();
    admin = adminOf(server.url, server.tokens.mallory, 'production');
    await admin.make(flag.key);
    app = new Unleash({
      url: `${server.url}/api`,
      appName: 'shop',
      customHeaders: { Authorization: server.tokens.production },
      refreshInterval: 500,
      metricsInterval: 1_000,
      storageProvider: new InMemStorageProvider(),
    });
    app.on('error', () => undefined);
    let user = 0;
    asking = setInterval(() => app.isEnabled(flag.key, { userId: `u-${(user += 1)}` }), 10);
  });
  afterAll(async () => {
    clearInterval(asking);
    app.destroy();
    await Promise.all(opened.map((evaluator) => evaluator.close()));
    await server.stop();
  });

  it('says on and off as the app reports them, and nothing in between', async () => {
    const evaluator = await open();
    expect(await one(evaluator)).toMatchObject({ kind: 'silent', instance: 'shop' });
    await says(evaluator, false);
    await admin.set(flag.key, everyone(true));
    expect(await one(evaluator), 'what was reported before the change is no answer').toMatchObject({ kind: 'silent' });
    await says(evaluator, true);
    await admin.set(flag.key, { ...everyone(true), share: 50 });
    const mixed = await until(
      'a mixed report',
      async () => {
        const answer = await one(evaluator);
        if (answer?.kind === 'value') throw new Error(`it said ${String(answer.value)} though half of the users have it`);
        return answer?.detail.includes('not all its users') === true ? answer : undefined;
      },
      60_000,
    );
    expect(mixed.kind).toBe('silent');
    await admin.set(flag.key, off(true));
    await says(evaluator, false);
  }, 240_000);

  it('is silent, by name, about an app that reports nothing, and its check says so', async () => {
    const evaluator = await open({ apps: ['shop', 'mobile'] });
    const [answers] = await evaluator.evaluate([{ flag, subject: { key: 'ann', attributes: {} }, with: {} }], AbortSignal.timeout(5_000));
    expect(answers?.find((answer) => answer.instance === 'mobile')).toMatchObject({ kind: 'silent' });
    const problems = await evaluator.check([flag], AbortSignal.timeout(5_000));
    expect(problems).toMatchObject([{ where: `flags.${flag.flag}`, message: expect.stringContaining('mobile') as string }]);
    expect(await (await open()).check([flag], AbortSignal.timeout(5_000))).toEqual([]);
  });

  it('is silent about a flag of several values, and when Unleash is away or refuses the token, without showing it', async () => {
    expect(await one(await open(), unleashFlag(flag.key, { oneOf: ['full', 'sse-only'] }))).toMatchObject({ kind: 'silent' });
    for (const evaluator of [await open({ url: 'http://127.0.0.1:1' }), await open({ token: '*:*.wr0ng-secret' })]) {
      expect(await one(evaluator)).toMatchObject({ kind: 'silent', detail: expect.not.stringContaining('wr0ng') as string });
      expect(await evaluator.check([flag], AbortSignal.timeout(5_000))).toHaveLength(1);
    }
  });
});
