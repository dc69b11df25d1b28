import { sameExposure } from '../core/exposure.ts';
import type { Scope } from '../core/event.ts';
import type { House } from '../house.ts';
import { inScope } from '../rollback/scope.ts';
import type { JournalEntry, RollbackView } from '../store/journal.ts';
import { scopeKey } from '../store/request.ts';

/** One provider call's deadline, ms. */
const CALL = 8_000;

/** Puts one flag back where it still reads as this launch's last write; anything else waits for the database. */
async function restoreOne(house: House, view: RollbackView, entries: readonly JournalEntry[]): Promise<void> {
  const [oldest, newest] = [entries[0], entries.at(-1)];
  const flag = view.order.flags.find((one) => one.flag === oldest?.flag);
  const provider = house.providers.get(flag?.provider ?? '');
  if (oldest === undefined || newest === undefined || flag === undefined || provider === undefined) return;
  const signal = AbortSignal.timeout(CALL);
  const current = await provider.read(flag, signal);
  if (!sameExposure(current.exposure, newest.target)) return;
  await provider.restore(
    [
      {
        flag,
        snapshot: oldest.snapshot,
        phase: 'applied',
        written: [newest.target],
        change: `${view.launch}/rollback/memory/${flag.flag}`,
        by: 'gonogo',
        comment: `rollback of ${view.launch}; the database was away`,
      },
    ],
    signal,
  );
}

/** Without the database: puts back from the journal as last read. Never throws; what failed is tried again, and proven from the row once the database is back. */
export async function restoreFromMemory(house: House, view: RollbackView, scope: Scope): Promise<void> {
  const byFlag = Map.groupBy(inScope(view, scopeKey(scope)), (entry) => entry.flag);
  const done = await Promise.allSettled([...byFlag.values()].map((entries) => restoreOne(house, view, entries)));
  for (const one of done)
    if (one.status === 'rejected') house.log.error({ launch: view.launch, error: String(one.reason) }, 'could not be put back from memory');
}
