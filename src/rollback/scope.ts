import type { FlagRef } from '../core/plan.ts';
import type { House } from '../house.ts';
import type { FlagProvider } from '../providers/provider.ts';
import type { JournalEntry, RequestRow, RollbackView } from '../store/journal.ts';

/** One flag of a rollback: its entries, oldest first, and where it lives; no provider where this worker's config misses it. */
export interface Group {
  readonly flag: FlagRef;
  readonly entries: readonly JournalEntry[];
  readonly provider: FlagProvider | undefined;
}

/** The request that decides: the launch's, else the stage's. */
export function widest(view: RollbackView): RequestRow | undefined {
  return view.requests.find((request) => request.scope === 'launch') ?? view.requests[0];
}

/** The entries a request covers, oldest first, those never written left out. */
export function inScope(view: RollbackView, scope: string): readonly JournalEntry[] {
  return view.journal.filter((entry) => entry.phase !== 'void' && (scope === 'launch' || (`stage:${entry.stage}` === scope && !entry.fallback)));
}

/** Entries by flag. */
export function groups(house: House, view: RollbackView, entries: readonly JournalEntry[]): readonly Group[] {
  const byFlag = Map.groupBy(entries, (entry) => entry.flag);
  return [...byFlag].flatMap(([key, all]) => {
    const flag = view.order.flags.find((one) => one.flag === key);
    return flag === undefined ? [] : [{ flag, entries: all, provider: house.providers.get(flag.provider) }];
  });
}

/** The commands that a person can paste for the flags that are left, each flag's oldest. */
export function undoCommands(view: RollbackView, scope: string, left: ReadonlySet<string>): readonly string[] {
  const seen = new Map<string, string>();
  for (const entry of inScope(view, scope)) if (left.has(entry.flag) && !seen.has(entry.flag)) seen.set(entry.flag, entry.undo);
  return [...seen.values()];
}
