import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everyone, off } from '../../../src/core/exposure.ts';
import { openEvaluator } from '../../../src/evaluators/index.ts';
import type { Evaluator } from '../../../src/evaluators/evaluator.ts';
import { fillUrl, selectFrom } from '../../../src/evaluators/http/translate.ts';
import { flagRef, openContext, storedFlag } from '../../flags/support.ts';
import { serveApp, type App } from './app.ts';

const flag = flagRef('chat.enabled');
const view = { flags: new Map([['chat.enabled', storedFlag(everyone(true))]]), segments: new Map(), readAt: 0 };
const ask = (url: string, select: string, key = 'u', attributes: Readonly<Record<string, string>> = {}) => ({
  flag,
  subject: { key, attributes },
  with: { url, select },
});

describe('reading a flag where the app shows it', () => {
  let app: App;
  let evaluator: Evaluator;
  beforeAll(async () => {
    app = await serveApp(() => view);
    evaluator = await openEvaluator('app', { kind: 'http', hosts: { app: app.url } }, openContext());
  });
  afterAll(async () => {
    await evaluator.close();
    await app.close();
  });
  const answer = async (question: ReturnType<typeof ask>) => (await evaluator.evaluate([question], AbortSignal.timeout(5_000)))[0]?.[0];

  it('asks once for each distinct address', async () => {
    const before = app.served.length;
    await evaluator.evaluate(
      [...Array.from({ length: 10 }, () => ask('${app}/users/a/qa/flags', 'flags."chat.enabled"')), ask('${app}/users/b/qa/flags', 'flags."chat.enabled"')],
      AbortSignal.timeout(5_000),
    );
    expect(app.served.slice(before).sort()).toEqual(['/users/a/qa/flags', '/users/b/qa/flags']);
  });

  it('puts key and attributes into the address, encoded', async () => {
    const before = app.served.length;
    expect(await answer(ask('${app}/users/{key}/{team}/flags', 'flags."chat.enabled"', 'a/b?c', { team: 'q&a' }))).toMatchObject({
      kind: 'value',
      value: true,
      instance: new URL(app.url).host,
    });
    expect(app.served.slice(before)).toEqual(['/users/a%2Fb%3Fc/q%26a/flags']);
  });

  it('asks three pods one by one, and tells which of them still shows the old value and which is silent', async () => {
    const old = { ...view, flags: new Map([['chat.enabled', storedFlag(off(true))]]) };
    const last = await serveApp(() => view);
    const pods = [await serveApp(() => view), await serveApp(() => old), last];
    const [first, second, third] = pods.map((pod) => new URL(pod.url).host);
    const fleet = await openEvaluator('app', { kind: 'http', hosts: { app: pods.map((pod) => pod.url) } }, openContext());
    const asked = [ask('${app}/users/a/qa/flags', 'flags."chat.enabled"'), ask('${app}/users/b/qa/flags', 'flags."chat.enabled"')];
    try {
      const told = [
        { kind: 'value', instance: first, value: true },
        { kind: 'value', instance: second, value: false },
        { kind: 'value', instance: third, value: true },
      ];
      expect(await fleet.evaluate(asked, AbortSignal.timeout(5_000))).toEqual([told, told]);
      await last.close();
      for (const answers of await fleet.evaluate(asked, AbortSignal.timeout(5_000)))
        expect(answers).toEqual([told[0], told[1], { kind: 'silent', instance: third, detail: expect.stringContaining('ECONNREFUSED') as string }]);
    } finally {
      await fleet.close();
      await Promise.all(pods.map((pod) => pod.close()));
    }
  });

  it('says gone when the app does not know the subject', async () => {
    expect(await answer(ask('${app}/users/{key}/qa/flags', 'x', 'deleted'))).toMatchObject({ kind: 'gone' });
  });

  it.each<[string, ReturnType<typeof ask>, string]>([
    ['nothing stands where select says', ask('${app}/users/a/qa/flags', 'flags.other'), 'answered nothing for registry.chat.enabled; expected true or false'],
    ['something else stands there', ask('${app}/users/a/qa/flags', 'flags'), 'expected true or false'],
    ['select is no JMESPath', ask('${app}/users/a/qa/flags', 'flags.['), 'expected a JMESPath expression'],
    ['the host is not in the config', ask('${shop}/users/a', 'x'), 'expected one of app'],
    ['the address is absolute', ask('http://169.254.169.254/latest', 'x'), 'must begin with ${name}'],
    ['the host would be another one', ask('${app}@evil.example/', 'x'), 'must begin with ${name}'],
    ['the subject lacks the attribute', ask('${app}/users/{key}/{team}/flags', 'x'), 'has no attribute team'],
    ['the attribute would climb out of the path', ask('${app}/users/{key}/flags', 'x', '..'), 'cannot stand in a URL'],
  ])('is silent, and says why, when %s', async (_, question, detail) => {
    expect(await answer(question)).toMatchObject({ kind: 'silent', detail: expect.stringContaining(detail) as string });
  });
});

describe('the pure parts', () => {
  it('fills an address and selects a value', () => {
    expect(fillUrl('${app}/c/{key}', { key: 'é', attributes: {} })).toEqual({ host: 'app', path: '/c/%C3%A9' });
    expect(selectFrom({ flags: { 'chat.enabled': true } }, 'flags."chat.enabled"')).toBe(true);
  });
});
