import pg from 'pg';

/** What the database announces: a new event, a rollback asked for, each with the launch's id. */
export type Channel = 'gonogo_event' | 'gonogo_rollback';

/** Hears the database's announcements; a lost connection is opened again, and those who listen are told to look for themselves. */
export interface Listener {
  /** Calls `heard` with the launch's id, or with `undefined` when announcements may have been missed. Returns how to stop. */
  readonly on: (channel: Channel, heard: (launch: string | undefined) => void) => () => void;
  readonly close: () => Promise<void>;
}

/** One connection per process that LISTENs; it is opened when the first one listens. */
export function openListener(url: string, report: (error: Error) => void): Listener {
  const ears = new Map<Channel, Set<(launch: string | undefined) => void>>([
    ['gonogo_event', new Set()],
    ['gonogo_rollback', new Set()],
  ]);
  let client: pg.Client | undefined;
  let closed = false;
  let opening: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  function again(): void {
    client = undefined;
    if (closed || timer !== undefined) return;
    timer = setTimeout(() => {
      timer = undefined;
      opening = open();
    }, 500);
  }

  async function open(): Promise<void> {
    const fresh = new pg.Client({ connectionString: url, application_name: 'gonogo listener', connectionTimeoutMillis: 3_000, keepAlive: true });
    fresh.on('error', (error) => {
      report(error);
      fresh.end().catch(() => undefined);
      if (client === fresh) again();
    });
    fresh.on('end', () => {
      if (client === fresh) again();
    });
    fresh.on('notification', (message) => {
      for (const heard of ears.get(message.channel as Channel) ?? []) heard(message.payload);
    });
    try {
      await fresh.connect();
      await fresh.query('listen gonogo_event; listen gonogo_rollback');
      client = fresh;
      for (const all of ears.values()) for (const heard of all) heard(undefined);
    } catch (error) {
      report(error instanceof Error ? error : new Error(String(error)));
      await fresh.end().catch(() => undefined);
      again();
    }
  }

  return {
    on: (channel, heard) => {
      ears.get(channel)?.add(heard);
      opening ??= open();
      return () => ears.get(channel)?.delete(heard);
    },
    close: async () => {
      closed = true;
      clearTimeout(timer);
      await opening;
      const last = client;
      client = undefined;
      await last?.end();
    },
  };
}
