import { Retryable } from '../core/failure.ts';
import type { FlagProvider } from '../providers/provider.ts';
import { sendAnswered, sendBegins, type EntryName } from '../store/patrol.ts';
import type { Store } from '../store/store.ts';

/** A hand was overtaken before it sent: a rollback, or a wider one, was asked for, or the launch is over. A stop, not an error. */
export class Fenced extends Error {}

/** Whether a failure still tells that nothing of ours is on its way: the vendor refused it, or it was never sent. */
function isAnswer(error: unknown): boolean {
  return error instanceof Retryable ? error.delay !== undefined : error instanceof Error && error.name !== 'AbortError' && error.name !== 'TimeoutError';
}

/**
 * Sends a write. Where the provider cannot fence, it is counted before it goes out and after its answer: while one is
 * missing a hand may be frozen with it, and a rollback is followed by a patrol. Throws what `send` throws, and where the
 * count cannot be written down.
 */
export async function sent<T>(store: Store, launch: string, provider: FlagProvider, entries: readonly EntryName[], send: () => Promise<T>): Promise<T> {
  if (provider.can.fences) return send();
  await sendBegins(store, launch, entries);
  // An answer that cannot be written down leaves a doubt, and a patrol too many; it never makes a write fail.
  const answered = () => sendAnswered(store, launch, entries).catch(() => undefined);
  try {
    const done = await send();
    await answered();
    return done;
  } catch (error) {
    if (isAnswer(error)) await answered();
    throw error;
  }
}
