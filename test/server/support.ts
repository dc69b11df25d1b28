import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { Registry as Metrics } from 'prom-client';
import { off } from '../../src/core/exposure.ts';
import type { Order } from '../../src/core/plan.ts';
import { openFlagCache, type FlagCache } from '../../src/flags/cache.ts';
import { loadRegistry, type Registry } from '../../src/flags/registry.ts';
import { openFlagStore, type FlagStore } from '../../src/flags/store.ts';
import type { Log } from '../../src/house.ts';
import { loadPlan } from '../../src/plan/load.ts';
import { bindOrder } from '../../src/plan/order.ts';
import type { ServerDeps } from '../../src/server/deps.ts';
import { createServer, type Server } from '../../src/server/server.ts';
import { openLaunch } from '../../src/store/launches.ts';
import { migrate, openStore, type Store } from '../../src/store/store.ts';
import { createToken } from '../../src/store/tokens.ts';
import { freshDatabase } from '../support/database.ts';

/** The flags that these tests' plans name, all in the built-in store. */
export const REGISTRY = `
chat:
  title: Chat
  owner: communications
  type: boolean
  lives: { stage: builtin, prod: { provider: builtin, key: chat } }
  default: { stage: false, prod: false }
  purpose: Turns chat on
  effect: Chat is there
  proof: [{ store: {} }]
notify:
  title: Notifications
  owner: communications
  type: boolean
  lives: { stage: builtin, prod: { provider: builtin, key: notify } }
  default: { stage: false, prod: false }
  purpose: Turns notifications on
  effect: Notifications are sent
  proof: [{ store: {} }]
`;

/** A plan of two stages; the first asks for a tick and qa, the second for qa and product. */
export function planYaml(name: string): string {
  return `
name: ${name}
title: Chat for everyone
maxDuration: 14d
checklist:
  - { id: load-test, text: The load test has run, role: qa, evidence: link }
gates:
  page: { alert: { severity: page, service: chat } }
  slow: { alert: { alertname: ChatSlow } }
stages:
  - id: dark
    set: [{ flag: chat, to: everyone }]
    bake: 1h
    gates: [page]
    signOff: [qa, release-engineer]
  - id: beta
    set: [{ flag: notify, to: everyone }]
    bake: 1h
    gates: [slow]
    signOff: [qa, product]
watch: 1h
`;
}

/** A log that keeps its lines. */
export function keepLines(): Log & { readonly lines: string[] } {
  const lines: string[] = [];
  const write = (fields: object, message: string): void => {
    lines.push(`${message} ${JSON.stringify(fields)}`);
  };
  return { lines, info: write, warn: write, error: write };
}

/** The people of these tests, by name: who holds which roles. */
export const PEOPLE = {
  rita: ['releaser'],
  anna: ['release-engineer'],
  dmitri: ['qa'],
  lena: ['product'],
  olga: ['legal'],
  carl: ['on-call'],
  vera: [],
} as const;

export type Name = keyof typeof PEOPLE;

/** What a call brought back. `body` is the parsed JSON, or undefined. */
export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** How a call differs from a plain one. */
export interface Calling {
  readonly as?: Name;
  readonly token?: string;
  readonly body?: unknown;
  /** Sent as it is instead of `body`. */
  readonly raw?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A real server over a real database, with a token for everyone. */
export interface Bench {
  readonly store: Store;
  readonly databaseUrl: string;
  readonly server: Server;
  readonly url: string;
  readonly port: number;
  readonly registry: Registry;
  readonly flags: FlagStore;
  readonly cache: FlagCache;
  readonly log: ReturnType<typeof keepLines>;
  readonly tokens: Readonly<Record<Name, string>>;
  readonly plan: string;
  readonly order: Order;
  readonly call: (method: string, path: string, calling?: Calling) => Promise<Answered>;
  /** Opens a launch as its workflow would; nothing runs it. */
  readonly open: (more?: { readonly by?: string; readonly order?: Order }) => Promise<string>;
  /** How many rows each table has that a bad request must not touch. */
  readonly rows: () => Promise<Readonly<Record<string, number>>>;
  readonly close: () => Promise<void>;
}

/** The hook sources of these tests. */
export const HOOKS = {
  alertmanager: { prometheus: { token: 'secret-of-prometheus-0001', plans: ['*'] }, other: { token: 'secret-of-the-other-0002', plans: ['another-plan'] } },
};

/** Opens a bench. Close it in afterAll. */
export async function openBench(more: Partial<ServerDeps> = {}): Promise<Bench> {
  const database = await freshDatabase();
  const store = openStore({ url: database.url });
  await migrate(store);
  const flags = await openFlagStore(database.url);
  const cache = await openFlagCache(database.url, flags, { every: 100 });
  await flags.create(
    [
      { key: 'chat', type: 'boolean', exposed: true },
      { key: 'notify', type: 'boolean', exposure: off(true) },
    ],
    { by: 'seed' },
  );
  const loaded = loadRegistry(REGISTRY);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const log = keepLines();
  const plan = `chat-${randomUUID().slice(0, 8)}`;
  const server = createServer({
    store,
    temporal: () => Promise.reject<Client>(new Error('no Temporal in this test')),
    taskQueue: 'none',
    registry: loaded.registry,
    log,
    flags: { store: flags, cache },
    hooks: HOOKS,
    metrics: new Metrics(),
    failedLogins: 10_000,
    ...more,
  });
  const { url, port } = await server.listen(0);
  const tokens = Object.fromEntries(
    await Promise.all(
      Object.entries(PEOPLE).map(
        async ([name, roles]) => [name, (await createToken(store, { person: name, roles: [...roles], label: 'test', by: 'test' })).token] as const,
      ),
    ),
  ) as Record<Name, string>;
  const read = loadPlan(planYaml(plan));
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  const order = bindOrder(read.plan, loaded.registry, 'stage');
  let launches = 0;
  return {
    store,
    databaseUrl: database.url,
    server,
    url,
    port,
    registry: loaded.registry,
    flags,
    cache,
    log,
    tokens,
    plan,
    order,
    async call(method, path, { as, token, body, raw, headers } = {}) {
      const shown = token ?? (as === undefined ? undefined : tokens[as]);
      const response = await fetch(`${url}${path}`, {
        method,
        headers: {
          ...(shown === undefined ? {} : { authorization: `Bearer ${shown}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(raw === undefined ? (body === undefined ? {} : { body: JSON.stringify(body) }) : { body: raw }),
      });
      const text = await response.text();
      const json = /json/.test(response.headers.get('content-type') ?? '') && text !== '';
      return { status: response.status, headers: response.headers, text, body: json ? (JSON.parse(text) as Record<string, unknown>) : {} };
    },
    async open({ by = 'rita', order: other = order } = {}) {
      launches += 1;
      const launch = `${other.plan.name}-${other.environment}-${launches}`;
      const now = Date.now();
      const deadline = now + other.plan.maxDuration;
      // A launch's flags are its own: each opened one of a test gets its own keys in the lock table.
      const own: Order = { ...other, flags: other.flags.map((flag) => ({ ...flag, key: `${flag.key}-${launches}` })) };
      const held = await openLaunch(store, {
        launch,
        order: own,
        startedBy: by,
        speed: 1,
        deadline,
        event: {
          kind: 'opened',
          at: new Date(now).toISOString(),
          by,
          launch,
          plan: other.plan.name,
          planHash: own.hash,
          environment: other.environment,
          speed: 1,
          deadline: new Date(deadline).toISOString(),
          stages: other.plan.stages.map((stage) => stage.id),
          flags: own.flags.map(({ flag, provider, key }) => ({ flag, provider, key })),
        },
      });
      if (held.length > 0) throw new Error(JSON.stringify(held));
      return launch;
    },
    async rows() {
      const count = async (table: 'launch' | 'event' | 'journal' | 'flag_lock' | 'rollback_request' | 'reservation' | 'signature' | 'checklist_tick') => {
        const { n } = await store.db
          .selectFrom(table)
          .select((all) => all.fn.countAll<string>().as('n'))
          .executeTakeFirstOrThrow();
        return [table, Number(n)] as const;
      };
      return Object.fromEntries(
        await Promise.all((['launch', 'event', 'journal', 'flag_lock', 'rollback_request', 'reservation', 'signature', 'checklist_tick'] as const).map(count)),
      );
    },
    async close() {
      await server.close();
      await cache.close();
      await flags.close();
      await store.close();
      await database.drop();
    },
  };
}
