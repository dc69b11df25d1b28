import type { Command } from 'commander';
import { cliOf } from '../cli.ts';
import { launchPath } from '../view.ts';
import { printDone } from './acts.ts';

/** `gonogo tick`: a checklist item is done, with evidence; --undo takes it back. */
export function tick(program: Command): void {
  program
    .command('tick')
    .description('tick a checklist item')
    .argument('<launch>', 'the launch’s id')
    .argument('<item>', 'the item’s id')
    .option('--evidence <text>', 'a text or a link, as the item asks')
    .option('--undo', 'untick it')
    .action(async (launch: string, item: string, options: { evidence?: string; undo?: boolean }, command: Command) => {
      const cli = cliOf(command);
      const body = { done: options.undo !== true, ...(options.evidence === undefined ? {} : { evidence: options.evidence }) };
      const answer = await cli.api().send('POST', launchPath(launch, `/checklist/${encodeURIComponent(item)}`), body);
      printDone(cli, answer, `${item} is ${options.undo === true ? 'unticked' : 'ticked'}`);
    });
}
