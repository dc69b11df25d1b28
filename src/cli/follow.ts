import { setTimeout as pause } from 'node:timers/promises';
import type { LaunchEvent } from '../core/event.ts';
import { describeEvent } from '../core/report.ts';
import type { LaunchView } from '../core/view.ts';
import type { Cli } from './cli.ts';
import type { ApiClient } from './client.ts';
import { Refused } from './client.ts';
import { EXIT, Exit, type ExitCode } from './exit.ts';
import { clean } from './text.ts';
import { exitOf, getView, headline, launchPath } from './view.ts';

/** How a launch is followed. */
export interface Following {
  readonly launch: string;
  /** The code to end with, or undefined to go on. Asked whenever something changed. */
  readonly decide: (view: LaunchView) => ExitCode | undefined;
  /** Ends it after so many ms. */
  readonly timeout?: number;
}

/** Before the server has answered once, so long; afterwards it may be away as long as it likes. */
const FIRST_ANSWER_MS = 5_000;
/** The view is asked this often even when no event comes. */
const LOOK_MS = 15_000;

/**
 * Follows a launch, a line per change, across restarts of the server and everything between, until `decide` says so. Events are printed once each, whatever breaks.
 * Ends with 8 when the time is over, or 7, 3 where the launch then waits for people, or 75 where the server is away.
 */
export async function follow(cli: Cli, { launch, decide, timeout }: Following): Promise<ExitCode> {
  const api = cli.api();
  const end = new AbortController();
  const timer = timeout === undefined ? undefined : setTimeout(() => end.abort(), timeout);
  const both = AbortSignal.any([cli.signal, end.signal]);
  const seen: Seen = { last: undefined, view: undefined, reachable: false };
  const began = Date.now();
  let failures = 0;
  try {
    for (;;) {
      try {
        const code = await once(cli, api, launch, decide, seen, both);
        failures = 0;
        if (code !== undefined) return code;
      } catch (error) {
        cli.signal.throwIfAborted();
        if (end.signal.aborted) return late(seen);
        if (!passes(error)) throw error;
        if (seen.view === undefined && Date.now() - began > FIRST_ANSWER_MS && !(error instanceof Refused)) throw error;
        if (seen.reachable || failures === 0) cli.note(`${error instanceof Error ? error.message : String(error)}; trying again`);
        seen.reachable = false;
        failures += 1;
      }
      await pause(Math.min(5_000, 200 * 2 ** Math.min(failures, 5)) * (0.75 + Math.random() / 2), undefined, { signal: both }).catch(() => undefined);
      cli.signal.throwIfAborted();
      if (both.aborted) return late(seen);
    }
  } finally {
    clearTimeout(timer);
  }
}

interface Seen {
  /** Number of the last event printed. */
  last: string | undefined;
  view: LaunchView | undefined;
  reachable: boolean;
}

/** One connection: the view, then events as they come. Undefined when the server ended the stream. */
async function once(cli: Cli, api: ApiClient, launch: string, decide: Following['decide'], seen: Seen, signal: AbortSignal): Promise<ExitCode | undefined> {
  const connection = new AbortController();
  const until = AbortSignal.any([signal, connection.signal]);
  let code: ExitCode | undefined;
  const look = async (): Promise<ExitCode | undefined> => {
    const view = await getView(cli, launch);
    if (!seen.reachable && seen.view !== undefined) cli.note('connected again');
    if (view.state !== seen.view?.state || view.stage !== seen.view.stage)
      cli.line({ state: view.state, stage: view.stage, headline: view.headline }, headline(cli, view));
    Object.assign(seen, { view, reachable: true });
    return decide(view);
  };
  const first = seen.view === undefined;
  code = await look();
  // What happened before is for `show` and `report`.
  if (first) seen.last = String(seen.view?.lastSeq ?? 0);
  if (code !== undefined) return finish(cli, api, launch, seen, code);
  let broken: unknown;
  const timer = setInterval(() => {
    look().then(
      (answer) => {
        code ??= answer;
        if (answer !== undefined) connection.abort();
      },
      (error: unknown) => {
        broken = error;
        connection.abort();
      },
    );
  }, LOOK_MS);
  try {
    for await (const event of api.events(launchPath(launch, '/events'), seen.last, until)) {
      if (event.id !== undefined && event.id !== '') seen.last = event.id;
      if (!tell(cli, event.data)) continue;
      code = await look();
      if (code !== undefined) break;
    }
    return code === undefined ? undefined : await finish(cli, api, launch, seen, code);
  } catch (error) {
    // `code` is set by the timer too.
    if (code !== undefined) return await finish(cli, api, launch, seen, code);
    throw broken ?? error;
  } finally {
    clearInterval(timer);
    connection.abort();
  }
}

/** Tells the events that led to the end and had not come yet; where they cannot be had the code is right all the same. */
async function finish(cli: Cli, api: ApiClient, launch: string, seen: Seen, code: ExitCode): Promise<ExitCode> {
  const answer = await api.get(launchPath(launch, `/events?after=${seen.last ?? '0'}`)).catch(() => undefined);
  const events: unknown = typeof answer === 'object' && answer !== null ? Reflect.get(answer, 'events') : undefined;
  if (Array.isArray(events)) for (const event of events) tell(cli, JSON.stringify(event));
  return code;
}

/** Prints an event's line. False when the message carries none: a heartbeat, say. */
function tell(cli: Cli, data: string): boolean {
  const logged = eventOf(data);
  if (logged === undefined) return false;
  cli.line(logged.whole, `${clean(logged.event.at.slice(11, 19))}Z  ${clean(describeEvent(logged.event))}`);
  return true;
}

/** An event of the log, if the message carries one; heartbeats and such do not. */
function eventOf(data: string): { readonly whole: unknown; readonly event: LaunchEvent } | undefined {
  let whole: unknown;
  try {
    whole = JSON.parse(data);
  } catch {
    return undefined;
  }
  if (typeof whole !== 'object' || whole === null) return undefined;
  const inner: unknown = 'event' in whole ? whole.event : whole;
  if (typeof inner !== 'object' || inner === null || !('kind' in inner) || !('at' in inner)) return undefined;
  return { whole, event: inner as LaunchEvent };
}

/** Failures that may pass by themselves: the server away, restarting, or something between us answering for it. */
function passes(error: unknown): boolean {
  if (error instanceof Refused) return error.status >= 500 || error.status === 429;
  return error instanceof Exit && error.exit === EXIT.unreachable;
}

function late(seen: Seen): ExitCode {
  if (seen.view === undefined || !seen.reachable) return EXIT.unreachable;
  if (seen.view.state === 'no-go') return EXIT.noGo;
  if (waitsForPeople(seen.view)) return EXIT.waiting;
  return EXIT.timeout;
}

/** Whether nothing goes on until a person acts. */
export function waitsForPeople(view: Pick<LaunchView, 'state'>): boolean {
  return view.state === 'waiting' || view.state === 'held';
}

/** The code of an ended launch, `stuck` included; undefined while it goes on. */
export function ended(view: LaunchView): ExitCode | undefined {
  const state = view.outcome ?? view.state;
  return state === 'launched' || state === 'rolled-back' || state === 'aborted' || state === 'stuck' ? exitOf({ state }) : undefined;
}
