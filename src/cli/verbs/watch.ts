import { Option, type Command } from 'commander';
import { cliOf } from '../cli.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { ended, follow, waitsForPeople } from '../follow.ts';
import { spanOf } from '../span.ts';
import type { LaunchView } from '../../core/view.ts';

type Until = 'bake-end' | 'signed' | 'done';

/** `gonogo watch`: a line per change until the launch ends, or its bake, or its sign-offs; survives restarts of the server. */
export function watch(program: Command): void {
  program
    .command('watch')
    .description(
      'follow a launch, a line per change; exits 0 launched, 3 no-go or aborted, 5 rolled back and proven, 6 not proven, 7 waits for people, 8 time is over',
    )
    .argument('<launch>', 'the launch’s id')
    .addOption(new Option('--until <what>', 'what to wait for').choices(['bake-end', 'signed', 'done']).default('done'))
    .option('--timeout <span>', 'give up after, e.g. 2h')
    .action(async (launch: string, options: { until: Until; timeout?: string }, command: Command) => {
      const cli = cliOf(command);
      const timeout = spanOf('--timeout', options.timeout);
      process.exitCode = await follow(cli, { launch, decide: decider(options.until), ...(timeout === undefined ? {} : { timeout }) });
    });
}

/** What ends the watching. `bake-end`: the stage that bakes when it is first seen has baked. `signed`: sign-offs that were open are given. */
export function decider(until: Until): (view: LaunchView) => ExitCode | undefined {
  let baking: string | undefined;
  let asked = false;
  return (view) => {
    const over = ended(view);
    if (over !== undefined || until === 'done') return over;
    if (view.state === 'no-go') return EXIT.noGo;
    if (until === 'bake-end') {
      if (
        baking !== undefined &&
        (view.stage !== baking || (view.state !== 'baking' && view.state !== 'shifting' && view.state !== 'held' && view.state !== 'rolling-back'))
      )
        return EXIT.done;
      if (view.state === 'baking' || view.state === 'watching') baking ??= view.stage;
      return baking === undefined && waitsForPeople(view) ? EXIT.waiting : undefined;
    }
    if (view.state === 'waiting') asked = true;
    else if (asked && (view.state === 'shifting' || view.state === 'baking' || view.state === 'watching')) return EXIT.done;
    return undefined;
  };
}
