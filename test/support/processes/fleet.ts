import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { stringify } from 'yaml';
import { startPostgres } from '../../../src/embedded/postgres.ts';
import { freePort, startProcess } from '../../../src/embedded/process.ts';
import { startTemporal } from '../../../src/embedded/temporal.ts';
import { off } from '../../../src/core/exposure.ts';
import { openFlagStore, type FlagStore } from '../../../src/flags/store.ts';
import { migrate, openStore, type Store } from '../../../src/store/store.ts';
import { createToken } from '../../../src/store/tokens.ts';
import { workflowBundle } from '../../../src/worker.ts';
import { requireTool } from '../servers/require-tool.ts';
import { serverDir } from '../servers/server-dir.ts';
import { openMember, type Member } from './member.ts';

/** The people of a fleet and their roles; nobody signs what they started. */
export const PEOPLE = { rita: ['releaser'], anna: ['release-engineer'], dmitri: ['qa'], carl: ['on-call'] } as const;
export type Name = keyof typeof PEOPLE;

/** What a fleet is made of. */
export interface FleetOptions {
  readonly workers: number;
  /** Sources of numbers by name, as in gonogo.yaml. */
  readonly sources: Readonly<Record<string, object>>;
  /** Boolean flags that plans may name; all begin off. */
  readonly flags: readonly string[];
  /** The flags on a Postgres of their own, so that gonogo's may go away. Default: only in a database of their own. */
  readonly flagsApart?: boolean;
}

/** gonogo as it is run: the command line's own `serve` and `worker`, each a process, over servers of their own that can be killed and frozen. */
export interface Fleet {
  readonly url: string;
  readonly databaseUrl: string;
  readonly flagsUrl: string;
  readonly temporalAddress: string;
  readonly tokens: Readonly<Record<Name, string>>;
  /** The bearer token of the Alertmanager source `main`. */
  readonly hookToken: string;
  readonly store: Store;
  readonly flags: FlagStore;
  /** The shares that a flag has had, one for each revision, oldest first: its change log. */
  sharesOf(flag: string): Promise<readonly number[]>;
  readonly api: Member;
  readonly workers: readonly Member[];
  readonly temporal: Member;
  readonly postgres: Member;
  /** Where logs lie, until `close`. */
  readonly dir: string;
  close(): Promise<void>;
}

const ENVIRONMENT = 'test';
const cli = path.resolve(import.meta.dirname, '..', '..', '..', 'src', 'cli', 'main.ts');
const quiet = (): void => undefined;

function registryOf(flags: readonly string[]): string {
  const entry = (flag: string) => ({
    title: flag,
    owner: 'tests',
    type: 'boolean',
    lives: { [ENVIRONMENT]: 'builtin' },
    default: { [ENVIRONMENT]: false },
    purpose: 'Something that a test turns on',
    effect: 'It is on',
    proof: [{ store: {} }],
  });
  return stringify(Object.fromEntries(flags.map((flag) => [flag, entry(flag)])));
}

async function createDatabase(url: string, name: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(`create database ${name}`);
  } finally {
    await client.end();
  }
  const made = new URL(url);
  made.pathname = `/${name}`;
  return made.href;
}

/** A Postgres as a member: started again on the same port and data. */
async function postgresMember(name: string, dir: string): Promise<{ readonly member: Member; readonly url: string }> {
  const port = await freePort();
  let url = '';
  const member = openMember(name, async () => {
    const server = await startPostgres({ dataDir: path.join(dir, name), port, fsync: false, log: quiet });
    url = server.url;
    return server;
  });
  await member.start();
  return { member, url };
}

/** Opens a fleet with everything up. Close it in afterAll; a run that is killed leaves pid files by which the next one cleans up. */
export async function openFleet(options: FleetOptions): Promise<Fleet> {
  const place = serverDir('fleet');
  const { dir } = place;
  const closing: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const one of closing.splice(0).reverse()) await one().catch(quiet);
    if (process.env['KEEP_LOGS'] === undefined) place.remove();
    else console.log(`logs are kept in ${dir}`);
  };
  const keep = (member: Member): Member => {
    closing.push(() => member.stop());
    return member;
  };
  try {
    const [postgres, apart, temporalPort, apiPort] = await Promise.all([
      postgresMember('postgres', dir),
      options.flagsApart === true ? postgresMember('flags', dir) : undefined,
      freePort(),
      freePort(),
    ]);
    keep(postgres.member);
    if (apart !== undefined) keep(apart.member);
    const temporalAddress = `127.0.0.1:${temporalPort}`;
    const temporal = keep(
      openMember('temporal', () =>
        startTemporal({ cli: requireTool('temporal'), dbFile: path.join(dir, 'temporal', 'temporal.db'), port: temporalPort, headless: true, log: quiet }),
      ),
    );
    const [databaseUrl, flagsUrl] = await Promise.all([
      createDatabase(postgres.url, 'gonogo'),
      createDatabase((apart ?? postgres).url, 'flags'),
      temporal.start(),
    ]);
    const store = openStore({ url: databaseUrl });
    closing.push(() => store.close());
    await migrate(store);
    const flags = await openFlagStore(flagsUrl);
    closing.push(() => flags.close());
    // Without the flag store's own deadlines: what a test reads of the past has time.
    const log = new pg.Pool({ connectionString: flagsUrl, max: 2 });
    log.on('error', quiet);
    closing.push(() => log.end());
    const sharesOf = async (flag: string): Promise<readonly number[]> => {
      const { rows } = await log.query<{ share: number }>(`select (new->>'share')::float8 as share from flag_change where key = $1 order by seq`, [flag]);
      return rows.map((row) => row.share);
    };
    if (options.flags.length > 0)
      await flags.create(
        options.flags.map((key) => ({ key, type: 'boolean' as const, exposure: off(true), owner: 'tests' })),
        { by: 'seed' },
      );
    const tokens = Object.fromEntries(
      await Promise.all(
        Object.entries(PEOPLE).map(async ([person, roles]) => [person, (await createToken(store, { person, roles: [...roles] })).token] as const),
      ),
    ) as Record<Name, string>;
    const hookToken = randomBytes(24).toString('base64url');
    const config = path.join(dir, 'gonogo.yaml');
    writeFileSync(path.join(dir, 'flags.yaml'), registryOf(options.flags));
    writeFileSync(
      config,
      stringify({
        temporal: { address: temporalAddress, namespace: 'default', taskQueue: 'kill' },
        database: { url: '${KILL_DATABASE_URL}' },
        flagStore: { url: '${KILL_FLAGS_URL}' },
        server: { host: '127.0.0.1', port: apiPort },
        sources: options.sources,
        hooks: { alertmanager: { main: { token: '${KILL_HOOK_TOKEN}', plans: ['*'] } } },
        registry: 'flags.yaml',
        plansDir: '.',
      }),
    );
    const inherited = Object.fromEntries(
      Object.entries(process.env).filter(
        (pair): pair is [string, string] => pair[1] !== undefined && !/^(GONOGO_|TEMPORAL_|NODE_OPTIONS$|VITEST)/.test(pair[0]),
      ),
    );
    // Made once: thirty workers that are started again must not spend the machine on bundling.
    const bundle = path.join(dir, 'workflows.js');
    writeFileSync(bundle, (await workflowBundle()).code);
    const env = {
      ...inherited,
      LOG_LEVEL: 'info',
      NODE_COMPILE_CACHE: path.join(dir, 'compiled'),
      GONOGO_WORKFLOW_BUNDLE: bundle,
      KILL_DATABASE_URL: databaseUrl,
      KILL_FLAGS_URL: flagsUrl,
      KILL_HOOK_TOKEN: hookToken,
    };
    const gonogo = (name: string, args: readonly string[], port: number): Member =>
      openMember(name, () =>
        startProcess({
          name,
          command: process.execPath,
          args: [cli, '--config', config, ...args],
          dir,
          env,
          ready: async () => (await fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(1_000) })).ok,
          readyWithin: 60_000,
          stopSignal: 'SIGTERM',
        }),
      );
    const api = keep(gonogo('serve', ['serve'], apiPort));
    const ports = await Promise.all(Array.from({ length: options.workers }, freePort));
    const workers = ports.map((port, index) => keep(gonogo(`worker-${index + 1}`, ['worker', '--metrics-port', String(port)], port)));
    await Promise.all([api, ...workers].map((member) => member.start()));
    return {
      url: `http://127.0.0.1:${apiPort}`,
      databaseUrl,
      flagsUrl,
      temporalAddress,
      tokens,
      hookToken,
      store,
      flags,
      sharesOf,
      api,
      workers,
      temporal,
      postgres: postgres.member,
      dir,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
