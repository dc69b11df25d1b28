import type { House } from '../../src/house.ts';
import type { FlagProvider } from '../../src/providers/provider.ts';
import type { World } from '../support/world.ts';
import { gateway, type Control } from './control.ts';

/** The built-in store as a vendor without guarded writes and without a write that nobody feels: what is sent lands, whatever has happened meanwhile. */
function unfenced(world: () => World, inner: FlagProvider): FlagProvider {
  return {
    ...inner,
    can: { ...inner.can, guarded: false, fences: false },
    async write(changes, signal) {
      for (const change of changes) {
        await change.stillWanted();
        await world().flags.putExposure(change.flag.key, change.to, '*', { by: 'gonogo', comment: change.comment });
      }
      return Promise.all(changes.map((change) => inner.read(change.flag, signal)));
    },
    restore: (entries, signal) =>
      inner.restore(
        entries.map(({ intent: _, ...entry }) => ({ ...entry, phase: 'applied' })),
        signal,
      ),
  };
}

/** Wraps a world's house so that none of its providers can fence. */
export function dressed(world: () => World, control: Control) {
  return (house: House) => control.dress({ ...house, providers: new Map([...house.providers].map(([name, provider]) => [name, unfenced(world, provider)])) });
}

/** Stands still after its last question, and sends when it thaws. */
export function freezeWrite(control: Control, flag: string) {
  const frozen = gateway();
  let first = true;
  control.writing.set(flag, async (changes, signal, provider) => {
    if (!first) return provider.write(changes, signal);
    first = false;
    for (const change of changes) await change.stillWanted();
    await frozen.pass();
    return provider.write(
      changes.map((change) => ({ ...change, stillWanted: () => Promise.resolve() })),
      signal,
    );
  });
  return frozen;
}
