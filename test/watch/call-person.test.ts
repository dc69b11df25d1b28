import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { open } from '../../src/launch/open.ts';
import { eventsOf } from '../../src/store/events.ts';
import { resume } from '../../src/store/people.ts';
import { requestRollback } from '../../src/store/request.ts';
import { callPerson, pageForHold } from '../../src/watch/call-person.ts';
import { order, stage } from '../support/orders.ts';
import { openWorld, type World } from '../support/world.ts';

describe('calling a person', () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld({ worker: false });
  });
  afterAll(() => world.close());

  async function launched(id: string): Promise<string> {
    const one = order([stage('one', [`${id}.flag`])], [], { name: id });
    await world.seed(one);
    expect(await open(world.house, { launch: id, order: one, startedBy: 'releaser', speed: 1 })).toBeUndefined();
    return id;
  }
  const call = (id: string, text = 'the flag was touched') => callPerson(world.house, id, 'drift', text);
  const letGo = (id: string) => resume(world.house.store, id, { name: 'Carl', roles: ['releaser'] }, new Date().toISOString(), 'seen');
  const heard = async (id: string) => (await eventsOf(world.house.store.db, id)).flatMap(({ event: { kind } }) => (kind === 'opened' ? [] : [kind]));

  it('holds once and pages once, however often it is said', async () => {
    const id = await launched('often');
    await Promise.all([call(id), call(id), call(id)]);
    await call(id);
    expect(await heard(id)).toEqual(['held', 'paged']);
  });

  it('pages again for a second trouble while the launch is held for the first', async () => {
    const id = await launched('second');
    await call(id);
    await call(id, 'another flag was touched');
    expect(await heard(id)).toEqual(['held', 'paged', 'paged']);
  });

  it('pages again when it holds again: a person let the launch go on, and the trouble is back, or never was mended', async () => {
    const id = await launched('again');
    for (let times = 0; times < 3; times += 1) {
      await call(id);
      await letGo(id);
    }
    expect(await heard(id)).toEqual(['held', 'paged', 'resumed', 'held', 'paged', 'resumed', 'held', 'paged', 'resumed']);
  });

  it('pages at the next call where the hold was written and the page was not, and once only', async () => {
    const { db } = world.house.store;
    for (const next of [call, (id: string) => pageForHold(world.house, id, 'drift', 'the flag was touched')]) {
      const id = await launched(next === call ? 'unsaid' : 'unsaid-by-the-dead');
      await sql`create function no_page() returns trigger language plpgsql as $$ begin if new.kind = 'paged' then raise exception 'the database went away'; end if; return new; end $$`.execute(
        db,
      );
      await sql`create trigger no_page before insert on event for each row execute function no_page()`.execute(db);
      await expect(call(id)).rejects.toThrow('the database went away');
      await sql`drop function no_page cascade`.execute(db);
      expect(await heard(id)).toEqual(['held']);
      await next(id);
      await next(id);
      await call(id);
      expect(await heard(id)).toEqual(['held', 'paged']);
    }
  });

  it('only pages, once, where the launch is rolling back', async () => {
    const id = await launched('back');
    await requestRollback(world.house.store, id, { kind: 'launch' }, { kind: 'person', reason: 'over' }, 'Anna', Date.now());
    await call(id);
    await call(id);
    expect(await heard(id)).toEqual(['rollback-requested', 'paged']);
  });
});
