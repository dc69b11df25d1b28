// The marketplace: a small app in a process of its own, whose users get what the flags say. Settings come from the environment (README.md).
import type { Server } from 'node:http';
import type { Express } from 'express';
import { adminApp, marketplaceApp } from './app.ts';
import { watchDashboards } from './dashboards.ts';
import { openFaults } from './faults.ts';
import { openFlags } from './flags.ts';
import { openMetrics } from './metrics.ts';
import { startTraffic } from './traffic.ts';

const DAY = 86_400_000;

function setting(name: string, fallback?: string): string {
  const value = process.env[name] ?? fallback;
  if (value === undefined || value === '') throw new Error(`${name} is not set; expected it in the marketplace's environment (demo/marketplace/README.md)`);
  return value;
}

function listen(app: Express, port: number, host: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = app.listen(port, host, (error) => (error === undefined ? resolve(server) : reject(error)));
  });
}

const host = setting('MARKETPLACE_HOST', '127.0.0.1');
const port = Number(setting('MARKETPLACE_PORT', '8090'));
const adminPort = Number(setting('MARKETPLACE_ADMIN_PORT', '8091'));
const window = Number(setting('MARKETPLACE_WINDOW_SECONDS', '60')) * 1_000;
// The dump was made two days before this process: what a checklist with "at most 7 days" wants to see.
const dumpMadeAt = Date.now() - 2 * DAY;

const metrics = openMetrics(dumpMadeAt, window);
const faults = openFaults();
const flags = await openFlags(setting('FLAGS_URL'), setting('FLAGS_TOKEN'), (flag) => metrics.flagReadFailed(flag));
const dashboards = watchDashboards(process.env['PROMETHEUS_URL']);
const servers = await Promise.all([
  listen(marketplaceApp({ flags, metrics, dumpMadeAt, dashboards: dashboards.filled }), port, host),
  // Whoever may break the app sits on this machine, wherever the app itself listens.
  listen(adminApp(faults), adminPort, '127.0.0.1'),
]);
const visit = async (id: string): Promise<void> => {
  const answer = await fetch(`http://127.0.0.1:${port}/api/marketplace/contracts/${id}/communications/`, { signal: AbortSignal.timeout(2_000) });
  await answer.arrayBuffer();
};
const stopTraffic = startTraffic({ flags, metrics, faults, visit });
console.log(JSON.stringify({ listening: `http://${host}:${port}`, admin: `http://127.0.0.1:${adminPort}`, pid: process.pid }));

// Whoever started it may be killed without a word: nobody would stop it then.
const parent = process.env['MARKETPLACE_PARENT'];
if (parent !== undefined) {
  setInterval(() => {
    if (process.ppid !== Number(parent)) process.exit(0);
  }, 1_000);
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    stopTraffic();
    dashboards.stop();
    for (const server of servers) {
      server.close();
      server.closeAllConnections();
    }
    void flags.close().finally(() => process.exit(0));
  });
}
