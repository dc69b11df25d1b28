import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { afterEach, describe, expect, test } from 'vitest';
import { freePort, isAlive } from '../../src/embedded/process.ts';
import { startTemporal } from '../../src/embedded/temporal.ts';
import type { Temporal } from '../../src/embedded/temporal.ts';
import { requireTool } from '../support/servers/require-tool.ts';
import { serverDir } from '../support/servers/server-dir.ts';

const starter = fileURLToPath(new URL('../support/servers/start-temporal.ts', import.meta.url));
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function dbFile(): string {
  const place = serverDir('embedded');
  cleanups.push(place.remove);
  return path.join(place.dir, 'temporal.db');
}

async function started(options: { dbFile: string; port?: number }): Promise<Temporal> {
  const temporal = await startTemporal({
    ...options,
    cli: requireTool('temporal'),
    headless: true,
    log: () => undefined,
    searchAttributes: { State: 'Keyword' },
  });
  cleanups.push(temporal.stop);
  return temporal;
}

async function withClient<Result>(temporal: Temporal, work: (client: Client) => Promise<Result>): Promise<Result> {
  const connection = await Connection.connect({ address: temporal.address });
  try {
    return await work(new Client({ connection, namespace: temporal.namespace }));
  } finally {
    await connection.close();
  }
}

async function startWorkflow(temporal: Temporal, id: string): Promise<void> {
  await withClient(temporal, (client) => client.workflow.start('launch', { workflowId: id, taskQueue: 'nobody', args: [] }));
}

async function statusOf(temporal: Temporal, id: string): Promise<string> {
  return withClient(temporal, async (client) => (await client.workflow.getHandle(id).describe()).status.name);
}

describe("Temporal's dev server", () => {
  test('still knows its workflows when it was killed and started again on the same port and file', async () => {
    const file = dbFile();
    const first = await started({ dbFile: file, port: await freePort() });
    await startWorkflow(first, 'survivor');
    process.kill(first.pid, 'SIGKILL');
    const second = await started({ dbFile: file, port: Number(first.address.split(':')[1]) });
    expect(second.address).toBe(first.address);
    expect(second.takenOver).toBe(false);
    expect(await statusOf(second, 'survivor')).toBe('RUNNING');
    await second.stop();
    expect(isAlive(second.pid)).toBe(false);
  });

  test('is taken over when the program that started it was killed, and ended when another port is asked for', async () => {
    const file = dbFile();
    const child = spawn(process.execPath, [starter, file], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(child, 'exit');
    cleanups.push(() => child.kill('SIGKILL'));
    const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
    child.kill('SIGKILL');
    await exited;
    const left = Number(chunk.toString());
    const mine = await started({ dbFile: file });
    expect(mine).toMatchObject({ pid: left, takenOver: true });
    await startWorkflow(mine, 'survivor');
    const port = await freePort();
    const other = await started({ dbFile: file, port });
    expect(isAlive(left)).toBe(false);
    expect(other).toMatchObject({ address: `127.0.0.1:${port}`, takenOver: false });
    expect(await statusOf(other, 'survivor')).toBe('RUNNING');
  });
});
