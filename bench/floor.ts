import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { FLOOR_QUEUE } from './worker-messages.ts';

/** The bare floor: how long Temporal alone takes from a signal to an effect on this machine. */
export interface Floor {
  /** Measures `n` times, one after the other; ms each. */
  measure(n: number): Promise<readonly number[]>;
  close(): Promise<void>;
}

/** So many workflows take turns, so that none grows a long history. */
const WORKFLOWS = 10;

/** Starts the workflows and the server that they send their PATCH to. */
export async function openFloor(client: Client): Promise<Floor> {
  const waiting = new Map<string, (at: number) => void>();
  const server = http.createServer((request, response) => {
    const at = performance.now();
    waiting.get(request.url ?? '')?.(at);
    request.resume();
    response.writeHead(204).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const handles: WorkflowHandle[] = await Promise.all(
    Array.from({ length: WORKFLOWS }, (_, index) => client.workflow.start('floor', { workflowId: `floor:${index}`, taskQueue: FLOOR_QUEUE, args: [url] })),
  );
  let count = 0;

  async function once(): Promise<number> {
    const n = count;
    count += 1;
    const handle = handles[n % WORKFLOWS];
    if (handle === undefined) throw new Error('no floor workflow was started');
    const arrived = new Promise<number>((resolve) => waiting.set(`/${n}`, resolve));
    const began = performance.now();
    await Promise.all([handle.signal('go', n), arrived]);
    waiting.delete(`/${n}`);
    return (await arrived) - began;
  }

  return {
    async measure(n) {
      const taken: number[] = [];
      for (let i = 0; i < n; i += 1) taken.push(await once());
      return taken;
    },
    async close() {
      await Promise.all(handles.map((handle) => handle.signal('end')));
      await Promise.all(handles.map((handle) => handle.result()));
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
