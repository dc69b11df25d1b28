import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { everyone, off } from '../../src/core/exposure.ts';
import type { Order } from '../../src/core/plan.ts';
import { eventsOf } from '../../src/store/events.ts';
import { endLaunch } from '../../src/store/launches.ts';
import { resume, sign, tickItem } from '../../src/store/people.ts';
import { openStage, rememberStage, stageShifted } from '../../src/store/stages.ts';
import { takeWatch } from '../../src/store/watch.ts';
import { requestRollback } from '../../src/store/request.ts';
import { HOOKS, openBench, type Answered, type Bench } from './support.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(async () => bench.close());

const at = () => new Date().toISOString();
const LABELS = { alertname: 'ChatErrors', severity: 'page', service: 'chat' };
let startsAt: string;
let launch: string;

interface Sent {
  readonly labels?: Readonly<Record<string, string>>;
  readonly status?: 'firing' | 'resolved';
  readonly startsAt?: string;
  readonly group?: Readonly<Record<string, unknown>>;
  readonly token?: string;
}

function send({
  labels = LABELS,
  status = 'firing',
  startsAt: start = startsAt,
  group = {},
  token = HOOKS.alertmanager.prometheus.token,
}: Sent = {}): Promise<Answered> {
  const alert = { status, labels, annotations: {}, startsAt: start, endsAt: '0001-01-01T00:00:00Z', generatorURL: '', fingerprint: 'f00d' };
  const body = {
    version: '4',
    groupKey: '{}:{}',
    status,
    receiver: 'gonogo',
    groupLabels: {},
    commonLabels: labels,
    commonAnnotations: {},
    externalURL: '',
    truncatedAlerts: 0,
    alerts: [alert],
    ...group,
  };
  return bench.call('POST', '/hooks/alertmanager', { token, body });
}

const last = async (): Promise<unknown> => (await eventsOf(bench.store.db, launch)).at(-1)?.event;
const kinds = async (): Promise<readonly string[]> => (await eventsOf(bench.store.db, launch)).map((logged) => logged.event.kind);
const did = (answer: Answered): unknown => (answer.body['launches'] as { launch: string; did: string }[]).map((one) => one.did);

async function clear(stage: 'dark' | 'beta'): Promise<void> {
  await openStage(bench.store, launch, stage, at(), []);
  if (stage === 'dark')
    await tickItem(bench.store, { launch, item: 'load-test', done: true, evidence: 'https://a.example', person: { name: 'dmitri', roles: ['qa'] }, at: at() });
  const second = stage === 'dark' ? { name: 'anna', roles: ['release-engineer'] } : { name: 'lena', roles: ['product'] };
  for (const person of [{ name: 'dmitri', roles: ['qa'] }, second])
    await sign(bench.store, { launch, stage, role: person.roles[0] ?? '', decision: 'go', person, at: at() });
}

/** Takes a stage over its write as the hands would: journal, then live. */
async function shift(stage: 'dark' | 'beta', live = true): Promise<void> {
  await takeWatch(bench.store, launch);
  const flag = stage === 'dark' ? 'chat' : 'notify';
  const snapshot = { revision: '1', exposure: off(true), native: {} };
  const mark = { flag, provider: 'builtin', key: flag, revision: '1', exposure: off(true) };
  const entry = { flag, provider: 'builtin', unit: flag, key: flag, snapshot, target: everyone(true), before: {}, undo: 'undo', candidates: [] };
  const kept = await rememberStage(bench.store, launch, stage, [entry], new Set(), {
    kind: 'remembered',
    at: at(),
    by: 'test',
    stage,
    flags: [{ ...mark, to: everyone(true) }],
  });
  expect(kept.kind).toBe('remembered');
  if (live)
    await stageShifted(bench.store, launch, stage, Date.now(), {
      kind: 'shifted',
      at: at(),
      by: 'test',
      stage,
      flags: [{ ...mark, revision: '2', exposure: everyone(true) }],
    });
}

/** Ends the launch so that later alerts of other tests find nothing here. */
async function put(): Promise<void> {
  await requestRollback(bench.store, launch, { kind: 'launch' }, { kind: 'person', reason: 'test over' }, 'test', Date.now());
  await bench.store.db.updateTable('rollback_request').set({ proven_at: new Date() }).where('launch', '=', launch).execute();
  await endLaunch(bench.store, launch, 'rolled-back', { kind: 'ended', at: at(), by: 'test', outcome: 'rolled-back', why: 'test over' });
}

describe('a webhook', () => {
  beforeEach(async () => {
    launch = await bench.open();
    startsAt = new Date(Date.now() - 1_000 - Math.floor(Math.random() * 1e6)).toISOString();
  });
  afterEach(put);

  test('of nobody we know is refused and audited, and touches nothing', async () => {
    await clear('dark');
    await shift('dark');
    const before = await bench.rows();
    for (const token of ['', 'secret-of-prometheus-0002', `${HOOKS.alertmanager.prometheus.token}x`])
      expect(await send({ token })).toMatchObject({ status: 401, body: { code: 'webhook_unauthenticated' } });
    expect(await bench.call('POST', `/hooks/alertmanager?token=${HOOKS.alertmanager.prometheus.token}`, { body: {} })).toMatchObject({ status: 401 });
    expect(await bench.rows()).toEqual(before);
    const audited = await bench.store.db.selectFrom('audit').selectAll().where('action', '=', 'POST /hooks/alertmanager').execute();
    expect(audited.length).toBeGreaterThanOrEqual(4);
    expect(JSON.stringify(audited)).not.toContain('secret-of');
  });

  test('of a source that may not stop this plan is refused, and audited', async () => {
    await clear('dark');
    await shift('dark');
    expect(await send({ token: HOOKS.alertmanager.other.token })).toMatchObject({ status: 403, body: { code: 'source_not_allowed' } });
    expect(await last()).toMatchObject({ kind: 'shifted' });
    const audited = await bench.store.db.selectFrom('audit').selectAll().where('target', '=', launch).execute();
    expect(audited).toMatchObject([{ person: 'other', action: 'webhook' }]);
  });

  test('while the stage bakes rolls back: the request row is there when it is answered', async () => {
    await clear('dark');
    await shift('dark');
    const answer = await send();
    expect(answer.status).toBe(202);
    expect(did(answer)).toEqual(['rollback-requested']);
    expect(await last()).toMatchObject({
      kind: 'rollback-requested',
      scope: { kind: 'launch' },
      by: 'prometheus',
      cause: { kind: 'alert', alert: 'ChatErrors', source: 'prometheus' },
    });
  });

  test('sent a hundred times at once has one effect, and duplicates say so', async () => {
    await clear('dark');
    await shift('dark');
    const answers = await Promise.all(Array.from({ length: 100 }, () => send()));
    expect(new Set(answers.map((one) => one.status))).toEqual(new Set([202]));
    expect(answers.flatMap(did).filter((what) => what === 'rollback-requested')).toHaveLength(1);
    expect((await kinds()).filter((kind) => kind === 'rollback-requested')).toHaveLength(1);
    expect((await send()).body).toMatchObject({ duplicate: true });
  });

  test('with a label of the gate missing or different does nothing but is recorded', async () => {
    await clear('dark');
    await shift('dark');
    const labels = { ...LABELS, severity: 'warning' };
    const answer = await send({ labels });
    expect(answer).toMatchObject({ status: 202, body: { launches: [] } });
    expect(await last()).toMatchObject({ kind: 'shifted' });
    const receipts = await bench.store.db.selectFrom('alert_receipt').selectAll().where('starts_at', '=', new Date(startsAt)).execute();
    expect(receipts).toMatchObject([{ source: 'prometheus', fingerprint: 'f00d', times: 1, labels }]);
  });

  test('during the first clearance holds the launch, once: a person who resumes is not overruled by a repeat', async () => {
    await openStage(bench.store, launch, 'dark', at(), []);
    expect(did(await send())).toEqual(['held']);
    expect(await last()).toMatchObject({ kind: 'held', cause: 'alert', by: 'prometheus' });
    await resume(bench.store, launch, { name: 'carl', roles: ['on-call'] }, at(), 'known, a test alert');
    expect(did(await send())).toEqual(['nothing']);
    expect(await last()).toMatchObject({ kind: 'resumed' });
    expect(did(await send({ startsAt: new Date(Date.parse(startsAt) + 5).toISOString() }))).toEqual(['held']);
  });

  test('after the first clearance and before the first write ends the launch', async () => {
    await clear('dark');
    expect(did(await send())).toEqual(['rollback-requested']);
  });

  test('that was known before the stage went live is not news when it is sent again; with a new start it is', async () => {
    await openStage(bench.store, launch, 'dark', at(), []);
    await send();
    await resume(bench.store, launch, { name: 'carl', roles: ['on-call'] }, at(), 'known');
    await clear('dark');
    await shift('dark');
    expect(did(await send())).toEqual(['nothing']);
    expect(await last()).toMatchObject({ kind: 'shifted' });
    expect(did(await send({ startsAt: at() }))).toEqual(['rollback-requested']);
  });

  test('for a gate of a later stage rolls back as soon as flags have moved: bad news wins', async () => {
    await clear('dark');
    await shift('dark');
    expect(did(await send({ labels: { alertname: 'ChatSlow' } }))).toEqual(['rollback-requested']);
  });

  test('in the middle of a write rolls back', async () => {
    await clear('dark');
    await shift('dark', false);
    expect(did(await send())).toEqual(['rollback-requested']);
  });

  test('that says resolved never moves anything on, and is recorded', async () => {
    await openStage(bench.store, launch, 'dark', at(), []);
    await send();
    expect((await send({ status: 'resolved' })).status).toBe(202);
    expect(await last()).toMatchObject({ kind: 'held' });
    const [receipt] = await bench.store.db.selectFrom('alert_receipt').selectAll().where('starts_at', '=', new Date(startsAt)).execute();
    expect(receipt?.resolved_at).toBeInstanceOf(Date);
  });

  test('that left alerts out is taken by the labels its group has in common', async () => {
    await clear('dark');
    await shift('dark');
    expect(did(await send({ group: { alerts: [], truncatedAlerts: 3, commonLabels: LABELS } }))).toEqual(['rollback-requested']);
  });

  test('with one alert that cannot be used still acts on the others, and says what is wrong', async () => {
    await clear('dark');
    await shift('dark');
    const good = { status: 'firing', labels: LABELS, startsAt, fingerprint: 'f00d' };
    const answer = await send({ group: { alerts: [{ ...good, startsAt: '1970-01-01T00:00:00Z' }, good] } });
    expect(answer).toMatchObject({ status: 422, body: { code: 'invalid_alert', problems: [{ path: 'alerts.0.startsAt' }] } });
    expect(await last()).toMatchObject({ kind: 'rollback-requested' });
  });

  test.each([
    ['a start in the future', { startsAt: new Date(Date.now() + 86_400_000).toISOString() }],
    ['a start in 1970', { startsAt: '1970-01-01T00:00:00Z' }],
    ['no time at all', { startsAt: 'soon' }],
    ['10,000 labels', { labels: { ...LABELS, ...Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`l${i}`, 'x'])) } }],
    ['a NUL in a label', { labels: { ...LABELS, note: 'a\0b' } }],
    ['half a character', { labels: { ...LABELS, note: '\ud800' } }],
    ['another version', { group: { version: '3' } }],
    ['no alerts', { group: { alerts: 'none' } }],
  ] satisfies readonly (readonly [string, Sent])[])('with %s is refused and does nothing', async (_what, sent) => {
    await clear('dark');
    await shift('dark');
    expect(await send(sent)).toMatchObject({ status: 422, body: { code: 'invalid_alert' } });
    expect(await last()).toMatchObject({ kind: 'shifted' });
  });

  test('with a label that turns text around is kept, and shown escaped in the report', async () => {
    await clear('dark');
    await shift('dark');
    await send({ labels: { ...LABELS, alertname: '\u202Eevil <script>alert(1)</script>' } });
    const html = await bench.call('GET', `/api/launches/${launch}/report`, { as: 'vera', headers: { accept: 'text/html' } });
    expect(html.text).toContain('\\u{202e}evil &lt;script&gt;');
    expect(html.text).not.toContain('<script>');
    expect(html.text).not.toContain('\u202E');
  });
});

describe('a noisy source', () => {
  test('is told 429 with Retry-After, and another source is not slowed', async () => {
    const other = await openBench({ hookRate: { perSecond: 1, burst: 3 } });
    try {
      const call = (token: string) => other.call('POST', '/hooks/alertmanager', { token, body: { version: '4', groupKey: 'k', status: 'firing', alerts: [] } });
      const answers = [];
      for (let sent = 0; sent < 5; sent += 1) answers.push(await call(HOOKS.alertmanager.prometheus.token));
      expect(answers.map((one) => one.status)).toEqual([202, 202, 202, 429, 429]);
      expect(answers.at(-1)?.headers.get('retry-after')).toBe('1');
      expect((await call(HOOKS.alertmanager.other.token)).status).toBe(202);
    } finally {
      await other.close();
    }
  });
});

/** The stage of an order made to be rolled back alone. */
function scoped(order: Order): Order {
  const stages = order.plan.stages.map((stage) => (stage.id === 'beta' ? { ...stage, onRollback: { scope: 'stage', set: [] } as const } : stage));
  return { ...order, plan: { ...order.plan, stages } };
}

describe('a stage that is rolled back alone', () => {
  beforeEach(async () => {
    launch = await bench.open({ order: scoped(bench.order) });
    startsAt = at();
    await clear('dark');
    await shift('dark');
    await bench.store.db.updateTable('stage_state').set({ phase: 'passed' }).where('launch', '=', launch).where('stage', '=', 'dark').execute();
    await openStage(bench.store, launch, 'beta', at(), []);
    for (const [name, role] of [
      ['dmitri', 'qa'],
      ['lena', 'product'],
    ] as const)
      await sign(bench.store, { launch, stage: 'beta', role, decision: 'go', person: { name, roles: [role] }, at: at() });
    await shift('beta');
  });
  afterEach(put);

  test('goes back for an alert of its own gate, everything for any other', async () => {
    await send({ labels: { alertname: 'ChatSlow' } });
    expect(await last()).toMatchObject({ kind: 'rollback-requested', scope: { kind: 'stage', stage: 'beta' } });
    await send();
    expect(await last()).toMatchObject({ kind: 'rollback-requested', scope: { kind: 'launch' } });
  });
});
