import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { loadClientConnectConfig, type ClientConnectConfig } from '@temporalio/envconfig';
import { configSchema, type WrittenConfig } from './config/schema.ts';
import { isReference, lookUp } from './config/secrets.ts';
import { readDocument } from './plan/document.ts';
import { toProblems } from './plan/issues.ts';
import { formatProblem, NOWHERE, show, spell, type Path, type Places, type Problem } from './plan/problem.ts';
import { isSecretName } from './redact.ts';

/** One provider, evaluator or source: its kind, and the settings that the kind's own schema reads. */
export type Instance = { readonly kind: string } & Readonly<Record<string, unknown>>;

/** A notifier, and which news it gets. */
export type NotifierInstance = Instance & { readonly events?: 'all' | 'important' | 'pages' };

/** A source of alerts: the token it shows, and the names of the plans it may stop (`*`: every one). */
export interface HookSource {
  readonly token: string;
  readonly plans: readonly string[];
}

/** A time in which nothing new is turned on; everywhere when it names no environment. ISO 8601. */
export interface ConfiguredFreeze {
  readonly environment?: string;
  readonly from: string;
  readonly to: string;
  readonly reason: string;
}

/** Everything a process is told, checked and whole. Holds secrets: never print or log it. */
export interface Config {
  /** The file it came from; none when all came from the environment. */
  readonly file?: string;
  readonly temporal: {
    readonly connection: ClientConnectConfig['connectionOptions'];
    readonly namespace: string;
    /** Prefix of the three queues. */ readonly taskQueue: string;
  };
  readonly database: { readonly url: string };
  /** Where the built-in flag store lives; the same database unless told otherwise. */
  readonly flagStore: { readonly url: string };
  readonly server: { readonly port: number; readonly host: string; /** Where people reach it, without a slash at the end. */ readonly publicUrl: string };
  /** Name -> roles: for people to read, and the tokens that `gonogo token create` suggests. */
  readonly people: Readonly<Record<string, readonly string[]>>;
  readonly providers: Readonly<Record<string, Instance>>;
  readonly evaluators: Readonly<Record<string, Instance>>;
  readonly sources: Readonly<Record<string, Instance>>;
  readonly notifiers: Readonly<Record<string, NotifierInstance>>;
  readonly hooks: { readonly alertmanager: Readonly<Record<string, HookSource>> };
  readonly freezes: readonly ConfiguredFreeze[];
  /** Absolute paths. */
  readonly registry: string;
  readonly plansDir: string;
  /** What a reference (`${ENV_NAME}`, `file:path`) stands for; other text is returned as it is. Throws ConfigError. */
  readonly secret: (reference: string) => string;
  /** Every secret read so far, for logs to mask. */
  readonly secrets: () => readonly string[];
}

/** The config cannot be used; one line per problem: where, what was found, what was expected, what to do. */
export class ConfigError extends Error {
  readonly lines: readonly string[];
  constructor(lines: readonly string[]) {
    super(lines.join('\n'));
    this.name = 'ConfigError';
    this.lines = lines;
  }
}

/** An environment, as `process.env`. */
export type Env = Readonly<Record<string, string | undefined>>;

/** How far a config is read. */
export interface LoadOptions {
  /** False for a process that never opens providers, evaluators, sources and notifiers (`serve`): their references are left alone, so it needs none of their secrets. Default true. */
  readonly instances?: boolean;
}

/** The file that is read when none is named. */
export const CONFIG_FILE = 'gonogo.yaml';

/** Environment variables that stand above the file, by the place they fill. */
const OVERRIDES: readonly (readonly [name: string, path: readonly string[]])[] = [
  ['GONOGO_DATABASE_URL', ['database', 'url']],
  ['GONOGO_FLAG_STORE_URL', ['flagStore', 'url']],
  ['GONOGO_HOST', ['server', 'host']],
  ['GONOGO_PORT', ['server', 'port']],
  ['GONOGO_PUBLIC_URL', ['server', 'publicUrl']],
  ['GONOGO_TASK_QUEUE', ['temporal', 'taskQueue']],
  ['GONOGO_REGISTRY', ['registry']],
  ['GONOGO_PLANS_DIR', ['plansDir']],
];

const INSTANCES = ['providers', 'evaluators', 'sources', 'notifiers'];

/**
 * Reads gonogo.yaml (`file`, else GONOGO_CONFIG, else ./gonogo.yaml where there is one), lays the environment over it, replaces references by what they
 * stand for and checks everything. Throws ConfigError naming every problem with line and column; a secret is never part of it.
 */
export function loadConfig(file: string | undefined, env: Env, options: LoadOptions = {}): Config {
  const place = configFile(file, env);
  const folder = place === undefined ? process.cwd() : path.dirname(place);
  const name = place === undefined ? 'the environment' : path.relative(process.cwd(), place) || place;
  const fail = (problems: readonly Problem[]): never => {
    throw new ConfigError(problems.map((problem) => formatProblem(name, problem)));
  };
  const read = place === undefined ? { ok: true as const, value: {}, places: NOWHERE } : readDocument(textOf(place));
  if (!read.ok) return fail(read.problems.map(aboutConfig));
  const written = overlay(read.value ?? {}, env);
  const known = new Set<string>();
  const { value, problems } = resolve(written, read.places, { env, folder, known, instances: options.instances ?? true });
  const parsed = configSchema.safeParse(value);
  // Shown is what was written: a reference, never what it stands for.
  const shape = parsed.success ? [] : toProblems(parsed.error.issues, written, read.places, () => undefined);
  const unseen = shape.filter((problem) => !problems.some((other) => other.path === problem.path));
  if (!parsed.success || problems.length > 0) return fail([...problems, ...unseen].sort((a, b) => a.line - b.line || a.column - b.column));
  const { data } = parsed;
  if (data.database === undefined) {
    return fail([
      {
        code: 'missing_field',
        path: 'database',
        line: place === undefined ? 0 : 1,
        column: 1,
        message: 'database.url is missing; expected a Postgres address',
        hint: 'set GONOGO_DATABASE_URL, or run "gonogo start", which brings a database',
      },
    ]);
  }
  const { database } = data;
  const secret = (reference: string): string => {
    if (!isReference(reference)) return reference;
    const looked = lookUp(reference, env, folder);
    if (!looked.ok) throw new ConfigError([`${name}  a secret ${looked.why} (${looked.hint})`]);
    known.add(looked.value);
    return looked.value;
  };
  return {
    ...(place === undefined ? {} : { file: place }),
    temporal: temporalOf(data.temporal, env, name),
    database,
    flagStore: data.flagStore ?? database,
    server: serverOf(data.server),
    people: data.people ?? {},
    providers: { builtin: { kind: 'builtin' }, ...data.providers },
    evaluators: { store: { kind: 'store' }, ...data.evaluators },
    sources: data.sources ?? {},
    notifiers: (data.notifiers ?? {}) as Readonly<Record<string, NotifierInstance>>,
    hooks: { alertmanager: data.hooks?.alertmanager ?? {} },
    freezes: (data.freezes ?? []).map(({ environment, ...freeze }) => ({ ...freeze, ...(environment === undefined ? {} : { environment }) })),
    registry: path.resolve(folder, data.registry ?? 'plans/flags.yaml'),
    plansDir: path.resolve(folder, data.plansDir ?? 'plans'),
    secret,
    secrets: () => [...known, ...passwordOf(database.url), ...passwordOf(data.flagStore?.url ?? '')],
  };
}

function configFile(file: string | undefined, env: Env): string | undefined {
  const named = file ?? (env['GONOGO_CONFIG'] === '' ? undefined : env['GONOGO_CONFIG']);
  if (named !== undefined) return path.resolve(named);
  return existsSync(CONFIG_FILE) ? path.resolve(CONFIG_FILE) : undefined;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw new ConfigError([`${file}  cannot be read (${code}); expected a config file. Correct --config or GONOGO_CONFIG; gonogo.example.yaml shows one`]);
  }
}

/** The reader's problems speak of plans; here the way out is a reference. */
function aboutConfig(problem: Problem): Problem {
  return problem.code === 'secret_in_plan' ? { ...problem, hint: 'take it out and change it at its vendor; write ${ENV_NAME} or file:/path instead' } : problem;
}

function overlay(value: unknown, env: Env): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return OVERRIDES.reduce<unknown>((whole, [name, at]) => {
    const given = env[name];
    return given === undefined || given === '' ? whole : put(whole, at, given);
  }, value);
}

function put(whole: unknown, [first, ...rest]: readonly string[], given: string): unknown {
  if (first === undefined) return given;
  const map: Readonly<Record<string, unknown>> = typeof whole === 'object' && whole !== null ? (whole as Record<string, unknown>) : {};
  return { ...map, [first]: put(map[first], rest, given) };
}

/** Replaces every reference, and refuses what should have been one. */
function resolve(
  root: unknown,
  places: Places,
  to: { readonly env: Env; readonly folder: string; readonly known: Set<string>; readonly instances: boolean },
): { readonly value: unknown; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const complain = (at: Path, message: string, hint: string) =>
    problems.push({ code: 'wrong_value', path: spell(at), ...places.value(at), message: `${spell(at)} ${message}`, hint });
  const walk = (value: unknown, at: Path, secret: boolean): unknown => {
    if (Array.isArray(value)) return value.map((each, index) => walk(each, [...at, index], secret));
    if (typeof value === 'object' && value !== null) {
      return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, walk(each, [...at, name], isSecretName(name))]));
    }
    if (typeof value === 'string' && isReference(value)) {
      if (!to.instances && INSTANCES.includes(String(at[0]))) return value;
      const looked = lookUp(value, to.env, to.folder);
      if (!looked.ok) complain(at, looked.why, looked.hint);
      else if (secret) to.known.add(looked.value);
      return looked.ok ? looked.value : value;
    }
    if (secret && value !== null && value !== '')
      complain(at, 'holds a secret in the open (not shown); expected a reference', 'write ${ENV_NAME} or file:/path, and change the secret at its vendor');
    return value;
  };
  return { value: walk(root, [], false), problems };
}

function serverOf(written: WrittenConfig['server']): Config['server'] {
  const port = written?.port ?? 7077;
  const host = written?.host ?? '127.0.0.1';
  const shown = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  return { port, host, publicUrl: written?.publicUrl ?? `http://${shown.includes(':') ? `[${shown}]` : shown}:${port}` };
}

function temporalOf(written: WrittenConfig['temporal'], env: Env, name: string): Config['temporal'] {
  let standard: ClientConnectConfig;
  try {
    standard = loadClientConnectConfig({
      overrideEnvVars: Object.fromEntries(Object.entries(env).filter((pair): pair is [string, string] => pair[1] !== undefined)),
    });
  } catch (error) {
    throw new ConfigError([
      `${name}  the standard TEMPORAL_* settings cannot be read: ${show(error instanceof Error ? error.message : String(error))}; correct them, or TEMPORAL_CONFIG_FILE`,
    ]);
  }
  const address = written?.address ?? standard.connectionOptions.address ?? '127.0.0.1:7233';
  return {
    connection: { ...standard.connectionOptions, address },
    namespace: written?.namespace ?? standard.namespace ?? 'default',
    taskQueue: written?.taskQueue ?? 'gonogo',
  };
}

function passwordOf(url: string): string[] {
  if (!URL.canParse(url)) return [];
  const { password } = new URL(url);
  return password === '' ? [] : [password, decodeURIComponent(password)];
}
