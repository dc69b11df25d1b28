import { continueAsNew, sleep, workflowInfo } from '@temporalio/workflow';
import type { RollbackInput } from './messages.ts';
import { restoring } from './proxies.ts';

/** When the patrol looks, ms from one look to the next: each 10 s for 2 min, then each minute to 15 min. */
const PATROL = [...Array<number>(12).fill(10_000), ...Array<number>(13).fill(60_000)];

/**
 * Putting a launch's flags back until it is proven: one activity, retried without end. Everything it needs is in the
 * database. Where a hand may still be frozen before a write that nothing fences, a patrol walks afterwards.
 */
export async function rollback(input: RollbackInput): Promise<void> {
  const { launch } = input;
  const hands = restoring();
  while ((await hands.putBack(launch)) === 'patrol') {
    if ((await walk(launch)) === 'over') return;
    // Whoever undoes it again and again makes no history that ends the run.
    if (workflowInfo().continueAsNewSuggested) await continueAsNew<typeof rollback>(input);
  }
}

async function walk(launch: string): Promise<'relapsed' | 'over'> {
  const hands = restoring();
  for (const [index, wait] of PATROL.entries()) {
    await sleep(wait);
    const found = await hands.patrol(launch, index === PATROL.length - 1);
    if (found !== 'clear') return found;
  }
  return 'over';
}
