import type { LaunchEvent } from '../core/event.ts';
import type { House } from '../house.ts';
import { page } from '../store/launches.ts';
import { hold, Refusal } from '../store/people.ts';

/** Holds a launch and pages a person, once per `once` (default: the text): something that going on, or going back, needs is not in order. A launch that is over, or rolling back, is only paged. */
export async function callPerson(
  house: House,
  launch: string,
  cause: 'drift' | 'witness' | 'readiness',
  text: string,
  about: string = cause,
  once = text,
): Promise<void> {
  const at = new Date(await house.clock.now()).toISOString();
  try {
    await hold(house.store, launch, 'gonogo', at, text, cause);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
  }
  const event: LaunchEvent = { kind: 'paged', at, by: house.hand, about, text: `${launch}: ${text}`, commands: [] };
  if (await page(house.store, launch, `${about}:${once}`.slice(0, 200), event)) house.meter.paged();
}
