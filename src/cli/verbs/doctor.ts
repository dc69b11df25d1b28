import type { Command } from 'commander';
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Config } from '../../config.ts';
import { toolPath } from '../../embedded/tools.ts';
import { cliOf, type Cli } from '../cli.ts';
import { EXIT, Exit } from '../exit.ts';
import { DATA_DIR, textOf } from '../input.ts';
import { table } from '../text.ts';

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

/** `gonogo doctor`: what is there and what is not, each with the remedy. Exits 1 when something needed is missing. */
export function doctor(program: Command): void {
  program
    .command('doctor')
    .description('look at Node, tools, config, database, Temporal and server; say what to do about what is wrong')
    .option('--data <dir>', 'where "gonogo start" keeps its data', DATA_DIR)
    .action(async (options: { data: string }, command: Command) => {
      const cli = cliOf(command);
      const config = await readConfig(cli);
      const findings = [
        node(),
        ...tools(),
        config.finding,
        ...(config.config === undefined ? [] : [await registry(config.config)]),
        ...(await Promise.all(
          config.config === undefined
            ? [Promise.resolve(embedded(options.data)), server(cli)]
            : [database(config.config), temporal(config.config), server(cli)],
        )),
      ];
      cli.print(findings, () =>
        table(
          ['', 'WHAT', 'FOUND', 'DO'],
          findings.map((one) => [one.ok ? '✓' : one.needed ? '✗' : '·', one.what, one.found, one.remedy ?? '']),
        ),
      );
      if (findings.some((one) => !one.ok && one.needed)) process.exitCode = EXIT.error;
    });
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

async function readConfig(cli: Cli): Promise<{ readonly config?: Config; readonly finding: Finding }> {
  const { ConfigError, loadConfig } = await import('../../config.ts');
  try {
    const config = loadConfig(cli.configFile, cli.env);
    return { config, finding: fine('config', config.file ?? 'the environment') };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    if (error.lines.length === 1 && error.message.includes('database.url is missing'))
      return {
        finding: { what: 'config', ok: true, needed: false, found: 'none: everything is embedded', remedy: '"gonogo start", or see gonogo.example.yaml' },
      };
    return { finding: bad('config', error.message.replaceAll('\n', '; '), 'correct it; gonogo.example.yaml shows one') };
  }
}

async function registry(config: Config): Promise<Finding> {
  const { loadRegistry } = await import('../../flags/registry.ts');
  try {
    const loaded = loadRegistry(textOf(config.registry, 'the registry of flags'));
    if (loaded.ok) return fine('registry', `${loaded.registry.entries.size} flags in ${config.registry}`);
    return bad('registry', `${loaded.problems.length} problems in ${config.registry}`, 'correct it: gonogo check shows them');
  } catch (error) {
    return bad('registry', said(error), 'set registry in gonogo.yaml');
  }
}

function embedded(data: string): Finding {
  const there = existsSync(path.resolve(data, 'postgres', 'cluster'));
  return {
    what: 'data',
    ok: true,
    needed: false,
    found: there ? path.resolve(data) : `nothing in ${data} yet`,
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
