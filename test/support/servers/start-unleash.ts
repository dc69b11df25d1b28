// A program of its own that runs a real Unleash server, as told by the JSON in its environment: its own process, so that it can be frozen and killed.
import { start } from 'unleash-server';

const { GONOGO_UNLEASH: given } = process.env;
if (given === undefined) throw new Error('GONOGO_UNLEASH is missing; expected JSON {databaseUrl, port, tokens}');
const { databaseUrl, port, tokens } = JSON.parse(given) as { databaseUrl: string; port: number; tokens: [] };
const server = await start({
  databaseUrl,
  db: { ssl: false },
  server: { host: '127.0.0.1', port },
  // Nothing leaves this machine.
  versionCheck: { enable: false },
  telemetry: false,
  disableScheduler: false,
  logLevel: 'warn' as never,
  authentication: { initApiTokens: tokens },
});
process.once('SIGTERM', () => void server.stop().finally(() => process.exit(0)));
