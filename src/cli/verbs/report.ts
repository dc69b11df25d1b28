import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { cliOf } from '../cli.ts';
import { usage } from '../exit.ts';
import { clean } from '../text.ts';
import { launchPath } from '../view.ts';

/** `gonogo report`: the launch's record, byte for byte as the server gives it: Markdown, or JSON with -o json. */
export function report(program: Command): void {
  program
    .command('report')
    .description('the launch’s record: Markdown, or JSON with -o json')
    .argument('<launch>', 'the launch’s id')
    .option('--file <path>', 'write it there instead')
    .action(async (launch: string, options: { file?: string }, command: Command) => {
      const cli = cliOf(command);
      if (cli.format === 'yaml' || cli.format === 'jsonl') throw usage(`a report has no form ${cli.format}; expected md or json`);
      const text = await cli.api().text(launchPath(launch, '/report'), cli.format === 'json' ? 'application/json' : 'text/markdown');
      if (options.file === undefined) {
        // At a terminal escape sequences of a plan's texts must not act; into a file or pipe go the server's own bytes.
        cli.raw(process.stdout.isTTY ? text.split('\n').map(clean).join('\n') : text);
        return;
      }
      try {
        writeFileSync(options.file, text);
      } catch (error) {
        throw usage(`${options.file} cannot be written (${error instanceof Error && 'code' in error ? String(error.code) : String(error)})`);
      }
      cli.note(`report of ${launch} in ${options.file}`);
    });
}
