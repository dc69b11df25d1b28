import { sql } from 'kysely';
import type { LaunchEvent } from '../core/event.ts';
import type { House, Log } from '../house.ts';
import { eventsOf } from '../store/events.ts';
import type { Store } from '../store/store.ts';
import { newsOf, NEWSWORTHY, wants, type Wanted } from './news.ts';
import type { Notifier } from './notifier.ts';

/** A place where people hear of launches, by its name in the config. */
export interface NewsChannel {
  readonly name: string;
  readonly notifier: Notifier;
  readonly wants: Wanted;
}

/** What a herald is made of. Times in ms. */
export interface HeraldOptions {
  readonly store: Store;
  readonly channels: readonly NewsChannel[];
  readonly log: Log;
  readonly publicUrl?: string;
  /** How often it looks for what no announcement told of, and for what failed. Default 2,000. */
  readonly every?: number;
  /** How long one message may take. Default 10,000. */
  readonly within?: number;
}

/** Tells people what happens, beside everything else: no rollback waits for it. */
export interface Herald {
  /** Goes through everything untold now; resolves when each was tried once. */
  readonly round: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** News older than this (h) is no news any more: a channel that is new is not told the past. */
const NEWS_FOR = 24;
/** A claim that was not settled for so long (s) was made by a process that is gone. */
const CLAIM_FOR = 30;

interface Untold {
  readonly launch: string;
  readonly seq: number;
}

/** Events that this channel was not told of, or not with success, and is due for. */
async function untold(store: Store, channel: NewsChannel): Promise<readonly Untold[]> {
  const { rows } = await sql<{ launch: string; seq: number; body: string }>`
    select e.launch, e.seq, e.body from event e left join notification n on n.launch = e.launch and n.seq = e.seq and n.channel = ${channel.name}
    where e.kind = any(${[...NEWSWORTHY]}) and e.recorded_at > clock_timestamp() - make_interval(hours => ${NEWS_FOR})
      and (n.launch is null or (n.sent_at is null and n.claimed_at < clock_timestamp() - make_interval(secs => case when n.last_error is null then ${CLAIM_FOR} else least(300, power(2, n.attempts)) end)))
    order by e.recorded_at, e.launch, e.seq limit 200`.execute(store.db);
  return rows.filter((row) => wants(channel.wants, JSON.parse(row.body) as LaunchEvent)).map(({ launch, seq }) => ({ launch, seq }));
}

/** Takes one message for this process. False when another has it, or it is told. */
async function claim(store: Store, { launch, seq }: Untold, channel: string): Promise<boolean> {
  const { rows } = await sql<{ attempts: number }>`
    insert into notification as n (launch, seq, channel, attempts, sent_at, last_error) values (${launch}, ${seq}, ${channel}, 1, null, null)
    on conflict (launch, seq, channel) do update set claimed_at = clock_timestamp(), attempts = n.attempts + 1, last_error = null
      where n.sent_at is null and n.claimed_at < clock_timestamp() - make_interval(secs => case when n.last_error is null then ${CLAIM_FOR} else least(300, power(2, n.attempts)) end)
    returning attempts`.execute(store.db);
  return rows.length > 0;
}

/** Reads the event log and tells each channel what it wants to hear: once, by a row; again after a failure, with the same key. */
export function openHerald(options: HeraldOptions): Herald {
  const { store, channels, log } = options;
  const closing = new AbortController();
  let running: Promise<void> | undefined;
  const wanted = { again: false };

  async function tell(channel: NewsChannel, one: Untold): Promise<void> {
    if (closing.signal.aborted || !(await claim(store, one, channel.name))) return;
    const key = `${one.launch}/${one.seq}/${channel.name}`;
    const where = { launch: one.launch, seq: one.seq, channel: channel.name } as const;
    const mine = store.db.updateTable('notification').where('launch', '=', where.launch).where('seq', '=', where.seq).where('channel', '=', where.channel);
    try {
      const events = await eventsOf(store.db, one.launch);
      const news = newsOf(
        one.launch,
        events.filter((event) => event.seq <= one.seq),
        options.publicUrl,
      );
      await channel.notifier.announce(news, key, AbortSignal.any([closing.signal, AbortSignal.timeout(options.within ?? 10_000)]));
      await mine.set({ sent_at: sql<Date>`clock_timestamp()`, last_error: null }).execute();
    } catch (error) {
      const reason = (error instanceof Error ? error.message : String(error)).slice(0, 1_000);
      log.warn({ ...where, reason }, 'people could not be told; it is tried again');
      await mine.set({ last_error: reason }).execute();
    }
  }

  async function tellChannel(channel: NewsChannel): Promise<void> {
    // In order and one by one: the end of a story is not told before its middle.
    for (const one of await untold(store, channel)) await tell(channel, one);
  }

  // Someone may ask for another round while this one goes on.
  const askedAgain = (): boolean => wanted.again && !closing.signal.aborted;

  async function goRound(): Promise<void> {
    do {
      wanted.again = false;
      const told = await Promise.allSettled(channels.map(tellChannel));
      for (const one of told) if (one.status === 'rejected') log.warn({ reason: String(one.reason) }, 'the herald could not read the log; it tries again');
    } while (askedAgain());
  }

  function round(): Promise<void> {
    wanted.again = true;
    running ??= goRound().finally(() => {
      running = undefined;
    });
    return running;
  }

  const forget = channels.length === 0 ? () => undefined : store.listener.on('gonogo_event', () => void round());
  const timer = channels.length === 0 ? undefined : setInterval(() => void round(), options.every ?? 2_000);
  return {
    round,
    close: async () => {
      clearInterval(timer);
      forget();
      closing.abort();
      await running;
    },
  };
}

/** Runs a herald over a house's notifiers until the signal: each hears what its `events` in the config says, everything when it says nothing. Never rejects. */
export async function runHerald(
  house: Pick<House, 'store' | 'log' | 'notifiers'>,
  wanted: Readonly<Record<string, { readonly events?: Wanted }>>,
  options: { readonly signal: AbortSignal; readonly publicUrl?: string },
): Promise<void> {
  const channels = [...house.notifiers].map(([name, notifier]): NewsChannel => ({ name, notifier, wants: wanted[name]?.events ?? 'all' }));
  const herald = openHerald({ store: house.store, log: house.log, channels, ...(options.publicUrl === undefined ? {} : { publicUrl: options.publicUrl }) });
  if (!options.signal.aborted) await new Promise((resolve) => options.signal.addEventListener('abort', resolve, { once: true }));
  await herald.close();
}
