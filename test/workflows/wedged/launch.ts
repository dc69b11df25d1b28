import type { WorkflowInterceptors } from '@temporalio/workflow';

/** A deploy that breaks every launch right after its first shift: its code throws, and Temporal tries the task again for ever. */
export const interceptors = (): WorkflowInterceptors => ({
  outbound: [
    {
      scheduleActivity(input, next) {
        if (input.activityType === 'witness') throw new Error('this version cannot go on after a shift');
        return next(input);
      },
    },
  ],
});
