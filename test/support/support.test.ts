import { Connection } from '@temporalio/client';
import pg from 'pg';
import { describe, expect, inject, test } from 'vitest';
import { freshDatabase } from './database.ts';
import { startTestServer } from './servers/test-server.ts';
import { hasTool } from './servers/require-tool.ts';

test('every test file gets an empty database of its own', async () => {
  const [one, two] = [await freshDatabase(), await freshDatabase()];
  try {
    const client = new pg.Client({ connectionString: one.url });
    await client.connect();
    await client.query('create table mine ()');
    await client.end();
    const other = new pg.Client({ connectionString: two.url });
    await other.connect();
    await expect(other.query('select * from mine')).rejects.toThrow(/does not exist/);
    await other.end();
  } finally {
    await one.drop();
    await two.drop();
  }
});

test("the run's Temporal answers", async () => {
  const connection = await Connection.connect({ address: inject('temporalAddress') });
  const { namespaceInfo } = await connection.workflowService.describeNamespace({ namespace: 'default' });
  expect(namespaceInfo?.name).toBe('default');
  await connection.close();
});

describe.skipIf(!hasTool('temporal-test-server'))('the time-skipping server', () => {
  test('passes a day in less than ten seconds', async () => {
    const server = await startTestServer();
    try {
      const before = await server.currentTimeMs();
      const began = Date.now();
      await server.sleep('24h');
      expect((await server.currentTimeMs()) - before).toBeGreaterThanOrEqual(24 * 3_600_000);
      expect(Date.now() - began).toBeLessThan(10_000);
    } finally {
      await server.teardown();
    }
  });
});
