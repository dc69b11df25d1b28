import type { LaunchEvent } from '../core/event.ts';
import type { House } from '../house.ts';
import type { RequestRow, RollbackView } from '../store/journal.ts';
import { markStuck, page } from '../store/launches.ts';
import { requestRollback } from '../store/request.ts';
import { undoCommands } from './scope.ts';

/** Time (ms) without proof after which a person is paged with the commands to run by hand. */
const PAGE_AFTER = 120_000;

/** What an attempt left undone: in words, and by flag. */
interface Left {
  readonly remainder: readonly string[];
  readonly flags: ReadonlySet<string>;
}

/** Says what must be said of a rollback that takes too long: a page after 2 min, stuck after the plan's time; a stage's is widened. */
export async function escalate(house: House, view: RollbackView, request: RequestRow, { remainder, flags }: Left, now: number): Promise<void> {
  const waited = view.now - request.requestedAt;
  const at = new Date(now).toISOString();
  if (waited < PAGE_AFTER) return;
  if (request.pagedAt === undefined) {
    const text = `${view.launch}: ROLLBACK NOT VERIFIED after ${Math.floor(waited / 60_000)}:${String(Math.floor(waited / 1_000) % 60).padStart(2, '0')}. ${remainder.join('; ')}. I keep trying.`;
    const event: LaunchEvent = { kind: 'paged', at, by: house.hand, about: 'rollback not verified', text, commands: undoCommands(view, request.scope, flags) };
    if (await page(house.store, view.launch, `unproven:${request.scope}:${request.requestedAt}`, event, request.scope)) house.meter.paged();
  }
  if (request.scope !== 'launch') {
    await requestRollback(house.store, view.launch, { kind: 'launch' }, { kind: 'unproven-stage', stage: request.scope.slice('stage:'.length) }, 'gonogo', now);
    return;
  }
  if (waited >= view.order.plan.rollback.within && request.stuckAt === undefined) {
    await markStuck(house.store, view.launch, request.scope, { kind: 'stuck', at, by: house.hand, remainder });
  }
}
