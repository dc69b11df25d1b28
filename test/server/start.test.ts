import { randomUUID } from 'node:crypto';
import { NativeConnection } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { loadRegistry } from '../../src/flags/registry.ts';
import { loadPlan } from '../../src/plan/load.ts';
import { bindOrder } from '../../src/plan/order.ts';
import { createServer, type Server } from '../../src/server/server.ts';
import { brokenLink, type Link } from '../../src/store/chain.ts';
import { launchRow } from '../../src/store/launches.ts';
import { createToken } from '../../src/store/tokens.ts';
import { runWorkers } from '../../src/worker.ts';
import { until } from '../support/until.ts';
import { openWorld, quietLog, type World } from '../support/world.ts';
import { HOOKS, planYaml, REGISTRY } from './support.ts';

type Body = Readonly<Record<string, unknown>>;

let world: World;
let server: Server;
let url: string;
const tokens = new Map<string, string>();
const loaded = loadRegistry(REGISTRY);
if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
const { registry } = loaded;

function serve(temporal: Parameters<typeof createServer>[0]['temporal'], queue = world.prefix): Server {
  return createServer({ store: world.house.store, temporal, taskQueue: queue, registry, log: quietLog, hooks: HOOKS, speed: true });
}

beforeAll(async () => {
  world = await openWorld();
  const read = loadPlan(planYaml('seed'));
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  await world.seed(bindOrder(read.plan, registry, 'stage'));
  for (const [person, roles] of [
    ['rita', ['releaser']],
    ['anna', ['release-engineer']],
    ['dmitri', ['qa']],
    ['lena', ['product', 'releaser']],
    ['carl', ['on-call']],
  ] as const)
    tokens.set(person, (await createToken(world.house.store, { person, roles })).token);
  server = serve(() => Promise.resolve(world.client));
  ({ url } = await server.listen(0));
});
afterAll(async () => {
  await server.close();
  await world.close();
});

async function call(
  as: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
  base = url,
): Promise<{ readonly status: number; readonly body: Body }> {
  const response = await fetch(`${base}${path}`, {
    method,
    headers: { authorization: `Bearer ${tokens.get(as) ?? as}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Body };
}

const plan = () => `chat-${randomUUID().slice(0, 8)}`;
const launching = (name: string, more: Body = {}) => ({ planYaml: planYaml(name), environment: 'stage', ...more });
const start = (body: unknown, key: string = randomUUID(), as = 'rita', base = url) => call(as, 'POST', '/api/launches', body, { 'idempotency-key': key }, base);
const view = async (id: string) => (await call('rita', 'GET', `/api/launches/${id}`)).body;

async function ended(id: string): Promise<void> {
  await call('carl', 'POST', `/api/launches/${id}/rollback`, { reason: 'test over' });
  await until(`the end of ${id}`, async () => (await launchRow(world.house.store.db, id))?.outcome);
}

async function reservations(): Promise<number> {
  return (await world.house.store.db.selectFrom('reservation').select('launch').execute()).length;
}

describe('starting a launch', () => {
  test('is done when it is answered, once per key: the same body gets the same answer, another body or person is refused', async () => {
    const [body, key] = [launching(plan(), { note: 'first' }), randomUUID()];
    const answers = await Promise.all([start(body, key), start(body, key), start(body, key)]);
    expect(answers.map((one) => one.status)).toEqual([201, 201, 201]);
    expect(new Set(answers.map((one) => JSON.stringify(one.body))).size).toBe(1);
    const id = String(answers[0].body['id']);
    expect(await view(id)).toMatchObject({ id, state: 'waiting', startedBy: 'rita', note: 'first', environment: 'stage' });
    expect(await start({ ...body, note: 'second' }, key)).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
    expect(await start(body, key, 'lena')).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
    await ended(id);
    expect(await start(body, key)).toMatchObject({ status: 201, body: { id } });
  });

  test('of a plan whose flags another launch holds is 409, leaves nothing, and its key is free again', async () => {
    const first = await start(launching(plan()));
    const [body, key, before] = [launching(plan()), randomUUID(), await reservations()];
    const refused = await start(body, key);
    expect(refused).toMatchObject({ status: 409, body: { code: 'flag_locked', problems: [{ path: 'chat' }, { path: 'notify' }] } });
    expect(await reservations()).toBe(before);
    await ended(String(first.body['id']));
    const second = await start(body, key);
    expect(second.status).toBe(201);
    await ended(String(second.body['id']));
  });

  test('of a plan that changes nothing is 422 not_ready, and leaves nothing', async () => {
    const before = await reservations();
    await world.flags.putExposure('chat', { value: true, share: 100, by: 'key', listed: [] }, '*', { by: 'test' });
    expect(await start(launching(plan()))).toMatchObject({
      status: 422,
      body: { code: 'not_ready', problems: [{ path: 'chat', message: 'is everyone already; the plan would change nothing' }] },
    });
    await world.flags.putExposure('chat', { value: true, share: 0, by: 'key', listed: [] }, '*', { by: 'test' });
    expect(await reservations()).toBe(before);
  });

  test('without Temporal is 503, and the same key begins it when Temporal is back', async () => {
    const away = serve(() => Promise.reject(new Error('away')));
    const { url: base } = await away.listen(0);
    const [body, key] = [launching(plan()), randomUUID()];
    expect(await start(body, key, 'rita', base)).toMatchObject({ status: 503, body: { code: 'temporal_unreachable' } });
    await away.close();
    const answer = await start(body, key);
    expect(answer.status).toBe(201);
    await ended(String(answer.body['id']));
  });

  test('without a worker is 503 not_confirmed, and the same key finds the launch once one runs', async () => {
    const queue = `late-${randomUUID().slice(0, 8)}`;
    const late = serve(() => Promise.resolve(world.client), queue);
    const { url: base } = await late.listen(0);
    const [body, key] = [launching(plan()), randomUUID()];
    expect(await start(body, key, 'rita', base)).toMatchObject({ status: 503, body: { code: 'not_confirmed' } });
    const native = await NativeConnection.connect({ address: inject('temporalAddress') });
    const workers = await runWorkers(world.house, native, { namespace: 'default', prefix: queue });
    const answer = await start(body, key, 'rita', base);
    expect(answer.status).toBe(201);
    await ended(String(answer.body['id']));
    await late.close();
    await workers.stop();
    await native.close();
  });

  test('while an alert of one of its gates is firing holds it', async () => {
    const labels = { alertname: 'ChatErrors', severity: 'page', service: 'chat' };
    const startsAt = new Date(Date.now() - 60_000).toISOString();
    const group = (status: string) => ({ version: '4', groupKey: 'k', status, alerts: [{ status, labels, startsAt, fingerprint: 'early' }] });
    await call(HOOKS.alertmanager.prometheus.token, 'POST', '/hooks/alertmanager', group('firing'));
    const answer = await start(launching(plan()));
    const id = String(answer.body['id']);
    expect(await view(id)).toMatchObject({ state: 'held', held: { cause: 'alert' } });
    await ended(id);
    await call(HOOKS.alertmanager.prometheus.token, 'POST', '/hooks/alertmanager', group('resolved'));
    const next = await start(launching(plan()));
    expect(await view(String(next.body['id']))).toMatchObject({ state: 'waiting' });
    await ended(String(next.body['id']));
  });

  test('leads through ticks and signatures to live flags, an alert puts them back, and the report tells and proves it all', async () => {
    const id = String((await start(launching(plan(), { speed: 10 }))).body['id']);
    await until('the first clearance', async () => (await world.kinds(id)).includes('stage-opened'));
    expect((await call('dmitri', 'POST', `/api/launches/${id}/checklist/load-test`, { done: true, evidence: 'https://records.example/1' })).status).toBe(200);
    for (const [person, role] of [
      ['dmitri', 'qa'],
      ['anna', 'release-engineer'],
    ] as const)
      expect((await call(person, 'POST', `/api/launches/${id}/stages/dark/sign-offs`, { role, decision: 'go' })).status).toBe(200);
    await until('the stage to be seen', async () => (await world.kinds(id)).includes('witnessed'));
    expect((await world.flags.get('chat')).exposure.share).toBe(100);
    expect(await view(id)).toMatchObject({
      state: 'baking',
      stage: 'dark',
      speed: 10,
      flags: [
        { flag: 'chat', exposure: 'everyone', before: 'off', verified: true },
        { flag: 'notify', touched: false },
      ],
    });

    const labels = { alertname: 'ChatErrors', severity: 'page', service: 'chat' };
    const began = performance.now();
    const alert = await call(HOOKS.alertmanager.prometheus.token, 'POST', '/hooks/alertmanager', {
      version: '4',
      groupKey: 'k',
      status: 'firing',
      alerts: [{ status: 'firing', labels, startsAt: new Date().toISOString(), fingerprint: 'f1' }],
    });
    expect(alert).toMatchObject({ status: 202, body: { launches: [{ launch: id, did: 'rollback-requested' }] } });
    await until('the flag to be off', async () => (await world.flags.get('chat')).exposure.share === 0, 5_000);
    expect(performance.now() - began).toBeLessThan(5_000);
    await until('the end', async () => (await launchRow(world.house.store.db, id))?.outcome, 30_000);

    const after = await view(id);
    expect(after['state']).toBe((await launchRow(world.house.store.db, id))?.state);
    expect(after).toMatchObject({
      state: 'rolled-back',
      outcome: 'rolled-back',
      flags: [{ flag: 'chat', exposure: 'off', verified: true }, {}],
      rollback: { by: 'prometheus', cause: { kind: 'alert' } },
    });
    expect((after['rollback'] as { seconds: number }).seconds).toBeLessThan(10);
    expect(after['headline']).toMatch(/^Rolled back, proven in [\d.]+ s: alert ChatErrors from prometheus\.$/);
    const { body: report } = await call('rita', 'GET', `/api/launches/${id}/report`);
    expect(brokenLink(report['links'] as Link[])).toBeUndefined();
    expect(report).toMatchObject({ outcome: 'rolled-back', rollbacks: [{ scope: 'launch', promised: 300 }] });
    const [chat] = report['flags'] as { writes: { outcome: string; exposure: string }[]; verified: boolean }[];
    expect(chat?.writes.map((write) => [write.exposure, write.outcome])).toEqual([
      ['everyone', 'written'],
      ['off', 'restored'],
    ]);
    expect(chat?.verified).toBe(true);
  });
});
