import type { WorkflowInterceptors } from '@temporalio/workflow';

/** A deploy that breaks the rollback workflow: its code throws before it does anything. */
export const interceptors = (): WorkflowInterceptors => ({
  outbound: [
    {
      scheduleActivity(input, next) {
        if (input.activityType === 'putBack') throw new Error('this version cannot put anything back');
        return next(input);
      },
    },
  ],
});
