import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FlagView } from '../../../src/flags/cache.ts';
import { evaluate } from '../../../src/flags/evaluate.ts';

/** An app that shows its users' flags at `/users/<key>/<team>/flags`, as `{flags: {<key>: value}}`; `deleted` does not exist. */
export interface App {
  readonly url: string;
  readonly served: string[];
  close(): Promise<void>;
}

/** Serves the app from a view of flags. */
export async function serveApp(view: () => FlagView): Promise<App> {
  const served: string[] = [];
  const server = http.createServer((request, response) => {
    const path = request.url ?? '';
    served.push(path);
    const [, key = '', team = ''] = /^\/users\/([^/]+)\/([^/]+)\/flags$/.exec(path) ?? [];
    if (key === '' || key === 'deleted') {
      response.writeHead(404).end();
      return;
    }
    const asker = { key: decodeURIComponent(key), attributes: { team: decodeURIComponent(team) } };
    const { flags, segments } = view();
    const values = Object.fromEntries([...flags.values()].map((flag) => [flag.key, evaluate(flag, asker, segments).value]));
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ flags: values }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    served,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
