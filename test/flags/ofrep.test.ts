import { OFREPProvider } from '@openfeature/ofrep-provider';
import { OFREPApi } from '@openfeature/ofrep-core';
import { OpenFeature, type Client } from '@openfeature/server-sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everyone, off } from '../../src/core/exposure.ts';
import { evaluateAll, evaluateOne, sampled } from '../../src/flags/ofrep.ts';
import { serveOfrep, type OfrepServer } from '../support/ofrep-server.ts';
import { storeUnderTest, type StoreUnderTest } from '../evaluators/support.ts';
import { keepLog, storedFlag } from './support.ts';

const all = { publicOnly: false };
const view = {
  flags: new Map([
    ['open', storedFlag(everyone(true), { key: 'open', exposed: true })],
    ['inner', storedFlag({ value: true, share: 50, by: 'key', listed: [{ attribute: 'team', values: ['qa'] }] }, { key: 'inner' })],
  ]),
  segments: new Map(),
  readAt: 0,
};

describe('the real OpenFeature SDK with its OFREP provider', () => {
  let under: StoreUnderTest;
  let server: OfrepServer;
  let client: Client;
  beforeAll(async () => {
    under = await storeUnderTest();
    server = await serveOfrep(() => under.cache.view(), all, 'sdk-token');
    const provider = new OFREPProvider({
      baseUrl: server.url,
      headers: [['Authorization', 'Bearer sdk-token']],
      fetchImplementation: (input: string | URL | Request, init?: RequestInit) => fetch(input, { ...init, signal: AbortSignal.timeout(2_000) }),
    });
    await OpenFeature.setProviderAndWait('ofrep-test', provider);
    client = OpenFeature.getClient('ofrep-test');
  });
  afterAll(async () => {
    await OpenFeature.close();
    await server.close();
    await under.close();
  });

  it('reads a flag go on for a share and off again, and gets value, variant, reason and revision', async () => {
    const flag = await under.newFlag();
    const people = Array.from({ length: 60 }, (_, i) => ({ targetingKey: `u-${i}`, contract: `c-${i}` }));
    await under.set(flag, { value: true, share: 50, by: 'contract', listed: [{ attribute: 'team', values: ['qa'] }] });
    const values = await Promise.all(people.map((who) => client.getBooleanValue(flag.key, false, who)));
    expect(values.filter(Boolean).length).toBeGreaterThan(15);
    expect(values.filter(Boolean).length).toBeLessThan(45);
    expect(await client.getBooleanDetails(flag.key, false, { targetingKey: 'x', team: 'qa' })).toMatchObject({
      value: true,
      reason: 'TARGETING_MATCH',
      variant: 'on',
      flagMetadata: { revision: '2' },
    });
    await under.set(flag, off(true));
    expect(await Promise.all(people.map((who) => client.getBooleanValue(flag.key, true, who)))).toEqual(people.map(() => false));
  });

  it('reads a string flag', async () => {
    const flag = await under.newFlag({ oneOf: ['full', 'sse-only'] });
    expect(await client.getStringValue(flag.key, 'none', { targetingKey: 'u' })).toBe('full');
    await under.set(flag, everyone('sse-only'));
    expect(await client.getStringDetails(flag.key, 'none', { targetingKey: 'u' })).toMatchObject({ value: 'sse-only', variant: 'sse-only' });
  });

  it('gets the default with OpenFeature error codes for an unknown flag, a wrong type and a missing key', async () => {
    expect(await client.getBooleanDetails('nobody.knows', true, {})).toMatchObject({ value: true, errorCode: 'FLAG_NOT_FOUND' });
    const flag = await under.newFlag();
    expect(await client.getStringDetails(flag.key, 'fallback', {})).toMatchObject({ value: 'fallback', errorCode: 'TYPE_MISMATCH' });
    await under.set(flag, { value: true, share: 50, by: 'key', listed: [] });
    expect(await client.getBooleanDetails(flag.key, true, {})).toMatchObject({ value: true, errorCode: 'TARGETING_KEY_MISSING' });
  });

  it('gets all flags at once, and 304 until something it gets has changed', async () => {
    const flag = await under.newFlag();
    const api = new OFREPApi(server.url);
    const ask = async (etag?: string) =>
      api.postBulkEvaluateFlags(
        { context: { targetingKey: 'u' } },
        { headers: [['Authorization', 'Bearer sdk-token'], ...(etag === undefined ? [] : [['If-None-Match', etag] as [string, string]])] },
      );
    const first = await ask();
    const etag = first.httpResponse?.headers.get('etag') ?? '';
    expect(first.httpStatus).toBe(200);
    expect((await ask(etag)).httpStatus).toBe(304);
    await under.set(flag, everyone(true));
    const changed = await ask(etag);
    expect(changed.httpStatus).toBe(200);
    expect(changed.value).toMatchObject({ flags: expect.arrayContaining([expect.objectContaining({ key: flag.key, value: true })]) as unknown });
  });
});

describe('an OFREP request', () => {
  it.each<[string, unknown, number, string]>([
    ['a body that is a list', [], 400, 'PARSE_ERROR'],
    ['a body that is text', 'x', 400, 'PARSE_ERROR'],
    ['a context that is a list', { context: [] }, 400, 'INVALID_CONTEXT'],
    ['a targeting key that is a number', { context: { targetingKey: 7 } }, 400, 'INVALID_CONTEXT'],
    ['a targeting key of 201 characters', { context: { targetingKey: 'k'.repeat(201) } }, 400, 'INVALID_CONTEXT'],
    ['an attribute of 201 characters', { context: { targetingKey: 'k', team: 't'.repeat(201) } }, 400, 'INVALID_CONTEXT'],
    ['201 attributes', { context: Object.fromEntries(Array.from({ length: 201 }, (_, i) => [`a${i}`, 'x'])) }, 400, 'INVALID_CONTEXT'],
    ['no targeting key where the share needs one', {}, 400, 'TARGETING_KEY_MISSING'],
  ])('with %s is refused', (_, body, status, errorCode) => {
    expect(evaluateOne(view, 'inner', body, all)).toMatchObject({ status, body: { key: 'inner', errorCode } });
  });

  it('takes a list, a number and a context without a prototype trick', () => {
    expect(evaluateOne(view, 'inner', { context: { team: ['ops', 'qa'], age: 7 } }, all)).toMatchObject({
      status: 200,
      body: { value: true, reason: 'TARGETING_MATCH' },
    });
    const tricky = JSON.parse('{"context":{"targetingKey":"k","__proto__":{"team":"qa"},"team":{"qa":true}}}') as unknown;
    expect(evaluateOne(view, 'inner', tricky, all)).toMatchObject({ body: { reason: 'SPLIT' } });
  });

  it('from the public sees only exposed flags, one by one and in bulk; the others are as if they were not there', () => {
    const open = { publicOnly: true };
    expect(evaluateOne(view, 'open', {}, open)).toMatchObject({ status: 200, body: { value: true } });
    expect(evaluateOne(view, 'inner', {}, open)).toMatchObject({ status: 404, body: { errorCode: 'FLAG_NOT_FOUND' } });
    expect(Object.keys(evaluateOne(view, 'inner', {}, open).body ?? {})).toEqual(Object.keys(evaluateOne(view, 'innes', {}, open).body ?? {}));
    expect(evaluateAll(view, {}, undefined, open).body).toMatchObject({ flags: [{ key: 'open' }] });
  });

  it('in bulk names the flag that needs a key, and answers the others', () => {
    expect(evaluateAll(view, {}, undefined, all)).toMatchObject({
      status: 200,
      body: {
        flags: [
          { key: 'inner', errorCode: 'TARGETING_KEY_MISSING' },
          { key: 'open', value: true },
        ],
      },
    });
  });
});

describe('logging evaluations', () => {
  it('logs about one in ten, without the subject itself', () => {
    const log = keepLog();
    let turn = 0;
    const onEvaluation = sampled(0.1, log, () => (turn++ % 10) / 10);
    for (let i = 0; i < 100; i += 1) evaluateOne(view, 'open', { context: { targetingKey: 'ann@our.example' } }, { publicOnly: false, onEvaluation });
    expect(log.lines).toHaveLength(10);
    expect(log.lines[0]).toMatchObject({ message: 'flag evaluated', fields: { flag: 'open', value: true, reason: 'STATIC' } });
    expect(JSON.stringify(log.lines)).not.toContain('ann@');
  });
});
