import http from 'node:http';
import net from 'node:net';

/** One thing said to the vendor. Of a protocol that is not HTTP, `method` is `TCP`, `url` is empty and `body` holds the bytes as latin1. */
export interface Exchange {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A whole answer. */
export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/**
 * What becomes of an exchange. An answer: given in the vendor's place, which never hears of it. `hang`: the vendor never
 * hears of it and no answer comes. `refuse`: from now on, until `clear`, nothing listens and every connection is broken.
 * `cut-after-apply`: the vendor does it, its answer is thrown away and the connection broken. `ok-without-effect`: 200
 * with what a GET of the same address says (HTTP only). `instead`: an answer made at that moment. `first`: something
 * else happens, then it is passed on.
 */
export type Spoil =
  | Answer
  | 'hang'
  | 'refuse'
  | 'cut-after-apply'
  | 'ok-without-effect'
  | { readonly instead: (exchange: Exchange) => Promise<Answer> }
  | { readonly first: () => Promise<void> };

/** One entry of the script: the next `times` (default 1) exchanges that match (default: any) get `answer`. */
export interface Script {
  readonly match?: (exchange: Exchange) => boolean;
  readonly times?: number;
  readonly answer: Spoil;
}

/** Stands in front of a vendor on a port of its own and passes everything on, but for what its script spoils. */
export interface Front {
  readonly port: number;
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  /** Adds to the script; the oldest entry that matches and is not used up decides. */
  readonly next: (script: Script) => void;
  /** Empties the script, breaks what hangs, and listens again. */
  readonly clear: () => Promise<void>;
  /** Everything that was said since the start or the last `forget`, oldest first. */
  readonly seen: readonly Exchange[];
  readonly forget: () => void;
  /** Whether every entry of the script was used at least once: what a test spoils was really said. */
  readonly used: () => boolean;
  readonly close: () => Promise<void>;
}

interface Written {
  readonly script: Script;
  uses: number;
}

/** The script and what was heard: the same for every protocol. */
function director(): {
  readonly front: Pick<Front, 'next' | 'seen' | 'forget' | 'used'>;
  readonly hear: (exchange: Exchange) => Spoil | undefined;
  readonly empty: () => void;
} {
  let scripts: Written[] = [];
  const seen: Exchange[] = [];
  return {
    front: {
      next(script) {
        scripts.push({ script, uses: 0 });
      },
      seen,
      forget() {
        seen.length = 0;
      },
      used: () => scripts.every(({ uses }) => uses > 0),
    },
    hear(exchange) {
      seen.push(exchange);
      const found = scripts.find(({ script, uses }) => uses < (script.times ?? 1) && script.match?.(exchange) !== false);
      if (found === undefined) return undefined;
      found.uses += 1;
      return found.script.answer;
    },
    empty() {
      scripts = [];
    },
  };
}

/** A listener that can be taken away and brought back on its port. */
interface Door {
  readonly port: number;
  readonly sockets: Set<net.Socket>;
  shut(): Promise<void>;
  open(): Promise<void>;
}

async function door(server: net.Server): Promise<Door> {
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  const listen = (port: number): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => {
        server.off('error', reject);
        resolve();
      });
    });
  await listen(0);
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the front has no port; expected one on 127.0.0.1');
  let closing: Promise<void> | undefined;
  return {
    port: address.port,
    sockets,
    shut() {
      closing ??= new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      });
      return closing;
    },
    async open() {
      if (closing === undefined) return;
      await closing;
      closing = undefined;
      await listen(address.port);
    },
  };
}

function plain(headers: http.IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]));
}

async function bytesOf(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** A front of a vendor that speaks HTTP at `target`. Answers are passed on byte by byte, so that a stream of events stays one. */
export async function httpFront(target: string): Promise<Front> {
  const vendor = new URL(target);
  const base = vendor.pathname.replace(/\/+$/, '');
  const { front, hear, empty } = director();
  // Each request has a connection of its own, so that what is broken here breaks nothing else.
  const ask = (exchange: Exchange, method: string, body: Buffer): Promise<http.IncomingMessage> =>
    new Promise((resolve, reject) => {
      const headers = { ...exchange.headers, host: vendor.host, 'content-length': String(body.length) };
      const options = { host: vendor.hostname, port: vendor.port, method, path: base + exchange.url, headers, agent: false };
      http.request(options, resolve).on('error', reject).end(body);
    });

  async function unchanged(exchange: Exchange): Promise<Answer> {
    const answer = await ask(exchange, 'GET', Buffer.alloc(0));
    const body = await bytesOf(answer as AsyncIterable<Buffer>);
    const fine = (answer.statusCode ?? 500) < 300;
    return fine ? { status: 200, headers: { 'content-type': answer.headers['content-type'] ?? 'application/json' }, body: body.toString() } : { status: 200 };
  }

  const hung = new Set<net.Socket>();
  const server = http.createServer((request, response) => {
    void serve(request, response).catch(() => response.destroy());
  });
  const way = await door(server);

  async function serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const body = await bytesOf(request as AsyncIterable<Buffer>);
    const exchange: Exchange = { method: request.method ?? 'GET', url: request.url ?? '/', headers: plain(request.headers), body: body.toString() };
    const spoil = hear(exchange);
    if (spoil === 'hang') return void hung.add(request.socket);
    if (spoil === 'refuse') return void way.shut();
    const answer =
      spoil === 'ok-without-effect' ? await unchanged(exchange) : typeof spoil === 'object' && 'instead' in spoil ? await spoil.instead(exchange) : spoil;
    if (typeof answer === 'object' && 'status' in answer) {
      response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers }).end(answer.body ?? '');
      return;
    }
    if (typeof answer === 'object' && 'first' in answer) await answer.first();
    const given = await ask(exchange, exchange.method, body);
    if (spoil === 'cut-after-apply') {
      await bytesOf(given as AsyncIterable<Buffer>);
      request.socket.destroy();
      return;
    }
    response.writeHead(given.statusCode ?? 502, given.headers);
    given.pipe(response);
    response.on('close', () => given.destroy());
  }

  return {
    ...front,
    port: way.port,
    url: `http://127.0.0.1:${way.port}`,
    async clear() {
      empty();
      // Only what hangs: a kept connection that is broken under a client would be one more fault.
      for (const socket of hung) socket.destroy();
      hung.clear();
      await way.open();
    },
    async close() {
      empty();
      await way.shut();
    },
  };
}

/** A front of a vendor that speaks some other protocol on `port` of this machine: what a client sends in one go is one exchange. */
export async function tcpFront(port: number): Promise<Front> {
  const { front, hear, empty } = director();
  const hung = new Set<net.Socket>();
  const server = net.createServer();
  const way = await door(server);
  server.on('connection', (near) => {
    const far = net.connect(port, '127.0.0.1');
    let cut = false;
    let waiting = Promise.resolve();
    near.on('data', (bytes) => {
      waiting = waiting.then(async () => {
        if (hung.has(near)) return;
        const spoil = hear({ method: 'TCP', url: '', headers: {}, body: bytes.toString('latin1') });
        if (spoil === 'hang') return void hung.add(near);
        if (spoil === 'refuse') return void way.shut();
        if (spoil === 'cut-after-apply') cut = true;
        else if (typeof spoil === 'object' && 'first' in spoil) await spoil.first();
        else if (spoil !== undefined) throw new Error('a TCP front can only hang, refuse, cut-after-apply and do something first');
        far.write(bytes);
      });
      waiting.catch((error: unknown) => near.destroy(error instanceof Error ? error : new Error(String(error))));
    });
    far.on('data', (bytes) => {
      if (cut) near.destroy();
      else near.write(bytes);
    });
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      socket.on('error', () => other.destroy());
      socket.on('close', () => other.destroy());
    }
  });
  return {
    ...front,
    port: way.port,
    url: `tcp://127.0.0.1:${way.port}`,
    async clear() {
      empty();
      // Only what hangs: a kept connection that is broken under a client would be one more fault.
      for (const socket of hung) socket.destroy();
      hung.clear();
      await way.open();
    },
    async close() {
      empty();
      await way.shut();
    },
  };
}
