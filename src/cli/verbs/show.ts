import type { Command } from 'commander';
import { cliOf } from '../cli.ts';
import { getView, renderView } from '../view.ts';

/** `gonogo show`: one launch as it stands. Exits 0 however it stands; `watch` tells by its code. */
export function show(program: Command): void {
  program
    .command('show')
    .description('show a launch: headline, stages, gates with value, limit and age, who is waited for, flags')
    .argument('<launch>', 'the launch’s id')
    .action(async (launch: string, _options: unknown, command: Command) => {
      const cli = cliOf(command);
      const view = await getView(cli, launch);
      cli.print(view, () => renderView(cli, view, Date.now()));
    });
}
