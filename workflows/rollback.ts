import type { RollbackInput } from './messages.ts';
import { restoring } from './proxies.ts';

/** Putting a launch's flags back until it is proven: one activity, retried without end. Everything it needs is in the database. */
export async function rollback({ launch }: RollbackInput): Promise<void> {
  await restoring().putBack(launch);
}
