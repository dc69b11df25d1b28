import { Terminal } from '../../core/failure.ts';
import type { FlagProvider, OpenContext } from '../provider.ts';
import { checkFlags } from './check.ts';
import type { LaunchdarklyConfig } from './config.ts';
import { openHand } from './hand.ts';
import { openRestore } from './restore.ts';
import { nativeOf, toSnapshot } from './translate.ts';
import { undoCommand } from './undo.ts';
import { openWrite } from './write.ts';

/**
 * Longest time (ms) from a write to the SDKs: LaunchDarkly says 200 ms by streaming, a client that had to reconnect
 * waits a second or two before it does, and flags are sent again whole.
 */
const PROPAGATION = 5_000;
/** Longest time (ms) of one write: a read and a patch, each with a deadline of its own. */
const WRITE_TAKES = 6_000;

/** Opens a provider of flags in one environment of one LaunchDarkly project. Throws Terminal `config`. */
export function openLaunchdarkly(config: LaunchdarklyConfig, context: OpenContext): Promise<FlagProvider> {
  const hand = openHand(config, context);
  const { client } = hand;
  const write = openWrite(hand);
  const restore = openRestore(hand);
  return Promise.resolve({
    kind: 'launchdarkly',
    // A semantic patch has no precondition: another write between our read and our patch is found afterwards, not refused.
    can: { share: true, lists: true, values: true, guarded: false, fences: false, propagation: PROPAGATION, writeTakes: WRITE_TAKES },
    unit: (flag) => flag.key,
    async read(flag, signal) {
      return toSnapshot(flag, await hand.look(flag, signal), hand.places);
    },
    check: (flags, signal) => checkFlags(hand, flags, signal),
    async write(changes, signal) {
      const [change, ...more] = changes;
      if (change === undefined) return [];
      if (more.length > 0)
        throw new Terminal(
          'unit',
          `flag ${change.flag.key} is named by ${changes.map((one) => one.flag.flag).join(' and ')}; expected one registry entry per LaunchDarkly flag`,
        );
      return [await write(change, AbortSignal.any([signal, AbortSignal.timeout(WRITE_TAKES)]))];
    },
    restore: (entries, signal) => Promise.all(entries.map((entry) => restore(entry, signal))),
    async lastChange(flag, signal) {
      const newest = await client.newest(flag.key, signal);
      return newest === undefined ? undefined : { who: newest.who, what: newest.what, at: new Date(newest.date).toISOString() };
    },
    undo: (_flag, snapshot) =>
      undoCommand(nativeOf(snapshot), { address: client.address, project: config.project, environment: config.environment, token: config.token }),
    close() {
      client.close();
      return Promise.resolve();
    },
  });
}
