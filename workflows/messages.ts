import type { Outcome } from '../src/core/event.ts';
import type { Order } from '../src/core/plan.ts';

/** What a launch is started with. `order` is the plan bound to its environment, already divided by `speed`. */
export interface LaunchInput {
  readonly launch: string;
  readonly order: Order;
  readonly startedBy: string;
  readonly note?: string;
  readonly speed: number;
  /** The watcher's heartbeat timeout, ms; 0 is none, for skipped time. Default 10 s. */
  readonly heartbeat?: number;
}

/** What a rollback is started with; everything else is in the database. */
export interface RollbackInput {
  readonly launch: string;
}

/** How a launch workflow ends: with the launch's outcome. */
export interface Ending {
  readonly outcome: Outcome;
}

/** Why a launch was refused before anything was written. */
export interface RefusedLaunch {
  readonly code: 'flag_locked' | 'not_ready' | 'plan_refused';
  readonly problems: readonly { readonly where: string; readonly message: string; readonly hint: string }[];
}

/** The type of the failure that carries a RefusedLaunch as its first detail. */
export const REFUSED = 'Refused';

/** Names under which workflows and their messages are known; changing one breaks running launches. */
export const NAMES = { launch: 'launch', rollback: 'rollback', cleared: 'cleared', passed: 'passed', stopped: 'stopped' } as const;

/** A stage's clearance is complete, or its bake is earned: only a nudge, the database decides. */
export interface Nudge {
  readonly stage: string;
}

/** Workflow ids: `launch:<id>` and `rollback:<id>`. */
export const workflowId = { launch: (launch: string) => `launch:${launch}`, rollback: (launch: string) => `rollback:${launch}` } as const;

/** The three task queues under one prefix: a rollback's slots are never taken by anything else. */
export function queues(prefix: string): { readonly launch: string; readonly watch: string; readonly rollback: string } {
  return { launch: `${prefix}-launch`, watch: `${prefix}-watch`, rollback: `${prefix}-rollback` };
}
