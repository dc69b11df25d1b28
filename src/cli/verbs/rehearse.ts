import path from 'node:path';
import type { Command } from 'commander';
import type { Config } from '../../config.ts';
import type { Order } from '../../core/plan.ts';
import type { Registry } from '../../flags/registry.ts';
import { formatProblem } from '../../plan/problem.ts';
import type { RehearsalResult } from '../../rehearsal/rehearse.ts';
import type { NotApplicable, Scenario } from '../../rehearsal/scenario.ts';
import { cliOf, type Cli } from '../cli.ts';
import { EXIT, Exit, usage } from '../exit.ts';
import { REGISTRY, textOf } from '../input.ts';
import { table } from '../text.ts';

interface RehearseOptions {
  readonly env?: string;
  readonly registry?: string;
  readonly scenario: readonly string[];
  readonly all?: boolean;
  readonly defaults?: boolean;
}

/** `gonogo rehearse`: the whole plan in skipped time, with copies of the flags and scripted people. Exits 0 when every scenario ended as it should, 3 when one did not. */
export function rehearse(program: Command): void {
  program
    .command('rehearse')
    .description('run a whole plan in skipped time: its true durations, copies of its flags, scripted people and numbers; nothing real is written')
    .argument('<plan>', 'plan file; - is stdin')
    .option('-e, --env <environment>', 'in this environment; may be left out where the plan allows only one')
    .option('--registry <file>', `the registry of flags; GONOGO_REGISTRY, that of the config, or ${REGISTRY}`)
    .option(
      '--scenario <name or file>',
      'healthy, breach:2, no-data:2, provider-down:2, nobody-signs:2, no-go:2 (2 is the stage), or a YAML file; again for more',
      (given: string, before: readonly string[]) => [...before, given],
      [],
    )
    .option('--all', 'every built-in scenario for every stage, and a grid')
    .option('--defaults', 'flags as the registry says, whatever the config')
    .action(async (file: string, options: RehearseOptions, command: Command) => {
      const cli = cliOf(command);
      if (options.all === true && options.scenario.length > 0) throw usage('--all and --scenario are both given', 'keep one of them');
      const config = options.defaults === true ? undefined : await configIfAny(cli);
      const registryFile = options.registry ?? (process.env['GONOGO_REGISTRY'] || (config?.registry ?? REGISTRY));
      const { registry, order } = await orderOf(file, registryFile, options.env);
      const scenarios = await scenariosOf(order, options);
      const started = performance.now();
      const results = await run(cli, { order, registry, scenarios, ...(config === undefined ? {} : { config }) }, options.all === true);
      const seconds = (performance.now() - started) / 1_000;
      const flags = config === undefined ? 'as the registry says' : `read at ${[...new Set(order.flags.map((flag) => flag.provider))].join(', ')}`;
      const { gridOf, linesOf, verdictOf, wentWell } = await import('../../rehearsal/story.ts');
      const ok = results.every(wentWell);
      const data = { ok, plan: order.plan.name, planHash: order.hash, environment: order.environment, flags, seconds, scenarios: results };
      cli.print(data, () => {
        const head = `${order.plan.title ?? order.plan.name} in ${order.environment}, plan ${order.hash.slice(0, 12)}, flags ${flags}`;
        const stories = options.all === true ? [] : results.flatMap((result) => ('skipped' in result ? [] : [timeline(linesOf(result)), '']));
        const grid = gridOf(order.plan, results);
        const skipped = results.flatMap((result) => ('skipped' in result ? [verdictOf(result)] : []));
        const verdicts =
          options.all === true ? [table(grid.heads, grid.rows), ...skipped, ...results.filter((one) => !wentWell(one)).map(verdictOf)] : results.map(verdictOf);
        return [head, '', ...stories, ...verdicts, `${seconds.toFixed(1)} s in all; nothing real was written`].join('\n');
      });
      if (!ok) process.exitCode = EXIT.noGo;
    });
}

function timeline(lines: readonly { readonly when: string; readonly who: string; readonly what: string }[]): string {
  return table(
    ['WHEN', 'WHO', 'WHAT'],
    lines.map((line) => [line.when, line.who, line.what]),
  );
}

async function orderOf(file: string, registryFile: string, wanted: string | undefined): Promise<{ readonly registry: Registry; readonly order: Order }> {
  const [{ checkPlan, environmentsFor }, { bindOrder }, { planOf, registryOf }] = await Promise.all([
    import('../../plan/check.ts'),
    import('../../plan/order.ts'),
    import('../plan-file.ts'),
  ]);
  const registry = registryOf(registryFile);
  const loaded = planOf(file);
  if (!loaded.ok) throw new Exit(EXIT.usage, loaded.problems.map((problem) => formatProblem(file, problem)).join('\n'));
  const environments = environmentsFor(loaded.plan, registry);
  const environment = wanted ?? (environments.length === 1 ? environments[0] : undefined);
  if (environment === undefined) throw usage('--env is missing', `give one of ${environments.join(', ')}`);
  const problems = checkPlan(loaded.plan, registry, environment, loaded.places);
  if (problems.length > 0) throw new Exit(EXIT.usage, problems.map((problem) => formatProblem(file, problem)).join('\n'));
  return { registry, order: bindOrder(loaded.plan, registry, environment) };
}

async function scenariosOf({ plan, flags }: Order, options: RehearseOptions): Promise<readonly (Scenario | NotApplicable)[]> {
  const [{ builtIn, everyScenario, STORIES }, { loadScenario }] = await Promise.all([
    import('../../rehearsal/scenario.ts'),
    import('../../rehearsal/scenario-file.ts'),
  ]);
  if (options.all === true) return everyScenario(plan);
  const providers = [...new Set(flags.map((flag) => flag.provider))];
  return (options.scenario.length === 0 ? ['healthy'] : options.scenario).map((given) => {
    const known = builtIn(plan, given);
    if (known !== undefined && 'why' in known) throw usage(`--scenario ${given} cannot be rehearsed with this plan: ${known.why}`, 'choose another stage');
    if (known !== undefined) return known;
    if (!/\.ya?ml$/i.test(given) && !given.includes('/'))
      throw usage(`--scenario is ${JSON.stringify(given)}`, `give healthy, one of ${STORIES.join(', ')} with a stage (breach:2), or a YAML file`);
    const loaded = loadScenario(textOf(given, 'a scenario'), plan, providers, path.basename(given).replace(/\.ya?ml$/i, ''));
    if (!loaded.ok) throw new Exit(EXIT.usage, loaded.problems.map((problem) => formatProblem(given, problem)).join('\n'));
    return loaded.scenario;
  });
}

/** The config where there is one; a missing database is none of a rehearsal's business. */
async function configIfAny(cli: Cli): Promise<Config | undefined> {
  const { ConfigError, loadConfig } = await import('../../config.ts');
  const read = (env: Cli['env']): Config => loadConfig(cli.configFile, env);
  try {
    const config = read(cli.env);
    return config;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    if (error.lines.length > 1 || !error.message.includes('database.url is missing'))
      throw new Exit(EXIT.usage, error.message, 'or --defaults: flags as the registry says');
    const config = read({ ...cli.env, GONOGO_DATABASE_URL: 'postgres://127.0.0.1:1/none' });
    return config.file === undefined ? undefined : config;
  }
}

async function run(
  cli: Cli,
  what: { readonly order: Order; readonly registry: Registry; readonly scenarios: readonly (Scenario | NotApplicable)[]; readonly config?: Config },
  all: boolean,
): Promise<readonly RehearsalResult[]> {
  const [{ quietTemporal, rehearse: go, UnreadFlags }, { MissingTool }, { RefusedRehearsal }, { verdictOf }] = await Promise.all([
    import('../../rehearsal/rehearse.ts'),
    import('../../rehearsal/servers.ts'),
    import('../../rehearsal/run.ts'),
    import('../../rehearsal/story.ts'),
  ]);
  quietTemporal();
  try {
    const onResult = all || what.scenarios.length > 1 ? { onResult: (result: RehearsalResult) => cli.note(verdictOf(result)) } : {};
    return await go({ ...what, people: what.config?.people ?? {}, ...onResult }, cli.signal);
  } catch (error) {
    if (error instanceof MissingTool) throw new Exit(EXIT.error, error.message);
    if (error instanceof UnreadFlags) throw new Exit(EXIT.unreachable, error.message, 'mend it, or --defaults: flags as the registry says');
    if (error instanceof RefusedRehearsal) throw new Exit(EXIT.noGo, `the launch would be refused: ${error.message}`);
    throw error;
  }
}
