import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from '@temporalio/client';
import { createServer, type Server } from '../../src/server/server.ts';
import { eventsOf } from '../../src/store/events.ts';
import { openStage } from '../../src/store/stages.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { pausingProxy, type PausingProxy } from '../support/pausing-proxy.ts';
import { quietLog } from '../support/world.ts';
import { HOOKS, openBench, type Bench } from './support.ts';

let bench: Bench;
let proxy: PausingProxy;
let store: Store;
let server: Server;
let url: string;

beforeAll(async () => {
  bench = await openBench();
  const through = new URL(bench.databaseUrl);
  proxy = await pausingProxy(Number(through.port));
  through.hostname = '127.0.0.1';
  through.port = String(proxy.port);
  store = openStore({ url: through.href });
  await store.prime();
  server = createServer({
    store,
    temporal: () => Promise.reject<Client>(new Error('none')),
    taskQueue: 'none',
    registry: bench.registry,
    log: quietLog,
    hooks: HOOKS,
  });
  ({ url } = await server.listen(0));
});
afterAll(async () => {
  proxy.resume();
  await server.close();
  await store.close();
  await proxy.close();
  await bench.close();
});

/** A launch whose first clearance is complete: an alert ends it. */
async function cleared(): Promise<string> {
  const launch = await bench.open();
  await openStage(bench.store, launch, 'dark', new Date().toISOString(), []);
  await bench.call('POST', `/api/launches/${launch}/checklist/load-test`, { as: 'dmitri', body: { done: true, evidence: 'https://a.example' } });
  for (const [as, role] of [
    ['dmitri', 'qa'],
    ['anna', 'release-engineer'],
  ] as const)
    await bench.call('POST', `/api/launches/${launch}/stages/dark/sign-offs`, { as, body: { role, decision: 'go' } });
  return launch;
}

async function alert(startsAt: string): Promise<{ readonly status: number; readonly code: unknown; readonly ms: number }> {
  const began = performance.now();
  const response = await fetch(`${url}/hooks/alertmanager`, {
    method: 'POST',
    headers: { authorization: `Bearer ${HOOKS.alertmanager.prometheus.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      version: '4',
      groupKey: 'k',
      status: 'firing',
      alerts: [{ status: 'firing', labels: { severity: 'page', service: 'chat' }, startsAt, fingerprint: 'f' }],
    }),
  });
  const { code } = (await response.json()) as { code?: unknown };
  return { status: response.status, code, ms: performance.now() - began };
}

describe('while the database is frozen', () => {
  test('a webhook is told 503 within 2 s, and acts when it is sent again', async () => {
    const launch = await cleared();
    const startsAt = new Date().toISOString();
    proxy.pause();
    const refused = await alert(startsAt);
    expect(refused).toMatchObject({ status: 503, code: 'database_unreachable' });
    expect(refused.ms).toBeLessThan(2_000);
    proxy.resume();
    expect((await alert(startsAt)).status).toBe(202);
    expect((await eventsOf(bench.store.db, launch)).filter((logged) => logged.event.kind === 'rollback-requested')).toHaveLength(1);
  });

  test('a person who rolls back is told 503, not that it is done', async () => {
    const launch = await bench.open();
    proxy.pause();
    const began = performance.now();
    const response = await fetch(`${url}/api/launches/${launch}/rollback`, {
      method: 'POST',
      headers: { authorization: `Bearer ${bench.tokens.carl}`, 'content-type': 'application/json' },
      body: JSON.stringify({ reason: 'now' }),
    });
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ code: 'database_unreachable' });
    expect(performance.now() - began).toBeLessThan(3_000);
    proxy.resume();
  });
});
