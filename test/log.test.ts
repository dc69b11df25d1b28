import { describe, expect, test } from 'vitest';
import { openLog } from '../src/log.ts';

function record(options: Omit<Parameters<typeof openLog>[0] & object, 'to'> = {}) {
  const lines: string[] = [];
  return {
    log: openLog({ ...options, to: { write: (line) => lines.push(line) } }),
    lines,
    parsed: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}

describe('the log', () => {
  test('writes one JSON line with ISO time, level in words, message and the launch', () => {
    const { log, lines, parsed } = record();
    log.info({ launch: 'chat-prod-1', stage: 'beta' }, 'stage is live');
    expect(lines[0]?.endsWith('\n')).toBe(true);
    expect(parsed()[0]).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string,
      launch: 'chat-prod-1',
      stage: 'beta',
      msg: 'stage is live',
    });
  });

  test('masks fields with a secret’s name, however deep and however spelt', () => {
    const { log, parsed } = record();
    log.warn({ token: 'a', request: { headers: { Authorization: 'Bearer b', 'x-api-key': 'c' }, list: [{ client_secret: 'd' }] }, tokens: 3 }, 'x');
    expect(parsed()[0]).toMatchObject({
      token: '***',
      request: { headers: { Authorization: '***', 'x-api-key': '***' }, list: [{ client_secret: '***' }] },
      tokens: 3,
    });
  });

  test('masks a known secret and a password in an address anywhere in a line, an error’s stack and cause included', () => {
    const secret = 'hunter2"quoted';
    const { log, lines } = record({ secrets: () => [secret] });
    const error = new Error(`connecting to postgres://gonogo:pa55word@db/x with ${secret}`, { cause: new Error(`inner ${secret}`) });
    log.error({ err: error, note: `again ${secret}` }, `failed with ${secret}`);
    const line = lines.join('');
    expect(line).not.toContain('hunter2');
    expect(line).not.toContain('pa55word');
    expect(JSON.parse(line)).toMatchObject({ level: 'error', err: { type: 'Error', cause: { message: 'inner ***' } } });
  });

  test('does not copy the other fields of an error: a client’s error carries its request', () => {
    const { log, lines } = record();
    log.error({ err: Object.assign(new Error('no'), { config: { headers: { authorization: 'Bearer abcdefgh' } }, code: 'ECONNREFUSED' }) }, 'x');
    expect(lines[0]).not.toContain('abcdefgh');
    expect(lines[0]).toContain('ECONNREFUSED');
  });

  test('a line of text cannot forge another line', () => {
    const { log, lines } = record();
    log.info({}, 'a\n{"level":"error","msg":"forged"}');
    expect(
      lines
        .join('')
        .split('\n')
        .filter((line) => line !== ''),
    ).toHaveLength(1);
  });

  test('keeps to its level, and refuses a level that does not exist', () => {
    const { log, lines } = record({ level: 'WARN' });
    log.info({}, 'no');
    log.warn({}, 'yes');
    expect(lines).toHaveLength(1);
    expect(() => openLog({ level: 'loud' })).toThrow('LOG_LEVEL is "loud"; expected one of trace, debug, info, warn, error, fatal, silent');
  });
});
