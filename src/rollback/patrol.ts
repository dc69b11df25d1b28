import type { LaunchEvent } from '../core/event.ts';
import type { House } from '../house.ts';
import type { LastChange } from '../providers/provider.ts';
import { rollbackState, type RollbackView } from '../store/journal.ts';
import { page } from '../store/launches.ts';
import { keepsLocks, releaseKept, takeUpAgain } from '../store/patrol.ts';
import type { Store } from '../store/store.ts';
import { prove } from './proof.ts';
import { groups, inScope, undoCommands, widest, type Group } from './scope.ts';

/** What a look of the patrol found: nothing, a flag that has changed again, or that there is nothing to look after any more. */
export type Found = 'clear' | 'relapsed' | 'over';

/** One provider call's deadline, ms. */
const CALL = 4_000;

/** The entries a frozen hand may still write: sent, never answered, at a provider that cannot fence. */
function doubts(view: RollbackView) {
  const request = widest(view);
  return request === undefined ? [] : inScope(view, request.scope).filter((entry) => entry.unanswered === true);
}

/** Whether a rollback that is proven must be patrolled, and its flags are still its own. */
export async function isInDoubt(store: Store, launch: string): Promise<boolean> {
  const view = await rollbackState(store, launch);
  if (view === undefined || doubts(view).length === 0 || (view.outcome !== undefined && view.outcome !== 'rolled-back')) return false;
  return keepsLocks(store, launch);
}

async function whoChanged(house: House, group: Group): Promise<string> {
  let last: LastChange | undefined;
  try {
    last = await group.provider?.lastChange(group.flag, AbortSignal.timeout(CALL));
  } catch {
    // Who it was is worth knowing, and nothing waits for it.
  }
  return last === undefined ? group.flag.flag : `${group.flag.flag} by ${last.who} (${last.what})`;
}

/**
 * Looks once more at the flags that a frozen hand may still write, by the same proof. What is not back after all takes
 * the rollback up again, also after the launch's end, and pages; silence is no relapse. The last look frees the locks.
 */
export async function patrol(house: House, launch: string, last: boolean): Promise<Found> {
  const view = await rollbackState(house.store, launch);
  const request = view === undefined ? undefined : widest(view);
  if (view === undefined || request === undefined || !(await keepsLocks(house.store, launch))) return 'over';
  if (request.provenAt === undefined) return 'relapsed';
  const flags = new Set(doubts(view).map((entry) => entry.flag));
  const all = groups(house, view, inScope(view, request.scope)).filter((group) => flags.has(group.flag.flag));
  const judged = await prove(house, view, request.scope, all);
  const wrong = new Set(judged.filter((one) => one.wrong).map((one) => one.flag));
  if (wrong.size === 0) {
    if (last) await releaseKept(house.store, launch);
    return last ? 'over' : 'clear';
  }
  const at = new Date(await house.clock.now()).toISOString();
  const relapsed: LaunchEvent = { kind: 'relapsed', at, by: house.hand, flags: [...wrong], patrol: true };
  if (!(await takeUpAgain(house.store, launch, request.scope, [...wrong], relapsed))) return 'over';
  const who = await Promise.all(all.filter((group) => wrong.has(group.flag.flag)).map((group) => whoChanged(house, group)));
  const text = `${launch}: changed again after the rollback was proven: ${who.join(', ')}. A hand may have been held up; I put it back and prove it again.`;
  const event: LaunchEvent = { kind: 'paged', at, by: house.hand, about: 'patrol', text, commands: undoCommands(view, request.scope, wrong) };
  if (await page(house.store, launch, `patrol:${at}`, event)) house.meter.paged();
  return 'relapsed';
}
