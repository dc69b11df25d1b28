import { setTimeout as pause } from 'node:timers/promises';
import type { LaunchEvent } from '../../../src/core/event.ts';
import type { Fleet, Name } from './fleet.ts';

/** What the API answered. */
export interface Answered {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** An event as the API tells it. */
export type ToldEvent = LaunchEvent & { readonly seq: number; readonly hash: string; readonly recordedAt: string };

/** How a call is made. */
export interface Calling {
  readonly as?: Name;
  readonly token?: string;
  /** A function is asked anew at each try. */
  readonly body?: object | (() => object);
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** One call of the API, tried once. Rejects when nobody answers within 15 s. */
export async function call(
  fleet: Pick<Fleet, 'url' | 'tokens'>,
  method: string,
  path: string,
  { as, token, body, headers, signal }: Calling = {},
): Promise<Answered> {
  const shown = token ?? (as === undefined ? undefined : fleet.tokens[as]);
  const response = await fetch(`${fleet.url}${path}`, {
    method,
    headers: {
      ...(shown === undefined ? {} : { authorization: `Bearer ${shown}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(typeof body === 'function' ? (body as () => object)() : body) }),
    signal: signal ?? AbortSignal.timeout(15_000),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) };
}

/** Whether an answer says to come again. */
export function comesAgain(status: number): boolean {
  return status >= 500 || status === 429;
}

/** Calls until somebody answers with something else than "again", as a person would who was cut off. Throws after `within` ms with the last trouble. */
export async function persist(fleet: Pick<Fleet, 'url' | 'tokens'>, method: string, path: string, calling: Calling = {}, within = 120_000): Promise<Answered> {
  const deadline = Date.now() + within;
  for (;;) {
    let trouble: string;
    try {
      const answered = await call(fleet, method, path, calling);
      if (!comesAgain(answered.status)) return answered;
      trouble = JSON.stringify(answered);
    } catch (error) {
      trouble = error instanceof Error ? `${error.message} ${String(error.cause)}` : String(error);
    }
    if (Date.now() > deadline) throw new Error(`${method} ${path} got no answer within ${within} ms; the last: ${trouble}`);
    await pause(150);
  }
}

/** Reads on in a launch's log: everything told so far. */
export type Reader = () => Promise<readonly ToldEvent[]>;

/** A reader of one launch's log; each reading asks only for what is new. */
export function openReader(fleet: Pick<Fleet, 'url' | 'tokens'>, launch: string): Reader {
  const known: ToldEvent[] = [];
  return async () => {
    const { status, body } = await persist(fleet, 'GET', `/api/launches/${launch}/events?after=${known.at(-1)?.seq ?? 0}`, { as: 'carl' });
    if (status !== 200) throw new Error(`the events of ${launch} were answered with ${status} ${JSON.stringify(body)}`);
    known.push(...(body['events'] as readonly ToldEvent[]));
    return known;
  };
}

/** Reads until the events are as `wanted`. Throws after `within` ms, naming what there was. */
export async function untilTold(
  read: Reader,
  what: string,
  wanted: (events: readonly ToldEvent[]) => boolean,
  within = 180_000,
): Promise<readonly ToldEvent[]> {
  const deadline = Date.now() + within;
  for (;;) {
    const events = await read();
    if (wanted(events)) return events;
    if (Date.now() > deadline) throw new Error(`waited ${within} ms for ${what}; there was ${events.map((event) => event.kind).join(', ')}`);
    await pause(300);
  }
}

/** Starts a launch of a plan by rita, in environment `test`; asks again with the same key until it is answered. Throws when it is refused. */
export async function startLaunch(fleet: Pick<Fleet, 'url' | 'tokens'>, plan: object, key: string): Promise<string> {
  const { status, body } = await persist(fleet, 'POST', '/api/launches', {
    as: 'rita',
    body: { plan, environment: 'test' },
    headers: { 'idempotency-key': key },
  });
  if (status !== 201) throw new Error(`the launch ${key} was answered with ${status} ${JSON.stringify(body)}`);
  return String(body['id']);
}

/** The webhook that Alertmanager (v4) sends for one alert. */
export function webhook(labels: Readonly<Record<string, string>>, startsAt: Date): object {
  return {
    version: '4',
    groupKey: `{}:${JSON.stringify(labels)}`,
    status: 'firing',
    receiver: 'gonogo',
    groupLabels: {},
    commonLabels: labels,
    commonAnnotations: {},
    externalURL: 'http://127.0.0.1/',
    alerts: [{ status: 'firing', labels, annotations: {}, startsAt: startsAt.toISOString(), endsAt: '0001-01-01T00:00:00Z', generatorURL: '' }],
  };
}
