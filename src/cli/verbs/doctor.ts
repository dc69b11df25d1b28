import type { Command } from 'commander';
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Config } from '../../config.ts';
import type { Examined } from '../../doctor.ts';
import { toolPath } from '../../embedded/tools.ts';
import type { Registry } from '../../flags/registry.ts';
import { cliOf, type Cli } from '../cli.ts';
import { EXIT, Exit, usage } from '../exit.ts';
import { DATA_DIR, textOf } from '../input.ts';
import { clean, table } from '../text.ts';

/** One thing looked at. `remedy` is what to do; `needed` is false for what only some need. */
interface Finding {
  readonly what: string;
  readonly ok: boolean;
  readonly needed: boolean;
  readonly found: string;
  readonly remedy?: string;
}

const fine = (what: string, found: string): Finding => ({ what, ok: true, needed: true, found });
const bad = (what: string, found: string, remedy: string, needed = true): Finding => ({ what, ok: false, needed, found, remedy });
const said = (error: unknown): string =>
  error instanceof AggregateError ? error.errors.map(said).join(', ') : error instanceof Error ? error.message || error.name : String(error);

/** `gonogo doctor`: what is there and what is not, as seen from this machine, each with the remedy. Exits 1 when something needed is missing. */
export function doctor(program: Command): void {
  program
    .command('doctor')
    .description(
      'look at Node, tools, config, database, Temporal and server, and at every provider, evaluator, source and notifier; say what to do about what is wrong',
    )
    .option('--env <environment>', "only this environment's flags; all by default")
    .option('--data <dir>', 'where "gonogo start" keeps its data', DATA_DIR)
    .action(async (options: { data: string; env?: string }, command: Command) => {
      const cli = cliOf(command);
      const { config, embedded, finding } = await readConfig(cli);
      const registry = config === undefined ? undefined : await readRegistry(config);
      if (registry?.registry !== undefined) await knownEnvironment(registry.registry, options.env);
      const servers = config === undefined || embedded ? [Promise.resolve(data(options.data)), server(cli)] : [database(config), temporal(config), server(cli)];
      const [up, named] = await Promise.all([
        Promise.all(servers),
        config === undefined || registry?.registry === undefined ? [] : examined(config, registry.registry, options.env, embedded, cli.signal),
      ]);
      const findings = [node(), ...tools(), finding, ...(registry === undefined ? [] : [registry.finding]), ...up, ...named];
      cli.print(findings, () => shown(findings));
      if (findings.some((one) => !one.ok && one.needed)) process.exitCode = EXIT.error;
    });
}

/** One line for each finding, and below it what to do: found texts are long, and a remedy far to the right is not read. */
function shown(findings: readonly Finding[]): string {
  const [heads = '', ...lines] = table(
    ['', 'WHAT', 'FOUND'],
    findings.map((one) => [one.ok ? '✓' : one.needed ? '✗' : '·', one.what, one.found]),
  ).split('\n');
  return [heads, ...lines.flatMap((line, index) => [line, ...remedyOf(findings[index])])].join('\n');
}

function remedyOf(finding: Finding | undefined): readonly string[] {
  return finding?.remedy === undefined ? [] : [`   → ${clean(finding.remedy)}`];
}

async function knownEnvironment(registry: Registry, environment: string | undefined): Promise<void> {
  const { environmentsOf } = await import('../../flags/registry.ts');
  if (environment !== undefined && !environmentsOf(registry).includes(environment))
    throw usage(`--env is ${environment}; the registry knows ${environmentsOf(registry).join(', ')}`);
}

/** What every provider, evaluator, source and notifier says: the same that would refuse a launch. */
async function examined(
  config: Config,
  registry: Registry,
  environment: string | undefined,
  embedded: boolean,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const { examine } = await import('../../doctor.ts');
  const without = embedded ? inOwnDatabase(config) : new Set<string>();
  const all = await examine({ config, registry, without, ...(environment === undefined ? {} : { environments: [environment] }) }, signal);
  return all.flatMap(findingsOf);
}

/** Those that live in the database which "gonogo start" brings: while it does not run there is nothing to look at. */
function inOwnDatabase(config: Config): ReadonlySet<string> {
  const own = [...Object.entries(config.providers), ...Object.entries(config.evaluators)].filter(
    ([, instance]) => ['builtin', 'store'].includes(instance.kind) && instance['database'] === undefined,
  );
  return new Set(own.map(([name]) => name));
}

function findingsOf(one: Examined): readonly Finding[] {
  const what = `${one.kind} ${one.name}${one.environments.length === 0 ? '' : ` (${one.environments.join(', ')})`}`;
  if (one.problems.length === 0)
    return [fine(what, one.asked.startsWith('nothing') ? `not asked ${one.asked.slice('nothing: '.length)}` : `ready, ${one.asked}`)];
  return one.problems.map(({ where, message, hint }) => bad(what, message.startsWith(where) ? message : `${where}: ${message}`, hint));
}

function node(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 22 || (major === 22 && minor >= 18)) return fine('node', process.versions.node);
  return bad('node', process.versions.node, 'use 22.18 or later; "npm run setup" brings one');
}

function tools(): Finding[] {
  return (['temporal', 'prometheus', 'alertmanager'] as const).map((name): Finding => {
    try {
      const found = toolPath(name);
      if (found !== undefined) return fine(name, found);
      return bad(name, 'not found', name === 'temporal' ? '"npm run setup", needed by "gonogo start"' : '"npm run setup", needed by the demo', false);
    } catch (error) {
      return bad(name, said(error), 'correct the variable');
    }
  });
}

interface ReadConfig {
  readonly config?: Config;
  /** No database is named: "gonogo start" brings one, and the rest of the config counts all the same. */
  readonly embedded: boolean;
  readonly finding: Finding;
}

async function readConfig(cli: Cli): Promise<ReadConfig> {
  const { ConfigError, loadConfig } = await import('../../config.ts');
  try {
    const config = loadConfig(cli.configFile, cli.env);
    return { config, embedded: false, finding: fine('config', config.file ?? 'the environment') };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    if (error.lines.length === 1 && error.message.includes('database.url is missing')) {
      const config = loadConfig(cli.configFile, { ...cli.env, GONOGO_DATABASE_URL: 'postgres://127.0.0.1/embedded' });
      if (config.file !== undefined) return { config, embedded: true, finding: fine('config', `${config.file}, with the embedded database`) };
      return {
        embedded: true,
        finding: { what: 'config', ok: true, needed: false, found: 'none: everything is embedded', remedy: '"gonogo start", or see gonogo.example.yaml' },
      };
    }
    return { embedded: false, finding: bad('config', error.message.replaceAll('\n', '; '), 'correct it; gonogo.example.yaml shows one') };
  }
}

async function readRegistry(config: Config): Promise<{ readonly registry?: Registry; readonly finding: Finding }> {
  const { loadRegistry } = await import('../../flags/registry.ts');
  try {
    const loaded = loadRegistry(textOf(config.registry, 'the registry of flags'));
    if (loaded.ok) return { registry: loaded.registry, finding: fine('registry', `${loaded.registry.entries.size} flags in ${config.registry}`) };
    return { finding: bad('registry', `${loaded.problems.length} problems in ${config.registry}`, 'correct it: gonogo check shows them') };
  } catch (error) {
    return { finding: bad('registry', said(error), 'set registry in gonogo.yaml') };
  }
}

function data(dir: string): Finding {
  const there = existsSync(path.resolve(dir, 'postgres', 'cluster'));
  return {
    what: 'data',
    ok: true,
    needed: false,
    found: there ? path.resolve(dir) : `nothing in ${dir} yet`,
    ...(there ? {} : { remedy: '"gonogo start" makes it' }),
  };
}

async function database(config: Config): Promise<Finding> {
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: config.database.url, connectionTimeoutMillis: 3_000, query_timeout: 3_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ version: string; migrated: boolean }>(
      `select current_setting('server_version') as version, to_regclass('kysely_migration') is not null and to_regclass('launch') is not null as migrated`,
    );
    const [row] = rows;
    const version = `Postgres ${row?.version ?? '?'}`;
    return row?.migrated === true
      ? fine('database', `${version}, migrated`)
      : bad('database', `${version}, empty`, '"gonogo serve" or "gonogo worker" makes the schema at its start');
  } catch (error) {
    return bad('database', said(error), 'is it up, and are address, user and password right? GONOGO_DATABASE_URL, or database.url in gonogo.yaml');
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function temporal(config: Config): Promise<Finding> {
  const { Connection } = await import('@temporalio/client');
  const { address = '' } = config.temporal.connection;
  const { namespace } = config.temporal;
  try {
    const connection = await Connection.connect({ ...config.temporal.connection, connectTimeout: 3_000 });
    try {
      await connection.withDeadline(Date.now() + 3_000, () => connection.workflowService.describeNamespace({ namespace }));
      return fine('temporal', `${address}, namespace ${namespace}`);
    } finally {
      await connection.close();
    }
  } catch (error) {
    return bad(
      'temporal',
      `${address}, namespace ${namespace}: ${said(error)}`,
      'is it up, and does the namespace exist? TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, or temporal in gonogo.yaml',
    );
  }
}

async function server(cli: Cli): Promise<Finding> {
  const api = cli.api();
  try {
    await api.text('/readyz', 'application/json');
    return fine('server', api.url);
  } catch (error) {
    if (!(error instanceof Exit)) throw error;
    return bad('server', error.message, '"gonogo start" or "gonogo serve"; --server or GONOGO_URL name another', false);
  }
}
