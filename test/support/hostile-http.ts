import { createServer, type Socket } from 'node:net';

/** What a hostile server does with a connection once it has read the head of a request. */
export type Behaviour = (socket: Socket) => void;

/** A server that answers whatever it is told to, down to the bytes. */
export interface HostileHttp {
  readonly url: string;
  /** From now on every request gets this. */
  behave(behaviour: Behaviour): void;
  /** Requests seen so far, head and what came with it, oldest first. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

const head = (status: number, length: number, type: string, extra = ''): string =>
  `HTTP/1.1 ${status} Said\r\ncontent-type: ${type}\r\ncontent-length: ${length}\r\nconnection: close\r\n${extra}\r\n`;

/** A whole answer. */
export const says =
  (status: number, body: string, type = 'application/json', extra = ''): Behaviour =>
  (socket) =>
    void socket.end(head(status, Buffer.byteLength(body), type, extra) + body);

/** Takes the request and never answers. */
export const hangs: Behaviour = () => undefined;

/** Sends the head and half of the body, then nothing more. */
export const stalls =
  (body: string): Behaviour =>
  (socket) =>
    void socket.write(head(200, Buffer.byteLength(body), 'application/json') + body.slice(0, body.length / 2));

/** Sends half of the body and closes. */
export const cuts =
  (body: string): Behaviour =>
  (socket) =>
    void socket.end(head(200, Buffer.byteLength(body), 'application/json') + body.slice(0, body.length / 2));

/** Closes without a word. */
export const slams: Behaviour = (socket) => void socket.destroy();

/** Sends more than anyone should read. */
export const floods =
  (bytes: number): Behaviour =>
  (socket) =>
    void socket.end(head(200, bytes, 'application/json') + ' '.repeat(bytes));

/** Not HTTP at all. */
export const babbles: Behaviour = (socket) => void socket.end('SSH-2.0-OpenSSH_9.2\r\n');

/** Starts one on a free port of 127.0.0.1; it hangs until it is told how to behave. */
export async function hostileHttp(): Promise<HostileHttp> {
  let behaviour: Behaviour = hangs;
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    let read = '';
    socket.on('data', (chunk) => {
      read += chunk.toString();
      const end = read.indexOf('\r\n\r\n');
      const length = Number(/content-length: (\d+)/i.exec(read)?.[1] ?? 0);
      if (end < 0 || read.length - end - 4 < length) return;
      requests.push(read);
      read = '';
      behaviour(socket);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port; expected one on 127.0.0.1');
  return {
    url: `http://127.0.0.1:${address.port}`,
    behave: (next) => {
      behaviour = next;
    },
    requests,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => {
          resolve();
        });
      }),
  };
}
