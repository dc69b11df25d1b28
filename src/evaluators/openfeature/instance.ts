import { OpenFeature, NOOP_PROVIDER, ProviderEvents, ProviderStatus, type EvaluationDetails, type Provider } from '@openfeature/server-sdk';
import { Retryable } from '../../core/failure.ts';
import type { Evaluation, Question } from '../evaluator.ts';
import { fromDetails, NO_TEXT, notTold, toContext } from './translate.ts';

/** One answer's deadline, and the longest wait for a provider that is starting, ms. */
const DEADLINE = 2_000;
/** A provider that could not start is made anew when it is next asked, but not more often than this, ms. */
const AGAIN = 5_000;

/** One provider in a domain of its own. */
export interface Instance {
  readonly name: string;
  /** Why it cannot be asked now; undefined when it is ready. Waits for one that is starting. Never throws. */
  obstacle(signal: AbortSignal): Promise<string | undefined>;
  /** One answer. Never throws; `hung` when it did not come in time. */
  ask(question: Question, signal: AbortSignal): Promise<{ readonly answer: Evaluation; readonly hung: boolean }>;
  close(): Promise<void>;
}

const QUIET = { error: () => undefined, warn: () => undefined, info: () => undefined, debug: () => undefined };

const words = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function within<T>(ms: number, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const { promise: over, reject } = Promise.withResolvers<never>();
  const stop = (): void => reject(new Error('stopped before it answered'));
  const timer = setTimeout(() => reject(new Retryable(`no answer within ${ms} ms`)), ms);
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    return await Promise.race([over, work()]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}

/** Starts the provider in `domain`, and answers before it is ready. `mask` takes out of the provider's words what nobody may see. */
export function openInstance(name: string, domain: string, first: Provider, make: () => Promise<Provider>, mask: (text: string) => string): Instance {
  const client = OpenFeature.getClient(domain);
  client.setLogger(QUIET);
  // Masked before it is cut: half a secret is one too.
  const short = (text: string): string => mask(text).slice(0, 300);
  let said = '';
  let current = first;
  let failed = false;
  let pending = false;
  let closed = false;
  let triedAt = 0;
  let starting: Promise<void> = Promise.resolve();
  const bad = [ProviderEvents.Stale, ProviderEvents.Error] as const;
  const heard = (details?: { readonly message?: string }): void => void (said = short(details?.message ?? ''));
  for (const event of bad) client.addHandler(event, heard);
  const failing = (error: unknown): void => {
    failed = true;
    said = short(words(error));
  };
  function start(provider: Provider): void {
    current = provider;
    failed = false;
    triedAt = performance.now();
    pending = true;
    starting = OpenFeature.setProviderAndWait(domain, provider)
      .catch(failing)
      .finally(() => (pending = false));
  }
  start(first);

  // One that threw before it was bound left the domain to the default provider, which knows nothing.
  const status = (): ProviderStatus => (OpenFeature.getProvider(domain) === current ? client.providerStatus : ProviderStatus.ERROR);
  /** What stands in the way by the provider's own word: old values are no evidence, whatever it would answer. */
  function unready(): string | undefined {
    const found = status();
    if (found === ProviderStatus.READY) return undefined;
    const means = found === ProviderStatus.STALE ? 'its values may be old' : 'it has no values';
    return `${name}: the provider is ${found}${said === '' ? '' : ` (${said})`}; ${means}`;
  }

  async function resolve(question: Question, fallback: boolean | string): Promise<EvaluationDetails<boolean | string>> {
    const { key } = question.flag;
    const context = toContext(question.subject);
    return typeof fallback === 'boolean' ? client.getBooleanDetails(key, fallback, context) : client.getStringDetails(key, fallback, context);
  }

  async function answer(question: Question): Promise<Evaluation> {
    // First with what is not expected when all is off: one question is enough wherever the answer differs from it.
    const fallback = question.flag.type === 'boolean' ? question.flag.offValue === false : NO_TEXT;
    const found = fromDetails(name, question, await resolve(question, fallback), fallback);
    if (found.kind !== 'doubtful') return found;
    if (typeof fallback === 'string') return notTold(name, question, found.reason);
    const again = fromDetails(name, question, await resolve(question, !fallback), !fallback);
    return again.kind === 'doubtful' ? notTold(name, question, again.reason) : again;
  }

  return {
    name,
    async obstacle(signal) {
      try {
        if (failed && !closed && status() !== ProviderStatus.READY && performance.now() - triedAt > AGAIN) {
          triedAt = performance.now();
          const provider = await make();
          // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- it may have been closed while the provider was made
          if (closed) await provider.onClose?.();
          else start(provider);
        }
        if (pending && status() !== ProviderStatus.READY) await within(DEADLINE, signal, () => starting);
      } catch (error) {
        if (error instanceof Retryable || signal.aborted) return `${name}: the provider is starting: ${short(words(error))}`;
        failing(error);
      }
      return unready();
    },
    async ask(question, signal) {
      const mute = (detail: string): Evaluation => ({ kind: 'silent', instance: name, detail: short(detail) });
      try {
        const found = await within(DEADLINE, signal, () => answer(question));
        if (found.kind === 'silent') return { answer: mute(found.detail), hung: false };
        // Looked at afterwards: what was answered while it went stale counts no more.
        const stale = unready();
        return { answer: stale === undefined ? found : mute(stale), hung: false };
      } catch (error) {
        return { answer: mute(`${name}: ${words(error)}`), hung: error instanceof Retryable };
      }
    },
    async close() {
      closed = true;
      for (const event of bad) client.removeHandler(event, heard);
      // A domain cannot be taken away; with another provider in it, ours is closed.
      await OpenFeature.setProviderAndWait(domain, NOOP_PROVIDER);
    },
  };
}
