import net from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createToken, revokeToken } from '../../src/store/tokens.ts';
import { openBench, planYaml, type Bench, type Calling } from './support.ts';

let bench: Bench;
let launch: string;
let before: Readonly<Record<string, number>>;
beforeAll(async () => {
  bench = await openBench();
  launch = await bench.open();
  before = await bench.rows();
});
afterAll(async () => bench.close());

const key = { 'idempotency-key': 'a-key-of-its-own' };
const start = (body: unknown, headers: Readonly<Record<string, string>> = key): [string, string, Calling] => [
  'POST',
  '/api/launches',
  { as: 'rita', body, headers },
];
const act = (verb: string, calling: Calling): [string, string, Calling] => ['POST', `/api/launches/L/${verb}`, calling];

/** What was asked, and exactly what is answered: status, code, and words of the detail. */
const TABLE: readonly (readonly [what: string, request: readonly [string, string, Calling], status: number, code: string, words: string])[] = [
  ['no token', ['GET', '/api/launches', {}], 401, 'unauthenticated', 'no token was shown'],
  ['an unknown token', ['GET', '/api/launches', { token: `gng_${'A'.repeat(43)}` }], 401, 'unauthenticated', 'unknown, expired or revoked'],
  ['a token in the query', ['GET', '/api/launches?token=x', {}], 401, 'unauthenticated', 'no token was shown'],
  ['an unknown path', ['GET', '/api/nothing', { as: 'vera' }], 404, 'not_found', 'nothing here'],
  ['a doubled slash', ['GET', '/api//launches', { as: 'vera' }], 404, 'not_found', 'nothing here'],
  ['upper case', ['GET', '/API/launches', { as: 'vera' }], 404, 'not_found', 'nothing here'],
  ['an encoded way up', ['GET', '/api/launches/%2e%2e%2fflags', { as: 'vera' }], 404, 'not_found', 'nothing here'],
  ['a wrong method', ['PUT', '/api/launches', { as: 'rita', body: {} }], 405, 'method_not_allowed', 'expected POST, GET, HEAD'],
  ['an unknown launch', ['GET', '/api/launches/none-1', { as: 'vera' }], 404, 'launch_unknown', 'there is no launch "none-1"'],
  ['a rollback of an unknown launch', ['POST', '/api/launches/none-1/rollback', { as: 'carl', body: { reason: 'x' } }], 404, 'launch_unknown', 'none-1'],
  [
    'a form post',
    act('hold', { as: 'carl', raw: 'reason=x', headers: { 'content-type': 'application/x-www-form-urlencoded' } }),
    415,
    'media_type_unsupported',
    'expected content-type: application/json',
  ],
  [
    'plain text',
    act('rollback', { as: 'carl', raw: '{"reason":"x"}', headers: { 'content-type': 'text/plain' } }),
    415,
    'media_type_unsupported',
    'text/plain',
  ],
  [
    'a compressed body',
    act('rollback', { as: 'carl', raw: new Uint8Array([31, 139, 8]), headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' } }),
    415,
    'encoding_unsupported',
    'compressed',
  ],
  ['no JSON', act('hold', { as: 'carl', raw: '{"reason":', headers: { 'content-type': 'application/json' } }), 400, 'body_not_json', 'not JSON'],
  [
    'no UTF-8',
    act('hold', { as: 'carl', raw: new Uint8Array([0x22, 0xff, 0x22]), headers: { 'content-type': 'application/json' } }),
    400,
    'body_not_utf8',
    'not UTF-8',
  ],
  [
    'a name that poisons objects',
    act('hold', { as: 'carl', raw: '{"reason":"x","__proto__":{"polluted":1}}', headers: { 'content-type': 'application/json' } }),
    422,
    'invalid_body',
    'what no document here has',
  ],
  ['an empty reason', act('rollback', { as: 'carl', body: { reason: '  ' } }), 422, 'invalid_body', 'reason is empty; expected a reason in words'],
  ['an unknown field', act('rollback', { as: 'carl', body: { reason: 'x', approver: 'anna' } }), 422, 'unknown_field', 'approver is not a known field'],
  ['a roll back by a viewer', act('rollback', { as: 'vera', body: { reason: 'x' } }), 403, 'forbidden', 'vera holds no role'],
  ['a start by someone who may not', ['POST', '/api/launches', { as: 'dmitri', body: {}, headers: key }], 403, 'forbidden', 'this needs one of releaser'],
  [
    'a sign-off in a role not held',
    ['POST', '/api/launches/L/stages/dark/sign-offs', { as: 'carl', body: { role: 'qa', decision: 'go' } }],
    403,
    'role_not_held',
    'carl does not hold the role qa',
  ],
  [
    'a sign-off of an unknown stage',
    ['POST', '/api/launches/L/stages/gamma/sign-offs', { as: 'dmitri', body: { role: 'qa', decision: 'go' } }],
    404,
    'stage_unknown',
    'the plan has no stage gamma',
  ],
  [
    'a sign-off of a stage not open',
    ['POST', '/api/launches/L/stages/beta/sign-offs', { as: 'dmitri', body: { role: 'qa', decision: 'go' } }],
    409,
    'wrong_stage',
    'not open for signatures yet',
  ],
  [
    'a tick of an unknown item',
    ['POST', '/api/launches/L/checklist/nothing', { as: 'dmitri', body: { done: true } }],
    404,
    'item_unknown',
    'no checklist item nothing',
  ],
  ['a tick without its link', ['POST', '/api/launches/L/checklist/load-test', { as: 'dmitri', body: { done: true } }], 422, 'evidence_missing', 'needs a link'],
  [
    'a tick with a text for a link',
    ['POST', '/api/launches/L/checklist/load-test', { as: 'dmitri', body: { done: true, evidence: 'yes' } }],
    422,
    'evidence_not_a_link',
    'expected https://',
  ],
  [
    'a tick in another role',
    ['POST', '/api/launches/L/checklist/load-test', { as: 'lena', body: { done: true, evidence: 'https://a.example' } }],
    403,
    'role_not_held',
    'is ticked by qa',
  ],
  ['no Idempotency-Key', start({ planYaml: planYaml('p'), environment: 'stage' }, {}), 400, 'idempotency_key_missing', 'Idempotency-Key is missing'],
  ['a launch without a plan', start({ environment: 'stage' }), 422, 'invalid_body', 'no plan, or two'],
  ['a launch of two plans', start({ environment: 'stage', plan: {}, planYaml: '' }), 422, 'invalid_body', 'no plan, or two'],
  [
    'a plan with an unknown gate',
    start({ planYaml: planYaml('p').replace('gates: [slow]', 'gates: [slwo]'), environment: 'stage' }),
    422,
    'plan_refused',
    'stages[1].gates[0] is slwo, which is no gate of this plan',
  ],
  ['an unknown environment', start({ planYaml: planYaml('p'), environment: 'mars' }), 422, 'plan_refused', 'cannot be launched in "mars"'],
  ['speed on a server that is not for it', start({ planYaml: planYaml('p'), environment: 'stage', speed: 100 }), 422, 'speed_not_allowed', 'leave it out'],
  ['an unknown state to list', ['GET', '/api/launches?state=flying', { as: 'vera' }], 422, 'invalid_query', 'state is "flying"'],
  ['a page too large', ['GET', '/api/launches?limit=9999', { as: 'vera' }], 422, 'invalid_query', 'limit is "9999"'],
  ['a resume of what is not held', act('resume', { as: 'carl', body: { reason: 'x' } }), 409, 'not_held', 'is not held'],
  [
    'a flag written without If-Match',
    ['PUT', '/api/flags/chat', { as: 'rita', body: { exposure: { value: true, share: 5 } } }],
    428,
    'if_match_missing',
    'If-Match is missing',
  ],
  ['an unknown flag', ['GET', '/api/flags/nothing', { as: 'vera' }], 404, 'flag_missing', 'nothing is not in the flag store'],
];

describe('bad requests', () => {
  test.each(TABLE)('%s', async (_what, [method, path, calling], status, code, words) => {
    const answer = await bench.call(method, path.replace('/L/', `/${launch}/`), calling);
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    expect(answer.body).toMatchObject({ type: `urn:gonogo:problem:${code}`, status, code });
    expect(answer.body['detail']).toContain(words);
    expect(answer.text).not.toMatch(/\.ts:\d|node_modules|at \w+ \(/);
    expect(await bench.rows()).toEqual(before);
  });

  test('no prototype was touched by any of them', () => {
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  test('a revoked token is refused at the next request', async () => {
    const { token, id } = await createToken(bench.store, { person: 'temp', roles: [], label: 't', by: 'test' });
    expect((await bench.call('GET', '/api/launches', { token })).status).toBe(200);
    await revokeToken(bench.store, id);
    expect((await bench.call('GET', '/api/launches', { token })).status).toBe(401);
  });

  test('an expired token is refused', async () => {
    const { token } = await createToken(bench.store, { person: 'late', roles: [], label: 't', by: 'test', expiresAt: new Date(Date.now() - 1_000) });
    expect((await bench.call('GET', '/api/launches', { token })).status).toBe(401);
  });

  test('tokens are kept as their hash alone, and never logged', async () => {
    const kept = JSON.stringify(await bench.store.db.selectFrom('token').selectAll().execute());
    for (const token of Object.values(bench.tokens)) {
      expect(kept).not.toContain(token);
      expect(bench.log.lines.join('\n')).not.toContain(token);
    }
  });

  test.each(['/api/launches', '/healthz', '/nothing', '/hooks/alertmanager'])('every answer of %s carries the security headers', async (path) => {
    const { headers } = await bench.call('GET', path, { as: 'vera', headers: { origin: 'https://evil.example' } });
    expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    expect(headers.get('strict-transport-security')).toContain('max-age=31536000');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('x-powered-by')).toBeNull();
    expect(headers.get('access-control-allow-origin')).toBeNull();
  });

  /** Sends bytes as they are, for as long as the server reads them; returns what it answered and how much was sent. */
  function pour(head: string, chunk: Buffer, most: number): Promise<{ readonly answer: string; readonly sent: number }> {
    return new Promise((resolve, reject) => {
      let [answer, sent] = ['', 0];
      const socket = net.connect(bench.port, '127.0.0.1', () => {
        socket.write(head);
        const more = (): void => {
          while (sent < most && !socket.destroyed && answer === '') {
            sent += chunk.length;
            if (!socket.write(chunk)) {
              socket.once('drain', more);
              return;
            }
          }
        };
        more();
      });
      socket.setTimeout(10_000, () => reject(new Error('no answer in 10 s')));
      socket.on('data', (data) => (answer += data.toString()));
      socket.on('error', () => undefined);
      socket.on('close', () => resolve({ answer, sent }));
    });
  }

  test('a body that never ends is refused when it grows too large, long before it is read', async () => {
    const head = 'POST /hooks/alertmanager HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n';
    const { answer, sent } = await pour(head, Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(65_536, 32), Buffer.from('\r\n')]), 5e9);
    expect(answer).toContain('HTTP/1.1 413');
    expect(answer).toContain('body_too_large');
    expect(sent).toBeLessThan(100e6);
  });

  test('a body that announces too much is refused unread', async () => {
    const { answer } = await pour(
      'POST /api/launches HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 307200\r\n\r\n',
      Buffer.alloc(1),
      1,
    );
    expect(answer).toContain('HTTP/1.1 413');
  });

  test('headers of 100 KB are refused with 431', async () => {
    const { answer } = await pour(`GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: ${'a'.repeat(100_000)}\r\n\r\n`, Buffer.alloc(1), 0);
    expect(answer).toContain('HTTP/1.1 431');
  });
});

describe('too many failed logins', () => {
  test('are told 429, and a good token is let in all the same', async () => {
    const other = await openBench({ failedLogins: 5 });
    try {
      const answers = [];
      for (let tries = 0; tries < 10; tries += 1) answers.push(await other.call('GET', '/api/launches', { token: `gng_${String(tries).repeat(43)}` }));
      expect(answers.map((one) => one.status)).toEqual([401, 401, 401, 401, 401, 429, 429, 429, 429, 429]);
      expect(answers.at(-1)?.headers.get('retry-after')).toBe('60');
      expect((await other.call('GET', '/api/launches', { as: 'vera' })).status).toBe(200);
    } finally {
      await other.close();
    }
  });
});
