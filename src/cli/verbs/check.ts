import type { Command } from 'commander';
import { formatProblem, type Problem } from '../../plan/problem.ts';
import { cliOf } from '../cli.ts';
import { EXIT } from '../exit.ts';
import { REGISTRY } from '../input.ts';

interface Checked {
  readonly file: string;
  readonly ok: boolean;
  readonly planHash?: string;
  readonly problems: readonly Problem[];
}

/** `gonogo check`: everything wrong with plans, without a server. Exits 2 when there is something. */
export function check(program: Command): void {
  program
    .command('check')
    .description('say everything that is wrong with plans; needs no server')
    .argument('<plan...>', 'plan files; - is stdin')
    .option('-e, --env <environment>', 'for this environment; every one that the plan allows when left out')
    .option('--registry <file>', 'the registry of flags', process.env['GONOGO_REGISTRY'] || REGISTRY)
    .action(async (files: string[], options: { env?: string; registry: string }, command: Command) => {
      const cli = cliOf(command);
      const [{ checkPlan }, { bindOrder }, { planOf, registryOf }] = await Promise.all([
        import('../../plan/check.ts'),
        import('../../plan/order.ts'),
        import('../plan-file.ts'),
      ]);
      const registry = registryOf(options.registry);
      const checked = files.map((file): Checked => {
        const loaded = planOf(file);
        const problems = loaded.ok ? checkPlan(loaded.plan, registry, options.env, loaded.places) : loaded.problems;
        const hash = loaded.ok && problems.length === 0 && options.env !== undefined ? bindOrder(loaded.plan, registry, options.env).hash : undefined;
        return { file, ok: problems.length === 0, ...(hash === undefined ? {} : { planHash: hash }), problems };
      });
      cli.print(checked.length === 1 ? checked[0] : checked, () => checked.map(words).join('\n'));
      if (checked.some((one) => !one.ok)) process.exitCode = EXIT.usage;
    });
}

function words({ file, problems, planHash }: Checked): string {
  if (problems.length === 0) return `✓ ${file}${planHash === undefined ? '' : `  plan ${planHash}`}`;
  return problems.map((problem) => formatProblem(file, problem)).join('\n');
}
