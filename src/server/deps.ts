import type { Client } from '@temporalio/client';
import type { Registry as Metrics } from 'prom-client';
import type { FlagCache } from '../flags/cache.ts';
import type { Registry } from '../flags/registry.ts';
import type { FlagStore } from '../flags/store.ts';
import type { Log } from '../house.ts';
import type { Store } from '../store/store.ts';

/** A source of alerts: the secret it shows, and the plans it may stop by name (`*`: every one). */
export interface HookSource {
  readonly token: string;
  readonly plans: readonly string[];
}

/** The built-in flag store as the server offers it. */
export interface FlagService {
  readonly store: FlagStore;
  readonly cache: FlagCache;
  /** Callers without a token may evaluate flags that are marked `exposed`. Default true. */
  readonly openToPublic?: boolean;
  /** Share (0..1) of evaluations that are logged. Default 0.01. */
  readonly sample?: number;
}

/** What a server is made of. */
export interface ServerDeps {
  readonly store: Store;
  /** Asked when a launch is started, and to nudge; may fail or hang, nothing else waits for it. */
  readonly temporal: () => Promise<Client>;
  readonly taskQueue: string;
  readonly registry: Registry;
  readonly log: Log;
  readonly flags?: FlagService;
  readonly hooks?: { readonly alertmanager: Readonly<Record<string, HookSource>> };
  /** The page's registry, already filled by the process; the server adds its own. */
  readonly metrics?: Metrics;
  readonly publicUrl?: string;
  /** Whether a launch may be divided by `speed`: only embedded, on loopback. Default false. */
  readonly speed?: boolean;
  /** Judged time, ms. Default the process's clock. */
  readonly now?: () => number;
  /** How many failed logins an address has per minute before it is told 429. Default 30. */
  readonly failedLogins?: number;
  /** Webhooks per second that one source may send on average, and at once. Default 200 and 500. */
  readonly hookRate?: { readonly perSecond: number; readonly burst: number };
}

/** The server's word for judged time, ms. */
export function nowOf(deps: Pick<ServerDeps, 'now'>): number {
  return deps.now?.() ?? Date.now();
}
