import express from 'express';
import type { Faults } from './faults.ts';
import { isFault, FAULTS } from './faults.ts';
import { SWITCHES, type Flags } from './flags.ts';
import type { Metrics } from './metrics.ts';
import { contract } from './people.ts';

/** What the pages are made of. */
export interface AppParts {
  readonly flags: Flags;
  readonly metrics: Metrics;
  readonly dumpMadeAt: number;
  /** Whether the queries of the dashboards return data: 1 or 0. */
  readonly dashboards: () => number;
}

/** The files of a conversation's export. */
const EXPORT_FILES = ['README.md', 'messages.csv', 'attachments/', 'metadata.json'];

/** The marketplace's own pages: a contract's communications, the numbers as JSON, and /metrics. */
export function marketplaceApp(parts: AppParts): express.Express {
  const { flags, metrics } = parts;
  const app = express();
  app.disable('x-powered-by');
  app.use((request, response, next) => {
    const began = performance.now();
    response.on('finish', () => {
      const route: unknown = (request as { route?: { path?: unknown } }).route?.path;
      metrics.requested(typeof route === 'string' ? route : 'none', response.statusCode, (performance.now() - began) / 1_000);
    });
    next();
  });
  app.get('/healthz', (_request, response) => void response.json({ ok: true }));
  app.get('/api/marketplace/contracts/:id/communications/', async (request, response) => {
    const who = contract(request.params.id);
    const [transport, ...values] = await Promise.all([flags.transport(who), ...SWITCHES.map((flag) => flags.on(flag, who))]);
    const state = Object.fromEntries(SWITCHES.map((flag, i) => [flag, values[i] ?? false]));
    const open = state['chat.enabled'] === true && state['chat_full_release'] === true;
    response.set('cache-control', 'no-store').json({
      contract: request.params.id,
      flags: { ...state, 'chat.transport': transport },
      chat: { open, mode: transport === 'sse-only' ? 'sse-only' : 'ws+sse' },
    });
  });
  app.get('/numbers', (_request, response) => {
    const recent = metrics.recent();
    response.set('cache-control', 'no-store').json({
      ...recent,
      duplicates: recent.notifications.duplicates,
      dump_age_seconds: (Date.now() - parts.dumpMadeAt) / 1_000,
      dashboards_with_data: parts.dashboards(),
      export_files: EXPORT_FILES,
    });
  });
  app.get('/metrics', async (_request, response) => {
    response.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });
  return app;
}

/** The page by which a demo breaks and mends the marketplace; to be served on loopback only. */
export function adminApp(faults: Faults): express.Express {
  const app = express();
  app.use(express.json());
  app.post('/break', (request, response) => {
    const what: unknown = (request.body as { what?: unknown } | undefined)?.what;
    if (!isFault(what)) {
      response.status(422).json({ detail: `what is ${JSON.stringify(what)}; expected one of ${FAULTS.join(', ')}` });
      return;
    }
    faults.break(what);
    response.json({ broken: what });
  });
  app.post('/mend', (_request, response) => {
    faults.mend();
    response.json({ broken: null });
  });
  return app;
}
