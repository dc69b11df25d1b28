import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Measurement } from '../../../src/core/measurement.ts';
import { openProbe } from '../../../src/sources/probe/index.ts';
import { addressOf } from '../../../src/sources/probe/translate.ts';
import type { MetricSource, Query } from '../../../src/sources/source.ts';
import { cuts, floods, hangs, hostileHttp, says, slams, type Behaviour, type HostileHttp } from '../../support/hostile-http.ts';

const never = new AbortController().signal;
const outcome = (m: Measurement): string => (m.kind === 'value' ? `value ${m.value}` : `${m.kind} ${m.reason}`);

describe('the probe source', () => {
  let server: HostileHttp;
  let source: MetricSource;
  beforeAll(async () => {
    server = await hostileHttp();
    source = openProbe('test', { kind: 'probe', url: `${server.url}/app/`, timeout: 300 });
  });
  afterAll(async () => {
    await source.close();
    await server.close();
  });

  const ask = (more: object = {}): Query => ({ text: '/healthz', staleAfter: 1, with: { status: [200], ...more } });
  const late =
    (ms: number): Behaviour =>
    (socket) =>
      void setTimeout(() => {
        says(200, 'ok')(socket);
      }, ms);
  const table: readonly (readonly [string, Behaviour, Query, string])[] = [
    ['the status it expects', says(200, 'ok'), ask(), 'value 1'],
    ['one of several statuses', says(204, ''), ask({ status: [200, 204] }), 'value 1'],
    ['another status', says(503, 'ok'), ask(), 'value 0'],
    ['a redirect, which it does not follow', says(302, '', 'text/plain', 'location: http://169.254.169.254/\r\n'), ask(), 'value 0'],
    ['a body with the text', says(200, '{"db":"up"}'), ask({ contains: '"db":"up"' }), 'value 1'],
    ['a body without the text', says(200, '{"db":"down"}'), ask({ contains: '"db":"up"' }), 'value 0'],
    ['an answer in time', says(200, 'ok'), ask({ maxLatency: 250 }), 'value 1'],
    ['an answer too late', late(120), ask({ maxLatency: 60 }), 'value 0'],
    ['silence', hangs, ask(), 'value 0'],
    ['a slammed door', slams, ask(), 'value 0'],
    ['a cut body', cuts('all is well'), ask(), 'value 0'],
    ['more than it reads', floods(2_000_000), ask(), 'error too-large'],
    ['settings that are wrong', says(200, 'ok'), ask({ status: [] }), 'error other'],
  ];
  it.each(table)('answers %s by its name', async (_, behaviour, query, expected) => {
    server.behave(behaviour);
    const m = await source.measure(query, never);
    expect(outcome(m)).toBe(expected);
    if (m.kind === 'value') expect(m.detail).not.toBe('');
  });

  const stopped: readonly (readonly [string, object, string])[] = [
    ['without a word on how fast it must be', {}, 'error timeout'],
    ['before it is slower than it may be', { maxLatency: 250 }, 'error timeout'],
    ['once it is slower than it may be', { maxLatency: 50 }, 'value 0'],
    ['later than it is waited for', { within: 50 }, 'value 0'],
  ];
  it.each(stopped)('says of an app that we stop asking, %s: only what it learned', async (_, more, expected) => {
    server.behave(hangs);
    expect(outcome(await source.measure(ask(more), AbortSignal.timeout(120)))).toBe(expected);
  });

  it('has learned nothing when the process that asks is shut down', async () => {
    server.behave(hangs);
    const shutDown = new AbortController();
    const answer = source.measure(ask(), shutDown.signal);
    shutDown.abort();
    expect(outcome(await answer)).toBe('error other');
  });

  it('asks below its base URL', async () => {
    server.behave(says(200, 'ok'));
    await source.measure(ask(), never);
    expect(server.requests.at(-1)).toMatch(/^GET \/app\/healthz HTTP/);
  });

  const outside = [
    'http://169.254.169.254/',
    '//169.254.169.254/',
    '/../admin',
    '/%2e%2e/admin',
    '/a/..%2f../../admin/..',
    '\\\\169.254.169.254',
    '/\\169.254.169.254',
    '@169.254.169.254/',
    'healthz',
    '',
  ];
  it.each(outside)('never leaves its base URL: %s', async (path) => {
    const before = server.requests.length;
    const address = addressOf(`${server.url}/app/`, path);
    expect(address === undefined || address.href.startsWith(`${server.url}/app/`)).toBe(true);
    if (address === undefined) expect(outcome(await source.measure({ ...ask(), text: path }, never))).toBe('error other');
    expect(server.requests.slice(before).every((request) => request.startsWith('GET /app/'))).toBe(true);
  });
});
