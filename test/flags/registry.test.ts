import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { defaultExposure, environmentsOf, flagRef, loadRegistry, type Registry } from '../../src/flags/registry.ts';
import { keyProblem, providerKeyProblem, valueProblem } from '../../src/flags/naming.ts';
import { formatProblem } from '../../src/plan/problem.ts';

const FLAG = `
  title: Chat
  owner: team
  type: boolean
  purpose: Chat.
  effect: Chat is there.
  lives: { stage: builtin }
  default: { stage: false }
`;

function told(text: string): string[] {
  const loaded = loadRegistry(text);
  return loaded.ok ? [] : loaded.problems.map((problem) => formatProblem('flags.yaml', problem));
}

function load(text: string): Registry {
  const loaded = loadRegistry(text);
  if (!loaded.ok) throw new Error(told(text).join('\n'));
  return loaded.registry;
}

const change = (from: string, to: string) => `chat:${FLAG.replace(from, to)}`;

describe('the registry of the repository', () => {
  const registry = load(readFileSync(new URL('../../plans/flags.yaml', import.meta.url), 'utf8'));

  test('every flag lives in the built-in store in every environment', () => {
    expect(environmentsOf(registry)).toEqual(['dev', 'prod', 'stage']);
    for (const entry of registry.entries.values()) {
      for (const environment of ['dev', 'stage', 'prod']) expect(entry.lives[environment]).toEqual({ provider: 'builtin', key: entry.key });
    }
  });

  test('every flag can be proven', () => {
    for (const entry of registry.entries.values()) expect(entry.proof.map((proof) => proof.evaluator)).toContain('ofrep');
  });
});

describe('an entry with its environment chosen', () => {
  test('a boolean is off for those who are not exposed', () => {
    const entry = load(`chat:${FLAG}  proof: [{ http: { url: '\${app}/flags', select: chat } }, { ofrep: { evaluator: edge } }, { store: {} }]\n`).entries.get(
      'chat',
    );
    expect(entry && flagRef(entry, 'stage')).toEqual({
      flag: 'chat',
      provider: 'builtin',
      key: 'chat',
      type: 'boolean',
      offValue: false,
      proof: [
        { evaluator: 'http', with: { url: '${app}/flags', select: 'chat' } },
        { evaluator: 'edge', with: {} },
        { evaluator: 'store', with: {} },
      ],
    });
  });

  test('a text flag starts from its default, which those get who are not exposed', () => {
    const entry = load(change('boolean', '{ oneOf: [full, sse-only] }').replace('stage: false', 'stage: full')).entries.get('chat');
    expect(entry && flagRef(entry, 'stage')?.offValue).toBe('full');
    expect(entry && defaultExposure(entry, 'stage')).toEqual({ value: 'full', share: 0, by: 'key', listed: [] });
  });

  test('a default may be a share or a list', () => {
    const entry = load(change('stage: false', 'stage: { listed: { segment: [qa] } }')).entries.get('chat');
    expect(entry && defaultExposure(entry, 'stage')).toEqual({ value: true, share: 0, by: 'key', listed: [{ attribute: 'segment', values: ['qa'] }] });
  });

  test('its name at the provider may be another', () => {
    const entry = load(change('stage: builtin', 'stage: { provider: stage-k8s, key: FEATURE_CHAT }')).entries.get('chat');
    expect(entry && flagRef(entry, 'stage')).toMatchObject({ provider: 'stage-k8s', key: 'FEATURE_CHAT' });
  });

  test('there is none where the flag does not live', () => {
    const entry = load(`chat:${FLAG}`).entries.get('chat');
    expect(entry && flagRef(entry, 'prod')).toBeUndefined();
  });
});

test.each([
  [
    'a flag without an owner',
    change('owner: team', ''),
    'flags.yaml:2:3  chat.owner is missing; expected the team that owns it in lower case (letters, digits and -, a letter first, at most 40)',
  ],
  [
    'no default where it lives',
    change('default: { stage: false }', 'default: {}'),
    'flags.yaml:8:12  chat.default has nothing for stage, where the flag lives (add stage)',
  ],
  [
    'a default elsewhere',
    change('stage: false', 'stage: false, prod: false'),
    'flags.yaml:8:34  chat.default.prod is for an environment where the flag does not live (add it to lives, or take it out)',
  ],
  ['text for a boolean', change('stage: false', 'stage: full'), 'flags.yaml:8:21  chat.default.stage is text; the flag is boolean (write true or false)'],
  [
    'a value that is not allowed',
    change('boolean', '{ oneOf: [full, sse-only] }').replace('stage: false', 'stage: pigeon'),
    'flags.yaml:8:21  chat.default.stage is none of full, sse-only (write one of them)',
  ],
  [
    'a requirement that leads nowhere',
    `chat:${FLAG}  requires: [nothing]\n`,
    'flags.yaml:9:14  chat.requires[0] names nothing, which is not in the registry (add it, or mend the name)',
  ],
  [
    'a feature that is on in production',
    change('stage: builtin', 'prod: builtin').replace('stage: false', 'prod: true'),
    'flags.yaml:8:20  chat.default.prod is on; features are off by default (say why in why.prod, or make it false)',
  ],
  [
    'a protection that is off in production',
    `${change('stage: builtin', 'prod: builtin').replace('stage: false', 'prod: false')}  kind: protection\n`,
    'flags.yaml:8:20  chat.default.prod is not on; protections are on by default (make it true)',
  ],
  [
    'a Waffle flag without its prefix',
    change('stage: builtin', 'stage: waffle'),
    'flags.yaml:7:19  chat.lives.stage names a key that must begin with flag_ at a Waffle provider (name it as the provider does)',
  ],
  [
    'a proof that names a host',
    `chat:${FLAG}  proof: [{ http: { url: 'https://10.0.0.1/', select: x } }]\n`,
    'flags.yaml:9:26  chat.proof[0].http.url is "https://10.0.0.1/"; expected an address that begins with a host of the config, e.g. ${app}/api/flags',
  ],
  [
    'a proof of no known kind',
    `chat:${FLAG}  proof: [{ guess: {} }]\n`,
    'flags.yaml:9:11  chat.proof[0] is a map; expected { http: { url, select } } or one of { ofrep: {} }, { store: {} }, { openfeature: {} }, { launchdarkly-sdk: {} }, { launchdarkly-rest: {} }, { unleash-sdk: {} }, { unleash-metrics: {} }',
  ],
  [
    'a key that is a path',
    `../chat:${FLAG}`,
    `flags.yaml:1:1  the document has the name "../chat"; expected a flag's key of letters, digits, dots, _ and -, e.g. chat.enabled`,
  ],
  ['a value in variables', `variables: { TOKEN: secret }\nchat:${FLAG}`, 'flags.yaml:1:21  variables.TOKEN is "secret"; expected a list of environments'],
])('%s is refused', (_, text, message) => {
  expect(told(text)).toContain(message);
});

test('two flags that require each other are refused', () => {
  expect(told(`a:${FLAG}  requires: [b]\nb:${FLAG}  requires: [a]\n`)).toHaveLength(2);
});

test('two flags with one home are refused', () => {
  const home = FLAG.replace('stage: builtin', 'stage: { provider: builtin, key: same }');
  expect(told(`a:${home}b:${home}`)).toEqual(['flags.yaml:15:19  b.lives.stage is the home of a too (one flag of a provider has one entry)']);
});

describe('names', () => {
  test.each(['chat.enabled', 'flag_new_dashboard', 'FEATURE_X', 'a', 'a'.repeat(200)])('%s is a key', (key) => {
    expect(keyProblem(key)).toBeUndefined();
  });
  test.each(['', '../x', 'a/b', 'a%2fb', 'chat..enabled', 'сhat', 'a\r\nb', '.a', '1a', 'a b', 'a'.repeat(201)])('%j is none', (key) => {
    expect(keyProblem(key)).toBeDefined();
  });
  test('values over 200 characters are refused, never cut', () => {
    expect(valueProblem('v'.repeat(200))).toBeUndefined();
    expect(valueProblem('v'.repeat(201))).toBe('has 201 characters; at most 200 are allowed');
    expect(valueProblem('')).toBe('is empty');
    expect(valueProblem('a\u0000')).toBe('holds a control character');
  });
  test('Waffle flags begin with flag_, at a Waffle provider alone', () => {
    expect(providerKeyProblem('waffle', 'flag_x')).toBeUndefined();
    expect(providerKeyProblem('stage-waffle', 'x')).toBe('must begin with flag_ at a Waffle provider');
    expect(providerKeyProblem('builtin', 'x')).toBeUndefined();
  });
});
