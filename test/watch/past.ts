import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { openSource, sourceConfig } from '../../src/sources/index.ts';
import type { MetricSource } from '../../src/sources/source.ts';

/** Prometheus' query API over numbers that a test says: 0, but for the spans told. It remembers them all. */
export interface Past {
  readonly source: MetricSource;
  /** `query` was `value` from `from` to `to` (ms). */
  was(query: string, value: number, from: number, to: number): void;
  close(): Promise<void>;
}

/** Starts it on a free port. Freshness queries are answered with an age of 1 s. */
export async function openPast(): Promise<Past> {
  const spans: { query: string; value: number; from: number; to: number }[] = [];
  const valueAt = (query: string, at: number) => spans.find((span) => span.query === query && span.from <= at && at <= span.to)?.value ?? 0;
  const series = (query: string): readonly { readonly metric: Record<string, string>; readonly at: (time: number) => number }[] =>
    query.includes('timestamp(')
      ? [
          { metric: { gonogo: '0' }, at: () => 1 },
          { metric: { gonogo: 'now' }, at: (time) => time / 1_000 },
        ]
      : [{ metric: {}, at: (time) => valueAt(query, time) }];
  const server = http.createServer((request, response) => {
    let body = '';
    request.on('data', (bytes: Buffer) => (body += bytes.toString()));
    request.on('end', () => {
      const form = new URLSearchParams(body);
      const found = series(form.get('query') ?? '');
      const [start, end, step] = ['start', 'end', 'step'].map((name) => Number(form.get(name)) * 1_000);
      const times: number[] = [];
      for (let at = start ?? 0; at <= (end ?? 0) && (step ?? 0) > 0; at += step ?? 1) times.push(at);
      const now = Date.now();
      const data = request.url?.endsWith('query_range')
        ? { resultType: 'matrix', result: found.map(({ metric, at }) => ({ metric, values: times.map((time) => [time / 1_000, String(at(time))]) })) }
        : { resultType: 'vector', result: found.map(({ metric, at }) => ({ metric, value: [now / 1_000, String(at(now))] })) };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ status: 'success', data }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    source: openSource('prometheus', sourceConfig.parse({ kind: 'prometheus', url: `http://127.0.0.1:${port}`, timeout: 2_000 })),
    was: (query, value, from, to) => void spans.push({ query, value, from, to }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
