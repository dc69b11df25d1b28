import type { House } from '../src/house.ts';
import { isInDoubt, patrol, type Found } from '../src/rollback/patrol.ts';
import { putBack } from '../src/rollback/put-back.ts';
import { again, translated } from './failures.ts';

/** The rollback workflow's activities; unproven is thrown, so that the retry costs no history. */
export interface Restoring {
  /** An attempt. `patrol` when it is done and a hand may still be frozen before a write that nothing fences. */
  putBack(launch: string): Promise<'patrol' | undefined>;
  /** One look after the end, the `last` of its walk or not. */
  patrol(launch: string, last: boolean): Promise<Found>;
}

/** The activities over a house; their hand has a name of its own beside the watcher's. */
export function openRestoring(house: House): Restoring {
  const own: House = { ...house, hand: `${house.hand}/rollback` };
  return translated(own, {
    async putBack(launch) {
      const done = await putBack(own, launch);
      if (done.kind === 'looking') throw again('proven; looking whether it stays so', 1_000);
      if (done.kind === 'unproven') throw again(done.remainder.join('; '));
      return (await isInDoubt(own.store, launch)) ? 'patrol' : undefined;
    },
    patrol: (launch, last) => patrol(own, launch, last),
  });
}
