import { TestWorkflowEnvironment } from '@temporalio/testing';
import { requireTool } from './require-tool.ts';

/** The time-skipping server: a timer of 24 h takes milliseconds. Time stands still while an activity runs. The caller tears it down. */
export async function startTestServer(): Promise<TestWorkflowEnvironment> {
  const server = { executable: { type: 'existing-path', path: requireTool('temporal-test-server') } } as const;
  for (let tries = 1; ; tries += 1) {
    try {
      return await TestWorkflowEnvironment.createTimeSkipping({ server });
    } catch (error) {
      // The SDK gives it 5 s, which a machine under load does not always have.
      if (tries === 4 || !String(error).includes('did not start within')) throw error;
    }
  }
}
