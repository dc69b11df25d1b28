import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { everyone, off } from '../../../src/core/exposure.ts';
import { disagreements, toLastChange, undoCommand } from '../../../src/providers/builtin/translate.ts';
import { flagRef, storedFlag } from '../../flags/support.ts';

describe('the command for a person', () => {
  it('survives the shell, whatever the values hold, and takes the token from the environment', () => {
    const exposure = { value: true, share: 0, by: 'key', listed: [{ attribute: 'key', values: ["o'hara", '$(id)', '`id`', 'a"b'] }] };
    const command = undoCommand('chat.enabled', exposure, 'http://127.0.0.1:8300/');
    const words = execFileSync('sh', ['-c', `curl() { printf '%s\\n' "$@"; }; ${command}`], {
      env: { GONOGO_TOKEN: 'from-the-shell' },
      encoding: 'utf8',
    }).split('\n');
    expect(words).toContain('http://127.0.0.1:8300/api/flags/chat.enabled');
    expect(words).toContain('Authorization: Bearer from-the-shell');
    expect(JSON.parse(words.find((word) => word.startsWith('{')) ?? 'null')).toMatchObject({ exposure });
    expect(command).not.toContain('from-the-shell');
  });
});

describe('where registry and store disagree', () => {
  it.each<[string, ReturnType<typeof flagRef>, ReturnType<typeof storedFlag>, string[]]>([
    ['nothing, when they agree', flagRef('f'), storedFlag(off(true)), []],
    ['the off value', flagRef('f'), storedFlag(off(true), { offValue: true }), ['off is true in the flag store and false in the registry']],
    [
      'the allowed values',
      flagRef('f', { oneOf: ['full', 'poll'] }),
      storedFlag(everyone('full'), { type: 'string', allowed: ['full', 'sse-only'], offValue: 'full' }),
      ["the flag store's chat.enabled may not answer poll"],
    ],
  ])('%s', (_, ref, flag, messages) => {
    expect(disagreements(ref, flag).map((problem) => problem.message)).toEqual(messages);
  });
});

describe('the last change in words', () => {
  const entry = {
    seq: '7',
    key: 'f',
    old: off(true),
    new: everyone(true),
    oldRevision: '1',
    newRevision: '2',
    who: 'ann',
    at: '2026-01-01T00:00:00.000Z',
    changeId: 'c',
  };
  it.each<[string, Parameters<typeof toLastChange>[0], string]>([
    ['a write, with what its author said', { ...entry, kind: 'write', comment: 'ship it' }, 'write: off -> everyone (ship it)'],
    ['a restore without a word', { ...entry, kind: 'restore', comment: '' }, 'restore: off -> everyone'],
    ['the making of a flag, which was nothing before', { ...entry, kind: 'create', old: undefined, comment: '' }, 'create: everyone'],
    ['a fence, which changes nothing that users feel', { ...entry, kind: 'fence', new: off(true), comment: '' }, 'fence: the revision alone'],
  ])('%s', (_, change, what) => {
    expect(toLastChange(change)).toEqual({ who: 'ann', what, at: '2026-01-01T00:00:00.000Z' });
  });
});
