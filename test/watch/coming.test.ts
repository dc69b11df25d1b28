import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LaunchEvent } from '../../src/core/event.ts';
import type { Gate } from '../../src/core/plan.ts';
import { openSource, sourceConfig } from '../../src/sources/index.ts';
import type { MetricSource } from '../../src/sources/source.ts';
import { eventsOf } from '../../src/store/events.ts';
import { resume } from '../../src/store/people.ts';
import { probe } from '../core/gates.ts';
import { gate, order, stage } from '../support/orders.ts';
import { until } from '../support/until.ts';
import { openWorld, type World } from '../support/world.ts';

const Carl = { name: 'Carl', roles: ['releaser'] };

/** A server that is well and takes `ms` to say so, and what time it was asked. */
async function takes(ms: number): Promise<{ readonly url: string; readonly server: Server; readonly asked: number[] }> {
  const asked: number[] = [];
  const server = createServer((_, response) => {
    asked.push(performance.now());
    setTimeout(() => response.setHeader('content-type', 'application/json').end('{"lagging":0,"armed":0}'), ms);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, server, asked };
}

/** A source that is well until it goes deaf: from then on it answers nobody, and hears no signal. */
function deafening(): MetricSource & { deaf: boolean } {
  const source = {
    kind: 'deafening',
    remembers: false,
    deaf: false,
    measure: ({ text }: { text: string }) =>
      source.deaf ? new Promise<never>(() => undefined) : Promise.resolve({ kind: 'value', value: 0, at: Date.now(), query: text } as const),
    series: () => Promise.resolve({ points: [], remembers: false }),
    check: () => Promise.resolve([]),
    close: () => Promise.resolve(),
  };
  return source;
}

describe('the gates that the next stage will arm', () => {
  let world: World;
  let slow: Awaited<ReturnType<typeof takes>>;
  let quick: Awaited<ReturnType<typeof takes>>;
  const deaf = deafening();
  beforeAll(async () => {
    [slow, quick] = await Promise.all([takes(2_500), takes(0)]);
    world = await openWorld({
      sources: {
        probe: openSource('probe', sourceConfig.parse({ kind: 'probe', url: slow.url })),
        slow: openSource('slow', sourceConfig.parse({ kind: 'web', url: slow.url, timeout: 8_000 })),
        quick: openSource('quick', sourceConfig.parse({ kind: 'web', url: quick.url })),
        deaf,
      },
    });
  });
  afterEach(async () => {
    await sql`drop trigger if exists no_page on event`.execute(world.house.store.db);
  });
  afterAll(async () => {
    await world.close();
    for (const { server } of [slow, quick]) {
      server.closeAllConnections();
      server.close();
    }
  });

  const eventsIn = async (id: string): Promise<readonly LaunchEvent[]> => (await eventsOf(world.house.store.db, id)).map(({ event }) => event);
  const count = async (id: string, kind: LaunchEvent['kind']) => (await eventsIn(id)).filter((event) => event.kind === kind).length;
  /** A launch whose second stage arms `late`; its first one bakes `bake` ms over a gate of its own. */
  async function twoStages(name: string, late: Gate, first: Gate, bake = 1_000) {
    const one = order(
      [stage('one', [`${name}.one`], { gates: [first.id], bake }), stage('two', [`${name}.two`], { gates: [late.id], bake: 1_000 })],
      [first, late],
      { name },
    );
    await world.seed(one);
    return world.start(one);
  }
  const early = (name: string): Gate => {
    world.page.set({ [name]: 0 });
    return gate(name);
  };
  const heldOrShifted = (id: string) =>
    until(
      `${id} to be held, or two to shift`,
      async () => (await eventsIn(id)).find((event) => event.kind === 'held' || (event.kind === 'shifted' && event.stage === 'two')),
      50_000,
    );

  it.each<readonly [string, string, Gate]>([
    ['an app that is well after 2.5 s', 'probing', probe({ source: 'probe', every: 15_000 })],
    ['a query that takes 2.5 s', 'slowly', gate('lagging', { source: 'slow', every: 15_000 })],
  ])('have the time that they have once they are armed: %s is no hindrance', { timeout: 90_000 }, async (_, name, late) => {
    const { id } = await twoStages(name, late, early(`${name}_ok`));
    expect(await heldOrShifted(id)).toMatchObject({ kind: 'shifted' });
  });

  it('hold and page when their source hears nobody, and keep no armed gate waiting meanwhile', { timeout: 90_000 }, async () => {
    const { id } = await twoStages('deaf', gate('lagging', { source: 'deaf', every: 4_000 }), gate('armed', { source: 'quick' }), 3_000);
    deaf.deaf = true;
    await until('two to wait', async () => (await eventsIn(id)).some((event) => event.kind === 'stage-opened' && event.stage === 'two'));
    const from = quick.asked.length;
    expect(await heldOrShifted(id)).toMatchObject({ kind: 'held', cause: 'readiness', reason: 'lagging: no answer within 4s' });
    await until('a page', async () => (await count(id, 'paged')) === 1);
    const looks = quick.asked.slice(from);
    expect(looks.length).toBeGreaterThan(15);
    expect(Math.max(...looks.slice(1).map((at, index) => at - (looks[index] ?? at)))).toBeLessThan(2_500);
  });

  it('page again when they are breached again after a person let the launch go on', { timeout: 90_000 }, async () => {
    world.page.set({ again: 0 });
    const { id } = await twoStages('paging', gate('again'), early('paging_ok'), 3_000);
    await until('one to be live', () => count(id, 'shifted'));
    world.page.set({ again: 5 });
    for (const times of [1, 2]) {
      await until(`hold ${times}`, async () => (await count(id, 'held')) === times, 30_000);
      await until(`page ${times}`, async () => (await count(id, 'paged')) === times);
      if (times === 1) await resume(world.house.store, id, Carl, new Date().toISOString(), 'mended, it seemed');
    }
    expect((await eventsIn(id)).filter(({ kind }) => kind === 'held' || kind === 'paged' || kind === 'resumed').map(({ kind }) => kind)).toEqual([
      'held',
      'paged',
      'resumed',
      'held',
      'paged',
    ]);
  });

  it('page also when the database went away between the hold and the page', { timeout: 90_000 }, async () => {
    const { db } = world.house.store;
    world.page.set({ unsaid: 0 });
    const { id } = await twoStages('unsaid', gate('unsaid'), early('unsaid_ok'), 3_000);
    await until('one to be live', () => count(id, 'shifted'));
    // A sequence is not rolled back: it tells that the page was tried.
    await sql`create sequence tried`.execute(db);
    await sql`create function no_page() returns trigger language plpgsql as $$ begin
      if new.kind = 'paged' then perform nextval('tried'); raise exception 'the database went away'; end if; return new; end $$`.execute(db);
    await sql`create trigger no_page before insert on event for each row execute function no_page()`.execute(db);
    world.page.set({ unsaid: 5 });
    await until('a page to fail', async () => (await sql<{ called: boolean }>`select is_called as called from tried`.execute(db)).rows[0]?.called, 30_000);
    expect([await count(id, 'held'), await count(id, 'paged')]).toEqual([1, 0]);
    await sql`drop trigger no_page on event`.execute(db);
    const paged = await until('the page', async () => (await eventsIn(id)).find(({ kind }) => kind === 'paged'), 30_000);
    expect(paged).toMatchObject({ about: 'readiness', text: expect.stringContaining('breached before two arms it: unsaid 5 > 1') as string });
  });
});
