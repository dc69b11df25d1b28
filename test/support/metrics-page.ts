import http from 'node:http';
import type { AddressInfo } from 'node:net';

/** A small web server with a JSON document of numbers, for the `web` source: what a test says is what the world looks like. */
export interface MetricsPage {
  readonly url: string;
  /** Replaces numbers; null makes one missing. */
  set(values: Readonly<Record<string, number | null>>): void;
  /** Answers with this status from now on (200 is well), or never (`hang`), or not at all (`refuse`). */
  behave(how: number | 'hang' | 'refuse'): Promise<void>;
  /** Milliseconds (performance.now) at which the first answer with `key` = `value` left. */
  firstServed(key: string, value: number): number | undefined;
  readonly asked: () => number;
  close(): Promise<void>;
}

/** Starts the page on a free port. */
export async function openMetricsPage(values: Readonly<Record<string, number | null>> = {}): Promise<MetricsPage> {
  const numbers = new Map<string, number | null>(Object.entries(values));
  const served = new Map<string, number>();
  let how: number | 'hang' = 200;
  let asked = 0;
  const server = http.createServer((_request, response) => {
    asked += 1;
    if (how === 'hang') return;
    if (how !== 200) {
      response.writeHead(how).end('trouble');
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json' });
    const seen = [...numbers];
    response.end(JSON.stringify(Object.fromEntries(seen)), () => {
      for (const [key, value] of seen) if (!served.has(`${key}=${String(value)}`)) served.set(`${key}=${String(value)}`, performance.now());
    });
  });
  const listen = (port: number) => new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return {
    url: `http://127.0.0.1:${port}/`,
    set: (more) => {
      for (const [key, value] of Object.entries(more)) numbers.set(key, value);
    },
    behave: async (next) => {
      if (next === 'refuse') {
        await close();
        return;
      }
      how = next;
      if (!server.listening) await listen(port);
    },
    firstServed: (key, value) => served.get(`${key}=${String(value)}`),
    asked: () => asked,
    close,
  };
}
