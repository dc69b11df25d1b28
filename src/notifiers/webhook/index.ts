import { createHmac } from 'node:crypto';
import { httpClient } from '../../http.ts';
import type { Notifier } from '../notifier.ts';
import type { WebhookConfig } from './config.ts';

/** The signature of a message: `t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">`; a receiver refuses old times. */
export function signatureOf(secret: string, seconds: number, body: string): string {
  return `t=${seconds},v1=${createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')}`;
}

/** What a receiver may say to a GET that it does not expect: all but that it does not know us (401, 403). */
const THERE: readonly number[] = Array.from({ length: 100 }, (_, i) => 400 + i).filter((status) => status !== 401 && status !== 403);

/** Posts news as JSON with its key as Idempotency-Key: a receiver that knows the key has heard it before. Connects to nothing yet. */
export function openWebhook(name: string, config: WebhookConfig): Notifier {
  const { token, signingSecret } = config;
  const secrets = [token, signingSecret].filter((secret) => secret !== undefined);
  const client = httpClient({ name: `webhook ${name}`, timeout: config.timeout, secrets, ...(config.caFile === undefined ? {} : { caFile: config.caFile }) });
  return {
    kind: 'webhook',
    async announce(news, key, signal) {
      const body = JSON.stringify(news);
      const seconds = Math.floor(Date.now() / 1_000);
      const headers = {
        'content-type': 'application/json',
        'idempotency-key': encodeURI(key),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(signingSecret === undefined ? {} : { 'x-gonogo-signature': signatureOf(signingSecret, seconds, body) }),
      };
      await client.send({ method: 'POST', url: config.url, body, headers, repeatable: true }, signal);
    },
    async check(signal) {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
      try {
        await client.send({ url: config.url, headers, accept: THERE }, signal);
        return [];
      } catch (error) {
        const hint = 'news would not arrive: correct url, token or caFile, or bring the receiver up';
        return [{ where: `notifiers.${name}`, message: error instanceof Error ? error.message : String(error), hint }];
      }
    },
    close() {
      client.close();
      return Promise.resolve();
    },
  };
}
