import { describe, sameExposure } from '../core/exposure.ts';
import type { FlagMark } from '../core/event.ts';
import { Retryable, Terminal } from '../core/failure.ts';
import type { House } from '../house.ts';
import type { FlagProvider, RestoreEntry, Restored } from '../providers/provider.ts';
import { touchUnit, type RestoredMark, type RollbackView } from '../store/journal.ts';
import { restoreWanted } from '../store/request.ts';
import type { Group } from './scope.ts';
import { Fenced, sent } from './sending.ts';

/** The longest and the shortest deadline of a provider's restore, ms: one that hangs must be asked again soon after its return. */
const [LONGEST, SHORTEST] = [8_000, 4_000];
/** A hand of the whole launch that is no older than this (ms) cannot have been overtaken: a launch ends 15 s after its proof at the earliest. */
const FRESH = 5_000;

/** What became of one unit: taken is another hand at it, widened a wider request. */
export type UnitDone =
  | { readonly kind: 'done'; readonly restored: readonly Restored[] }
  | { readonly kind: 'taken' | 'widened' }
  | { readonly kind: 'failed'; readonly error: Error };

/** Asked by the provider right before it sends. The database may be away: that never stops the whole launch's rollback. */
async function stillWanted(house: House, view: RollbackView, scope: string): Promise<void> {
  if (scope === 'launch' && performance.now() - view.askedAt < FRESH) return;
  let wanted: boolean;
  try {
    wanted = await restoreWanted(house.store, view.launch, scope);
  } catch (error) {
    if (scope === 'launch') return;
    throw new Retryable(`whether ${scope} alone is still to be put back cannot be asked now`, undefined, { cause: error });
  }
  if (!wanted) throw new Fenced(`a hand of ${scope} was overtaken: more is put back by now, or the launch is over`);
}

function restoreEntry(house: House, view: RollbackView, group: Group, scope: string): RestoreEntry | undefined {
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
    stillWanted: () => stillWanted(house, view, scope),
    ...(revision === undefined ? {} : { revision }),
    ...(intent === undefined ? {} : { intent: { revision: intent.revision, exposure: intent.exposure } }),
  };
}

/** A provider that does not heed its deadline must not keep this hand: the call is left to itself, and tried again. */
async function within<T>(ms: number, provider: string, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Retryable(`${provider} did not answer within ${ms / 1_000} s`)), ms + 500);
  });
  try {
    return await Promise.race([call(AbortSignal.timeout(ms)), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Two writes and their way there and back; never so long that a provider which returns waits long for the next attempt. */
function deadlineOf(provider: FlagProvider): number {
  return Math.min(LONGEST, Math.max(SHORTEST, 2 * provider.can.writeTakes));
}

/** Restores one unit's flags in one call to its provider, unless another hand is at it. `touched`: this hand's request has said so already. Never throws. */
export async function restoreUnit(house: House, view: RollbackView, scope: string, unit: readonly Group[], touched: boolean): Promise<UnitDone> {
  const first = unit[0];
  if (first?.provider === undefined)
    return { kind: 'failed', error: new Error(`no provider is called ${first?.flag.provider ?? '?'}; the config of this worker misses it`) };
  const { provider } = first;
  const name = first.flag.provider;
  try {
    if (!touched) {
      const { yours, widest: now } = await touchUnit(house.store, view.launch, name, provider.unit(first.flag), house.hand, provider.can.writeTakes);
      if (!yours) return { kind: 'taken' };
      if (now !== scope) return { kind: 'widened' };
    }
    const began = performance.now();
    const entries = unit.flatMap((group) => restoreEntry(house, view, group, scope) ?? []);
    const send = () => within(deadlineOf(provider), name, (signal) => provider.restore(entries, signal));
    const named = unit.flatMap((group) => group.entries.map(({ stage, flag }) => ({ stage, flag })));
    try {
      // What a narrow hand writes late is not the baseline; what a wide one writes is.
      const restored = await (scope === 'launch' ? send() : sent(house.store, view.launch, provider, named, send));
      house.meter.providerCall(name, 'restore', true, (performance.now() - began) / 1_000);
      return { kind: 'done', restored };
    } catch (error) {
      if (error instanceof Fenced) return { kind: 'widened' };
      house.meter.providerCall(name, 'restore', false, (performance.now() - began) / 1_000);
      throw error;
    }
  } catch (error) {
    // Drift, too: what we read is no longer so, and the next attempt starts over from the row.
    return { kind: 'failed', error: error instanceof Error ? error : new Error(String(error)) };
  }
}

/** What units' restores came to, to be written down and said. */
export interface Writing {
  readonly marks: readonly RestoredMark[];
  readonly flags: readonly (FlagMark & { readonly outcome: 'restored' | 'kept' | 'foreign' })[];
  /** Flags that had to be written. */
  readonly wrote: readonly string[];
  readonly remainder: readonly string[];
  readonly foreign: readonly string[];
  /** What a person must mend before anything can be put back: paged at once. */
  readonly terminal: readonly string[];
  /** A provider refused or did not answer. */
  readonly failed: boolean;
}

/** Folds units' ends. */
export function writingOf(view: RollbackView, scope: string, units: readonly { readonly groups: readonly Group[]; readonly done: UnitDone }[]): Writing {
  const marks: RestoredMark[] = [];
  const flags: (FlagMark & { outcome: 'restored' | 'kept' | 'foreign' })[] = [];
  const [wrote, remainder, foreign, terminal]: [string[], string[], string[], string[]] = [[], [], [], []];
  let failed = false;
  for (const { groups: all, done } of units) {
    failed ||= done.kind === 'failed';
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
        failed = true;
        remainder.push(`${name}: ${one.error.message}`);
        if (one.error instanceof Terminal) terminal.push(one.error.message);
      } else {
        const exposure = one.kind === 'restored' ? snapshot.exposure : one.exposure;
        flags.push({ flag: flag.flag, provider: flag.provider, key: flag.key, revision: one.revision, exposure, outcome: one.kind });
        if (one.kind === 'restored' && one.wrote) wrote.push(flag.flag);
        if (one.kind === 'foreign') {
          foreign.push(`${flag.flag} reads ${describe(one.exposure)}, written by ${one.who}; it was ${describe(snapshot.exposure)} before ${view.launch}`);
          remainder.push(`${name}: changed by ${one.who} to ${describe(one.exposure)}, which cannot be compared with what it was (${scope})`);
        } else {
          for (const entry of entries) marks.push({ stage: entry.stage, flag: entry.flag, revision: one.revision, as: one.kind });
        }
      }
    }
  }
  return { marks, flags, wrote, remainder, foreign, terminal, failed };
}
