import { OpenFeature } from '@openfeature/server-sdk';
import { OFREPProvider } from '@openfeature/ofrep-provider';
import type { Who } from './people.ts';

/** The switches that the marketplace reads, as in the registry. */
export const SWITCHES = [
  'chat.enabled',
  'chat.attachments',
  'chat.presence',
  'dispute.enabled',
  'notify.email',
  'notify.webpush',
  'chat_dark_launch',
  'chat_notifications_beta',
  'dispute_tools_v2',
  'chat_full_release',
] as const;

/** One of them. */
export type Switch = (typeof SWITCHES)[number];

/** How chat reaches people. */
export type Transport = 'full' | 'sse-only';

/** The flags as one reads them for a person or a contract. What cannot be read is off, and counted. */
export interface Flags {
  on(flag: Switch, who: Who): Promise<boolean>;
  transport(who: Who): Promise<Transport>;
  close(): Promise<void>;
}

/** One read's deadline, ms: the OFREP provider itself has none. */
const DEADLINE = 1_000;
/** An answer is used again for so long, ms: one burst of a user asks once, and a rollback is felt at once. */
const KEEP = 250;

/** Reads flags through the OpenFeature SDK from an OFREP server. `onFailure` hears of each read that fell back to off. */
export async function openFlags(url: string, token: string, onFailure: (flag: string) => void): Promise<Flags> {
  const provider = new OFREPProvider({
    baseUrl: url,
    headers: [['Authorization', `Bearer ${token}`]],
    fetchImplementation: (input: string | URL | Request, init?: RequestInit) => fetch(input, { ...init, signal: AbortSignal.timeout(DEADLINE) }),
  });
  await OpenFeature.setProviderAndWait(provider);
  const client = OpenFeature.getClient();
  const kept = new Map<string, { readonly until: number; readonly value: Promise<unknown> }>();

  function read<T>(flag: string, who: Who, ask: () => Promise<{ readonly value: T; readonly errorCode?: unknown }>): Promise<T> {
    const id = JSON.stringify([flag, who]);
    const now = performance.now();
    const known = kept.get(id);
    if (known !== undefined && known.until > now) return known.value as Promise<T>;
    if (kept.size > 5_000) kept.clear();
    const value = ask().then((details) => {
      if (details.errorCode !== undefined) {
        onFailure(flag);
        kept.delete(id);
      }
      return details.value;
    });
    kept.set(id, { until: now + KEEP, value });
    return value;
  }

  return {
    on: (flag, who) => read(flag, who, () => client.getBooleanDetails(flag, false, { ...who })),
    transport: async (who) =>
      (await read('chat.transport', who, () => client.getStringDetails('chat.transport', 'full', { ...who }))) === 'sse-only' ? 'sse-only' : 'full',
    close: () => OpenFeature.close(),
  };
}
