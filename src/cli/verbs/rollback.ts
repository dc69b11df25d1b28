import type { Command } from 'commander';
import { cliOf } from '../cli.ts';
import { EXIT } from '../exit.ts';
import { ended, follow } from '../follow.ts';
import { spanOf } from '../span.ts';
import { launchPath } from '../view.ts';
import { printDone } from './acts.ts';

/** `gonogo rollback`: everything back to what it was before the launch. With --wait exits 5 once proven, 6 when it could not be proven in time. */
export function rollback(program: Command): void {
  program
    .command('rollback')
    .description('put every flag back; with --wait exits 5 once proven, 6 when it is not')
    .argument('<launch>', 'the launch’s id')
    .option('--reason <text>', 'why; it is written down')
    .option('--wait', 'until it is proven at the evaluators')
    .option('--timeout <span>', 'with --wait: give up after, e.g. 10m')
    .action(async (launch: string, options: { reason?: string; wait?: boolean; timeout?: string }, command: Command) => {
      const cli = cliOf(command);
      const timeout = spanOf('--timeout', options.timeout);
      const reason = await cli.need(options.reason, '--reason', 'Why');
      await cli.confirm(`Roll back ${launch}?`);
      const answer = await cli.api().send('POST', launchPath(launch, '/rollback'), { reason });
      if (options.wait !== true) {
        printDone(cli, answer, `${launch}: rollback asked for. Wait for the proof: gonogo rollback ${launch} --reason ... --wait`);
        return;
      }
      const code = await follow(cli, { launch, decide: ended, ...(timeout === undefined ? {} : { timeout }) });
      // Aborted is rolled back before anything had moved: every flag is what it was.
      process.exitCode = code === EXIT.noGo ? EXIT.rolledBack : code;
    });
}
