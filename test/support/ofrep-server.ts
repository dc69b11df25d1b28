import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import type { FlagView } from '../../src/flags/cache.ts';
import { evaluateAll, evaluateOne, type OfrepAnswer, type OfrepOptions } from '../../src/flags/ofrep.ts';

/** A bare server that answers OFREP from a view of flags. */
export interface OfrepServer {
  readonly url: string;
  /** Requests served since the start, by path. */
  readonly served: string[];
  close(): Promise<void>;
}

/** Mounts the OFREP handlers on a bare express app; with `token`, others get 401. */
export async function serveOfrep(view: () => FlagView, options: OfrepOptions, token?: string): Promise<OfrepServer> {
  const served: string[] = [];
  const app = express();
  app.use(express.json());
  app.use((request, response, next) => {
    served.push(request.path);
    if (token === undefined || request.headers.authorization === `Bearer ${token}`) next();
    else response.status(401).json({ errorDetails: 'no' });
  });
  const send = (response: express.Response, answer: OfrepAnswer): void => {
    if (answer.etag !== undefined) response.set('ETag', answer.etag);
    response.status(answer.status);
    if (answer.body === undefined) response.end();
    else response.json(answer.body);
  };
  app.post('/ofrep/v1/evaluate/flags', (request, response) =>
    send(response, evaluateAll(view(), request.body as unknown, request.headers['if-none-match'], options)),
  );
  app.post('/ofrep/v1/evaluate/flags/:key', (request, response) => send(response, evaluateOne(view(), request.params.key, request.body as unknown, options)));
  const server = await new Promise<Server>((resolve) => {
    const listening = app.listen(0, '127.0.0.1', () => resolve(listening));
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    served,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
