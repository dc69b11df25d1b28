import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Retryable, Terminal } from '../../../src/core/failure.ts';
import { openNotifier } from '../../../src/notifiers/index.ts';
import type { News } from '../../../src/notifiers/notifier.ts';
import { openReceiver, type Receiver } from '../support.ts';

let receiver: Receiver;
beforeAll(async () => {
  receiver = await openReceiver();
});
afterAll(async () => receiver.close());

const news: News = { launch: 'чат-prod-1', seq: 7, urgency: 'page', headline: 'Откат: p95', lines: ['one'], head: 'ab'.repeat(32) };
const signal = () => AbortSignal.timeout(5_000);

describe('the webhook notifier', () => {
  test('posts the news with its key, its token and a signature over the very bytes', async () => {
    const secret = 'a-signing-secret-of-some-length';
    const notifier = openNotifier('mine', { kind: 'webhook', url: receiver.url, token: 'the-token', signingSecret: secret, events: 'pages' });
    await notifier.announce(news, 'чат-prod-1/7/mine', signal());
    await notifier.close();
    const got = receiver.received.at(-1);
    expect(got?.news).toEqual(news);
    expect(got?.headers).toMatchObject({
      authorization: 'Bearer the-token',
      'idempotency-key': encodeURI('чат-prod-1/7/mine'),
      'content-type': 'application/json',
    });
    const [, time, mac] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(got?.headers['x-gonogo-signature'])) ?? [];
    expect(Math.abs(Number(time) - Date.now() / 1_000)).toBeLessThan(10);
    expect(mac).toBe(
      createHmac('sha256', secret)
        .update(`${time ?? ''}.${got?.body ?? ''}`)
        .digest('hex'),
    );
  });

  test('tells what may pass by itself from what needs a person, without the secrets', async () => {
    const notifier = openNotifier('mine', { kind: 'webhook', url: receiver.url, token: 'the-token' });
    receiver.status = 503;
    await expect(notifier.announce(news, 'k', signal())).rejects.toBeInstanceOf(Retryable);
    receiver.status = 401;
    const refused = notifier.announce(news, 'k', signal());
    await expect(refused).rejects.toBeInstanceOf(Terminal);
    await expect(refused).rejects.not.toThrow(/the-token/);
    receiver.status = 204;
    await notifier.close();
  });

  test('checks without sending news: whatever answers is there, who does not know us or is away is a problem', async () => {
    const before = receiver.received.length;
    const notifier = openNotifier('mine', { kind: 'webhook', url: receiver.url, token: 'the-token' });
    for (const status of [204, 400, 404, 405]) {
      receiver.status = status;
      expect(await notifier.check(signal())).toEqual([]);
    }
    for (const status of [401, 403, 302, 503]) {
      receiver.status = status;
      const problems = await notifier.check(signal());
      expect(problems).toEqual([
        {
          where: 'notifiers.mine',
          message: expect.stringContaining(String(status)) as string,
          hint: expect.stringContaining('news would not arrive') as string,
        },
      ]);
      expect(JSON.stringify(problems)).not.toContain('the-token');
    }
    receiver.status = 204;
    expect(receiver.received.length).toBe(before);
    await notifier.close();
    const away = openNotifier('mine', { kind: 'webhook', url: 'http://127.0.0.1:1/' });
    expect(await away.check(signal())).toMatchObject([{ message: expect.stringContaining('ECONNREFUSED') as string }]);
    await away.close();
  });

  test.each([
    [{ kind: 'pigeon' }, 'notifiers.mine.kind is "pigeon"; expected one of webhook'],
    [{ kind: 'webhook', url: 'ftp://x' }, 'notifiers.mine.url: '],
    [{ kind: 'webhook', url: 'http://x', colour: 'red' }, 'notifiers.mine: '],
  ])('refuses a config it cannot use: %j', (raw, words) => {
    expect(() => openNotifier('mine', raw)).toThrow(words);
  });
});
