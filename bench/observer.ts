import pg from 'pg';
import { FLAG_CHANNEL } from '../src/flags/schema.ts';

/** What was heard of one launch since it was watched for: times of performance.now. */
export interface Seen {
  /** All its flags were told to those who read the flag store. */
  readonly off: Promise<number>;
  /** The proof was committed. */
  readonly proven: Promise<number>;
}

/** Hears the databases' own announcements, as an application does; nothing is polled. */
export interface Observer {
  /** Begins to listen for a launch; call it before the breach. */
  watch(launch: string, flags: readonly string[]): Seen;
  close(): Promise<void>;
}

interface Watched {
  readonly flags: Set<string>;
  heard: number;
  readonly off: PromiseWithResolvers<number>;
  readonly proven: PromiseWithResolvers<number>;
}

/** Announcements of a rollback, in order: it was asked for, it is proven. */
const PROVEN = 2;

/** Opens an observer of gonogo's database, in which the flag store is too. */
export async function openObserver(url: string): Promise<Observer> {
  const client = new pg.Client({ connectionString: url, application_name: 'bench observer', keepAlive: true });
  const byLaunch = new Map<string, Watched>();
  const byFlag = new Map<string, string>();
  client.on('notification', ({ channel, payload = '' }) => {
    const now = performance.now();
    if (channel === FLAG_CHANNEL) {
      const keys = payload === '*' ? [...byFlag.keys()] : payload.split(',');
      for (const key of keys) {
        const watched = byLaunch.get(byFlag.get(key) ?? '');
        if (watched?.flags.delete(key) === true && watched.flags.size === 0) watched.off.resolve(now);
      }
      return;
    }
    const watched = byLaunch.get(payload);
    if (watched === undefined) return;
    watched.heard += 1;
    if (watched.heard === PROVEN) watched.proven.resolve(now);
  });
  // Lost only when the server goes; who waits for news then is told by the part that failed.
  client.on('error', () => undefined);
  await client.connect();
  await client.query(`listen ${FLAG_CHANNEL}; listen gonogo_rollback`);
  return {
    watch(launch, flags) {
      const watched = { flags: new Set(flags), heard: 0, off: Promise.withResolvers<number>(), proven: Promise.withResolvers<number>() };
      byLaunch.set(launch, watched);
      for (const flag of flags) byFlag.set(flag, launch);
      return { off: watched.off.promise, proven: watched.proven.promise };
    },
    close: () => client.end(),
  };
}
