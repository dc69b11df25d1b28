import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { httpClient, json, redact, retryAfter } from '../src/http.ts';

const SECRET = 'token-0123456789';
let server: http.Server;
let url: string;
let connections = 0;
let limited = 0;
const closing = new Set<string>();
beforeAll(async () => {
  server = http.createServer((request, response) => {
    const [, status, body = ''] = /^\/status\/(\d+)(?:\/(.*))?$/.exec(request.url ?? '') ?? [];
    if (request.url?.startsWith('/limited/') === true) {
      const [, remaining = '', code = ''] = /^\/limited\/(\d+)\/(\d+)$/.exec(request.url) ?? [];
      limited += 1;
      response.writeHead(Number(code), { 'x-ratelimit-global-remaining': remaining, 'x-ratelimit-reset': String(Date.now() + 5_000) }).end('{}');
    } else if (status !== undefined) response.writeHead(Number(status), { 'retry-after': '7', location: '/elsewhere' }).end(decodeURIComponent(body));
    else if (request.url === '/large') response.end('x'.repeat(2_000));
    else if (request.url === '/slow') response.write('{');
    else if (request.url === '/once' && !closing.has('once') && connections > 0) {
      closing.add('once');
      request.socket.destroy();
    } else response.end(JSON.stringify({ auth: request.headers.authorization ?? null, connections }));
  });
  server.on('connection', () => (connections += 1));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
const client = (more: object = {}) =>
  httpClient({ name: 'test vendor', baseUrl: url, secrets: [SECRET], headers: { authorization: `Bearer ${SECRET}` }, ...more });

describe('the HTTP client', () => {
  it.each<[number, string, string | undefined]>([
    [400, 'Terminal', 'bad-request'],
    [401, 'Terminal', 'unauthorized'],
    [403, 'Terminal', 'forbidden'],
    [404, 'Terminal', 'not-found'],
    [302, 'Terminal', 'redirected'],
    [429, 'Retryable', undefined],
    [500, 'Retryable', undefined],
    [503, 'Retryable', undefined],
  ])('turns status %i into %s, without the token that the answer repeats', async (status, name, code) => {
    const error: unknown = await client()
      .send({ url: `/status/${status}/you sent ${SECRET}` })
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name, ...(code === undefined ? { delay: 7_000 } : { code }) });
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(SECRET);
    expect(String(error)).toContain(`answered ${status}: you sent ***`);
  });

  it('returns a status that the caller accepts', async () => {
    expect((await client().send({ url: '/status/404', accept: [404] })).status).toBe(404);
  });

  it('gives up when the last byte has not come in time', async () => {
    const started = performance.now();
    await expect(client({ timeout: 150 }).send({ url: '/slow' })).rejects.toMatchObject({
      name: 'Retryable',
      message: 'test vendor: GET /slow: no whole answer within 150 ms',
    });
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  it('stops at once when told to', async () => {
    await expect(client().send({ url: '/slow' }, AbortSignal.timeout(50))).rejects.toThrow('stopped before it answered');
  });

  it('refuses an answer over its size', async () => {
    await expect(client({ maxBytes: 1_000 }).send({ url: '/large' })).rejects.toMatchObject({ code: 'too-large' });
  });

  it('says in words that nobody listens, without headers', async () => {
    const error: unknown = await client({ baseUrl: 'http://127.0.0.1:1' })
      .send({ url: '/' })
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'Retryable' });
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(SECRET);
  });

  it('keeps its connection', async () => {
    const kept = client();
    const before = connections;
    for (let i = 0; i < 5; i += 1) await kept.send({ url: '/' });
    kept.close();
    expect(connections - before).toBe(1);
  });

  it('asks again when the server had closed the kept connection, and only a request that may be repeated', async () => {
    const kept = client();
    await kept.send({ url: '/' });
    expect(json(await kept.send({ url: '/once' }))).toMatchObject({ auth: `Bearer ${SECRET}` });
    closing.clear();
    await kept.send({ url: '/' });
    await expect(kept.send({ method: 'POST', url: '/once' })).rejects.toMatchObject({ name: 'Retryable' });
    kept.close();
  });

  it('keeps the reserve of the rate limit for rollbacks: others wait until the window ends, and are not sent', async () => {
    const kept = client({ reserve: 0.3 });
    await kept.send({ url: '/limited/100/200' });
    await kept.send({ url: '/limited/30/200' });
    const sent = limited;
    const error: unknown = await kept.send({ url: '/limited/29/200' }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'Retryable', message: expect.stringContaining('kept for rollbacks') as string });
    expect((error as { delay: number }).delay).toBeGreaterThan(4_000);
    expect((error as { delay: number }).delay).toBeLessThanOrEqual(5_000);
    expect(limited).toBe(sent);
    expect((await kept.send({ url: '/limited/0/200', purpose: 'rollback' })).status).toBe(200);
    expect((await kept.send({ url: '/limited/0/200', purpose: 'rollback' })).status).toBe(200);
    kept.close();
  });

  it('keeps nothing where no reserve was asked for', async () => {
    const open = client();
    await open.send({ url: '/limited/100/200' });
    await open.send({ url: '/limited/0/200' });
    expect((await open.send({ url: '/limited/0/200' })).status).toBe(200);
    open.close();
  });

  it("waits until the rate limit's window ends where a 429 has no Retry-After", async () => {
    const error: unknown = await client()
      .send({ url: '/limited/0/429' })
      .catch((reason: unknown) => reason);
    expect((error as { delay: number }).delay).toBeGreaterThan(4_000);
    expect((error as { delay: number }).delay).toBeLessThanOrEqual(5_000);
  });

  it('says that a text is no JSON', async () => {
    const answer = await client().send({ url: '/large' });
    expect(() => json(answer)).toThrow('is not JSON');
  });
});

describe('redacting', () => {
  it('hides secrets, encoded ones too, and what stands before @ in a URL', () => {
    expect(redact('a b+c d https://u:p@h/x a%20b%2Bc', ['a b+c'])).toBe('*** d https://***@h/x ***');
  });
});

describe("the vendor's own delay", () => {
  it.each<[string | undefined, number | undefined]>([
    [undefined, undefined],
    ['', undefined],
    ['3', 3_000],
    ['soon', undefined],
    ['99999', 300_000],
    ['-5', 0],
    ['3600', 300_000],
    [new Date(61_000).toUTCString(), 60_000],
  ])('%s is %s ms', (header, delay) => {
    expect(retryAfter(header, 1_000)).toBe(delay);
  });

  it('takes a number that is an instant for one, in seconds or milliseconds', () => {
    const now = Date.parse('2026-01-01T00:00:00Z');
    expect(retryAfter(String(now + 4_000), now)).toBe(4_000);
    expect(retryAfter(String(now / 1_000 + 4), now)).toBe(4_000);
    expect(retryAfter(String(now - 4_000), now)).toBe(0);
    expect(retryAfter(String(now + 3_600_000), now)).toBe(300_000);
  });
});
