import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Measurement } from '../../../src/core/measurement.ts';
import type { MetricSource } from '../../../src/sources/source.ts';
import { openWeb } from '../../../src/sources/web/index.ts';
import { cuts, floods, hangs, hostileHttp, says, slams, type Behaviour, type HostileHttp } from '../../support/hostile-http.ts';

const never = new AbortController().signal;
const outcome = (m: Measurement): string => (m.kind === 'value' ? `value ${m.value}` : `${m.kind} ${m.reason}`);

describe('the web source', () => {
  let server: HostileHttp;
  let source: MetricSource;
  beforeAll(async () => {
    server = await hostileHttp();
    source = openWeb('test', { kind: 'web', url: `${server.url}/x`, token: 's3cret', timeout: 300 });
  });
  afterAll(async () => {
    await source.close();
    await server.close();
  });

  const document = '{"a":1.5,"none":null,"text":"1","yes":true,"list":[1,2],"big":1e999,"zero":0,"at":{"ok":true},"__proto__":{"hidden":1}}';
  const good = says(200, document);
  const table: readonly (readonly [string, Behaviour, string, string])[] = [
    ['a number', good, 'a', 'value 1.5'],
    ['a computed number', good, 'sum(list)', 'value 3'],
    ['null', good, 'none', 'no-data empty'],
    ['a name that is not there', good, 'nowhere.at.all', 'no-data empty'],
    ['a text', good, 'text', 'error wrong-type'],
    ['true', good, 'yes', 'error wrong-type'],
    ['a list', good, 'list', 'error wrong-type'],
    ['a sum of nothing', good, 'sum(nowhere)', 'error wrong-type'],
    ['a number too large for a double', good, 'big', 'no-data infinite'],
    ['a division by zero', good, 'a / zero', 'no-data nan'],
    ['a name that every JavaScript object has', good, 'constructor.length', 'no-data empty'],
    ['what stands behind every JavaScript object', good, 'length(at.__proto__)', 'error wrong-type'],
    ['HTML', says(200, '<html>', 'text/html'), 'a', 'error malformed'],
    ['nothing at all', says(200, ''), 'a', 'error malformed'],
    ['204', says(204, ''), 'a', 'error status'],
    ['500', says(500, document), 'a', 'error status'],
    ['a redirect', says(302, '', 'text/plain', 'location: http://169.254.169.254/\r\n'), 'a', 'error status'],
    ['a cut body', cuts(document), 'a', 'error malformed'],
    ['silence', hangs, 'a', 'error timeout'],
    ['a slammed door', slams, 'a', 'error refused'],
    ['2 MB', floods(2_000_000), 'a', 'error too-large'],
  ];
  it.each(table)('answers %s by its name', async (_, behaviour, text, expected) => {
    server.behave(behaviour);
    expect(outcome(await source.measure({ text, staleAfter: 1 }, never))).toBe(expected);
  });

  it('takes a document that says it is not alive for stale', async () => {
    server.behave(good);
    expect(outcome(await source.measure({ text: 'a', alive: 'at.ok', staleAfter: 1 }, never))).toBe('value 1.5');
    expect(outcome(await source.measure({ text: 'a', alive: 'at.nowhere', staleAfter: 1 }, never))).toBe('no-data stale');
  });

  it('sends its token as a bearer and never repeats it', async () => {
    server.behave(says(403, 'no entry for s3cret'));
    const m = await source.measure({ text: 'a', staleAfter: 1 }, never);
    expect(server.requests.at(-1)).toMatch(/authorization: bearer s3cret/i);
    expect(JSON.stringify(m)).not.toContain('s3cret');
  });
});
