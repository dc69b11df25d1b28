import { TestWorkflowEnvironment } from '@temporalio/testing';
import { requireTool } from './require-tool.ts';

/** The time-skipping server: a timer of 24 h takes milliseconds. Time stands still while an activity runs. The caller tears it down. */
export function startTestServer(): Promise<TestWorkflowEnvironment> {
  return TestWorkflowEnvironment.createTimeSkipping({
    server: { executable: { type: 'existing-path', path: requireTool('temporal-test-server') } },
  });
}
