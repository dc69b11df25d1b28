import type { Registry as Metrics } from 'prom-client';
import { within } from '../nudge.ts';
import { openApi } from '../openapi.ts';
import type { Answer, Call, Route } from '../route.ts';

async function ready({ deps }: Call<unknown>): Promise<Answer> {
  const ask = async (work: Promise<unknown>): Promise<'ok' | 'unreachable'> =>
    within(1_000, work, 'readiness').then(
      () => 'ok' as const,
      () => 'unreachable' as const,
    );
  const [database, temporal] = await Promise.all([
    ask(deps.store.urgent('select 1', [], 'ready')),
    ask(deps.temporal().then((client) => client.withDeadline(Date.now() + 1_000, () => client.workflowService.getSystemInfo({})))),
  ]);
  // Without Temporal rollbacks, people's acts and reading still work: this server must go on being asked.
  return { status: database === 'ok' ? 200 : 503, body: { ready: database === 'ok', database, temporal } };
}

/** What operators and programs ask of the server itself. `routes` are all others, for the OpenAPI document. */
export function operationRoutes(metrics: Metrics, routes: readonly Route[], publicUrl: string | undefined): readonly Route[] {
  let document: unknown;
  const own: readonly Route[] = [
    {
      method: 'get',
      path: '/metrics',
      summary: 'Metrics in the Prometheus text format',
      access: 'anyone',
      responses: { 200: 'The metrics' },
      handle: async () => ({ status: 200, text: await metrics.metrics(), type: metrics.contentType }),
    },
    {
      method: 'get',
      path: '/healthz',
      summary: 'Whether this process lives',
      access: 'anyone',
      responses: { 200: 'It lives' },
      handle: () => Promise.resolve({ status: 200, body: { ok: true } }),
    },
    {
      method: 'get',
      path: '/readyz',
      summary: 'Whether it can do its work: the database answers',
      access: 'anyone',
      responses: { 200: 'Ready', 503: 'The database does not answer' },
      handle: ready,
    },
    {
      method: 'get',
      path: '/openapi.json',
      summary: 'This document',
      access: 'anyone',
      responses: { 200: 'The OpenAPI 3.1 document' },
      handle: () => Promise.resolve({ status: 200, body: (document ??= openApi([...routes, ...own], publicUrl)) }),
    },
  ];
  return own;
}
