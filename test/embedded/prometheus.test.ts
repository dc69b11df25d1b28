import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { startAlertmanager } from '../support/servers/alertmanager.ts';
import { startPrometheus } from '../support/servers/prometheus.ts';
import { hasTool } from '../support/servers/require-tool.ts';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A server that answers every GET with one metric, and remembers the bodies that are posted to it. */
async function target(): Promise<{ address: string; posted: string[] }> {
  const posted: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      if (request.method === 'POST') posted.push(body);
      response.setHeader('content-type', 'text/plain; version=0.0.4').end('errors_total 7\n');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, posted };
}

async function valueOf(url: string, query: string): Promise<string | undefined> {
  const answer = await fetch(`${url}/api/v1/query?query=${query}`, { signal: AbortSignal.timeout(1000) });
  const body = (await answer.json()) as { data: { result: { value: [number, string] }[] } };
  return body.data.result[0]?.value[1];
}

describe.skipIf(!hasTool('prometheus'))('Prometheus', () => {
  test('serves within seconds what it scrapes each second, and nothing while frozen', async () => {
    const { address } = await target();
    const prometheus = await startPrometheus({
      global: { scrape_interval: '1s' },
      scrape_configs: [{ job_name: 'app', static_configs: [{ targets: [address] }] }],
    });
    cleanups.push(prometheus.stop);
    await vi.waitFor(async () => expect(await valueOf(prometheus.url, 'errors_total')).toBe('7'), { timeout: 15_000 });
    prometheus.freeze();
    await expect(valueOf(prometheus.url, 'errors_total')).rejects.toThrow(/abort|timeout/i);
    prometheus.thaw();
    await vi.waitFor(async () => expect(await valueOf(prometheus.url, 'errors_total')).toBe('7'), { timeout: 5_000 });
  });
});

describe.skipIf(!hasTool('alertmanager'))('Alertmanager', () => {
  test('sends the alert that it is given to its webhook', async () => {
    const { address, posted } = await target();
    const alertmanager = await startAlertmanager({
      route: { receiver: 'hook', group_wait: '0s' },
      receivers: [{ name: 'hook', webhook_configs: [{ url: `http://${address}/` }] }],
    });
    cleanups.push(alertmanager.stop);
    const answer = await fetch(`${alertmanager.url}/api/v2/alerts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify([{ labels: { alertname: 'TooManyErrors' } }]),
    });
    expect(answer.status).toBe(200);
    await vi.waitFor(() => expect(posted.join()).toContain('TooManyErrors'), { timeout: 10_000 });
  });
});
