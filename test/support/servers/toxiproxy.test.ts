import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isAlive } from '../../../src/embedded/process.ts';
import type { Freezable } from './freezable.ts';
import { hasTool } from './require-tool.ts';
import { startToxiproxy, type Proxy, type Toxiproxy } from './toxiproxy.ts';

describe.skipIf(!hasTool('toxiproxy-server'))('a proxy of faults', () => {
  let toxiproxy: Freezable<Toxiproxy>;
  let server: http.Server;
  let proxy: Proxy;
  beforeAll(async () => {
    toxiproxy = await startToxiproxy();
    server = http.createServer((_request, response) => response.end('x'.repeat(10_000)));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    proxy = await toxiproxy.proxy('app', `127.0.0.1:${(server.address() as AddressInfo).port}`);
  });
  afterAll(async () => {
    server.closeAllConnections();
    server.close();
    await toxiproxy.stop();
  });
  /** One request on a connection of its own: how long it took, or why it failed. */
  const ask = (within = 5_000): Promise<{ readonly ms: number; readonly bytes: number }> =>
    new Promise((resolve, reject) => {
      const began = performance.now();
      let bytes = 0;
      // Kept alive: a server that closes after its answer would end what is to hang.
      const options = { agent: false, headers: { connection: 'keep-alive' }, signal: AbortSignal.timeout(within) } as const;
      const request = http.get(`http://${proxy.address}/`, options, (response) => {
        response.on('data', (chunk: Buffer) => (bytes += chunk.length));
        response.on('end', () => {
          request.destroy();
          resolve({ ms: performance.now() - began, bytes });
        });
        response.on('error', reject);
      });
      request.on('error', reject);
    });

  it('lets everything through where no fault is on', async () => {
    expect(await ask()).toMatchObject({ bytes: 10_000 });
  });

  it('delays while a latency is on, and no longer once it is off', async () => {
    const off = await proxy.add({ type: 'latency', latency: 400 });
    expect((await ask()).ms).toBeGreaterThan(390);
    expect(await proxy.toxics()).toEqual(['latency_downstream']);
    await off();
    expect(await proxy.toxics()).toEqual([]);
    expect((await ask()).ms).toBeLessThan(390);
  });

  it('swallows answers, cuts them short, and resets connections', async () => {
    const silent = await proxy.add({ type: 'timeout', timeout: 0 });
    await expect(ask(300)).rejects.toThrow(/abort|timeout/i);
    await silent();
    const cut = await proxy.add({ type: 'limit_data', bytes: 2_000 });
    await expect(ask()).rejects.toThrow(/aborted|hang up|ECONNRESET/);
    await cut();
    const reset = await proxy.add({ type: 'reset_peer', timeout: 0 });
    await expect(ask()).rejects.toThrow(/ECONNRESET|hang up/);
    await reset();
    expect(await ask()).toMatchObject({ bytes: 10_000 });
  });

  it('refuses connections while it is disabled, and takes them at the same address again', async () => {
    const { address } = proxy;
    await proxy.setEnabled(false);
    await expect(ask()).rejects.toThrow(/ECONNREFUSED/);
    await proxy.setEnabled(true);
    expect(proxy.address).toBe(address);
    expect(await ask()).toMatchObject({ bytes: 10_000 });
  });

  it('has no fault left after a reset, and its toxicity spares those outside the share', async () => {
    await proxy.add({ type: 'latency', latency: 60_000 });
    await toxiproxy.reset();
    expect(await proxy.toxics()).toEqual([]);
    await proxy.add({ type: 'latency', latency: 60_000 }, { toxicity: 0 });
    expect(await ask()).toMatchObject({ bytes: 10_000 });
    await toxiproxy.reset();
  });

  it('says what it was asked when it refuses', async () => {
    await expect(toxiproxy.proxy('app', '127.0.0.1:1')).rejects.toThrow(/409 to POST \/proxies/);
  });

  it('is gone once it is stopped', async () => {
    const other = await startToxiproxy();
    await other.stop();
    expect(isAlive(other.pid)).toBe(false);
    await expect(fetch(`${other.url}/version`)).rejects.toThrow();
  });
});
