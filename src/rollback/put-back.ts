import { describe, sameExposure } from '../core/exposure.ts';
import type { FlagMark, FlagProof, LaunchEvent } from '../core/event.ts';
import { Retryable, Terminal } from '../core/failure.ts';
import type { FlagRef } from '../core/plan.ts';
import type { House } from '../house.ts';
import type { FlagProvider, RestoreEntry, Restored } from '../providers/provider.ts';
import {
  atWork,
  finishRollback,
  markProven,
  markRestored,
  rollbackState,
  touchUnit,
  unprove,
  type JournalEntry,
  type RequestRow,
  type RestoredMark,
  type RollbackView,
} from '../store/journal.ts';
import { endLaunch, markStuck, page } from '../store/launches.ts';
import { requestRollback, scopeOf } from '../store/request.ts';
import { writeFallback } from './fallback.ts';
import { claimOf, judgeClaims } from './proof.ts';

/** One attempt's end. `unproven` names what is left; `looking` is the look after the proof; `resting` a proven stage rollback. */
export type Attempt =
  | { readonly kind: 'nothing' | 'over' | 'resting' }
  | { readonly kind: 'looking'; readonly scope: string }
  | { readonly kind: 'unproven'; readonly scope: string; readonly remainder: readonly string[] };

/** How long (ms) a proven rollback is looked at before the launch ends: a relapse in it starts anew. */
export const LOOK_AFTER = 15_000;
/** Time (ms) without proof after which a person is paged with the commands to run by hand. */
export const PAGE_AFTER = 120_000;
/** How often a hand that waits says that it is at work, ms: the janitor replaces one that does not. */
const AT_WORK_EVERY = 1_000;
/** How long (ms) the marks of what is written back wait for a proof to be written with. */
const PROMPT = 100;
/** One provider call's and one proof's deadline, ms. */
const CALL = 8_000;

interface Group {
  readonly flag: FlagRef;
  readonly entries: readonly JournalEntry[];
  readonly provider: FlagProvider | undefined;
}

/** The request that decides: the launch's, else the stage's. */
function widest(view: RollbackView): RequestRow | undefined {
  return view.requests.find((request) => request.scope === 'launch') ?? view.requests[0];
}

/** The entries a request covers, oldest first, those never written left out. */
export function inScope(view: RollbackView, scope: string): readonly JournalEntry[] {
  return view.journal.filter((entry) => entry.phase !== 'void' && (scope === 'launch' || (`stage:${entry.stage}` === scope && !entry.fallback)));
}

function groups(house: House, view: RollbackView, entries: readonly JournalEntry[]): readonly Group[] {
  const byFlag = Map.groupBy(entries, (entry) => entry.flag);
  return [...byFlag].flatMap(([key, all]) => {
    const flag = view.order.flags.find((one) => one.flag === key);
    return flag === undefined ? [] : [{ flag, entries: all, provider: house.providers.get(flag.provider) }];
  });
}

function restoreEntry(view: RollbackView, group: Group, scope: string): RestoreEntry | undefined {
  const oldest = group.entries[0];
  const first = view.journal.find((entry) => entry.flag === group.flag.flag && entry.phase !== 'void');
  if (oldest === undefined || first === undefined) return undefined;
  const newest = group.entries.findLast((entry) => entry.writtenRevision !== undefined);
  const revision = newest?.writtenRevision;
  // Our newest write has taken the flag back by itself: its revision is moved as well, or a narrow hand that comes late could still write on it.
  const home = revision !== undefined && newest !== undefined && sameExposure(newest.target, oldest.snapshot.exposure);
  const intent = group.entries.findLast((entry) => entry.phase === 'intent')?.snapshot;
  return {
    flag: group.flag,
    snapshot: home ? { ...oldest.snapshot, revision } : oldest.snapshot,
    phase: home || group.entries.some((entry) => entry.phase === 'intent') ? 'intent' : 'applied',
    // A narrow hand that comes late must not take what the whole launch's rollback wrote for a write of its stage.
    written: group.entries.map((entry) => entry.target).filter((target) => scope === 'launch' || !sameExposure(target, first.snapshot.exposure)),
    change: `${view.launch}/rollback/${scope}/${group.flag.flag}`,
    by: 'gonogo',
    comment: `rollback of ${view.launch}`,
    ...(revision === undefined ? {} : { revision }),
    ...(intent === undefined ? {} : { intent: { revision: intent.revision, exposure: intent.exposure } }),
  };
}

/** A provider that does not heed its deadline must not keep this hand: the call is left to itself, and tried again. */
async function within<T>(work: Promise<T>, provider: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Retryable(`${provider} did not answer within ${CALL / 1_000} s`)), CALL + 500);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

type UnitDone =
  | { readonly kind: 'done'; readonly restored: readonly Restored[] }
  | { readonly kind: 'taken' | 'widened' }
  | { readonly kind: 'failed'; readonly error: Error };

async function restoreUnit(house: House, view: RollbackView, scope: string, hand: string, unit: readonly Group[], touched: boolean): Promise<UnitDone> {
  const first = unit[0];
  if (first?.provider === undefined)
    return { kind: 'failed', error: new Error(`no provider is called ${first?.flag.provider ?? '?'}; the config of this worker misses it`) };
  const { provider } = first;
  try {
    if (!touched) {
      const { yours, widest: now } = await touchUnit(house.store, view.launch, first.flag.provider, provider.unit(first.flag), hand, provider.can.writeTakes);
      if (!yours) return { kind: 'taken' };
      if (now !== scope) return { kind: 'widened' };
    }
    const began = performance.now();
    const entries = unit.flatMap((group) => restoreEntry(view, group, scope) ?? []);
    try {
      const restored = await within(provider.restore(entries, AbortSignal.timeout(CALL)), first.flag.provider);
      house.meter.providerCall(first.flag.provider, 'restore', true, (performance.now() - began) / 1_000);
      return { kind: 'done', restored };
    } catch (error) {
      house.meter.providerCall(first.flag.provider, 'restore', false, (performance.now() - began) / 1_000);
      throw error;
    }
  } catch (error) {
    // Drift, too: what we read is no longer so, and the next attempt starts over from the row.
    return { kind: 'failed', error: error instanceof Error ? error : new Error(String(error)) };
  }
}

interface Writing {
  readonly marks: readonly RestoredMark[];
  readonly flags: readonly (FlagMark & { readonly outcome: 'restored' | 'kept' | 'foreign' })[];
  readonly remainder: readonly string[];
  readonly foreign: readonly string[];
  /** What a person must mend before anything can be put back: paged at once. */
  readonly terminal: readonly string[];
}

function fold(view: RollbackView, scope: string, units: readonly { readonly groups: readonly Group[]; readonly done: UnitDone }[]): Writing {
  const marks: RestoredMark[] = [];
  const flags: (FlagMark & { outcome: 'restored' | 'kept' | 'foreign' })[] = [];
  const remainder: string[] = [];
  const foreign: string[] = [];
  const terminal: string[] = [];
  for (const { groups: all, done } of units) {
    if (done.kind === 'failed' && done.error instanceof Terminal) terminal.push(done.error.message);
    for (const { flag, entries } of all) {
      const name = `${flag.flag} (${flag.provider})`;
      if (done.kind !== 'done') {
        remainder.push(done.kind === 'failed' ? `${name}: ${done.error.message}` : `${name}: another hand is at it`);
        continue;
      }
      const one = done.restored.find((restored) => restored.flag === flag.flag);
      const snapshot = entries[0]?.snapshot;
      if (one === undefined || snapshot === undefined) remainder.push(`${name}: the provider said nothing`);
      else if (one.kind === 'failed') {
        remainder.push(`${name}: ${one.error.message}`);
        if (one.error instanceof Terminal) terminal.push(one.error.message);
      } else {
        const exposure = one.kind === 'restored' ? snapshot.exposure : one.exposure;
        flags.push({ flag: flag.flag, provider: flag.provider, key: flag.key, revision: one.revision, exposure, outcome: one.kind });
        if (one.kind === 'foreign') {
          foreign.push(`${flag.flag} reads ${describe(one.exposure)}, written by ${one.who}; it was ${describe(snapshot.exposure)} before ${view.launch}`);
          remainder.push(`${name}: changed by ${one.who} to ${describe(one.exposure)}, which cannot be compared with what it was (${scope})`);
        } else {
          for (const entry of entries) marks.push({ stage: entry.stage, flag: entry.flag, revision: one.revision, as: one.kind });
        }
      }
    }
  }
  return { marks, flags, remainder, foreign, terminal };
}

/** What an attempt left undone: in words, and by flag. */
interface Left {
  readonly remainder: readonly string[];
  readonly flags: ReadonlySet<string>;
}

/** The commands that a person can paste for the flags that are left, each flag's oldest. */
function undoCommands(view: RollbackView, scope: string, left: ReadonlySet<string>): readonly string[] {
  const seen = new Map<string, string>();
  for (const entry of inScope(view, scope)) if (left.has(entry.flag) && !seen.has(entry.flag)) seen.set(entry.flag, entry.undo);
  return [...seen.values()];
}

/** Says what must be said of a rollback that takes too long: a page after 2 min, stuck after the plan's time; a stage's is widened. */
async function escalate(house: House, view: RollbackView, request: RequestRow, { remainder, flags }: Left, now: number): Promise<void> {
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

async function prove(house: House, view: RollbackView, scope: string, all: readonly Group[], restoredAs: ReadonlyMap<string, string>) {
  const claims = all.map((group) => {
    const entries = group.entries.map((entry) => ({ ...entry, ...(restoredAs.get(entry.flag) === 'kept' ? { restoredAs: 'kept' } : {}) }));
    return claimOf(group.flag, entries, view.candidates[group.flag.flag] ?? [], scope);
  });
  const signal = AbortSignal.timeout(CALL);
  const judged = await judgeClaims(house, claims, signal);
  // All of a flag's witnesses are gone: whoever else was drawn for it can tell as well.
  const lost = all.filter((_, index) => judged[index]?.proof.asked === 0);
  if (lost.length === 0) return judged;
  const others = lost.map((group) =>
    claimOf(
      group.flag,
      group.entries.map(({ witnesses: _, ...entry }) => entry),
      view.candidates[group.flag.flag] ?? [],
      scope,
    ),
  );
  const again = new Map((await judgeClaims(house, others, signal)).map((one) => [one.flag, one]));
  return judged.map((one) => again.get(one.flag) ?? one);
}

function provenEvent(house: House, view: RollbackView, request: RequestRow, proofs: readonly FlagProof[], verifiedAt: number): LaunchEvent {
  return {
    kind: 'rollback-proven',
    at: new Date(verifiedAt).toISOString(),
    by: house.hand,
    scope: scopeOf(request.scope),
    hand: house.hand,
    proofs,
    seconds: Math.max(0, Math.round(verifiedAt - request.firstBadAt) / 1_000),
    verifiedAt: new Date(verifiedAt).toISOString(),
  };
}

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
    const judged = await prove(house, view, request.scope, all, new Map());
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

/** Nothing, after `ms`. */
function after(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(resolve, ms, undefined));
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
  const open = all.filter((group) => group.entries.some((entry) => entry.phase === 'intent' || entry.phase === 'applied'));
  const units = Map.groupBy(open, (group) => `${group.flag.provider}\n${group.provider?.unit(group.flag) ?? ''}`);
  const done = await Promise.all(
    [...units.values()].map(async (unit) => ({ groups: unit, done: await restoreUnit(house, view, scope, house.hand, unit, given !== undefined) })),
  );
  const writing = fold(view, scope, done);
  if (done.some((unit) => unit.done.kind === 'widened')) return { kind: 'unproven', scope, remainder: ['a wider rollback was asked for'] };

  const at = new Date(now).toISOString();
  const restored: LaunchEvent = { kind: 'restored', at, by: house.hand, scope: scopeOf(scope), hand: house.hand, flags: writing.flags };
  const proving = prove(house, view, scope, all, new Map(writing.flags.map((flag) => [flag.flag, flag.outcome])));
  proving.catch(() => undefined);
  // A proof that is there at once is written down with what it proves; one that takes its time must not keep that waiting.
  const prompt = writing.marks.length > 0 && writing.remainder.length === 0 ? await Promise.race([proving, after(PROMPT)]) : undefined;
  const whole = prompt?.every((one) => one.proven) === true;
  if (!whole) await (writing.marks.length === 0 ? atWork(house.store, launch) : markRestored(house.store, launch, writing.marks, restored));
  const judged = await proving;
  const verifiedAt = await house.clock.now();
  const proven = judged.filter((one) => one.proven && !writing.foreign.some((text) => text.startsWith(`${one.flag} `)));
  const remainder = [...writing.remainder, ...judged.filter((one) => !one.proven).map((one) => `${one.flag}: ${one.proof.detail ?? 'not proven'}`)];
  if (remainder.length === 0) {
    const proofs = judged.map((one) => one.proof);
    const flags = proven.map((one) => one.flag);
    const event = provenEvent(house, view, request, proofs, verifiedAt);
    const first = whole
      ? await finishRollback(house.store, launch, { marks: writing.marks, event: restored }, { scope, flags, verifiedAt, event })
      : await markProven(house.store, launch, scope, flags, verifiedAt, event);
    if (first) house.meter.rolledBack((verifiedAt - request.firstBadAt) / 1_000);
    if (scope !== 'launch' || all.length > 0) return { kind: 'looking', scope };
    return end(house, view, request, now);
  }
  const left = new Set(all.map((group) => group.flag.flag).filter((flag) => !proven.some((one) => one.flag === flag)));
  const pageNow = async (about: string, text: string) => {
    const event: LaunchEvent = { kind: 'paged', at, by: house.hand, about, text: `${launch}: ${text}`, commands: undoCommands(view, scope, left) };
    if (await page(house.store, launch, `${about}:${scope}`, event)) house.meter.paged();
  };
  if (writing.foreign.length > 0) await pageNow('foreign change', `someone else's change stands in the way of the rollback. ${writing.foreign.join('; ')}`);
  if (writing.terminal.length > 0) await pageNow('refused', `the rollback is refused, and is tried again. ${writing.terminal.join('; ')}`);
  await escalate(house, view, request, { remainder, flags: left }, verifiedAt);
  return { kind: 'unproven', scope, remainder };
}
