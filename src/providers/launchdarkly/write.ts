import { sameExposure } from '../../core/exposure.ts';
import { Drift, Retryable } from '../../core/failure.ts';
import type { Change, Snapshot } from '../provider.ts';
import type { Standing } from './document.ts';
import { commentOf, CONFLICTS, mark, type Hand } from './hand.ts';
import { readExposure } from './reading.ts';
import { toInstructions, toSnapshot } from './translate.ts';

/** Writes one flag: read, compared with what was expected, then patched. Throws Drift, Terminal, Retryable. */
export type Write = (change: Change, signal: AbortSignal) => Promise<Snapshot>;

/** Opens the writes of one provider; it remembers which revision each of its changes led to. */
export function openWrite(hand: Hand): Write {
  const { client, config, places, instance } = hand;
  /** So that a repeat is known before the audit log has it. */
  const written = new Map<string, string>();

  /** Whether the change has arrived already, its answer lost; somebody may have written after it. */
  async function isRepeat(change: Change, flag: Standing, signal: AbortSignal): Promise<boolean> {
    const revision = String(flag.setting.version);
    if (written.get(change.change) === revision) return true;
    const recent = await client.recent(change.flag.key, signal);
    const [newest] = recent;
    // Not only the newest: a tag that somebody adds right after it is an entry, too.
    if (recent.some((entry) => entry.comment.includes(mark(change.change)))) return true;
    // The log may lag behind the flag: an entry older than the flag says nothing of who wrote it.
    const read = readExposure(change.flag, flag, places);
    return 'exposure' in read && sameExposure(read.exposure, change.to) && (newest === undefined || newest.date < flag.setting.lastModified);
  }

  async function writeOne(change: Change, signal: AbortSignal): Promise<Snapshot> {
    const { flag: ref, expected, to } = change;
    for (let attempt = 0; attempt < CONFLICTS; attempt += 1) {
      const before = await hand.look(ref, signal);
      if (String(before.setting.version) !== expected.revision) {
        if (await isRepeat(change, before, signal)) return toSnapshot(ref, before, places);
        throw new Drift(
          ref.flag,
          `flag ${ref.key} is at version ${before.setting.version} of ${config.environment}; expected ${expected.revision}: somebody else wrote it`,
        );
      }
      const instructions = toInstructions(ref, before, to, places);
      if (instructions.length === 0) return toSnapshot(ref, before, places);
      await change.stillWanted();
      const answer = await client.patch(ref.key, { instructions, comment: commentOf(change) }, signal);
      if (answer.kind === 'conflict') continue;
      const after = toSnapshot(ref, hand.standing(ref, answer.flag), places);
      if (after.revision === expected.revision || !sameExposure(after.exposure, to))
        throw new Retryable(
          `launchdarkly ${instance} answered the write of ${ref.key} with success, and the flag stands at version ${after.revision} without it`,
        );
      written.set(change.change, after.revision);
      return after;
    }
    throw new Retryable(`flag ${ref.key}: ${CONFLICTS} writes met somebody else's; trying again`, 1_000);
  }

  return writeOne;
}
