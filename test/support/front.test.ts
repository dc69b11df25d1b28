import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { httpFront, tcpFront, type Front } from './front.ts';

let heard: string[] = [];
let vendor: http.Server;
let front: Front;

beforeAll(async () => {
  vendor = http.createServer((request, response) => {
    heard.push(`${request.method ?? ''} ${request.url ?? ''}`);
    if (request.url === '/stream') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: 1\n\n');
      return;
    }
    response
      .writeHead(request.method === 'GET' ? 200 : 201, { 'content-type': 'text/plain', 'x-vendor': 'yes' })
      .end(request.method === 'GET' ? 'as it stands' : 'done');
  });
  await new Promise<void>((resolve) => vendor.listen(0, '127.0.0.1', resolve));
  front = await httpFront(`http://127.0.0.1:${(vendor.address() as AddressInfo).port}`);
});
afterEach(async () => {
  await front.clear();
  front.forget();
  heard = [];
});
afterAll(async () => {
  await front.close();
  vendor.closeAllConnections();
  await new Promise((resolve) => vendor.close(resolve));
});

async function ask(method: string, path = '/flag', ms = 5_000): Promise<string> {
  const response = await fetch(front.url + path, { method, signal: AbortSignal.timeout(ms), ...(method === 'GET' ? {} : { body: '{"on":true}' }) });
  return `${response.status} ${await response.text()}`;
}

describe('a front of HTTP', () => {
  it('passes everything on, and keeps what was said', async () => {
    expect(await ask('GET', '/flag?env=prod')).toBe('200 as it stands');
    expect(await ask('PATCH')).toBe('201 done');
    expect(heard).toEqual(['GET /flag?env=prod', 'PATCH /flag']);
    expect(front.seen[1]).toMatchObject({ method: 'PATCH', url: '/flag', body: '{"on":true}' });
    expect(front.used()).toBe(true);
  });

  it('answers in place of the vendor, only what matches, as often as told', async () => {
    front.next({ match: ({ method }) => method === 'PATCH', times: 2, answer: { status: 429, headers: { 'retry-after': '3' }, body: 'wait' } });
    expect(front.used()).toBe(false);
    expect(await ask('GET')).toBe('200 as it stands');
    expect([await ask('PATCH'), await ask('PATCH'), await ask('PATCH')]).toEqual(['429 wait', '429 wait', '201 done']);
    expect(heard).toEqual(['GET /flag', 'PATCH /flag']);
    expect(front.used()).toBe(true);
  });

  it('hangs until it is cleared, and the vendor never hears of it', async () => {
    front.next({ answer: 'hang' });
    await expect(ask('PATCH', '/flag', 100)).rejects.toThrow('timeout');
    front.next({ answer: 'hang' });
    const second = expect(ask('PATCH')).rejects.toThrow('fetch failed');
    await expect.poll(() => front.seen.length).toBe(2);
    await front.clear();
    await second;
    expect(heard).toEqual([]);
    expect(await ask('PATCH')).toBe('201 done');
  });

  it('refuses every connection until it is cleared', async () => {
    front.next({ answer: 'refuse' });
    await expect(ask('PATCH')).rejects.toThrow('fetch failed');
    await expect(ask('GET')).rejects.toMatchObject({ cause: { code: 'ECONNREFUSED' } });
    await front.clear();
    expect(await ask('GET')).toBe('200 as it stands');
    expect(heard).toEqual(['GET /flag']);
  });

  it('cuts after the vendor has done it', async () => {
    front.next({ answer: 'cut-after-apply' });
    await expect(ask('PATCH')).rejects.toThrow('fetch failed');
    expect(heard).toEqual(['PATCH /flag']);
  });

  it('says 200 with what stands, and the vendor never hears of the write', async () => {
    front.next({ answer: 'ok-without-effect' });
    expect(await ask('PATCH')).toBe('200 as it stands');
    expect(heard).toEqual(['GET /flag']);
  });

  it('lets something else happen first, and answers what is made up at that moment', async () => {
    front.next({
      answer: {
        first: () => {
          heard.push('somebody else');
          return Promise.resolve();
        },
      },
    });
    front.next({ answer: { instead: ({ body }) => Promise.resolve({ status: 200, body: `made up for ${body}` }) } });
    expect(await ask('PATCH')).toBe('201 done');
    expect(await ask('PATCH')).toBe('200 made up for {"on":true}');
    expect(heard).toEqual(['somebody else', 'PATCH /flag']);
  });

  it('passes a stream on as it comes', async () => {
    const stop = new AbortController();
    const response = await fetch(`${front.url}/stream`, { signal: stop.signal });
    const first = await response.body?.getReader().read();
    expect(Buffer.from(first?.value ?? []).toString()).toBe('data: 1\n\n');
    stop.abort();
  });
});

describe('a front of TCP', () => {
  it('passes on, hangs, refuses, and cuts after the vendor has answered', async () => {
    const got: string[] = [];
    const echo = net.createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (bytes) => {
        got.push(bytes.toString());
        socket.write(`did ${bytes.toString()}`);
      });
    });
    await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
    const wire = await tcpFront((echo.address() as AddressInfo).port);
    const say = async (text: string): Promise<string> => {
      const socket = net.connect(wire.port, '127.0.0.1');
      try {
        socket.write(text);
        const ended = Promise.race([once(socket, 'data'), once(socket, 'close').then(() => ['cut'])]);
        return String((await ended)[0]);
      } catch (error) {
        return error instanceof Error && 'code' in error ? String(error.code) : String(error);
      } finally {
        socket.destroy();
      }
    };
    try {
      expect(await say('one')).toBe('did one');
      wire.next({ match: ({ body }) => body === 'two', answer: 'cut-after-apply' });
      expect(await say('two')).toBe('cut');
      expect(got).toEqual(['one', 'two']);
      wire.next({ answer: 'hang' });
      const hung = say('three');
      await expect.poll(() => wire.seen.length).toBe(3);
      await wire.clear();
      expect(await hung).toBe('cut');
      wire.next({ answer: 'refuse' });
      expect(await say('four')).toMatch(/cut|ECONNRESET/);
      expect(await say('five')).toBe('ECONNREFUSED');
      await wire.clear();
      expect(await say('six')).toBe('did six');
      expect(got).toEqual(['one', 'two', 'six']);
    } finally {
      await wire.close();
      await new Promise((resolve) => echo.close(resolve));
    }
  });
});
