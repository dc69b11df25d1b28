import type { FlagRef } from '../core/plan.ts';
import { Retryable } from '../core/failure.ts';
import type { Evaluator } from '../evaluators/evaluator.ts';
import { openEvaluator } from '../evaluators/index.ts';
import { openFlagStore } from '../flags/store.ts';
import { openProvider } from '../providers/index.ts';
import type { FlagProvider } from '../providers/provider.ts';
import type { FoundFlag } from './real-flags.ts';

/** The name of the one evaluator that every flag of a rehearsal is proven by. */
export const SHADOW = 'shadow';

/** Copies of the flags in the rehearsal's own store, under the names of the providers where the real ones live. */
export interface ShadowFlags {
  readonly providers: ReadonlyMap<string, FlagProvider>;
  readonly evaluator: Evaluator;
  readonly close: () => Promise<void>;
}

/** Two providers may call different flags alike; a copy is kept under the registry's name. */
const copied = (flag: FlagRef): FlagRef => ({ ...flag, key: flag.flag });

/** One provider's copy: it can what the real one can, and does not answer while `isDown`. */
function shadowOf(name: string, own: FlagProvider, found: readonly FoundFlag[], isDown: () => boolean): FlagProvider {
  const undo = new Map(found.map((one) => [one.flag.flag, one.undo]));
  const can = found.find((one) => one.can !== undefined)?.can;
  const up = (): void => {
    if (isDown()) throw new Retryable(`${name} does not answer (scripted)`);
  };
  return {
    kind: own.kind,
    can: { ...own.can, ...can },
    unit: () => name,
    async check(flags, signal) {
      if (isDown()) return [{ where: `providers.${name}`, message: 'does not answer (scripted)', hint: 'wait until it does' }];
      return own.check(flags.map(copied), signal);
    },
    async read(flag, signal) {
      up();
      return own.read(copied(flag), signal);
    },
    async write(changes, signal) {
      up();
      return own.write(
        changes.map((change) => ({ ...change, flag: copied(change.flag) })),
        signal,
      );
    },
    async restore(entries, signal) {
      up();
      return own.restore(
        entries.map((entry) => ({ ...entry, flag: copied(entry.flag) })),
        signal,
      );
    },
    async lastChange(flag, signal) {
      up();
      return own.lastChange(copied(flag), signal);
    },
    undo: (flag, snapshot) => undo.get(flag.flag) ?? own.undo(copied(flag), snapshot),
    close: () => Promise.resolve(),
  };
}

/** Makes the copies as they were found. `isDown` tells whether a provider answers now. Throws Terminal where a copy cannot be made as the real flag is. */
export async function openShadow(url: string, found: readonly FoundFlag[], isDown: (provider: string) => boolean): Promise<ShadowFlags> {
  const store = await openFlagStore(url, { migrate: false, primed: 0 });
  try {
    await store.create(
      found.map(({ flag, exposure }) => ({
        key: flag.flag,
        type: flag.type,
        offValue: flag.offValue,
        exposure,
        exposed: true,
        owner: 'rehearsal',
        description: `a copy of ${flag.key} at ${flag.provider}`,
      })),
      { by: 'rehearsal' },
    );
  } finally {
    await store.close();
  }
  const quiet = { info: () => undefined, warn: () => undefined };
  const context = { log: quiet, secret: (reference: string) => reference, databaseUrl: url };
  const [provider, evaluator] = await Promise.all([openProvider('builtin', { kind: 'builtin' }, context), openEvaluator('store', { kind: 'store' }, context)]);
  const byProvider = Map.groupBy(found, (one) => one.flag.provider);
  return {
    providers: new Map([...byProvider].map(([name, own]) => [name, shadowOf(name, provider, own, () => isDown(name))])),
    evaluator: {
      ...evaluator,
      evaluate: (questions, signal) =>
        evaluator.evaluate(
          questions.map((question) => ({ ...question, flag: copied(question.flag) })),
          signal,
        ),
      check: (flags, signal) => evaluator.check(flags.map(copied), signal),
    },
    close: async () => {
      await Promise.allSettled([provider.close(), evaluator.close()]);
    },
  };
}
