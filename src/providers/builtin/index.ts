import { Drift, Terminal } from '../../core/failure.ts';
import type { FlagRef } from '../../core/plan.ts';
import type { FlagProvider, OpenContext } from '../provider.ts';
import { connect } from './client.ts';
import type { BuiltinConfig } from './config.ts';
import { disagreements, fromRestored, toLastChange, toRestore, toSnapshot, toWrite, undoCommand } from './translate.ts';

/** Longest time (ms) from a write to every reader: a cache looks again each second in case its notification was lost. */
const PROPAGATION = 1_500;
/** Longest time (ms) of one write: the store's own deadline. */
const WRITE_TAKES = 2_000;

/** Opens a provider of flags in gonogo's own store. Throws Terminal, Retryable. */
export async function openBuiltin(config: BuiltinConfig, context: OpenContext): Promise<FlagProvider> {
  const store = await connect(config, context);
  const server = context.serverUrl ?? 'http://127.0.0.1:8300';

  async function read(flag: FlagRef, signal: AbortSignal) {
    const [found] = (await store.read([flag.key], signal)).flags;
    if (found === undefined)
      throw new Terminal('flag-missing', `flag ${flag.key} (${flag.flag}) is not in the flag store ${context.instance}; make it before the launch`);
    return toSnapshot(found);
  }

  return {
    kind: 'builtin',
    can: { share: true, lists: true, values: true, guarded: true, fences: true, propagation: PROPAGATION, writeTakes: WRITE_TAKES },
    read,
    unit: () => context.instance,
    async check(flags, signal) {
      const [rights, { flags: found }] = await Promise.all([
        store.permissions(signal),
        store.read(
          flags.map((flag) => flag.key),
          signal,
        ),
      ]);
      const byKey = new Map(found.map((flag) => [flag.key, flag]));
      return [
        ...rights.map((message) => ({ where: `providers.${context.instance}`, message, hint: "a rollback writes flags; grant it, or name the primary's URL" })),
        ...flags.flatMap((ref) => {
          const flag = byKey.get(ref.key);
          if (flag !== undefined) return disagreements(ref, flag);
          return [
            { where: `flags.${ref.flag}`, message: `flag ${ref.key} is not in the flag store ${context.instance}`, hint: 'make it first: POST /api/flags' },
          ];
        }),
      ];
    },
    async write(changes, signal) {
      const names = new Map(changes.map((change) => [change.flag.key, change.flag.flag]));
      const stillWanted = async (): Promise<void> => {
        for (const change of changes) await change.stillWanted();
      };
      try {
        return (await store.writeMany(changes.map(toWrite), { signal, stillWanted })).map(toSnapshot);
      } catch (error) {
        throw error instanceof Drift ? new Drift(names.get(error.flag) ?? error.flag, error.message) : error;
      }
    },
    async restore(entries, signal) {
      const outcomes = await store.restoreMany(entries.map(toRestore), signal);
      return outcomes.flatMap((outcome, i) => {
        const entry = entries[i];
        return entry === undefined ? [] : [fromRestored(entry.flag.flag, outcome)];
      });
    },
    async lastChange(flag, signal) {
      const [newest] = await store.history(flag.key, { limit: 1, signal });
      return newest === undefined ? undefined : toLastChange(newest);
    },
    undo: (flag, snapshot) => undoCommand(flag.key, snapshot.exposure, server),
    close: () => store.close(),
  };
}
