import type { Response } from 'express';
import type { LoggedEvent } from '../../core/event.ts';
import { eventsOf, headOf } from '../../store/events.ts';
import { personOf } from '../../store/tokens.ts';
import { bearer } from '../auth.ts';
import type { ServerDeps } from '../deps.ts';
import { HttpProblem } from '../problem.ts';
import type { Answer, Call, Route } from '../route.ts';
import { unknownLaunch } from '../show.ts';
import { wholeNumber } from './launches.ts';

/** How often (ms) a stream says that it lives, and looks for events that no announcement told of. */
const HEARTBEAT = 5_000;
/** Every so many heartbeats the caller's token is looked at again. */
const LOOK_AGAIN = 6;
/** Bytes that a slow reader may be behind before it is let go: it comes back where it was. */
const BEHIND = 1_048_576;

/** An event as the API shows it. */
function shown({ seq, recordedAt, event, hash }: LoggedEvent): Readonly<Record<string, unknown>> {
  return { seq, recordedAt, hash, ...event };
}

/** Streams that are open, so that the server can end them when it closes. */
export interface Streams {
  /** Holds on to a stream until it ends by itself. */
  readonly add: (end: () => void) => () => void;
  readonly endAll: () => void;
}

/** An empty set of streams. */
export function openStreams(): Streams {
  const open = new Set<() => void>();
  return {
    add: (end) => {
      open.add(end);
      return () => open.delete(end);
    },
    endAll: () => {
      for (const end of [...open]) end();
    },
  };
}

function frame(res: Response, name: string | undefined, data: unknown, id?: number): void {
  res.write(`${id === undefined ? '' : `id: ${id}\n`}${name === undefined ? '' : `event: ${name}\n`}data: ${JSON.stringify(data)}\n\n`);
}

/** Sends a launch's events as they come, from `after` on, until the caller or the server ends it. */
function stream(deps: ServerDeps, res: Response, launch: string, after: number, streams: Streams, token: string | undefined): Promise<void> {
  return new Promise((resolve) => {
    let last = after;
    let beats = 0;
    let wanted = false;
    let reading = false;
    let done = false;
    const pump = async (): Promise<void> => {
      wanted = true;
      if (reading) return;
      reading = true;
      try {
        while (wanted && !done) {
          wanted = false;
          for (const logged of await eventsOf(deps.store.db, launch, last)) {
            last = logged.seq;
            frame(res, undefined, shown(logged), logged.seq);
          }
          if (res.writableLength > BEHIND) end();
        }
      } catch (error) {
        deps.log.warn({ launch, reason: error instanceof Error ? error.message : String(error) }, 'an event stream could not read; it tries again');
      } finally {
        reading = false;
      }
    };
    const beat = async (): Promise<void> => {
      beats += 1;
      frame(res, 'heartbeat', { at: new Date().toISOString(), seq: last });
      void pump();
      if (beats % LOOK_AGAIN !== 0 || token === undefined) return;
      const person = await personOf(deps.store, token).catch(() => 'unknown' as const);
      if (person === undefined) end();
    };
    const forget = deps.store.listener.on('gonogo_event', (heard) => {
      if (heard === undefined || heard === launch) void pump();
    });
    const timer = setInterval(() => void beat(), HEARTBEAT);
    const end = (): void => {
      if (done) return;
      done = true;
      clearInterval(timer);
      forget();
      remove();
      res.end();
      resolve();
    };
    const remove = streams.add(end);
    res.on('close', end);
    frame(res, 'heartbeat', { at: new Date().toISOString(), seq: last });
    void pump();
  });
}

/** The event log of a launch, as a list or as it grows. */
export function eventRoutes(streams: Streams): readonly Route[] {
  async function events({ deps, req, res, param, query }: Call<unknown>): Promise<Answer | undefined> {
    const id = param('id');
    const head = await headOf(deps.store.db, id);
    if (head === undefined) throw unknownLaunch(id);
    const resumed = req.headers['last-event-id'];
    const after = wholeNumber('after', typeof resumed === 'string' ? resumed : query('after'), 0, Number.MAX_SAFE_INTEGER, 0);
    const accepted = req.accepts(['application/json', 'text/event-stream']);
    if (accepted === 'application/json') return { status: 200, body: { launch: id, events: (await eventsOf(deps.store.db, id, after)).map(shown), head } };
    if (accepted !== 'text/event-stream') throw new HttpProblem(406, 'not_acceptable', 'events come as application/json or text/event-stream');
    res.status(200).set({ 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no', connection: 'keep-alive' });
    res.flushHeaders();
    // A reader that knows more than there is has another log in mind: it must begin again.
    if (after > head.seq) frame(res, 'resync', { seq: head.seq });
    await stream(deps, res, id, after > head.seq ? 0 : after, streams, bearer(req));
    return undefined;
  }
  return [
    {
      method: 'get',
      path: '/api/launches/:id/events',
      summary: 'The event log; with Accept: text/event-stream as it grows (Last-Event-ID resumes, a heartbeat event every 5 s)',
      access: 'person',
      responses: { 200: 'The events', 404: 'There is no such launch' },
      handle: events,
    },
  ];
}
