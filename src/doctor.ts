import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Config } from './config.ts';
import type { FlagRef, Plan } from './core/plan.ts';
import type { Finding } from './core/finding.ts';
import { openEvaluator } from './evaluators/index.ts';
import { environmentsOf, flagRef, type Registry } from './flags/registry.ts';
import type { House } from './house.ts';
import { redact } from './http.ts';
import { attempt, byEvaluator, evaluatorProblems, providerProblems, queriesOf, sourceProblems } from './launch/ready.ts';
import { fromSource, preflight } from './launch/preflight.ts';
import { openNotifier } from './notifiers/index.ts';
import { readSource } from './open-house.ts';
import { loadPlan } from './plan/load.ts';
import { openProvider } from './providers/index.ts';
import type { Problem } from './providers/provider.ts';
import { openSource } from './sources/index.ts';
import type { Query } from './sources/source.ts';

/** What was seen of one thing that the config names; no problems is ready. */
export interface Examined {
  readonly kind: 'provider' | 'evaluator' | 'source' | 'notifier';
  readonly name: string;
  /** Where its flags were looked at; none where it has none. */
  readonly environments: readonly string[];
  /** What it was asked, in words: `4 flags`, `nothing: no plan asks it`. */
  readonly asked: string;
  readonly problems: readonly Problem[];
}

/** What to look at. */
export interface Examination {
  readonly config: Config;
  readonly registry: Registry;
  /** Default: every environment in which some flag lives. */
  readonly environments?: readonly string[];
  /** Names of providers and evaluators that cannot be looked at from here. */
  readonly without?: ReadonlySet<string>;
}

/** How long what was opened may take to close, ms. */
const CLOSE_WITHIN = 2_000;
const QUIET = { info: () => undefined, warn: () => undefined, error: () => undefined };

interface Closable {
  close(): Promise<void>;
}

/** One that could not be opened, as its workers would say at their start. */
interface Unopened {
  readonly problem: Problem;
}

/** Opens them one by one: what cannot be opened is a problem of its own, and stops no other. */
async function openEach<T extends Closable>(
  room: 'providers' | 'evaluators' | 'sources' | 'notifiers',
  raw: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
  open: (name: string, config: unknown) => T | Promise<T>,
): Promise<{ readonly opened: ReadonlyMap<string, T>; readonly unopened: ReadonlyMap<string, Unopened> }> {
  const opened = new Map<string, T>();
  const unopened = new Map<string, Unopened>();
  await Promise.all(
    Object.entries(raw).map(async ([name, config]) => {
      const [problem] = await attempt(room, name, signal, async (limit) => {
        const made = await open(name, config);
        // One that came too late is nobody's any more.
        if (limit.aborted) await made.close();
        else opened.set(name, made);
        return [];
      });
      if (problem !== undefined)
        unopened.set(name, {
          problem: { ...problem, where: `${room}.${name}`, hint: `correct ${room}.${name} in the config: no worker starts with it as it is` },
        });
    }),
  );
  return { opened, unopened };
}

const flagsIn = (registry: Registry, environment: string): readonly FlagRef[] =>
  [...registry.entries.values()].flatMap((entry) => flagRef(entry, environment) ?? []);

function plansOf(config: Config): readonly Plan[] {
  const read = (file: string): readonly Plan[] => {
    const loaded = loadPlan(readFileSync(file, 'utf8'));
    return loaded.ok ? [loaded.plan] : [];
  };
  try {
    const files = readdirSync(config.plansDir).filter((file) => /\.ya?ml$/.test(file));
    return files
      .map((file) => path.join(config.plansDir, file))
      .filter((file) => file !== config.registry)
      .flatMap(read);
  } catch {
    // No folder of plans here: then no source is asked what a plan would ask.
    return [];
  }
}

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;

/** One finding for each thing, whatever the number of environments: the same problem in two of them is said once. */
function merged(all: readonly Examined[]): readonly Examined[] {
  return [...Map.groupBy(all, (one) => `${one.kind} ${one.name}`).values()].flatMap((same) => {
    const [first] = same;
    if (first === undefined) return [];
    const problems = new Map(same.flatMap((one) => one.problems.map((problem) => [JSON.stringify(problem), problem] as const)));
    return [
      {
        ...first,
        environments: [...new Set(same.flatMap((one) => one.environments))],
        asked: [...new Set(same.map((one) => one.asked))].join(', '),
        problems: [...problems.values()],
      },
    ];
  });
}

/** Closes what was opened; what does not end soon is left behind. */
async function closeAll(all: readonly Closable[]): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, CLOSE_WITHIN)));
  await Promise.race([Promise.allSettled(all.map((one) => one.close())), late]);
  clearTimeout(timer);
}

/** Masks the config's secrets in the texts of what was found. */
function hiding(config: Config): <T extends object>(found: T) => T {
  const secrets = config.secrets().filter((secret) => secret.length > 5);
  return (found) =>
    Object.fromEntries(Object.entries(found).map(([name, text]) => [name, typeof text === 'string' ? redact(text, secrets) : text])) as typeof found;
}

/**
 * Tries a plan's gates on their sources as a launch would before it opens, and on the last `last` ms. Only the sources that the plan asks are opened;
 * nothing is written. Secrets of the config are masked. Never throws; takes at most READY_WITHIN and what closing takes.
 */
export async function tryGates(config: Config, plan: Plan, last: number, signal: AbortSignal): Promise<readonly Finding[]> {
  const asked = new Set(plan.gates.flatMap((gate) => gate.source ?? []));
  const wanted = Object.fromEntries(Object.entries(config.sources).filter(([name]) => asked.has(name)));
  const { opened, unopened } = await openEach('sources', wanted, signal, (name, raw) => openSource(name, readSource(name, raw)));
  try {
    const gates = plan.gates.filter((gate) => gate.source === undefined || !unopened.has(gate.source));
    const { problems, findings } = await preflight({ sources: opened }, { plan, gates, last }, signal);
    const all = [...[...unopened.values()].map(({ problem }) => problem), ...problems].map((problem) => fromSource(gates, problem));
    const once = new Map([...all, ...findings].map((finding) => [JSON.stringify(finding), finding]));
    return [...once.values()].map(hiding(config));
  } finally {
    await closeAll([...opened.values()]);
  }
}

/**
 * Looks at every provider, evaluator, source and notifier of the config as a launch would before it opens, by their own `check`, all at once and each
 * with its own deadline. Nothing is written and no news is sent. Secrets of the config are masked. Never throws.
 */
export async function examine(
  { config, registry, environments = environmentsOf(registry), without = new Set() }: Examination,
  signal: AbortSignal,
): Promise<readonly Examined[]> {
  const context = { log: QUIET, secret: config.secret, databaseUrl: config.flagStore.url, serverUrl: config.server.publicUrl };
  const from = (raw: Readonly<Record<string, unknown>>, skip: boolean) =>
    Object.fromEntries(Object.entries(raw).filter(([name]) => !skip || !without.has(name)));
  const [providers, evaluators, sources, notifiers] = await Promise.all([
    openEach('providers', from(config.providers, true), signal, (name, raw) => openProvider(name, raw, context)),
    openEach('evaluators', from(config.evaluators, true), signal, (name, raw) => openEvaluator(name, raw, context)),
    openEach('sources', config.sources, signal, (name, raw) => openSource(name, readSource(name, raw))),
    openEach('notifiers', config.notifiers, signal, (name, raw) => openNotifier(name, raw)),
  ]);
  const house: Pick<House, 'providers' | 'evaluators' | 'sources'> = { providers: providers.opened, evaluators: evaluators.opened, sources: sources.opened };

  type Kind = Examined['kind'];
  const inEnvironments = (
    kind: Kind,
    known: Iterable<string>,
    unopened: ReadonlyMap<string, Unopened>,
    group: (flags: readonly FlagRef[]) => ReadonlyMap<string, readonly FlagRef[]>,
    look: (name: string, flags: readonly FlagRef[]) => Promise<readonly Problem[]>,
  ): readonly Promise<Examined>[] => {
    const used = environments.map((environment) => ({ environment, flags: group(flagsIn(registry, environment)) }));
    const names = new Set([...known, ...used.flatMap(({ flags }) => [...flags.keys()])]);
    return [...names]
      .filter((name) => !without.has(name))
      .flatMap((name) => {
        const failed = unopened.get(name);
        const places = used.flatMap(({ environment, flags }) => (flags.has(name) ? [{ environment, flags: flags.get(name) ?? [] }] : []));
        const asked = places.length === 0 ? [{ environment: undefined, flags: [] }] : places;
        return asked.map(async ({ environment, flags }): Promise<Examined> => {
          const problems = failed === undefined ? await look(name, flags) : [failed.problem];
          return {
            kind,
            name,
            environments: environment === undefined ? [] : [environment],
            asked: environment === undefined ? 'no flag' : `${count(flags.length, 'flag')} of ${environment}`,
            problems,
          };
        });
      });
  };
  const queries = new Map<string, Query[]>();
  for (const plan of plansOf(config)) for (const [name, some] of queriesOf(plan)) queries.set(name, [...(queries.get(name) ?? []), ...some]);

  try {
    const found = await Promise.all([
      ...inEnvironments(
        'provider',
        Object.keys(config.providers),
        providers.unopened,
        (flags) => Map.groupBy(flags, (flag) => flag.provider),
        (name, flags) => providerProblems(house, name, flags, signal),
      ),
      ...inEnvironments('evaluator', Object.keys(config.evaluators), evaluators.unopened, byEvaluator, (name, flags) =>
        evaluatorProblems(house, name, flags, signal),
      ),
      ...[...new Set([...Object.keys(config.sources), ...queries.keys()])].map(async (name): Promise<Examined> => {
        const asked = [...new Map((queries.get(name) ?? []).map((query) => [JSON.stringify(query), query])).values()];
        const failed = sources.unopened.get(name);
        const problems = failed === undefined ? await sourceProblems(house, name, asked, signal) : [failed.problem];
        return {
          kind: 'source',
          name,
          environments: [],
          asked: asked.length === 0 ? 'nothing: no plan asks it' : count(asked.length, 'query').replace('querys', 'queries'),
          problems,
        };
      }),
      ...Object.keys(config.notifiers).map(async (name): Promise<Examined> => {
        const notifier = notifiers.opened.get(name);
        const failed = notifiers.unopened.get(name);
        const problems =
          notifier === undefined ? (failed === undefined ? [] : [failed.problem]) : await attempt('notifiers', name, signal, (limit) => notifier.check(limit));
        return { kind: 'notifier', name, environments: [], asked: 'whether it would take news', problems };
      }),
    ]);
    const hide = hiding(config);
    return merged(found).map((one) => ({ ...one, problems: one.problems.map(hide) }));
  } finally {
    await closeAll([providers, evaluators, sources, notifiers].flatMap(({ opened }): readonly Closable[] => [...opened.values()]));
  }
}
