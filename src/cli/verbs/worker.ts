import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Command } from 'commander';
import type { Telemetry } from '../../telemetry.ts';
import { cliOf } from '../cli.ts';
import { usage } from '../exit.ts';

/** `gonogo worker`: launches, watchers and rollbacks of the config's task queues; as many as you like. */
export function worker(program: Command): void {
  program
    .command('worker')
    .description('run a worker: launches, watchers, rollbacks and news, as the config says')
    .option('--metrics-port <port>', 'serve /metrics and /healthz there; GONOGO_METRICS_PORT', process.env['GONOGO_METRICS_PORT'])
    .action(async (options: { metricsPort?: string }, command: Command) => {
      const cli = cliOf(command);
      const port = options.metricsPort === undefined || options.metricsPort === '' ? undefined : Number(options.metricsPort);
      if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535))
        throw usage(`--metrics-port is ${JSON.stringify(options.metricsPort)}; expected a port`);
      const [{ configOf }, { processLog, untilTold }] = await Promise.all([import('../house-keys.ts'), import('../process.ts')]);
      const config = configOf(cli);
      const log = processLog(cli, config, 'worker');
      const [{ startWorker }, { openTelemetry }, { installRuntime }] = await Promise.all([
        import('../../worker.ts'),
        import('../../telemetry.ts'),
        import('../../temporal-runtime.ts'),
      ]);
      const telemetry = openTelemetry();
      const runtime = installRuntime(log, telemetry.registry);
      const running = await startWorker(config, { log, meter: telemetry.meter });
      const page = port === undefined ? undefined : await metricsPage(telemetry, config.server.host, port);
      log.info({ taskQueue: config.temporal.taskQueue, ...(page === undefined ? {} : { metrics: page.url }) }, 'working');
      await untilTold(async (signal) => {
        log.info({ signal }, 'ending');
        await running.stop();
        runtime.stop();
        page?.close();
        log.info({}, 'ended');
      });
    });
}

async function metricsPage(telemetry: Telemetry, host: string, port: number): Promise<{ readonly url: string; close(): void }> {
  const server = createServer((request, response) => {
    if (request.url === '/healthz') response.end('ok\n');
    else if (request.url === '/metrics') {
      telemetry.text().then(
        (text) => response.setHeader('content-type', telemetry.contentType).end(text),
        (error: unknown) => response.writeHead(500).end(error instanceof Error ? error.message : 'failed'),
      );
    } else response.writeHead(404).end();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const address = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
