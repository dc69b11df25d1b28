import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openHerald, type Herald, type NewsChannel } from '../../src/notifiers/herald.ts';
import { openNotifier } from '../../src/notifiers/index.ts';
import { hold, resume } from '../../src/store/people.ts';
import { requestRollback } from '../../src/store/request.ts';
import { headOf } from '../../src/store/events.ts';
import { openBench, keepLines, type Bench } from '../server/support.ts';
import { until } from '../support/until.ts';
import { openReceiver, type Receiver } from './support.ts';

let bench: Bench;
let receiver: Receiver;
const heralds: Herald[] = [];
beforeAll(async () => {
  bench = await openBench();
});
afterAll(async () => bench.close());
beforeEach(async () => {
  receiver = await openReceiver();
});
afterEach(async () => {
  await Promise.all(heralds.splice(0).map((herald) => herald.close()));
  await receiver.close();
});

const at = () => new Date().toISOString();
const carl = { name: 'carl', roles: ['on-call'] };
let channels = 0;

/** A channel of its own, so that what others were told does not count. */
function channel(wants: NewsChannel['wants'] = 'all'): NewsChannel {
  channels += 1;
  return { name: `mine-${channels}`, notifier: openNotifier('mine', { kind: 'webhook', url: receiver.url, timeout: 1_000 }), wants };
}

function herald(given: NewsChannel, every = 60_000): Herald {
  const made = openHerald({ store: bench.store, channels: [given], log: keepLines(), publicUrl: 'https://gonogo.example', every });
  heralds.push(made);
  return made;
}

const heard = (launch: string) => receiver.received.filter((one) => one.news.launch === launch);

describe('the herald', () => {
  test('tells each event once, in order, with the headline of that moment and the head of the log', async () => {
    const launch = await bench.open();
    const one = herald(channel());
    await hold(bench.store, launch, 'carl', at(), 'lunch', 'person');
    await resume(bench.store, launch, carl, at(), 'back');
    await until('three messages', () => heard(launch).length === 3);
    await one.round();
    const told = heard(launch);
    expect(told.map((message) => message.news.seq)).toEqual([1, 2, 3]);
    expect(told[1]?.news.headline).toContain('Held by carl');
    expect(told[2]?.news).toMatchObject({
      urgency: 'info',
      head: (await headOf(bench.store.db, launch))?.hash,
      link: `https://gonogo.example/launches/${launch}`,
    });
    expect(told[2]?.news.lines[0]).toContain('resumed: back');
  });

  test('of two processes one tells', async () => {
    const launch = await bench.open();
    const given = channel();
    const both = [herald(given), herald({ ...given })];
    for (let round = 0; round < 5; round += 1)
      await hold(bench.store, launch, 'carl', at(), `round ${round}`, 'person').then(() => resume(bench.store, launch, carl, at(), 'on'));
    await Promise.all(both.map((one) => one.round()));
    await until('eleven messages', () => heard(launch).length >= 11);
    await Promise.all(both.map((one) => one.round()));
    expect(
      heard(launch)
        .map((message) => message.news.seq)
        .sort((a, b) => a - b),
    ).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  });

  test('tells again, with the same key, what could not be told', async () => {
    const launch = await bench.open();
    receiver.status = 503;
    const given = channel();
    const one = herald(given, 200);
    await until('a first try', () => heard(launch).length >= 1);
    await one.round();
    const row = bench.store.db.selectFrom('notification').selectAll().where('launch', '=', launch).where('channel', '=', given.name);
    await until('the failure to be written down', async () => (await row.executeTakeFirst())?.last_error ?? undefined);
    receiver.status = 204;
    await until('it is told', async () => (await row.executeTakeFirst())?.sent_at ?? undefined);
    const keys = new Set(heard(launch).map((message) => message.headers['idempotency-key']));
    expect([...keys]).toEqual([`${launch}/1/${given.name}`]);
    expect(await row.executeTakeFirst()).toMatchObject({ last_error: null });
  });

  test('tells a channel that wants only pages of nothing else', async () => {
    const launch = await bench.open();
    herald(channel('pages'));
    await hold(bench.store, launch, 'carl', at(), 'lunch', 'person');
    await requestRollback(bench.store, launch, { kind: 'launch' }, { kind: 'person', reason: 'complaints' }, 'carl', Date.now());
    await until('a message', () => heard(launch).length > 0);
    expect(heard(launch).map((message) => [message.news.seq, message.news.urgency])).toEqual([[3, 'page']]);
    expect(heard(launch)[0]?.news.headline).toContain('Rolling back everything: complaints');
  });

  test('that nobody answers keeps no rollback waiting', async () => {
    const launch = await bench.open();
    await receiver.close();
    herald(channel());
    const began = performance.now();
    await requestRollback(bench.store, launch, { kind: 'launch' }, { kind: 'person', reason: 'now' }, 'carl', Date.now());
    expect(performance.now() - began).toBeLessThan(1_000);
    receiver = await openReceiver();
  });
});
