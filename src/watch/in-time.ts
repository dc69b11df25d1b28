/** What a promise came to before the signal, or undefined: for what may come too late, or not at all. Never rejects. */
export async function inTime<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  const { promise: over, resolve } = Promise.withResolvers<undefined>();
  const stop = (): void => resolve(undefined);
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    return await Promise.race([over, work]);
  } catch {
    return undefined;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
