import type { Command } from 'commander';
import { formatProblem } from '../../plan/problem.ts';
import { cliOf } from '../cli.ts';
import { EXIT, Exit } from '../exit.ts';
import { REGISTRY } from '../input.ts';

/** `gonogo explain`: the plan told as a story, without a server. A plan with problems is told too, if it can be read; the problems follow and the exit is 2. */
export function explain(program: Command): void {
  program
    .command('explain')
    .description('tell a plan as a story: who sees what and when, what is watched, who signs; needs no server')
    .argument('<plan>', 'plan file; - is stdin')
    .option('-e, --env <environment>', 'in this environment')
    .option('--registry <file>', 'the registry of flags', process.env['GONOGO_REGISTRY'] || REGISTRY)
    .action(async (file: string, options: { env?: string; registry: string }, command: Command) => {
      const cli = cliOf(command);
      const [{ checkPlan }, { explain: story }, { planOf, registryOf }] = await Promise.all([
        import('../../plan/check.ts'),
        import('../../plan/explain.ts'),
        import('../plan-file.ts'),
      ]);
      const registry = registryOf(options.registry);
      const loaded = planOf(file);
      if (!loaded.ok) throw new Exit(EXIT.usage, loaded.problems.map((problem) => formatProblem(file, problem)).join('\n'));
      const told = story(loaded.plan, registry, options.env);
      const problems = checkPlan(loaded.plan, registry, options.env, loaded.places);
      cli.print(
        { plan: loaded.plan.name, story: told, problems },
        () => told.join('\n'),
        () => told.map((line) => `- ${line}`).join('\n'),
      );
      if (problems.length > 0) throw new Exit(EXIT.usage, problems.map((problem) => formatProblem(file, problem)).join('\n'));
    });
}
