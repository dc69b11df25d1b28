// A process of its own, as in production: the floor's worker, gonogo's three workers and the API, all over one Temporal and one Postgres.
import { createWriteStream } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import axios from 'axios';
import http from 'node:http';
import type { Config } from '../src/config.ts';
import { openLog } from '../src/log.ts';
import { createServer } from '../src/server/server.ts';
import { openStore } from '../src/store/store.ts';
import { openTelemetry } from '../src/telemetry.ts';
import { installRuntime } from '../src/temporal-runtime.ts';
import { startWorker } from '../src/worker.ts';
import { FLOOR_QUEUE, type WorkerAnswer, type WorkerQuestion, type WorkerStart } from './worker-messages.ts';

const start = JSON.parse(process.argv[2] ?? 'null') as WorkerStart | null;
if (start === null || process.send === undefined) throw new Error('this program is started by bench/main.ts; run "npm run bench"');
const tell = (answer: WorkerAnswer): void => void process.send?.(answer);

const file = createWriteStream(start.logFile, { flags: 'a' });
const log = openLog({ to: file });
const telemetry = openTelemetry();
const runtime = installRuntime(log, telemetry.registry);

const config: Config = {
  temporal: { connection: { address: start.temporal }, namespace: 'default', taskQueue: start.taskQueue },
  database: { url: start.databaseUrl },
  flagStore: { url: start.databaseUrl },
  server: { port: 0, host: '127.0.0.1', publicUrl: 'http://127.0.0.1' },
  people: {},
  providers: { builtin: { kind: 'builtin' } },
  evaluators: { store: { kind: 'store' } },
  sources: Object.fromEntries(Array.from({ length: start.slots }, (_, slot) => [`s${slot}`, { kind: 'web', url: `${start.page}/s${slot}` }])),
  notifiers: {},
  hooks: { alertmanager: { bench: { token: start.hookToken, plans: ['*'] } } },
  freezes: [],
  registry: '',
  plansDir: '',
  secret: (reference) => reference,
  secrets: () => [],
};

const gonogo = await startWorker(config, { log, meter: telemetry.meter });

const agent = new http.Agent({ keepAlive: true });
const connection = await NativeConnection.connect({ address: start.temporal });
const floor = await Worker.create({
  connection,
  namespace: 'default',
  taskQueue: FLOOR_QUEUE,
  workflowsPath: fileURLToPath(new URL('./floor-workflow.ts', import.meta.url)),
  activities: {
    async patch(url: string, n: number): Promise<void> {
      await axios.patch(`${url}/${n}`, { on: false }, { httpAgent: agent, proxy: false });
    },
  },
});
const floorRun = floor.run();

const clientConnection = Connection.lazy({ address: start.temporal });
const client = new Client({ connection: clientConnection });
const store = openStore({ url: start.databaseUrl });
const server = createServer({
  store,
  temporal: () => Promise.resolve(client),
  taskQueue: start.taskQueue,
  registry: { entries: new Map(), variables: {} },
  log,
  hooks: config.hooks,
  metrics: telemetry.registry,
});
if (start.serve) await store.prime();
const url = start.serve ? (await server.listen(0)).url : '';

/** Only a collection that finds nothing more, and gives back the pages that it has emptied, tells what is kept. */
async function memory(): Promise<WorkerAnswer> {
  for (let round = 0; round < 4; round += 1) {
    globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const { rss, heapUsed } = process.memoryUsage();
  return { kind: 'memory', rss, heap: heapUsed };
}

async function stop(): Promise<void> {
  if (start?.serve === true) await server.close();
  floor.shutdown();
  await Promise.all([floorRun, gonogo.stop()]);
  await store.close();
  await clientConnection.close();
  await connection.close();
  runtime.stop();
  agent.destroy();
  file.end();
  process.disconnect();
}

process.on('message', (question: WorkerQuestion) => {
  if (question.kind === 'memory') void memory().then(tell);
  else void stop();
});
tell({ kind: 'ready', url });
