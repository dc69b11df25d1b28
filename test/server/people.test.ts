import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventsOf } from '../../src/store/events.ts';
import { openStage } from '../../src/store/stages.ts';
import { openBench, type Bench } from './support.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(async () => bench.close());

const soon = () => new Date(Date.now() + 3_600_000).toISOString();

async function opened(): Promise<string> {
  const launch = await bench.open();
  await openStage(bench.store, launch, 'dark', new Date().toISOString(), []);
  return launch;
}

describe('people', () => {
  test('a tick with its link is in the events before it is answered', async () => {
    const launch = await opened();
    const answer = await bench.call('POST', `/api/launches/${launch}/checklist/load-test`, {
      as: 'dmitri',
      body: { done: true, evidence: 'https://records.example/1' },
    });
    expect(answer.status).toBe(200);
    const last = (await eventsOf(bench.store.db, launch)).at(-1);
    expect(last).toMatchObject({ seq: answer.body['seq'], hash: answer.body['hash'], event: { kind: 'ticked', by: 'dmitri', item: 'load-test', role: 'qa' } });
    const view = await bench.call('GET', `/api/launches/${launch}`, { as: 'vera' });
    expect(view.body).toMatchObject({ id: launch, state: 'waiting', stage: 'dark', startedBy: 'rita' });
    expect((view.body['stages'] as { checklist: unknown[] }[])[0]?.checklist).toMatchObject([
      { id: 'load-test', done: true, by: 'dmitri', given: 'https://records.example/1', machine: false },
    ]);
  });

  test('identity comes from the token alone: a body that names someone is refused, headers are ignored', async () => {
    const launch = await opened();
    const path = `/api/launches/${launch}/stages/dark/sign-offs`;
    const named = await bench.call('POST', path, { as: 'dmitri', body: { role: 'qa', decision: 'go', approver: 'anna' } });
    expect(named).toMatchObject({ status: 422, body: { code: 'unknown_field' } });
    const header = await bench.call('POST', path, {
      as: 'dmitri',
      body: { role: 'qa', decision: 'go' },
      headers: { 'x-user': 'anna', 'x-forwarded-user': 'anna' },
    });
    expect(header.status).toBe(200);
    expect((await eventsOf(bench.store.db, launch)).at(-1)?.event).toMatchObject({ kind: 'signed', by: 'dmitri', role: 'qa' });
  });

  test('nobody signs what they may not, and a refused authority is audited and never an event', async () => {
    const launch = await opened();
    const before = await bench.rows();
    const path = `/api/launches/${launch}/stages/dark/sign-offs`;
    expect(await bench.call('POST', path, { as: 'rita', body: { role: 'qa', decision: 'go' } })).toMatchObject({
      status: 403,
      body: { code: 'role_not_held' },
    });
    expect(await bench.call('POST', `/api/launches/${launch}/rollback`, { as: 'vera', body: { reason: 'please' } })).toMatchObject({
      status: 403,
      body: { code: 'forbidden' },
    });
    expect(await bench.rows()).toEqual(before);
    const audited = await bench.store.db.selectFrom('audit').selectAll().where('action', 'like', `%${launch}%`).orderBy('id').execute();
    expect(audited.map((row) => [row.person, row.why.split(':')[0]])).toEqual([
      ['rita', 'role_not_held'],
      ['vera', 'forbidden'],
    ]);
  });

  test('a signature given on other evidence or another plan is stale; on those shown it stands', async () => {
    const launch = await opened();
    const path = `/api/launches/${launch}/stages/dark/sign-offs`;
    const view = await bench.call('GET', `/api/launches/${launch}`, { as: 'vera' });
    const { seal } = (view.body['stages'] as { seal: string }[])[0] ?? {};
    const { hash } = view.body['plan'] as { hash: string };
    const other = 'f'.repeat(64);
    expect(await bench.call('POST', path, { as: 'dmitri', body: { role: 'qa', decision: 'go', planHash: other, seal } })).toMatchObject({
      status: 409,
      body: { code: 'seal_stale' },
    });
    expect(await bench.call('POST', path, { as: 'dmitri', body: { role: 'qa', decision: 'go', planHash: hash, seal: other } })).toMatchObject({
      status: 409,
      body: { code: 'seal_stale' },
    });
    expect((await bench.call('POST', path, { as: 'dmitri', body: { role: 'qa', decision: 'go', planHash: hash, seal } })).status).toBe(200);
    expect((await bench.call('POST', path, { as: 'dmitri', body: { role: 'qa', decision: 'go' } })).body).toMatchObject({ repeated: true });
    expect(await bench.call('POST', `/api/launches/${launch}/stages/beta/sign-offs`, { as: 'dmitri', body: { role: 'qa', decision: 'go' } })).toMatchObject({
      status: 409,
      body: { code: 'wrong_stage' },
    });
  });

  test('a no-go needs a reason and a recheck, and shows them in view and headline', async () => {
    const launch = await opened();
    const path = `/api/launches/${launch}/stages/dark/sign-offs`;
    expect(await bench.call('POST', path, { as: 'dmitri', body: { role: 'qa', decision: 'no-go' } })).toMatchObject({
      status: 422,
      body: { code: 'reason_missing' },
    });
    expect(await bench.call('POST', path, { as: 'dmitri', body: { role: 'qa', decision: 'no-go', reason: 'e2e is red' } })).toMatchObject({
      status: 422,
      body: { code: 'recheck_missing' },
    });
    expect(
      (await bench.call('POST', path, { as: 'dmitri', body: { role: 'qa', decision: 'no-go', reason: 'e2e is red', recheckAt: soon(), bugs: ['CHAT-7'] } }))
        .status,
    ).toBe(200);
    const view = await bench.call('GET', `/api/launches/${launch}`, { as: 'vera' });
    expect(view.body).toMatchObject({ state: 'no-go', stages: [{ state: 'no-go', noGo: { person: 'dmitri', reason: 'e2e is red', bugs: ['CHAT-7'] } }, {}] });
    expect(view.body['headline']).toContain('No-go by dmitri (qa) to stage 1 of 2, dark: e2e is red');
  });

  test('a no-go that says so rolls back as well', async () => {
    const launch = await opened();
    const answer = await bench.call('POST', `/api/launches/${launch}/stages/dark/sign-offs`, {
      as: 'dmitri',
      body: { role: 'qa', decision: 'no-go', reason: 'stop', recheckAt: soon(), meanwhile: 'roll-back' },
    });
    expect(answer.body).toMatchObject({ rollback: 'requested' });
    expect((await eventsOf(bench.store.db, launch)).at(-1)?.event).toMatchObject({
      kind: 'rollback-requested',
      cause: { kind: 'no-go', stage: 'dark' },
      by: 'dmitri',
    });
  });

  test('hold, resume and roll back: each durable, a rollback asked for twice is one, and nothing goes on after it', async () => {
    const launch = await opened();
    const act = (verb: string, reason = 'because') => bench.call('POST', `/api/launches/${launch}/${verb}`, { as: 'carl', body: { reason } });
    expect((await act('hold')).status).toBe(200);
    expect((await act('hold')).body).toMatchObject({ repeated: true });
    expect((await bench.call('GET', `/api/launches/${launch}`, { as: 'vera' })).body).toMatchObject({
      state: 'held',
      held: { by: 'carl', reason: 'because', cause: 'person' },
    });
    expect((await act('resume')).status).toBe(200);
    expect(await act('resume')).toMatchObject({ status: 409, body: { code: 'not_held' } });
    expect(await act('conclude')).toMatchObject({ status: 409, body: { code: 'not_concludable' } });
    const answers = await Promise.all(Array.from({ length: 20 }, () => act('rollback', 'customers complain')));
    expect(answers.map((one) => one.status)).toEqual(Array.from({ length: 20 }, () => 202));
    expect(answers.filter((one) => one.body['status'] === 'requested')).toHaveLength(1);
    expect(await act('resume')).toMatchObject({ status: 409 });
    const kinds = (await eventsOf(bench.store.db, launch)).map((logged) => logged.event.kind);
    expect(kinds).toEqual(['opened', 'stage-opened', 'held', 'resumed', 'rollback-requested']);
    expect((await bench.call('GET', `/api/launches/${launch}`, { as: 'vera' })).body).toMatchObject({
      state: 'rolling-back',
      rollback: { by: 'carl', why: 'customers complain' },
    });
  });
});
