import type { Command } from 'commander';
import { parseDuration } from '../../core/duration.ts';
import type { Plan } from '../../core/plan.ts';
import type { Finding } from '../../core/finding.ts';
import { formatProblem, type Problem } from '../../plan/problem.ts';
import { cliOf, type Cli } from '../cli.ts';
import { EXIT, usage } from '../exit.ts';
import { REGISTRY } from '../input.ts';
import { clean } from '../text.ts';

interface Checked {
  readonly file: string;
  readonly ok: boolean;
  readonly planHash?: string;
  readonly problems: readonly Problem[];
  /** What the gates' sources say now, with --live. */
  readonly findings?: readonly Finding[];
}

interface Options {
  readonly env?: string;
  readonly registry: string;
  readonly live?: true;
  readonly last: string;
}

/** How far back --live looks when nothing is said. */
const LAST = '3h';
const LONGEST_LAST = 48 * 3_600_000;

/**
 * `gonogo check`: everything wrong with plans, without a server. Exits 2 when there is something. With --live the gates' sources are asked too;
 * exits 3 when a launch would be refused for what they say.
 */
export function check(program: Command): void {
  program
    .command('check')
    .description('say everything that is wrong with plans; needs no server (--live asks the sources of the config)')
    .argument('<plan...>', 'plan files; - is stdin')
    .option('-e, --env <environment>', 'for this environment; every one that the plan allows when left out')
    .option('--registry <file>', 'the registry of flags', process.env['GONOGO_REGISTRY'] || REGISTRY)
    .option('--live', 'try the gates too, as a launch would: ask their sources now, and look at the past; needs the config')
    .option('--last <duration>', 'with --live: how much of the past the gates are tried on; 0s is none', LAST)
    .action(async (files: string[], options: Options, command: Command) => {
      const cli = cliOf(command);
      const [{ checkPlan }, { bindOrder }, { planOf, registryOf }] = await Promise.all([
        import('../../plan/check.ts'),
        import('../../plan/order.ts'),
        import('../plan-file.ts'),
      ]);
      const registry = registryOf(options.registry);
      const live = options.live === true ? await liveOf(cli, options.last) : undefined;
      const lookAt = async (file: string): Promise<Checked> => {
        const loaded = planOf(file);
        const problems = loaded.ok ? checkPlan(loaded.plan, registry, options.env, loaded.places) : loaded.problems;
        const hash = loaded.ok && problems.length === 0 && options.env !== undefined ? bindOrder(loaded.plan, registry, options.env).hash : undefined;
        const findings = live !== undefined && loaded.ok && problems.length === 0 ? await live(loaded.plan) : undefined;
        return {
          file,
          ok: problems.length === 0 && !refuses(findings),
          ...(hash === undefined ? {} : { planHash: hash }),
          problems,
          ...(findings === undefined ? {} : { findings }),
        };
      };
      const checked = await Promise.all(files.map(lookAt));
      cli.print(checked.length === 1 ? checked[0] : checked, () => checked.map(words).join('\n'));
      if (checked.some(({ problems }) => problems.length > 0)) process.exitCode = EXIT.usage;
      else if (checked.some(({ findings }) => refuses(findings))) process.exitCode = EXIT.noGo;
    });
}

function refuses(findings: readonly Finding[] | undefined): boolean {
  return findings?.some(({ severity }) => severity === 'error') === true;
}

/** How the gates of a plan are tried on the sources of the config. The database that it may lack is not needed for that. */
async function liveOf(cli: Cli, given: string): Promise<(plan: Plan) => Promise<readonly Finding[]>> {
  const last = parseDuration(given);
  if (last === undefined || last > LONGEST_LAST) throw usage(`--last is ${given}; expected a duration up to 48h`, `e.g. --last ${LAST}`);
  const [{ configOf }, { tryGates }] = await Promise.all([import('../house-keys.ts'), import('../../doctor.ts')]);
  const config = configOf(cli, { GONOGO_DATABASE_URL: 'postgres://127.0.0.1/none', ...cli.env });
  return (plan) => tryGates(config, plan, last, cli.signal);
}

const MARK = { error: '✗', warning: '!', note: '·' } as const;

function words({ file, problems, planHash, findings }: Checked): string {
  if (problems.length > 0) return problems.map((problem) => formatProblem(file, problem)).join('\n');
  const head = `${refuses(findings) ? '✗' : '✓'} ${file}${planHash === undefined ? '' : `  plan ${planHash}`}`;
  const lines = (findings ?? []).flatMap(({ severity, where, found, expected, hint }) => [
    `${MARK[severity]} ${clean(where)}  ${clean(found)}; expected ${clean(expected)}`,
    ...(hint === 'nothing' ? [] : [`   → ${clean(hint)}`]),
  ]);
  return [head, ...lines].join('\n');
}
