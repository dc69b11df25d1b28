import type { Command } from 'commander';
import { cliOf, type Cli } from '../cli.ts';
import { clean } from '../text.ts';
import { launchPath } from '../view.ts';

/** Says what was done, by the launch's headline where the server gave one. */
export function printDone(cli: Cli, answer: unknown, done: string): void {
  const line: unknown = typeof answer === 'object' && answer !== null ? Reflect.get(answer, 'headline') : undefined;
  cli.print(answer ?? { done: true }, () => (typeof line === 'string' ? `${done}\n${clean(line)}` : done));
}

/** An act on a launch that takes a reason and nothing else: hold, resume, conclude. */
export function reasonedAct(program: Command, verb: 'hold' | 'resume' | 'conclude', description: string, done: string): void {
  program
    .command(verb)
    .description(description)
    .argument('<launch>', 'the launch’s id')
    .option('--reason <text>', 'why; it is written down')
    .action(async (launch: string, options: { reason?: string }, command: Command) => {
      const cli = cliOf(command);
      const reason = await cli.need(options.reason, '--reason', 'Why');
      const answer = await cli.api().send('POST', launchPath(launch, `/${verb}`), { reason });
      printDone(cli, answer, `${launch}: ${done}`);
    });
}
