import type { LaunchEvent } from '../core/event.ts';
import type { House } from '../house.ts';
import { atWork, markPartProven, markRestored, relapsePart, type RequestRow, type RollbackView } from '../store/journal.ts';
import { scopeOf } from '../store/request.ts';
import { prove, provenEvent, type Judged } from './proof.ts';
import { restoreUnit, writingOf, type Writing } from './restore-unit.ts';
import type { Group } from './scope.ts';

/** How long (ms) the marks of what is written back wait for a proof to be written with. */
const PROMPT = 100;
/** How often (ms) what is not proven is looked at again while another provider is waited for. */
const LOOK_AGAIN = 250;
/** How long (ms) after it was touched a flag that is written back and still not seen back is written back once more, beside its way to the evaluators. */
const TOUCH_AGAIN = 5_000;
/** How old (ms) a rollback is before some flags of one provider are news while others are not proven. */
const NEWS_AFTER = 5_000;

/** A time as events carry it. */
function iso(at: number): string {
  return new Date(at).toISOString();
}

/** Nothing, after `ms`. */
function after(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(resolve, ms, undefined));
}

/** One attempt, as all its providers see it; `busy` are those whose restores are not answered yet, `open` those that are not proven. */
export interface Standing {
  readonly house: House;
  readonly view: RollbackView;
  readonly request: RequestRow;
  readonly now: number;
  readonly touched: boolean;
  readonly alone: boolean;
  busy: number;
  open: number;
}

/** What one provider's flags came to; `unwritten` marks wait to be written with the proof. */
export interface Part {
  readonly writing: Writing;
  readonly judged: readonly Judged[];
  readonly unwritten?: LaunchEvent;
}

/** The flags of a part that are seen back. */
export function provenOf(part: Part): readonly string[] {
  return part.judged.filter((one) => one.proven && !part.writing.foreign.some((text) => text.startsWith(`${one.flag} `))).map((one) => one.flag);
}

/** What of a part is left, in words. */
export function remainderOf(part: Part): readonly string[] {
  return [...part.writing.remainder, ...part.judged.filter((one) => !one.proven).map((one) => `${one.flag}: ${one.proof.detail ?? 'not proven'}`)];
}

/** Whether a flag is to be written: not yet, or so long ago that what is still not seen may have been overwritten. */
function isDue(view: RollbackView, group: Group): boolean {
  if (group.entries.some((entry) => entry.phase === 'intent' || entry.phase === 'applied')) return true;
  if (!group.entries.some((entry) => entry.phase === 'restored')) return false;
  const touched = Math.max(...group.entries.map((entry) => entry.touchedAt ?? view.now));
  return view.now - touched > TOUCH_AGAIN + (group.provider?.can.propagation ?? 0);
}

/** One provider's flags: restored, marked, proven and marked, waiting for no other provider. */
export async function putBackProvider(attempt: Standing, own: readonly Group[]): Promise<Part | 'widened'> {
  const { house, view, request, now, alone } = attempt;
  const { store } = house;
  const { scope } = request;
  const due = own.filter((group) => isDue(view, group));
  const units = Map.groupBy(due, (group) => group.provider?.unit(group.flag) ?? '');
  const done = await Promise.all(
    [...units.values()].map(async (unit) => ({ groups: unit, done: await restoreUnit(house, view, scope, unit, attempt.touched) })),
  );
  attempt.busy -= 1;
  if (done.some((unit) => unit.done.kind === 'widened')) return 'widened';
  const writing = writingOf(view, scope, done);
  const again = due.filter(
    (group) => writing.wrote.includes(group.flag.flag) && group.entries.every((entry) => entry.phase === 'restored' || entry.phase === 'proven'),
  );
  if (again.length > 0) await relapse(attempt, again);
  const restored: LaunchEvent = { kind: 'restored', at: iso(now), by: house.hand, scope: scopeOf(scope), hand: house.hand, flags: writing.flags };
  const look = () => prove(house, view, scope, own, new Map(writing.flags.map((flag) => [flag.flag, flag.outcome])));
  const proving = look();
  proving.catch(() => undefined);
  // A proof that is there at once is written down with what it proves; one that takes its time must not keep that waiting.
  const prompt = alone && writing.marks.length > 0 && writing.remainder.length === 0 ? await Promise.race([proving, after(PROMPT)]) : undefined;
  if (prompt?.every((one) => one.proven) === true) return { writing, judged: prompt, unwritten: restored };
  await (writing.marks.length === 0 ? atWork(store, view.launch) : markRestored(store, view.launch, writing.marks, restored));
  let part: Part = { writing, judged: await proving };
  while (attempt.busy > 0 && remainderOf(part).length > writing.remainder.length) {
    await after(LOOK_AGAIN);
    part = { writing, judged: await look() };
  }
  await writePart(attempt, own, part);
  return part;
}

async function relapse({ house, view, request, now }: Standing, flags: readonly Group[]): Promise<void> {
  const names = flags.map((group) => group.flag.flag);
  await relapsePart(house.store, view.launch, request.scope, names, { kind: 'relapsed', at: iso(now), by: house.hand, flags: names });
}

/** Writes down what is proven while the rest is not, and what is no longer so; a prompt proof of everything is written as one. */
async function writePart(attempt: Standing, own: readonly Group[], part: Part): Promise<void> {
  const { house, view, request } = attempt;
  const isProven = (group: Group) => group.entries.every((entry) => entry.phase === 'proven');
  const relapsed = own.filter((group) => isProven(group) && part.judged.some((one) => one.flag === group.flag.flag && one.wrong));
  if (relapsed.length > 0) await relapse(attempt, relapsed);
  const whole = remainderOf(part).length === 0;
  if (whole) attempt.open -= 1;
  // The last one's proof is everything's. Flags of one provider are seen at slightly different times: only where the rest keeps one waiting is that news.
  if (whole ? attempt.open === 0 : view.now - request.requestedAt < NEWS_AFTER) return;
  const flags = provenOf(part).filter((flag) => own.some((group) => group.flag.flag === flag && !isProven(group)));
  if (flags.length === 0) return;
  const { scope, seconds, proofs, verifiedAt, ...event } = provenEvent(
    house,
    request,
    part.judged.filter((one) => flags.includes(one.flag)).map((one) => one.proof),
    await house.clock.now(),
  );
  const provider = own[0]?.flag.provider ?? '';
  await markPartProven(house.store, view.launch, request.scope, flags, { ...event, kind: 'part-proven', scope, provider, proofs, seconds, verifiedAt });
}
