import type { LaunchEvent } from '../core/event.ts';
import type { House } from '../house.ts';
import { page } from '../store/launches.ts';
import { hold, Refusal } from '../store/people.ts';

type Trouble = 'drift' | 'witness' | 'readiness';

/** The number of the newest event that began a hold; 0 where there was none. */
async function newestHold(house: House, launch: string): Promise<number> {
  const { seq } = await house.store.db
    .selectFrom('event')
    .select((row) => row.fn.max<number | null>('seq').as('seq'))
    .where('launch', '=', launch)
    .where('kind', '=', 'held')
    .executeTakeFirstOrThrow();
  return seq ?? 0;
}

async function pageOnce(house: House, launch: string, key: string, at: string, about: string, text: string): Promise<void> {
  const event: LaunchEvent = { kind: 'paged', at, by: house.hand, about, text: `${launch}: ${text}`, commands: [] };
  if (await page(house.store, launch, key.slice(0, 200), event)) house.meter.paged();
}

/**
 * Holds a launch and pages a person, once per hold and `once` (default: the text): something that going on, or going back, needs is not in order.
 * Where it was held and the page failed, the next call pages. A launch that is over, or rolling back, is only paged, once.
 */
export async function callPerson(house: House, launch: string, cause: Trouble, text: string, about: string = cause, once = text): Promise<void> {
  const at = new Date(await house.clock.now()).toISOString();
  let key = `${about}:${once}`;
  try {
    const held = await hold(house.store, launch, 'gonogo', at, text, cause);
    key = `${about}:${held?.seq ?? (await newestHold(house, launch))}:${once}`;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
  }
  await pageOnce(house, launch, key, at, about, text);
}

/** Pages for gonogo's own hold that nobody was paged for: whoever held died, or lost the database, before the page was written. */
export async function pageForHold(house: House, launch: string, cause: Trouble, text: string): Promise<void> {
  const seq = await newestHold(house, launch);
  const key = `${cause}:${seq}:`;
  const said = await house.store.db.selectFrom('event').select('seq').where('launch', '=', launch).where('key', 'like', `paged:${key}%`).executeTakeFirst();
  if (said === undefined) await pageOnce(house, launch, `${key}${text}`, new Date(await house.clock.now()).toISOString(), cause, text);
}
