import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { Drift, Retryable, Terminal } from '../../core/failure.ts';
import { httpClient, json, type HttpRequest } from '../../http.ts';
import type { OpenContext } from '../provider.ts';
import type { UnleashConfig } from './config.ts';
import { eventsAnswer, featureAnswer, meAnswer, type Feature, type Strategy, type UnleashEvent } from './document.ts';

/** One request's deadline, ms. */
const DEADLINE = 3_000;
/** Part of the rate limit, where a proxy or a hosted Unleash has one, that only rollbacks may spend. */
const RESERVE = 0.3;
/** No flag of this name is ever made: writes to it show which of them are allowed, and change nothing. */
const NO_SUCH_FLAG = 'gonogo-asks-for-its-rights.no-such-flag';

/** A flag as it stands. `revision` moves with every change that Unleash remembers and every change that can be seen. */
export interface State {
  readonly feature: Feature;
  readonly revision: string;
  /** The newest change of the flag in this environment. */
  readonly newest: UnleashEvent | undefined;
}

/** Whose token it is. */
export interface Identity {
  /** The names by which Unleash's events may call it. */
  readonly names: readonly string[];
  readonly permissions: readonly {
    readonly permission: string;
    readonly project?: string | null | undefined;
    readonly environment?: string | null | undefined;
  }[];
}

/** A strategy as it is sent: Unleash gives the id. */
export type NewStrategy = Omit<Strategy, 'id' | 'sortOrder'> & { readonly sortOrder?: number };

/** One write. `title` is what the strategy must be called when it is changed: it is compared by Unleash itself. */
export type Step =
  | { readonly kind: 'on' | 'off' }
  | { readonly kind: 'add'; readonly strategy: NewStrategy }
  | { readonly kind: 'change'; readonly id: string; readonly title: string; readonly to: Partial<NewStrategy> }
  | { readonly kind: 'remove'; readonly id: string };

/** The part of Unleash's admin API that gonogo speaks. Every call throws Terminal or Retryable; `step` also Drift. */
export interface UnleashClient {
  state(key: string, signal: AbortSignal, purpose?: 'rollback'): Promise<State>;
  /** The newest changes of a flag, newest first: in this environment, or in none. */
  changes(key: string, signal: AbortSignal): Promise<readonly UnleashEvent[]>;
  step(flag: { readonly flag: string; readonly key: string }, step: Step, signal: AbortSignal, purpose?: 'rollback'): Promise<void>;
  identity(signal: AbortSignal): Promise<Identity>;
  health(signal: AbortSignal): Promise<void>;
  /** Asks for a write that cannot have an effect. Resolves where it would be allowed; throws Terminal `forbidden` or `needs-approval`. */
  mayWrite(signal: AbortSignal): Promise<void>;
  /** The environment of a flag in Unleash's own address, for commands. */
  address(key: string): string;
  close(): void;
}

/** The change id of a document: the same for the same document. */
function digest(feature: Feature): string {
  return createHash('sha256').update(JSON.stringify(feature)).digest('hex').slice(0, 16);
}

function parsed<Schema extends z.ZodType>(schema: Schema, found: unknown, what: string): z.infer<Schema> {
  const result = schema.safeParse(found);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new Terminal(
    'malformed',
    `${what}: the answer's ${issue?.path.join('.') ?? '?'} is not as expected (${issue?.message ?? '?'}); is this an Unleash server?`,
  );
}

/** Opens a client; nothing is sent yet. Throws Terminal `config`. */
export function unleashClient(config: UnleashConfig, context: OpenContext): UnleashClient {
  const token = context.secret(config.token);
  const { project, environment } = config;
  const base = config.url.replace(/\/+$/, '');
  const name = `unleash ${context.instance}`;
  const http = httpClient({
    name,
    baseUrl: base,
    timeout: DEADLINE,
    headers: { authorization: token },
    secrets: [token],
    reserve: RESERVE,
    ...(config.caFile === undefined ? {} : { caFile: config.caFile }),
  });
  const featurePath = (key: string): string => `/api/admin/projects/${encodeURIComponent(project)}/features/${encodeURIComponent(key)}`;
  const environmentPath = (key: string): string => `${featurePath(key)}/environments/${encodeURIComponent(environment)}`;
  const missing = (key: string): Terminal =>
    new Terminal(
      'flag-missing',
      `flag ${key} is not in project ${project} of ${name}, or it is archived; make it, revive it or mend its key in the registry: gonogo makes no flags`,
    );

  async function send(request: HttpRequest, signal: AbortSignal, purpose?: 'rollback'): Promise<unknown> {
    const response = await http.send({ ...request, ...(purpose === undefined ? {} : { purpose }) }, signal);
    return response.text === '' ? undefined : json(response);
  }

  /** What a refused write means here. */
  function refused(error: unknown, flag: { readonly flag: string; readonly key: string }): unknown {
    if (error instanceof Retryable) {
      // A failed comparison is an error 500 in Unleash's words.
      return error.message.includes('Test operation failed') ? new Drift(flag.flag, `${flag.key}: a strategy was changed by someone else meanwhile`) : error;
    }
    if (!(error instanceof Terminal)) return error;
    if (error.code === 'forbidden' && /SKIP_CHANGE_REQUEST|change request/i.test(error.message)) {
      return new Terminal(
        'needs-approval',
        `${name}: project ${project} asks for a change request in ${environment}; gonogo cannot roll back through an approval. Give its service account the permission "Skip change request process" there, or turn change requests off. ${error.message}`,
      );
    }
    if (error.code === 'not-found') {
      return /could not find strategy/i.test(error.message)
        ? new Drift(flag.flag, `${flag.key}: a strategy was removed by someone else meanwhile`)
        : missing(flag.key);
    }
    if (error.message.includes('ArchivedFeatureError')) return missing(flag.key);
    if (error.message.includes('answered 409')) return new Drift(flag.flag, `${flag.key}: ${error.message}`);
    return error;
  }

  async function events(key: string, limit: number, here: boolean, signal: AbortSignal, purpose?: 'rollback'): Promise<readonly UnleashEvent[]> {
    const query = { feature: `IS:${key}`, limit, ...(here ? { environment: `IS:${environment}` } : {}) };
    return parsed(eventsAnswer, await send({ url: '/api/admin/search/events', query }, signal, purpose), name).events;
  }

  async function feature(key: string, signal: AbortSignal, purpose?: 'rollback'): Promise<Feature> {
    let found: unknown;
    try {
      // The environment's own address leaves out segments: a snapshot from it would lose targeting.
      found = await send({ url: featurePath(key), query: { variantEnvironments: true } }, signal, purpose);
    } catch (error) {
      throw error instanceof Terminal && error.code === 'not-found' ? missing(key) : error;
    }
    const whole = parsed(featureAnswer, found, name);
    if (whole.archived === true) throw missing(key);
    const here = whole.environments.find((each) => each.name === environment);
    if (here === undefined) {
      throw new Terminal(
        'environment-missing',
        `flag ${key} has no environment ${environment} in ${name}, only ${whole.environments.map((each) => each.name).join(', ')}; add it to project ${project}, or mend providers.${context.instance}.environment`,
      );
    }
    const strategies = [...here.strategies].sort((a, b) => a.sortOrder - b.sortOrder || (a.id < b.id ? -1 : 1));
    return { environment, enabled: here.enabled, strategies, variants: here.variants };
  }

  return {
    async state(key, signal, purpose) {
      const [document, newest] = await Promise.allSettled([feature(key, signal, purpose), events(key, 1, true, signal, purpose)]);
      if (document.status === 'rejected') throw document.reason;
      if (newest.status === 'rejected') throw newest.reason;
      const [event] = newest.value;
      return { feature: document.value, newest: event, revision: `${event?.id ?? 0}-${digest(document.value)}` };
    },
    changes: async (key, signal) => (await events(key, 20, false, signal)).filter((event) => (event.environment ?? environment) === environment),
    async step(flag, step, signal, purpose) {
      const at = environmentPath(flag.key);
      try {
        switch (step.kind) {
          case 'on':
          case 'off':
            await send({ method: 'POST', url: `${at}/${step.kind}`, repeatable: true }, signal, purpose);
            break;
          case 'add':
            await send({ method: 'POST', url: `${at}/strategies`, body: step.strategy }, signal, purpose);
            break;
          case 'change': {
            const patch = [
              // Without a title it may be null or empty in Unleash: there is nothing to compare.
              ...(step.title === '' ? [] : [{ op: 'test', path: '/title', value: step.title }]),
              ...Object.entries(step.to).map(([field, value]) => ({ op: 'add', path: `/${field}`, value })),
            ];
            await send({ method: 'PATCH', url: `${at}/strategies/${encodeURIComponent(step.id)}`, body: patch }, signal, purpose);
            break;
          }
          case 'remove':
            await send({ method: 'DELETE', url: `${at}/strategies/${encodeURIComponent(step.id)}` }, signal, purpose);
            break;
        }
      } catch (error) {
        throw refused(error, flag);
      }
    },
    async identity(signal) {
      const { user, permissions } = parsed(meAnswer, await send({ url: '/api/admin/user' }, signal), name);
      return { names: [user.username, user.email].filter((each) => typeof each === 'string'), permissions };
    },
    async health(signal) {
      await send({ url: '/health' }, signal);
    },
    async mayWrite(signal) {
      try {
        await send({ method: 'POST', url: `${environmentPath(NO_SUCH_FLAG)}/off`, repeatable: true }, signal);
      } catch (error) {
        if (error instanceof Terminal && error.code === 'not-found') return;
        throw refused(error, { flag: NO_SUCH_FLAG, key: NO_SUCH_FLAG });
      }
    },
    address: (key) => base + environmentPath(key),
    close: () => http.close(),
  };
}
