import { sql } from 'kysely';
import type { LaunchEvent } from '../core/event.ts';
import type { Exposure } from '../core/exposure.ts';
import { appendEvent } from './events.ts';
import { lockLaunch, stateNow } from './launches.ts';
import type { Hold } from './schema.ts';
import type { Store } from './store.ts';

/** A flag as the launch left it: its newest write, known to be done. */
export interface LeftFlag {
  readonly flag: string;
  readonly ordinal: number;
  readonly target: Exposure;
  /** The revision that the write gave it; unknown where a crash came before it could be marked. */
  readonly revision?: string;
}

/** The flags that a live launch has written and is not writing right now; none while a rollback of it is under way. */
export async function leftFlags(store: Store, launch: string): Promise<readonly LeftFlag[]> {
  const { rows } = await sql<{ flag: string; ordinal: number; target: Exposure; revision: string | null }>`
    select n.flag, n.ordinal, n.target, n.written_revision as revision
    from (select distinct on (flag) * from journal where launch = ${launch} and phase <> 'void' order by flag, ordinal desc) n, launch l
    where n.phase = 'applied' and l.id = ${launch} and l.outcome is null
      and not exists (select 1 from rollback_request r where r.launch = ${launch} and (r.scope = 'launch' or r.proven_at is null))`.execute(store.db);
  return rows.map(({ flag, ordinal, target, revision }) => ({ flag, ordinal, target, ...(revision === null ? {} : { revision }) }));
}

/**
 * Writes down that somebody else changed a flag, once for each revision, whoever sees it and however often; holds the
 * launch and pages with it when `hold` is given. `passed`: the launch itself has touched the flag since, or rolls back;
 * a rollback is never held up by it.
 */
export async function noteDrift(
  store: Store,
  launch: string,
  left: LeftFlag,
  event: Extract<LaunchEvent, { kind: 'drifted' }>,
  hold?: { readonly reason: string; readonly page: LaunchEvent },
): Promise<'noted' | 'known' | 'passed'> {
  return store.db.transaction().execute(async (tx) => {
    const row = await lockLaunch(tx, launch);
    if (row === undefined || row.outcome !== null) return 'passed';
    const newest = await tx
      .selectFrom('journal')
      .select(['ordinal', 'phase'])
      .where('launch', '=', launch)
      .where('flag', '=', left.flag)
      .where('phase', '<>', 'void')
      .orderBy('ordinal', 'desc')
      .limit(1)
      .executeTakeFirst();
    if (newest?.ordinal !== left.ordinal || newest.phase !== 'applied') return 'passed';
    const requests = await tx.selectFrom('rollback_request').select(['scope', 'proven_at']).where('launch', '=', launch).execute();
    if (requests.some((one) => one.scope === 'launch' || one.proven_at === null)) return 'passed';
    const { fresh } = await appendEvent(tx, launch, `drifted:${left.flag}:${event.revision}`, event);
    if (!fresh) return 'known';
    if (hold === undefined) return 'noted';
    const { held } = await tx.selectFrom('launch').select('held').where('id', '=', launch).executeTakeFirstOrThrow();
    if (held === null && requests.length === 0) {
      const { reason } = hold;
      const standing: Hold = { reason, cause: 'drift', by: 'gonogo', at: event.at };
      await tx
        .updateTable('launch')
        .set({ held: JSON.stringify(standing) })
        .where('id', '=', launch)
        .execute();
      const said: LaunchEvent = { kind: 'held', at: event.at, by: 'gonogo', reason, cause: 'drift' };
      await appendEvent(tx, launch, `held:drift:${left.flag}:${event.revision}`, said, await stateNow(tx, launch));
    }
    await appendEvent(tx, launch, `paged:drift:${left.flag}:${event.revision}`, hold.page);
    return 'noted';
  });
}
