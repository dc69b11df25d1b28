import type { House } from '../src/house.ts';
import { putBack } from '../src/rollback/put-back.ts';
import { again, translated } from './failures.ts';

/** The rollback workflow's one activity: an attempt; unproven is thrown, so that the retry costs no history. */
export interface Restoring {
  putBack(launch: string): Promise<void>;
}

/** The activity over a house; its hand has a name of its own beside the watcher's. */
export function openRestoring(house: House): Restoring {
  const own: House = { ...house, hand: `${house.hand}/rollback` };
  return translated(own, {
    async putBack(launch) {
      const done = await putBack(own, launch);
      if (done.kind === 'looking') throw again('proven; looking whether it stays so', 1_000);
      if (done.kind === 'unproven') throw again(done.remainder.join('; '));
    },
  });
}
