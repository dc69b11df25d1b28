import { Client } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { Registry } from 'prom-client';
import { expect, inject, test } from 'vitest';
import { openLog } from '../src/log.ts';
import { installRuntime } from '../src/temporal-runtime.ts';

test("the SDK's own metrics come on gonogo's page", async () => {
  const registry = new Registry();
  const lines: string[] = [];
  const runtime = installRuntime(openLog({ to: { write: (line) => lines.push(line) } }), registry);
  const connection = await NativeConnection.connect({ address: inject('temporalAddress') });
  try {
    const client = new Client({ connection });
    await expect(client.workflow.getHandle('no-such-workflow').describe()).rejects.toMatchObject({ name: 'WorkflowNotFoundError' });
    await expect.poll(() => registry.metrics(), { timeout: 10_000 }).toMatch(/temporal_request\{[^}]*operation="DescribeWorkflowExecution"[^}]*\} 1/);
    expect(await registry.metrics()).toMatch(/temporal_request_latency_bucket\{le="[\d.]+"/);
  } finally {
    await connection.close();
    runtime.stop();
  }
});
