import type { Exposure } from '../core/exposure.ts';
import { Retryable, Terminal } from '../core/failure.ts';
import { restoreDecision, type Phase } from '../core/journal.ts';
import type { Flag } from './flag.ts';

/** One flag to be put back. `written` are the exposures the launch wrote, oldest first; `revision` the newest of ours, when known. */
export interface FlagRestore {
  readonly key: string;
  readonly snapshot: { readonly revision: string; readonly exposure: Exposure };
  readonly phase: Phase;
  readonly written: readonly Exposure[];
  readonly revision?: string | undefined;
  /** The flag as a write under way found it, while `phase` is `intent`. */
  readonly intent?: { readonly revision: string; readonly exposure: Exposure } | undefined;
  readonly change: string;
  readonly by: string;
  readonly comment: string;
  /** Asked right before each sending; what it throws stops it. */
  readonly stillWanted?: (() => Promise<void>) | undefined;
}

/** What became of it; `kept` and `foreign` are somebody else's value that stays, with who wrote it. */
export type FlagRestored =
  | { readonly kind: 'restored'; readonly flag: Flag; readonly wrote: boolean }
  | { readonly kind: 'kept' | 'foreign'; readonly flag: Flag }
  | { readonly kind: 'failed'; readonly error: Error };

/** What one flag is asked of the database: write when it still is at revision `seen`. */
export interface SentRestore {
  readonly key: string;
  readonly kind: 'restore' | 'fence';
  readonly to: Exposure;
  readonly seen: string;
  readonly change: string;
  readonly by: string;
  readonly comment: string;
}

/** The database's answer. `moved`: it stands at another revision, `doc`; `locked`: somebody holds its row just now. */
export interface SentAnswer {
  readonly key: string;
  readonly outcome: 'missing' | 'locked' | 'moved' | 'same' | 'written';
  readonly doc: Flag | null;
}

/** Sends several at once, one commit; `patient` waits for locked rows instead of leaving them out. */
export type SendRestores = (sent: readonly SentRestore[], patient: boolean) => Promise<readonly SentAnswer[]>;

/** How often a flag that keeps moving is looked at again within one call. */
const LOOKS = 5;

type Standing = { readonly revision: string; readonly exposure: Exposure; readonly changeId?: string };

/**
 * Where the flag stands if nobody else touched it: where the write under way found it, at our newest write, or at the snapshot where we never wrote. The
 * decision is drawn from that, and the database carries it out only at that very revision; where the flag stands
 * elsewhere it answers with what it found, and the decision is drawn anew. So the usual rollback is one round trip.
 */
function presumed(entry: FlagRestore): Standing {
  if (entry.intent !== undefined) return entry.intent;
  const ours = entry.written.at(-1);
  if (entry.revision === undefined || ours === undefined) return entry.snapshot;
  return { revision: entry.revision, exposure: ours };
}

function decide(entry: FlagRestore, current: Standing) {
  const ours = current.revision === entry.revision || current.changeId === entry.change;
  return restoreDecision({
    phase: entry.phase,
    snapshot: entry.snapshot,
    written: entry.written,
    current,
    ours,
    ...(entry.intent === undefined ? {} : { expected: entry.intent.revision }),
  });
}

/** Puts flags back by the law of core/journal; a flag whose revision moved is decided again, the others are not touched twice. Throws Retryable when nothing could be done. */
export async function restoreFlags(entries: readonly FlagRestore[], send: SendRestores): Promise<readonly FlagRestored[]> {
  const done = new Map<FlagRestore, FlagRestored>();
  const found = new Map<FlagRestore, Flag>();

  function settle(entry: FlagRestore, answer: SentAnswer | undefined, decided: 'restore' | 'fence'): void {
    if (answer === undefined || answer.outcome === 'missing' || answer.doc === null) {
      done.set(entry, {
        kind: 'failed',
        error: new Terminal('flag-missing', `flag ${entry.key} is not in the flag store any more; it cannot be put back, a person must make it again`),
      });
    } else if (answer.outcome === 'written') {
      done.set(entry, { kind: 'restored', flag: answer.doc, wrote: true });
    } else if (answer.outcome === 'same' && decided === 'restore') {
      done.set(entry, { kind: 'restored', flag: answer.doc, wrote: false });
    } else if (answer.outcome === 'moved') {
      found.set(entry, answer.doc);
    }
  }

  function prepare(entry: FlagRestore): SentRestore | undefined {
    const flag = found.get(entry);
    const current = flag ?? presumed(entry);
    const decision = decide(entry, current);
    const { key, change, by, comment } = entry;
    const sent = { key, to: entry.snapshot.exposure, seen: current.revision, change, by, comment };
    if (decision === 'write') return { ...sent, kind: 'restore' };
    if (decision === 'fence') return { ...sent, kind: 'fence' };
    // Nothing to write, but only what the database itself said may end it: a restore at a revision it never had is answered with what stands.
    if (flag === undefined) return { ...sent, kind: 'restore', seen: '0' };
    done.set(entry, decision === 'leave' ? { kind: 'restored', flag, wrote: false } : { kind: decision === 'keep' ? 'kept' : 'foreign', flag });
    return undefined;
  }

  async function round(group: readonly FlagRestore[], patient: boolean): Promise<void> {
    const sending = group.flatMap((entry) => {
      const sent = prepare(entry);
      return sent === undefined ? [] : [{ entry, sent }];
    });
    if (sending.length === 0) return;
    await Promise.all(sending.map(async ({ entry }) => entry.stillWanted?.()));
    const answers = new Map(
      (
        await send(
          sending.map(({ sent }) => sent),
          patient,
        )
      ).map((answer) => [answer.key, answer]),
    );
    for (const { entry, sent } of sending) settle(entry, answers.get(entry.key), sent.kind);
  }

  for (const entry of entries) {
    // Refused here, since the database would refuse everything that is sent with it.
    if (!/^\d{1,18}$/.test(entry.snapshot.revision) || [entry.key, entry.change, entry.by, entry.comment].some((text) => text.includes('\0'))) {
      done.set(entry, {
        kind: 'failed',
        error: new Terminal(
          'flag-invalid',
          `flag ${entry.key}: its snapshot's revision is "${entry.snapshot.revision.slice(0, 40)}"; expected a number, and no text with a NUL`,
        ),
      });
    }
  }
  for (let look = 0; look < LOOKS && done.size < entries.length; look += 1) {
    const open = entries.filter((entry) => !done.has(entry));
    if (look === 0) await round(open, false);
    else {
      // Each alone: one row that somebody holds must not keep the others waiting.
      const rounds = await Promise.allSettled(open.map((entry) => round([entry], true)));
      rounds.forEach((result, i) => {
        const entry = open[i];
        if (result.status === 'rejected' && entry !== undefined)
          done.set(entry, { kind: 'failed', error: result.reason instanceof Error ? result.reason : new Retryable(String(result.reason)) });
      });
    }
  }
  const outcomes = entries.map(
    (entry): FlagRestored =>
      done.get(entry) ?? { kind: 'failed', error: new Retryable(`flag ${entry.key} was written by someone else again and again while it was put back`) },
  );
  const errors = outcomes.flatMap((outcome) => (outcome.kind === 'failed' ? [outcome.error] : []));
  if (errors.length === entries.length && errors.every((error) => error instanceof Retryable) && errors[0] !== undefined) throw errors[0];
  return outcomes;
}
