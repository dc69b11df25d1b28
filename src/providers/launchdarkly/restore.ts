import { isOff } from '../../core/exposure.ts';
import { Retryable, Terminal } from '../../core/failure.ts';
import { restoreDecision } from '../../core/journal.ts';
import type { RestoreEntry, Restored } from '../provider.ts';
import type { Standing } from './document.ts';
import { commentOf, CONFLICTS, type Hand } from './hand.ts';
import { readExposure } from './reading.ts';
import { nativeOf, toRestoring, type Instruction } from './translate.ts';

/** Puts one flag back. Throws what `stillWanted` throws, as it is; everything else that goes wrong is the outcome `failed`. */
export type Restore = (entry: RestoreEntry, signal: AbortSignal) => Promise<Restored>;

/** Longest time (ms) that pulling a flag trigger may take. */
const TRIGGER_TAKES = 2_000;
/** Pauses (ms) after which the API is tried again when a trigger had to be pulled. */
const MOMENTS = [200, 600] as const;

/** It was off, and by its switch. */
function startsOff(entry: RestoreEntry): boolean {
  return isOff(entry.snapshot.exposure) && !nativeOf(entry.snapshot).setting.on;
}

/** Opens the restores of one provider; it remembers what it has put back, so that a repeat looks before it writes. */
export function openRestore(hand: Hand): Restore {
  const { client, config, places, instance, log } = hand;
  const restored = new Set<string>();
  const overtaken = new WeakSet();
  const wasOvertaken = (error: unknown): boolean => typeof error === 'object' && error !== null && overtaken.has(error);

  /** Asks whether this hand may still send. What that throws must pass as it is, so it is remembered. */
  async function mayStill(entry: RestoreEntry): Promise<void> {
    try {
      await entry.stillWanted?.();
    } catch (error) {
      if (typeof error === 'object' && error !== null) overtaken.add(error);
      throw error;
    }
  }

  /** Sends one patch of a rollback. */
  async function patch(entry: RestoreEntry, instructions: readonly Instruction[], signal: AbortSignal): Promise<Standing | 'conflict'> {
    await mayStill(entry);
    const answer = await client.patch(entry.flag.key, { instructions, comment: commentOf(entry), rollback: true }, signal);
    return answer.kind === 'conflict' ? 'conflict' : hand.standing(entry.flag, answer.flag);
  }

  /** The second path: the API refuses or is away, and the flag's trigger turns it off. False where it cannot. */
  async function pulled(entry: RestoreEntry, error: unknown): Promise<boolean> {
    if (wasOvertaken(error) || config.triggers[entry.flag.key] === undefined) return false;
    if (error instanceof Terminal && (error.code === 'flag-missing' || error.code === 'flag-archived')) return false;
    await mayStill(entry);
    try {
      // A deadline of its own: the one of the failed request may be over.
      await client.pull(entry.flag.key, AbortSignal.timeout(TRIGGER_TAKES));
    } catch (trigger) {
      log.warn({ flag: entry.flag.key, reason: String(trigger) }, 'the flag trigger did not answer either');
      return false;
    }
    log.warn({ flag: entry.flag.key, reason: String(error) }, 'turned off by its trigger: the API could not be used');
    return true;
  }

  /** Somebody else's value that stays, by the law of core/journal; undefined where ours is to be written. */
  async function theirs(entry: RestoreEntry, current: Standing, signal: AbortSignal): Promise<Restored | undefined> {
    const { flag: ref, snapshot, phase, revision, intent } = entry;
    const read = readExposure(ref, current, places);
    const exposure = 'exposure' in read ? read.exposure : read.bound;
    const now = String(current.setting.version);
    const facts = {
      phase,
      snapshot,
      written: entry.written,
      current: { revision: now, exposure },
      ...(intent === undefined ? {} : { expected: intent.revision }),
    };
    const decision = restoreDecision({ ...facts, ours: revision === now });
    if (decision !== 'keep' && decision !== 'foreign') return undefined;
    const newest = await client.newest(ref.key, signal, true).catch(() => undefined);
    return { flag: ref.flag, kind: decision === 'keep' ? 'kept' : 'foreign', revision: now, exposure, who: newest?.who ?? 'somebody' };
  }

  /**
   * As in the snapshot. Where that is off, and so nothing can be narrower, off is sent at once, whatever the flag has
   * become; `progress` keeps that it was.
   */
  async function exactly(entry: RestoreEntry, progress: { off: boolean }, signal: AbortSignal): Promise<Restored> {
    const { flag: ref, snapshot } = entry;
    const native = nativeOf(snapshot);
    let wrote = progress.off;
    let current: Standing | 'conflict' = 'conflict';
    for (let attempt = 0; attempt < CONFLICTS; attempt += 1) {
      if (startsOff(entry) && entry.phase === 'applied' && !progress.off && !restored.has(entry.change)) {
        current = await patch(entry, [{ kind: 'turnFlagOff' }], signal);
        if (current === 'conflict') continue;
        progress.off = wrote = true;
      }
      if (current === 'conflict') current = await hand.look(ref, signal, true);
      if (!wrote) {
        const kept = await theirs(entry, current, signal);
        if (kept !== undefined) return kept;
      }
      const instructions = toRestoring(ref, current, native);
      restored.add(entry.change);
      if (instructions.length === 0) return { flag: ref.flag, kind: 'restored', revision: String(current.setting.version), wrote };
      current = await patch(entry, instructions, signal);
      if (current === 'conflict') continue;
      const revision = String(current.setting.version);
      if (toRestoring(ref, current, native).length === 0) return { flag: ref.flag, kind: 'restored', revision, wrote: true };
      throw new Retryable(`launchdarkly ${instance} answered the restore of ${ref.key} with success, and the flag stands at version ${revision} without it`);
    }
    throw new Retryable(`flag ${ref.key}: ${CONFLICTS} writes met somebody else's; trying again`, 1_000);
  }

  async function restoreOne(entry: RestoreEntry, signal: AbortSignal): Promise<Restored> {
    const progress = { off: false };
    try {
      return await exactly(entry, progress, signal);
    } catch (error) {
      if (!startsOff(entry) || progress.off || !(await pulled(entry, error))) throw error;
      progress.off = true;
      // Users are off. What is left of it can be put back exactly if the API was only having a moment.
      for (const pause of error instanceof Terminal ? [] : MOMENTS) {
        if (signal.aborted) break;
        await new Promise((resolve) => setTimeout(resolve, pause));
        try {
          return await exactly(entry, progress, signal);
        } catch (again) {
          if (wasOvertaken(again)) throw again;
        }
      }
      log.warn({ flag: entry.flag.key }, 'off by its trigger, as it was; its targets and default rule, which now rest, are not yet as they were');
      return { flag: entry.flag.flag, kind: 'restored', revision: `${entry.snapshot.revision}+trigger`, wrote: true };
    }
  }

  return async (entry, signal) => {
    try {
      return await restoreOne(entry, signal);
    } catch (error) {
      if (wasOvertaken(error)) throw error;
      return { flag: entry.flag.flag, kind: 'failed', error: error instanceof Error ? error : new Error(String(error)) };
    }
  };
}
