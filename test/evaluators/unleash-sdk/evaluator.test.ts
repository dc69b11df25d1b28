import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everyone } from '../../../src/core/exposure.ts';
import type { Evaluation, Evaluator } from '../../../src/evaluators/evaluator.ts';
import { openEvaluator } from '../../../src/evaluators/index.ts';
import { toContext } from '../../../src/evaluators/unleash-sdk/translate.ts';
import { openContext } from '../../flags/support.ts';
import { adminOf, strategyOf, unleashFlag, type Admin } from '../../providers/unleash/admin.ts';
import { httpFront } from '../../support/front.ts';
import type { Freezable } from '../../support/servers/freezable.ts';
import { startUnleash, type UnleashServer } from '../../support/servers/unleash.ts';
import { until } from '../../support/until.ts';

const flag = unleashFlag('chat.enabled');

async function one(evaluator: Evaluator, asked = flag): Promise<Evaluation> {
  const [answers] = await evaluator.evaluate([{ flag: asked, subject: { key: 'ann', attributes: {} }, with: {} }], AbortSignal.timeout(5_000));
  const [answer] = answers ?? [];
  if (answer === undefined) throw new Error('no answer');
  return answer;
}

describe('the Unleash SDK as an evaluator', () => {
  let server: Freezable<UnleashServer>;
  let admin: Admin;
  const opened: Evaluator[] = [];
  const open = async (url = server.url, refreshInterval = '200ms', name = 'sdk'): Promise<Evaluator> => {
    const evaluator = await openEvaluator(name, { kind: 'unleash-sdk', url, token: server.tokens.production, refreshInterval }, openContext());
    opened.push(evaluator);
    return evaluator;
  };
  const valued = (evaluator: Evaluator, value: boolean): Promise<true> =>
    until(`the value ${String(value)}`, async () => {
      const answer = await one(evaluator);
      return answer.kind === 'value' && answer.value === value;
    });

  beforeAll(async () => {
    server = await startUnleash();
    admin = adminOf(server.url, server.tokens.mallory, 'production');
    await admin.make(flag.key);
    await admin.set(flag.key, everyone(true));
  });
  afterAll(async () => {
    await Promise.all(opened.map((evaluator) => evaluator.close()));
    await server.stop();
  });

  it('is silent, never off, while the server has not answered yet, and answers when it does', async () => {
    const front = await httpFront(server.url);
    front.next({ times: Infinity, answer: { status: 503 } });
    const evaluator = await open(front.url);
    expect(await one(evaluator)).toMatchObject({ kind: 'silent', detail: expect.stringContaining('has no flags') as string });
    await front.clear();
    await valued(evaluator, true);
    await front.close();
  });

  it('is silent when its flags are stale though the SDK still has them, and answers again when they are fresh', async () => {
    const evaluator = await open();
    await valued(evaluator, true);
    server.freeze();
    try {
      const stale = await until('silence', async () => {
        const answer = await one(evaluator);
        return answer.kind === 'silent' ? answer : undefined;
      });
      expect(stale.detail).toContain('stale');
    } finally {
      server.thaw();
    }
    await valued(evaluator, true);
  });

  it('goes on when its token is accepted again, though the SDK itself gives up for good', async () => {
    const front = await httpFront(server.url);
    front.next({ answer: { status: 401, body: '{}' } });
    const evaluator = await open(front.url);
    expect(await one(evaluator)).toMatchObject({ kind: 'silent' });
    await valued(evaluator, true);
    await front.close();
  });

  it('is one SDK per evaluator: a slow one does not see yet what a quick one sees', async () => {
    const [quick, slow] = [await open(undefined, '200ms', 'quick'), await open(undefined, '1m', 'slow')];
    await Promise.all([valued(quick, true), valued(slow, true)]);
    await admin.set(flag.key, { ...everyone(true), share: 0 });
    await valued(quick, false);
    expect(await one(slow)).toEqual({ kind: 'value', instance: 'slow', value: true });
  });

  it('answers the off value where a flag of several values is on without a variant: so the app falls back', async () => {
    const mode = unleashFlag('chat.mode', { oneOf: ['full', 'sse-only'] });
    await admin.make(mode.key);
    await admin.addStrategy(mode.key, strategyOf(mode.key, 100));
    await admin.call('POST', `/api/admin/projects/default/features/${mode.key}/environments/production/on`);
    const evaluator = await open();
    const answer = await until('an answer', async () => {
      const found = await one(evaluator, mode);
      return found.kind === 'value' ? found : undefined;
    });
    expect(answer.value).toBe('full');
  });

  it('says which field of its config is wrong', async () => {
    await expect(open(undefined, 'often')).rejects.toThrow(/evaluators\.sdk\.refreshInterval.*100ms to 1m/);
  });

  it("asks with the subject's key as the user, unless the subject has a user of its own", () => {
    expect(toContext({ key: 'ann', attributes: { team: 'ops', sessionId: 's' } })).toEqual({ userId: 'ann', sessionId: 's', properties: { team: 'ops' } });
    expect(toContext({ key: 'contract-7', attributes: { userId: 'bob', remoteAddress: '::1' } })).toEqual({
      userId: 'bob',
      remoteAddress: '::1',
      properties: {},
    });
  });
});
