import type { ServerResponse } from 'node:http';
import type { Account, Environment, Flag, Segment } from './account.ts';
import { sdkFlag, sdkSegment } from './representations.ts';

/** What the SDKs of an account are sent. */
export interface Streams {
  /** Takes a connection: everything first, then what changes. */
  join(environment: Environment, response: ServerResponse): void;
  flagChanged(flag: Flag): void;
  segmentChanged(environment: Environment, segment: Segment): void;
  /** While silent, connections stay open and nothing is sent: a stream that is half dead. */
  silence(yes: boolean): void;
  /** Time (ms) from a change to its being sent. */
  delay: number;
  /** Connections that are open. */
  readonly open: number;
  dropAll(): void;
}

/** Everything that an SDK of this environment knows. */
export function everything(account: Account, environment: Environment): unknown {
  const flags = [...account.flags.values()].flatMap((flag) => {
    const setting = flag.environments[environment.key];
    return setting === undefined || flag.archived ? [] : [[flag.key, sdkFlag(flag, setting)] as const];
  });
  return { flags: Object.fromEntries(flags), segments: Object.fromEntries([...environment.segments].map(([key, segment]) => [key, sdkSegment(segment)])) };
}

/** Opens the streams of an account. */
export function openStreams(account: Account): Streams {
  const joined = new Map<ServerResponse, Environment>();
  let silent = false;
  const send = (response: ServerResponse, event: string, data: unknown): void => void response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  function tell(environment: string | undefined, event: string, data: (environment: Environment) => unknown): void {
    const go = (): void => {
      if (silent) return;
      for (const [response, own] of joined) if (environment === undefined || own.key === environment) send(response, event, data(own));
    };
    if (streams.delay === 0) go();
    else setTimeout(go, streams.delay).unref();
  }
  const streams: Streams = {
    delay: 0,
    join(environment, response) {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
      response.flushHeaders();
      joined.set(response, environment);
      response.on('close', () => joined.delete(response));
      if (!silent) send(response, 'put', { path: '/', data: everything(account, environment) });
    },
    flagChanged(flag) {
      for (const [name, setting] of Object.entries(flag.environments)) {
        const data = flag.archived ? { path: `/flags/${flag.key}`, version: setting.version } : { path: `/flags/${flag.key}`, data: sdkFlag(flag, setting) };
        tell(name, flag.archived ? 'delete' : 'patch', () => data);
      }
    },
    segmentChanged(environment, segment) {
      const data = { path: `/segments/${segment.key}`, data: sdkSegment(segment) };
      tell(environment.key, 'patch', () => data);
    },
    silence(yes) {
      silent = yes;
    },
    get open() {
      return joined.size;
    },
    dropAll() {
      for (const response of joined.keys()) response.destroy();
      joined.clear();
    },
  };
  return streams;
}
