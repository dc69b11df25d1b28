import type { Command } from 'commander';
import { cliOf } from '../cli.ts';

/** `gonogo serve`: the API, the alert hooks and the janitor, as the config says; as many as you like, they keep nothing. */
export function serve(program: Command): void {
  program
    .command('serve')
    .description('run an API server on the database and Temporal of the config')
    .action(async (_options: unknown, command: Command) => {
      const cli = cliOf(command);
      const [{ configOf }, { configuredRegistry, processLog, untilTold }] = await Promise.all([import('../house-keys.ts'), import('../process.ts')]);
      const config = configOf(cli, cli.env, false);
      const log = processLog(cli, config, 'serve');
      const [{ startServing }, { openTelemetry }] = await Promise.all([import('../../serve.ts'), import('../../telemetry.ts')]);
      const serving = await startServing(config, { log, registry: configuredRegistry(config), metrics: openTelemetry().registry });
      log.info({ url: serving.url }, 'serving');
      await untilTold(async (signal) => {
        log.info({ signal }, 'ending');
        await serving.stop();
        log.info({}, 'ended');
      });
    });
}
