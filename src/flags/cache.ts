import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { databaseFailure, type FlagLog } from './database.ts';
import { stateOf, type Flag, type Segments } from './flag.ts';
import { FLAG_CHANNEL } from './schema.ts';
import type { FlagReading } from './store.ts';

/** Every flag and segment as last read, and when (ms since the epoch). */
export interface FlagView {
  readonly flags: ReadonlyMap<string, Flag>;
  readonly segments: Segments;
  readonly readAt: number;
}

/** How a cache is kept. Times in ms. */
export interface FlagCacheOptions {
  /** How often everything is looked at again in case a notification was lost. Default 1,000. */
  readonly every?: number;
  readonly log?: FlagLog;
}

/** All flags in memory, kept as fresh as the database's notifications. */
export interface FlagCache {
  /** What users get just now. While the database is away it is what was read last, since that is what users get. */
  view(): FlagView;
  /** Ms since everything was last known to be current. */
  age(): number;
  /** Called with the changed flags after each refresh that changed something; returns how to stop. */
  onChange(listener: (changed: readonly Flag[]) => void): () => void;
  close(): Promise<void>;
}

/** What the cache reads from: a flag store. */
export interface FlagReader {
  read(keys?: readonly string[], signal?: AbortSignal): Promise<FlagReading>;
}

/** One word for a whole reading: every write moves one revision by one, so the sum tells any two apart. */
const FINGERPRINT = `select (select count(*) || ':' || coalesce(sum(revision), 0) from flag) || '/' || (select count(*) || ':' || coalesce(sum(revision), 0) from flag_segment) as print`;

function fingerprint(flags: ReadonlyMap<string, Flag>, segments: readonly { readonly revision: string }[]): string {
  const sum = (all: Iterable<{ readonly revision: string }>): bigint => [...all].reduce((total, each) => total + BigInt(each.revision), 0n);
  return `${flags.size}:${sum(flags.values())}/${segments.length}:${sum(segments)}`;
}

/** Reads everything, then follows: a connection of its own listens, and looks again every `every` ms. Throws when the first reading fails. */
export async function openFlagCache(url: string, store: FlagReader, options: FlagCacheOptions = {}): Promise<FlagCache> {
  const { every = 1_000, log } = options;
  const listeners = new Set<(changed: readonly Flag[]) => void>();
  const closing = new AbortController();
  let flags: Map<string, Flag> = new Map();
  let segments: FlagReading['segments'] = [];
  let current: FlagView = { flags, segments: new Map(), readAt: 0 };
  let wanted: Set<string> | 'all' | undefined;
  let nudge = Promise.withResolvers<'nudged'>();

  function want(keys: string): void {
    if (keys === '*') wanted = 'all';
    else if (wanted !== 'all') wanted = new Set([...(wanted ?? []), ...keys.split(',')]);
    nudge.resolve('nudged');
  }

  function take(reading: FlagReading, whole: boolean, readAt: number): void {
    const changed = reading.flags.filter((flag) => BigInt(flag.revision) > BigInt(flags.get(flag.key)?.revision ?? '0'));
    const kept = whole ? new Map<string, Flag>() : new Map(flags);
    for (const flag of reading.flags) {
      const old = flags.get(flag.key);
      kept.set(flag.key, old !== undefined && BigInt(old.revision) > BigInt(flag.revision) ? old : flag);
    }
    flags = kept;
    segments = reading.segments;
    current = { flags, segments: new Map(segments.map((segment) => [segment.name, segment.listed])), readAt };
    if (changed.length === 0) return;
    for (const listener of listeners) {
      try {
        listener(changed);
      } catch (error) {
        log?.warn({ reason: String(error) }, 'a listener of the flag cache failed');
      }
    }
  }

  async function refresh(): Promise<void> {
    while (wanted !== undefined && !closing.signal.aborted) {
      const asked = wanted;
      wanted = undefined;
      const startedAt = Date.now();
      try {
        take(await store.read(asked === 'all' ? undefined : [...asked], closing.signal), asked === 'all', startedAt);
      } catch (error) {
        wanted = 'all';
        throw error;
      }
    }
  }

  async function connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: 2_000,
      query_timeout: 2_000,
      keepAlive: true,
      application_name: 'gonogo flags-listen',
    });
    const lost = (): void => {
      lostClients.add(client);
      nudge.resolve('nudged');
    };
    client.on('error', lost);
    client.on('end', lost);
    client.on('notification', (message) => want(message.payload ?? '*'));
    try {
      await client.connect();
      await client.query(`listen ${FLAG_CHANNEL}`);
    } catch (error) {
      void client.end().catch(() => undefined);
      throw databaseFailure(error, url, 'flag store (listen)');
    }
    // What was written before we listened has no notification for us.
    want('*');
    return client;
  }

  const isClosing = (): boolean => closing.signal.aborted;
  const lostClients = new WeakSet<pg.Client>();
  let client: pg.Client | undefined = await connect();
  try {
    await refresh();
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }

  async function look(): Promise<void> {
    if (client !== undefined && lostClients.has(client)) {
      void client.end().catch(() => undefined);
      client = undefined;
    }
    client ??= await connect();
    if (wanted === undefined) {
      const startedAt = Date.now();
      const { rows } = await client.query<{ print: string }>(FINGERPRINT);
      if (rows[0]?.print === fingerprint(flags, segments)) current = { ...current, readAt: startedAt };
      else want('*');
    }
    await refresh();
  }

  let silent = false;
  async function follow(): Promise<void> {
    while (!isClosing()) {
      const tick = new AbortController();
      await Promise.race([nudge.promise, delay(every, undefined, { signal: tick.signal }).catch(() => undefined)]);
      tick.abort();
      nudge = Promise.withResolvers<'nudged'>();
      if (isClosing()) return;
      try {
        if (wanted === undefined || client === undefined || lostClients.has(client)) await look();
        else await refresh();
        if (silent) log?.info({ flags: flags.size }, 'the flag store is back');
        silent = false;
      } catch (error) {
        if (!silent && !isClosing())
          log?.warn(
            { reason: databaseFailure(error, url, 'flag cache').message, age: Date.now() - current.readAt },
            'flags cannot be read; users get what was read last',
          );
        silent = true;
        if (client !== undefined && error instanceof Error && error.message.includes('timeout')) lostClients.add(client);
        // A lost connection nudges at once; one that cannot be made again must not be tried in a circle.
        await delay(every / 4, undefined, { signal: closing.signal }).catch(() => undefined);
      }
    }
  }
  const following = follow();

  return {
    view: () => current,
    age: () => Date.now() - current.readAt,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      closing.abort();
      nudge.resolve('nudged');
      await following;
      await client?.end().catch(() => undefined);
    },
  };
}

/** One log line per flag: what it was when this process started. */
export function logFlagStates(view: FlagView, log: FlagLog): void {
  for (const flag of view.flags.values()) {
    const { key, exposure, revision } = flag;
    log.info(
      {
        flag: key,
        state: stateOf(exposure),
        value: exposure.value,
        share: exposure.share,
        by: exposure.by,
        listed: exposure.listed.reduce((sum, list) => sum + list.values.length, 0),
        revision,
      },
      'flag at start-up',
    );
  }
}
