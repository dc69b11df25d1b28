import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ConfigError, loadConfig, type Env, type LoadOptions } from '../src/config.ts';

let dir = '';
let counter = 0;
beforeAll(() => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'gonogo-config-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const DATABASE = { GONOGO_DATABASE_URL: 'postgres://gonogo:s3cret-pass@db:5432/gonogo' };

function load(text: string, env: Env = DATABASE, options: LoadOptions = {}) {
  counter += 1;
  const file = path.join(dir, `config-${counter}.yaml`);
  writeFileSync(file, text);
  return { file, config: () => loadConfig(file, env, options) };
}

/** The problems without the file's name: `3:5  server.port is ...`. */
function problems(text: string, env: Env = DATABASE, options: LoadOptions = {}): string[] {
  const { file, config } = load(text, env, options);
  try {
    config();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.lines.map((line) => line.replace(`${path.relative(process.cwd(), file)}:`, ''));
  }
  return [];
}

describe('a config', () => {
  test('comes whole from the environment, without a file', () => {
    const config = loadConfig(undefined, DATABASE);
    expect(config.file).toBeUndefined();
    expect(config.database.url).toBe(DATABASE.GONOGO_DATABASE_URL);
    expect(config.flagStore.url).toBe(DATABASE.GONOGO_DATABASE_URL);
    expect(config.server).toEqual({ port: 7077, host: '127.0.0.1', publicUrl: 'http://127.0.0.1:7077' });
    expect(config.temporal).toMatchObject({ namespace: 'default', taskQueue: 'gonogo', connection: { address: '127.0.0.1:7233' } });
    expect(config.providers).toEqual({ builtin: { kind: 'builtin' } });
    expect(path.isAbsolute(config.registry) && config.registry.endsWith('plans/flags.yaml')).toBe(true);
  });

  test('reads every section, replaces references, and knows the secrets it read', () => {
    writeFileSync(path.join(dir, 'pd-key'), 'routing-key-from-file\n');
    const { config } = load(
      `
temporal: { address: 'temporal:7233', namespace: launches, taskQueue: team-a }
database: { url: '\${DB}' }
flagStore: { url: 'postgres://flags@flagdb/flags' }
server: { port: '\${PORT}', host: 0.0.0.0, publicUrl: https://gonogo.example.com/ }
people: { Anna Petrova: [releaser, release-engineer] }
providers: { prod: { kind: launchdarkly, projectKey: web, apiToken: '\${LD}' } }
evaluators: { app: { kind: http, hosts: { app: 'http://app:8080' } } }
sources: { prometheus: { kind: prometheus, url: 'http://prometheus:9090' } }
notifiers: { ops: { kind: webhook, url: 'http://hook', secret: 'file:pd-key', events: pages } }
hooks: { alertmanager: { main: { token: '\${AM}', plans: ['*'] } } }
freezes: [{ environment: prod, from: '2026-12-24T00:00:00+03:00', to: '2027-01-02T00:00:00+03:00', reason: Holidays }]
registry: flags.yaml
plansDir: .
`,
      { DB: 'postgres://g:from-env-pass@db/g', PORT: '8088', LD: 'launchdarkly-secret-value', AM: 'alertmanager-secret-value' },
    );
    const read = config();
    expect(read.database.url).toBe('postgres://g:from-env-pass@db/g');
    expect(read.server).toEqual({ port: 8088, host: '0.0.0.0', publicUrl: 'https://gonogo.example.com' });
    expect(read.providers['prod']).toEqual({ kind: 'launchdarkly', projectKey: 'web', apiToken: 'launchdarkly-secret-value' });
    expect(read.notifiers['ops']).toMatchObject({ secret: 'routing-key-from-file', events: 'pages' });
    expect(read.hooks.alertmanager['main']).toEqual({ token: 'alertmanager-secret-value', plans: ['*'] });
    expect(read.temporal).toMatchObject({ namespace: 'launches', taskQueue: 'team-a', connection: { address: 'temporal:7233' } });
    expect(read.registry).toBe(path.join(dir, 'flags.yaml'));
    expect([...read.secrets()].sort()).toEqual(
      expect.arrayContaining(['alertmanager-secret-value', 'from-env-pass', 'launchdarkly-secret-value', 'routing-key-from-file']),
    );
  });

  test('lets the environment stand above the file', () => {
    const { config } = load("database: { url: '${NOT_SET}' }\nserver: { port: 1 }\n", { ...DATABASE, GONOGO_PORT: '9999' });
    expect(config().database.url).toBe(DATABASE.GONOGO_DATABASE_URL);
    expect(config().server.port).toBe(9999);
  });

  test('takes the standard Temporal environment where the file says nothing', () => {
    const { connection, namespace } = loadConfig(undefined, {
      ...DATABASE,
      TEMPORAL_ADDRESS: 'cloud:7233',
      TEMPORAL_NAMESPACE: 'ours',
      TEMPORAL_API_KEY: 'key',
    }).temporal;
    expect({ address: connection.address, namespace, apiKey: connection.apiKey }).toEqual({ address: 'cloud:7233', namespace: 'ours', apiKey: 'key' });
  });

  test('of a process that opens no instances needs none of their secrets', () => {
    const text = "providers: { prod: { kind: launchdarkly, apiToken: '${LD}' } }\n";
    expect(problems(text)).toHaveLength(1);
    expect(load(text, DATABASE, { instances: false }).config().providers['prod']?.['apiToken']).toBe('${LD}');
  });

  test('looks a reference up later, and says what is missing without the secret', () => {
    const { config } = load('people: {}\n', { ...DATABASE, LATE: 'late-secret' });
    const read = config();
    expect(read.secret('${LATE}')).toBe('late-secret');
    expect(read.secrets()).toContain('late-secret');
    expect(read.secret('plain')).toBe('plain');
    expect(() => read.secret('${NOT_THERE}')).toThrow(/environment variable NOT_THERE, which is not set/);
  });
});

describe('a bad config is refused with file, line and column, what was found, what was expected and what to do', () => {
  test.each<[rule: string, text: string, expected: string[]]>([
    [
      'an unknown section',
      'servers: {}\n',
      [
        '1:1  servers is not a known field; expected one of temporal, database, flagStore, server, people, providers, evaluators, sources, notifiers, hooks, freezes, registry, plansDir',
      ],
    ],
    ['an unknown field', 'server:\n  prot: 1\n', ['2:3  server.prot is not a known field; expected one of port, host, publicUrl']],
    ['a port that is none', 'server:\n  port: seven\n', ['2:9  server.port is "seven"; expected a port from 1 to 65535 (0: any free one)']],
    ['an address that is none', 'server: { publicUrl: gonogo }\n', ['1:22  server.publicUrl is "gonogo"; expected an address like https://gonogo.example.com']],
    ['a provider without a kind', 'providers:\n  prod: { url: x }\n', ['2:9  providers.prod.kind is missing; expected the kind, e.g. builtin']],
    [
      'a provider’s name in capitals',
      'providers:\n  PROD: { kind: builtin }\n',
      ['2:3  providers has the name "PROD"; expected a provider in lower case (letters, digits and -, a letter first, at most 40)'],
    ],
    [
      'a freeze that ends before it begins',
      'freezes:\n  - { from: 2026-02-02T00:00:00Z, to: 2026-02-01T00:00:00Z, reason: x }\n',
      ['2:5  freezes[0] ends before it begins (from is the earlier one)'],
    ],
    [
      'a time without a zone',
      'freezes: [{ from: 2026-02-02T00:00:00, to: 2026-02-03T00:00:00Z, reason: x }]\n',
      ['1:19  freezes[0].from is "2026-02-02T00:00:00"; expected a time with its zone, e.g. 2026-12-24T18:00:00+03:00'],
    ],
    [
      'a variable that is not set',
      "providers:\n  prod:\n    kind: x\n    token: '${NOWHERE}'\n",
      ['4:12  providers.prod.token refers to the environment variable NOWHERE, which is not set (set NOWHERE, or refer to a file: file:/path)'],
    ],
    [
      'a file that is not there',
      'notifiers: { a: { kind: webhook, secret: file:/nowhere/at/all } }\n',
      ['1:42  notifiers.a.secret refers to the file /nowhere/at/all, which cannot be read (ENOENT) (make it, readable for this user, or correct the path)'],
    ],
    ['an anchor', 'people: &p {}\n', ['1:12  people has an anchor (&...) (write it out where it is needed)']],
    [
      'a list instead of a map',
      '[1]\n',
      [
        '1:1  the document is a list; expected the config: a map of temporal, database, flagStore, server, people, providers, evaluators, sources, notifiers, hooks, freezes, registry, plansDir',
      ],
    ],
    [
      'several things at once',
      "server: { port: -1 }\npeople: { A: releaser }\nproviders: { p: { kind: x, token: '${NO}' } }\n",
      [
        '1:17  server.port is -1; expected a port from 1 to 65535 (0: any free one)',
        '2:14  people.A is "releaser"; expected a list of roles',
        '3:35  providers.p.token refers to the environment variable NO, which is not set (set NO, or refer to a file: file:/path)',
      ],
    ],
  ])('%s', (_rule, text, expected) => {
    expect(problems(text)).toEqual(expected);
  });

  test.each([
    ['under a secret’s name', 'providers: { prod: { kind: x, apiToken: plain-secret-value } }\n'],
    ['in a header', 'sources: { p: { kind: x, headers: { Authorization: plain-secret-value } } }\n'],
    ['as a number', 'notifiers: { p: { kind: x, password: 12345678 } }\n'],
    ['in a list', 'providers: { p: { kind: x, secret: [plain-secret-value] } }\n'],
    ['in an address', 'database: { url: "postgres://u:plain-secret-value@db/x" }\n'],
    ['in a comment', '# postgres://u:plain-secret-value@db/x\npeople: {}\n'],
    ['of a hook', 'hooks: { alertmanager: { a: { token: plain-secret-value, plans: ["*"] } } }\n'],
  ])('a secret in the open, %s, is refused and never shown', (_where, text) => {
    const found = problems(text);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/\$\{ENV_NAME\} or file:\/path/);
    expect(found.join()).not.toMatch(/plain-secret-value|12345678/);
  });

  test('a secret that is too short is refused by its reference, not its text', () => {
    const found = problems('hooks: { alertmanager: { a: { token: "${SHORT}", plans: ["*"] } } }\n', { ...DATABASE, SHORT: 'tiny-secret' });
    expect(found).toEqual(['1:38  hooks.alertmanager.a.token is "${SHORT}"; expected a secret of at least 16 characters; make one: openssl rand -hex 32']);
  });

  test('without a database says how to get one', () => {
    expect(problems('people: {}\n', {})).toEqual([
      '1:1  database.url is missing; expected a Postgres address (set GONOGO_DATABASE_URL, or run "gonogo start", which brings a database)',
    ]);
  });

  test('a file that is named and not there', () => {
    expect(() => loadConfig('/nowhere/gonogo.yaml', DATABASE)).toThrow(
      '/nowhere/gonogo.yaml  cannot be read (ENOENT); expected a config file. Correct --config or GONOGO_CONFIG; gonogo.example.yaml shows one',
    );
  });
});
