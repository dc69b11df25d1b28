import type { Command } from 'commander';
import { cliOf } from '../cli.ts';
import { DATA_DIR } from '../input.ts';

/** `gonogo start`: everything in one process and one folder: a real Postgres, Temporal, API and worker, on loopback. */
export function start(program: Command): void {
  program
    .command('start')
    .description('run everything here: Postgres, Temporal, API and worker, with their data in one folder')
    .option('--data <dir>', 'the folder', DATA_DIR)
    .option('-e, --env <environment>', 'flags of the registry that the built-in store lacks are made as they are in this one', 'stage')
    .option('--port <port>', 'the API’s; 7077, or that of the config')
    .action(async (options: { data: string; env: string; port?: string }, command: Command) => {
      const { startEverything } = await import('../embedded.ts');
      await startEverything(cliOf(command), options);
    });
}
