import { setTimeout as pause } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { brokenLink } from '../../src/store/chain.ts';
import { linksOf } from '../../src/store/lists.ts';
import { workflowId } from '../../workflows/messages.ts';
import { openMetricsPage, type MetricsPage } from '../support/metrics-page.ts';
import { openFleet, type Fleet } from '../support/processes/fleet.ts';
import { call, persist, untilTold, webhook, type ToldEvent } from '../support/processes/people.ts';
import { until } from '../support/until.ts';
import { offAt, seconds, startBaking, type Baking } from './plans.ts';

/** How long a server is away, and when in that time something happens, ms: at once, after every heartbeat has timed out, and late. */
const AWAY = 60_000;
const MOMENTS = [2_000, 25_000, 50_000];

interface Place {
  readonly fleet: Fleet;
  readonly page: MetricsPage;
  /** Launches that a bad number stops, and launches that an alert stops; one of each for each moment. */
  readonly breached: readonly Baking[];
  readonly alerted: readonly Baking[];
}

const closing: (() => Promise<unknown>)[] = [];
afterAll(() => Promise.all(closing.map((close) => close())), 60_000);

const labelsOf = (n: number) => ({ alertname: 'Trouble', launch: String(n) });

async function openPlace(flagsApart: boolean): Promise<Place> {
  const page = await openMetricsPage(Object.fromEntries(MOMENTS.map((_, n) => [`errors_${n}`, 0])));
  closing.push(() => page.close());
  const flags = MOMENTS.flatMap((_, n) => [`breached_${n}`, `alerted_${n}`]);
  const fleet = await openFleet({ workers: 1, sources: { page: { kind: 'web', url: page.url } }, flags, flagsApart });
  closing.push(() => fleet.close());
  const [breached, alerted] = await Promise.all([
    Promise.all(
      MOMENTS.map((_, n) => startBaking(fleet, `breached-${n}`, `breached_${n}`, { errors: { source: 'page', query: `errors_${n}`, max: 1, every: '1s' } })),
    ),
    Promise.all(MOMENTS.map((_, n) => startBaking(fleet, `alerted-${n}`, `alerted_${n}`, { trouble: { alert: labelsOf(n) } }))),
  ]);
  return { fleet, page, breached, alerted };
}

/** Breaks launch `n`'s number, and says how long (s) its flag then was on after the first bad answer had left. */
async function breach({ fleet, page, breached }: Place, n: number, within: number): Promise<number> {
  page.set({ [`errors_${n}`]: 5 });
  const off = offAt(fleet, breached[n]?.flag ?? '', within + 3_000);
  off.catch(() => undefined);
  const served = await until('the bad number to be served', () => page.firstServed(`errors_${n}`, 5));
  return seconds(served, await off);
}

/** Sends launch `n`'s alert, once; how it was answered, and after how long (s). */
async function alarm({ fleet }: Place, n: number): Promise<{ readonly status: number; readonly took: number }> {
  const began = performance.now();
  const { status } = await call(fleet, 'POST', '/hooks/alertmanager', { token: fleet.hookToken, body: webhook(labelsOf(n), new Date()) });
  return { status, took: seconds(began, performance.now()) };
}

/** Waits until a launch has ended, and says how: its events, and whether its chain is whole. */
async function endOf({ fleet }: Place, { launch, read }: Baking) {
  const events = await untilTold(read, `the end of ${launch}`, (all) => all.some((event) => event.kind === 'ended'), 90_000);
  return {
    events,
    outcome: events.flatMap((event) => (event.kind === 'ended' ? [event.outcome] : [])),
    brokenAt: brokenLink(await linksOf(fleet.store.db, launch)),
  };
}

const requestsIn = (events: readonly ToldEvent[]) => events.filter((event) => event.kind === 'rollback-requested');

async function atMoments<T>(work: (n: number) => Promise<T>): Promise<readonly T[]> {
  return Promise.all(
    MOMENTS.map(async (moment, n) => {
      await pause(moment);
      return work(n);
    }),
  );
}

/** Whether the heartbeat of a launch's watcher, as Temporal has it, holds a rollback that could not be written down. */
async function owedOf({ temporalAddress }: Fleet, launch: string): Promise<boolean> {
  const connection = await Connection.connect({ address: temporalAddress });
  try {
    const { raw } = await new Client({ connection }).workflow.getHandle(workflowId.launch(launch)).describe();
    const details = (raw.pendingActivities ?? []).flatMap((activity) => activity.heartbeatDetails?.payloads ?? []);
    return details.some(({ data }) => data != null && Buffer.from(data).includes('"cause"'));
  } finally {
    await connection.close();
  }
}

// Each place has servers of its own, and most of each minute is waiting: all at once, after all of the work of starting them is done.
describe.concurrent('with a server away for 60 s', () => {
  let places: Readonly<Record<'temporal' | 'killed' | 'frozen' | 'owing', Place>>;
  beforeAll(async () => {
    const [temporal, killed, frozen, owing] = await Promise.all([openPlace(false), openPlace(true), openPlace(true), openPlace(true)]);
    places = { temporal, killed, frozen, owing };
  }, 240_000);

  it('Temporal frozen: a bad number, and an alert, turn the flags off within 2 s', async () => {
    const place = places.temporal;
    const { fleet, breached, alerted } = place;
    fleet.temporal.freeze();
    const thawed = pause(AWAY).then(() => fleet.temporal.thaw());
    const took = await atMoments(async (n) => {
      const byNumber = await breach(place, n, 2_000);
      const began = performance.now();
      const { status } = await alarm(place, n);
      return { byNumber, status, byAlert: seconds(began, await offAt(fleet, alerted[n]?.flag ?? '', 5_000)) };
    });
    console.log(
      `Temporal frozen: off after a bad number ${took.map((one) => one.byNumber).join(', ')} s, after an alert ${took.map((one) => one.byAlert).join(', ')} s`,
    );
    await thawed;
    expect(took.map((one) => one.status)).toEqual(MOMENTS.map(() => 202));
    for (const one of took) {
      expect(one.byNumber).toBeLessThanOrEqual(2);
      expect(one.byAlert).toBeLessThanOrEqual(2);
    }
    for (const one of [...breached, ...alerted]) {
      const { events, outcome, brokenAt } = await endOf(place, one);
      expect({ outcome, brokenAt, asked: requestsIn(events).length }, one.launch).toEqual({ outcome: ['rolled-back'], brokenAt: undefined, asked: 1 });
      expect(await fleet.sharesOf(one.flag), one.launch).toEqual([0, 100, 0]);
    }
  }, 300_000);

  it.each([
    { how: 'killed' as const, away: (fleet: Fleet) => fleet.postgres.kill(), back: (fleet: Fleet) => fleet.postgres.start() },
    { how: 'frozen' as const, away: (fleet: Fleet) => fleet.postgres.freeze(), back: (fleet: Fleet) => fleet.postgres.thaw() },
  ])(
    "gonogo's database $how, the flags in another: a bad number turns the flags off within 10 s and is written down afterwards; an alert gets 503 within 2 s and acts when sent again",
    async ({ how, away, back }) => {
      const place = places[how];
      const { fleet, breached, alerted } = place;
      await away(fleet);
      const returned = pause(AWAY).then(() => back(fleet));
      const began = Date.now();
      const took = await atMoments(async (n) => {
        const alert = await alarm(place, n);
        const badAt = Date.now();
        return { alert, badAt, byNumber: await breach(place, n, 10_000) };
      });
      console.log(
        `database ${how}: off after a bad number ${took.map((one) => one.byNumber).join(', ')} s; an alert got ${took.map(({ alert }) => `${alert.status} after ${alert.took} s`).join(', ')}`,
      );
      for (const one of took) expect(one.byNumber).toBeLessThanOrEqual(10);
      for (const { alert } of took) {
        expect(alert.status).toBe(503);
        expect(alert.took).toBeLessThanOrEqual(2);
      }
      for (const one of alerted) expect((await fleet.flags.get(one.flag)).exposure.share).toBe(100);
      await returned;
      const backAt = performance.now();
      for (const [n, one] of alerted.entries()) {
        const { status } = await persist(fleet, 'POST', '/hooks/alertmanager', { token: fleet.hookToken, body: webhook(labelsOf(n), new Date()) });
        expect(status).toBe(202);
        await offAt(fleet, one.flag, 10_000);
      }
      console.log(`database ${how}: alerts sent again were done ${seconds(backAt, performance.now())} s after it was back`);
      for (const one of [...breached, ...alerted]) {
        const { events, outcome, brokenAt } = await endOf(place, one);
        expect({ outcome, brokenAt, asked: requestsIn(events).length }, one.launch).toEqual({ outcome: ['rolled-back'], brokenAt: undefined, asked: 1 });
        const shares = await fleet.sharesOf(one.flag);
        expect(
          shares.filter((share, index) => share !== shares[index - 1]),
          one.launch,
        ).toEqual([0, 100, 0]);
      }
      for (const [n, one] of breached.entries()) {
        const [asked] = requestsIn(await one.read());
        const since = asked?.kind === 'rollback-requested' && asked.cause.kind === 'gate' ? asked.cause.firstBadAt : 0;
        expect(since - began, 'the clock runs from the bad number, not from when it could be written down').toBeLessThan(AWAY);
        expect(since).toBeGreaterThanOrEqual(took[n]?.badAt ?? Infinity);
      }
    },
    300_000,
  );

  it("gonogo's database killed, and then the worker that had turned the flags off: the next one writes down what it owed", async () => {
    const place = places.owing;
    const { fleet, page, breached } = place;
    const [first] = breached;
    const [worker] = fleet.workers;
    if (first === undefined || worker === undefined) throw new Error('there is no launch, or no worker');
    const began = Date.now();
    await fleet.postgres.kill();
    await breach(place, 0, 10_000);
    const turnedOff = Date.now();
    // With the flags off the world is well again: only the heartbeat knows that it was not.
    page.set({ errors_0: 0 });
    await until('the heartbeat to hold what is owed', () => owedOf(fleet, first.launch), 60_000);
    await worker.kill();
    await fleet.postgres.start();
    await worker.start();
    const { events, outcome, brokenAt } = await endOf(place, first);
    expect({ outcome, brokenAt }).toEqual({ outcome: ['rolled-back'], brokenAt: undefined });
    const [asked, ...others] = requestsIn(events);
    expect(others).toEqual([]);
    const since = asked?.kind === 'rollback-requested' && asked.cause.kind === 'gate' ? asked.cause.firstBadAt : 0;
    expect(since).toBeGreaterThanOrEqual(began);
    expect(since).toBeLessThanOrEqual(turnedOff);
    for (const other of breached.slice(1)) expect((await fleet.flags.get(other.flag)).exposure.share).toBe(100);
  }, 300_000);
});
