import { OFREPProvider } from '@openfeature/ofrep-provider';
import { OpenFeature } from '@openfeature/server-sdk';
import { Registry as Metrics } from 'prom-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../support/until.ts';
import { openBench, planYaml, type Bench } from './support.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(async () => bench.close());

describe('operations', () => {
  test('the metrics page counts launches by state', async () => {
    await bench.open();
    const page = await bench.call('GET', '/metrics');
    expect(page.headers.get('content-type')).toContain('text/plain');
    expect(page.text).toContain('gonogo_launches{state="waiting"} 1');
  });

  test('a server is ready without Temporal and not without its database', async () => {
    expect((await bench.call('GET', '/healthz')).status).toBe(200);
    expect(await bench.call('GET', '/readyz')).toMatchObject({ status: 200, body: { ready: true, database: 'ok', temporal: 'unreachable' } });
    const other = await openBench({ metrics: new Metrics() });
    await other.store.close();
    expect(await other.call('GET', '/readyz')).toMatchObject({ status: 503, body: { ready: false, database: 'unreachable' } });
    await other.server.close();
    await other.cache.close();
    await other.flags.close();
  });

  test('the OpenAPI document is 3.1 and names every public route', async () => {
    const { body } = await bench.call('GET', '/openapi.json');
    expect(String(body['openapi'])).toMatch(/^3\.1/);
    const paths = Object.keys(body['paths'] as object);
    for (const path of [
      '/api/plans/check',
      '/api/launches',
      '/api/launches/{id}',
      '/api/launches/{id}/events',
      '/api/launches/{id}/stages/{stage}/sign-offs',
      '/api/launches/{id}/rollback',
      '/hooks/alertmanager',
      '/ofrep/v1/evaluate/flags/{key}',
      '/metrics',
    ])
      expect(paths).toContain(path);
  });
});

describe('a plan', () => {
  test('is checked as YAML or JSON, and told as a story', async () => {
    const yaml = await bench.call('POST', '/api/plans/check?environment=stage', {
      as: 'vera',
      raw: planYaml('chat'),
      headers: { 'content-type': 'text/yaml' },
    });
    expect(yaml.body).toMatchObject({ ok: true, problems: [], planHash: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
    expect((yaml.body['story'] as string[]).length).toBeGreaterThan(3);
    const json = await bench.call('POST', '/api/plans/check', { as: 'vera', body: { planYaml: planYaml('chat'), environment: 'stage' } });
    expect(json.body['planHash']).toBe(yaml.body['planHash']);
  });

  test('with mistakes is told where they are', async () => {
    const answer = await bench.call('POST', '/api/plans/check', {
      as: 'vera',
      raw: planYaml('chat').replace('bake: 1h', 'bake: soon'),
      headers: { 'content-type': 'text/yaml' },
    });
    expect(answer).toMatchObject({ status: 200, body: { ok: false, problems: [{ path: 'stages[0].bake', line: 13 }] } });
  });
});

describe('flags', () => {
  test('are made, written at the revision seen, and tell who changed them', async () => {
    expect((await bench.call('POST', '/api/flags', { as: 'rita', body: { flags: [{ key: 'tools', type: 'boolean', owner: 'ops' }] } })).status).toBe(201);
    const seen = await bench.call('GET', '/api/flags/tools', { as: 'vera' });
    expect(seen.body).toMatchObject({ key: 'tools', state: 'disabled', owner: 'ops' });
    expect(seen.body).not.toHaveProperty('salt');
    const etag = seen.headers.get('etag') ?? '';
    const put = (revision: string, share: number) =>
      bench.call('PUT', '/api/flags/tools', { as: 'carl', body: { exposure: { value: true, share }, comment: 'by hand' }, headers: { 'if-match': revision } });
    expect(await put(etag, 5)).toMatchObject({ status: 200, body: { state: 'share' } });
    expect(await put(etag, 50)).toMatchObject({ status: 412, body: { code: 'flag_moved' } });
    expect((await put('*', 100)).status).toBe(200);
    const { body } = await bench.call('GET', '/api/flags/tools/history?limit=2', { as: 'vera' });
    expect((body['changes'] as { who: string; comment: string }[]).map((one) => [one.who, one.comment])).toEqual([
      ['carl', 'by hand'],
      ['carl', 'by hand'],
    ]);
    expect(
      await bench.call('PUT', '/api/flags/tools', { as: 'dmitri', body: { exposure: { value: true, share: 5 } }, headers: { 'if-match': '*' } }),
    ).toMatchObject({ status: 403 });
  });

  test('are evaluated by the OpenFeature SDK; without a token only exposed ones are there', async () => {
    await bench.call('PUT', '/api/flags/chat', { as: 'rita', body: { exposure: { value: true, share: 100 } }, headers: { 'if-match': '*' } });
    await until('the cache to have it', () => bench.cache.view().flags.get('chat')?.exposure.share === 100);
    await OpenFeature.setProviderAndWait('public', new OFREPProvider({ baseUrl: bench.url }));
    const client = OpenFeature.getClient('public');
    expect(await client.getBooleanDetails('chat', false, { targetingKey: 'ann' })).toMatchObject({ value: true, reason: 'STATIC' });
    expect(await client.getBooleanDetails('notify', true, { targetingKey: 'ann' })).toMatchObject({ value: true, errorCode: 'FLAG_NOT_FOUND' });
    const named = await bench.call('POST', '/ofrep/v1/evaluate/flags/notify', { as: 'vera', body: { context: { targetingKey: 'ann' } } });
    expect(named.body).toMatchObject({ key: 'notify', value: false });
    await OpenFeature.close();
  });

  test('all at once come with an ETag, and nothing when nothing has changed', async () => {
    const ask = (headers: Record<string, string> = {}) =>
      bench.call('POST', '/ofrep/v1/evaluate/flags', { body: { context: { targetingKey: 'ann' } }, headers });
    const first = await ask();
    expect((first.body['flags'] as { key: string }[]).map((flag) => flag.key)).toEqual(['chat']);
    expect(await ask({ 'if-none-match': first.headers.get('etag') ?? '' })).toMatchObject({ status: 304, text: '' });
  });

  test('are closed to the public when it is told so, and a wrong token is never taken for none', async () => {
    const closed = await openBench();
    try {
      expect((await closed.call('POST', '/ofrep/v1/evaluate/flags', { token: 'gng_wrong', body: {} })).status).toBe(401);
    } finally {
      await closed.close();
    }
  });
});
