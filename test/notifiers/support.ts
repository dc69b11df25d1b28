import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { News } from '../../src/notifiers/notifier.ts';

/** One message as a receiver got it. */
export interface Received {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  readonly news: News;
}

/** A receiver of news on a real port; `status` is what it answers. */
export interface Receiver {
  readonly url: string;
  readonly received: Received[];
  status: number;
  readonly close: () => Promise<void>;
}

/** Opens a receiver. */
export async function openReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      // Who only looks whether it is there sends no news.
      if (request.method === 'POST') received.push({ headers: request.headers, body, news: JSON.parse(body) as News });
      response.writeHead(receiver.status).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/news`,
    received,
    status: 204,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return receiver;
}
