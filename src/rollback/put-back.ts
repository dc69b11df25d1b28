import type { LaunchEvent } from '../core/event.ts';
import type { House } from '../house.ts';
import { atWork, finishRollback, markProven, rollbackState, unprove, type RequestRow, type RollbackView } from '../store/journal.ts';
import { endLaunch, page } from '../store/launches.ts';
import { scopeOf } from '../store/request.ts';
import { escalate } from './escalate.ts';
import { writeFallback } from './fallback.ts';
import { prove, provenEvent } from './proof.ts';
import { provenOf, putBackProvider, remainderOf, type Standing } from './part.ts';
import { groups, inScope, undoCommands, widest } from './scope.ts';

/** One attempt's end. `unproven` names what is left, and whether a provider refused or did not answer; `looking` is the look after the proof; `resting` a proven stage rollback. */
export type Attempt =
  | { readonly kind: 'nothing' | 'over' | 'resting' }
  | { readonly kind: 'looking'; readonly scope: string }
  | { readonly kind: 'unproven'; readonly scope: string; readonly remainder: readonly string[]; readonly failed?: boolean };

/** How long (ms) a proven rollback is looked at before the launch ends: a relapse in it starts anew. */
const LOOK_AFTER = 15_000;
/** How often a hand that waits says that it is at work, ms: the janitor replaces one that does not. */
const AT_WORK_EVERY = 1_000;

async function end(house: House, view: RollbackView, request: RequestRow, now: number): Promise<Attempt> {
  const outcome = inScope(view, 'launch').length === 0 ? 'aborted' : 'rolled-back';
  const why = outcome === 'aborted' ? 'stopped before any flag moved' : 'every flag is back, seen at its evaluators';
  const event: LaunchEvent = { kind: 'ended', at: new Date(now).toISOString(), by: house.hand, outcome, scope: scopeOf(request.scope), why };
  const ended = await endLaunch(house.store, view.launch, outcome, event);
  if (ended.kind === 'ended') return { kind: 'over' };
  return { kind: 'unproven', scope: request.scope, remainder: [ended.kind === 'not-yet' ? ended.why : 'stopped'] };
}

/** After the proof: looks again until 15 s are over, then ends the launch; a relapse is tried again. */
async function lookAfter(house: House, view: RollbackView, request: RequestRow, now: number): Promise<Attempt> {
  const all = groups(house, view, inScope(view, request.scope));
  if (all.length > 0) {
    const judged = await prove(house, view, request.scope, all);
    const relapsed = judged.filter((one) => one.wrong).map((one) => one.flag);
    if (relapsed.length > 0) {
      await unprove(house.store, view.launch, request.scope, relapsed, { kind: 'relapsed', at: new Date(now).toISOString(), by: house.hand, flags: relapsed });
      return { kind: 'unproven', scope: request.scope, remainder: relapsed.map((flag) => `${flag}: back to the new value after it was proven`) };
    }
  }
  const since = view.now - (request.provenAt ?? view.now);
  if (since < LOOK_AFTER && all.length > 0) return { kind: 'looking', scope: request.scope };
  if (request.scope === 'launch') return end(house, view, request, now);
  return { kind: 'resting' };
}

/**
 * One attempt at putting a launch's flags back: restore each flag in the widest scope asked for, straight to its oldest
 * snapshot, units in parallel; prove at every evaluator; mark. Safe from any hand, any number of times. `given` is a
 * request's own answer, its entries touched by this hand already. Throws when the database cannot be reached.
 */
export async function putBack(house: House, launch: string, given?: RollbackView): Promise<Attempt> {
  const working = setInterval(() => void atWork(house.store, launch).catch(() => undefined), AT_WORK_EVERY);
  try {
    return await putBackOnce(house, launch, given);
  } finally {
    clearInterval(working);
  }
}

async function putBackOnce(house: House, launch: string, given: RollbackView | undefined): Promise<Attempt> {
  const view = given ?? (await rollbackState(house.store, launch));
  const request = view === undefined ? undefined : widest(view);
  if (view === undefined || request === undefined) return { kind: 'nothing' };
  if (view.outcome !== undefined && view.outcome !== 'stuck') return { kind: 'over' };
  const now = await house.clock.now();
  const { scope } = request;
  if (request.provenAt !== undefined) {
    // Held: its fallback was seen once, and an evaluator that is silent later says nothing against it.
    if (scope !== 'launch' && view.state !== 'held') {
      const fallback = await writeFallback(house, view, request);
      if (fallback !== undefined) {
        await escalate(house, view, request, { remainder: fallback, flags: new Set() }, now);
        return { kind: 'unproven', scope, remainder: fallback };
      }
    }
    return lookAfter(house, view, request, now);
  }

  const all = groups(house, view, inScope(view, scope));
  const providers = [...Map.groupBy(all, (group) => group.flag.provider).values()];
  const attempt: Standing = {
    house,
    view,
    request,
    now,
    touched: given !== undefined,
    alone: providers.length < 2,
    busy: providers.length,
    open: providers.length,
  };
  const done = await Promise.all(providers.map((own) => putBackProvider(attempt, own)));
  if (done.includes('widened')) return { kind: 'unproven', scope, remainder: ['a wider rollback was asked for'] };
  const parts = done.filter((one) => one !== 'widened');
  const verifiedAt = await house.clock.now();
  const remainder = parts.flatMap(remainderOf);
  if (remainder.length === 0) {
    const judged = parts.flatMap((part) => part.judged);
    const flags = judged.map((one) => one.flag);
    const event = provenEvent(
      house,
      request,
      judged.map((one) => one.proof),
      verifiedAt,
    );
    const unwritten = parts.find((part) => part.unwritten !== undefined);
    const first =
      unwritten?.unwritten === undefined
        ? await markProven(house.store, launch, scope, flags, verifiedAt, event)
        : await finishRollback(house.store, launch, { marks: unwritten.writing.marks, event: unwritten.unwritten }, { scope, flags, verifiedAt, event });
    if (first) house.meter.rolledBack((verifiedAt - request.firstBadAt) / 1_000);
    if (scope !== 'launch' || all.length > 0) return { kind: 'looking', scope };
    return end(house, view, request, now);
  }
  const proven = new Set(parts.flatMap(provenOf));
  const left = new Set(all.map((group) => group.flag.flag).filter((flag) => !proven.has(flag)));
  const pageNow = async (about: string, text: string) => {
    const event: LaunchEvent = {
      kind: 'paged',
      at: new Date(now).toISOString(),
      by: house.hand,
      about,
      text: `${launch}: ${text}`,
      commands: undoCommands(view, scope, left),
    };
    if (await page(house.store, launch, `${about}:${scope}`, event)) house.meter.paged();
  };
  const foreign = parts.flatMap((part) => part.writing.foreign);
  const terminal = parts.flatMap((part) => part.writing.terminal);
  if (foreign.length > 0) await pageNow('foreign change', `someone else's change stands in the way of the rollback. ${foreign.join('; ')}`);
  if (terminal.length > 0) await pageNow('refused', `the rollback is refused, and is tried again. ${terminal.join('; ')}`);
  await escalate(house, view, request, { remainder, flags: left }, verifiedAt);
  return { kind: 'unproven', scope, remainder, failed: parts.some((part) => part.writing.failed) };
}
