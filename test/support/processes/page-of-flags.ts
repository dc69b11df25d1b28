import http from 'node:http';
import type { AddressInfo } from 'node:net';
import pg from 'pg';

/** A world that some flags break: numbers by name, bad exactly while the flag behind the number has reached a share. */
export interface PageOfFlags {
  readonly url: string;
  /** `number` is 5 (bad) while the flag's share is at least `share`, else 0. Without a flag it is always 0. */
  add(number: string, breaks?: { readonly flag: string; readonly share: number }): void;
  close(): Promise<void>;
}

/** Serves the numbers as one JSON document, read from the flag store itself at each request: what is shown is what users of the flags would suffer. */
export async function openPageOfFlags(flagsUrl: () => string): Promise<PageOfFlags> {
  const numbers = new Map<string, { readonly flag: string; readonly share: number } | undefined>();
  let pool: pg.Pool | undefined;
  async function document(): Promise<Record<string, number>> {
    if (pool === undefined) {
      pool = new pg.Pool({ connectionString: flagsUrl(), max: 4 });
      pool.on('error', () => undefined);
    }
    const { rows } = await pool.query<{ key: string; share: number }>(
      `select key, (exposure->>'share')::float8 as share from flag where (exposure->>'share')::float8 > 0`,
    );
    const shares = new Map(rows.map((row) => [row.key, row.share]));
    return Object.fromEntries([...numbers].map(([name, breaks]) => [name, breaks !== undefined && (shares.get(breaks.flag) ?? 0) >= breaks.share ? 5 : 0]));
  }
  const server = http.createServer((_request, response) => {
    document().then(
      (body) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
      () => response.writeHead(500).end('trouble'),
    );
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    add: (number, breaks) => void numbers.set(number, breaks),
    close: async () => {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      await pool?.end();
    },
  };
}
