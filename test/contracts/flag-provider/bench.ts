import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { everyone, sameExposure, type Exposure } from '../../../src/core/exposure.ts';
import { Retryable, Terminal } from '../../../src/core/failure.ts';
import type { FlagRef } from '../../../src/core/plan.ts';
import type { Subject } from '../../../src/core/subject.ts';
import type { Change, RestoreEntry, Restored, Snapshot } from '../../../src/providers/provider.ts';
import type { Spoil } from '../../support/front.ts';
import type { Cell, Measured } from './table.ts';
import { isCannot, type Claim, type Or, type ProviderUnderTest } from './under-test.ts';

/** Thrown by a rule that this provider cannot keep; its cell says why. */
class CannotHere extends Error {}

const wanted = (): Promise<void> => Promise.resolve();
/** A deadline that only a broken provider meets. */
export const signal = (ms = 20_000): AbortSignal => AbortSignal.timeout(ms);

/** A share of everyone, by their own key. */
export const share = (percent: number): Exposure => ({ value: true, share: percent, by: 'key', listed: [] });
/** Named people, by their own key. */
export const people = (...values: string[]): Exposure => ({ value: true, share: 0, by: 'key', listed: [{ attribute: 'key', values }] });
/** Made-up users. */
export const subjects = (count: number): readonly Subject[] => Array.from({ length: count }, (_, i) => ({ key: `user-${i}`, attributes: {} }));

/** The same people get the same value. */
export function expectExposure(snapshot: Pick<Snapshot, 'exposure'>, exposure: Exposure): void {
  expect(sameExposure(snapshot.exposure, exposure) ? exposure : snapshot.exposure).toEqual(exposure);
}

/** A flag that we shifted: as it was, and as we left it. */
export interface Shifted {
  readonly flag: FlagRef;
  readonly before: Snapshot;
  readonly after: Snapshot;
  readonly to: Exposure;
}

/** What every room of the suite works with. */
export interface Bench {
  readonly under: () => ProviderUnderTest;
  /** A test that is also a row of the table. */
  readonly rule: (name: string, body: () => Promise<void>, timeout?: number) => void;
  /** The way to do it; where there is none the rule ends here, and its cell says why. */
  readonly way: <Hook>(hook: Or<Hook>) => Hook;
  /** Ends the rule here where the provider does not claim it. */
  readonly claimed: (claim: Claim) => void;
  /** Ends the rule here, with this reason in its cell. */
  readonly cannot: (reason: string) => never;
  readonly change: (flag: FlagRef, to: Exposure, expected: Snapshot, more?: Partial<Change>) => Change;
  /** The entry that putBack would hand in; `applied` by a write unless told otherwise. */
  readonly entry: (flag: FlagRef, snapshot: Snapshot, more?: Partial<RestoreEntry>) => RestoreEntry;
  readonly entryOf: (shifted: Shifted, more?: Partial<RestoreEntry>) => RestoreEntry;
  readonly read: (flag: FlagRef) => Promise<Snapshot>;
  readonly write: (...changes: Change[]) => Promise<readonly Snapshot[]>;
  readonly write1: (change: Change, within?: AbortSignal) => Promise<Snapshot>;
  readonly restore1: (entry: RestoreEntry, within?: AbortSignal) => Promise<Restored>;
  /** A flag (a new one unless given) written to `to`, from `from` where given. */
  readonly shifted: (to?: Exposure, from?: Exposure, made?: FlagRef) => Promise<Shifted>;
  /** What the call threw; fails where it threw nothing. Kept, and searched for secrets at the end. */
  readonly failureOf: (call: Promise<unknown>) => Promise<Error>;
  /** What stopped a restore: what it threw, or the error of the outcome `failed`; undefined where it was done. */
  readonly stopped: (restoring: Promise<Restored>) => Promise<Error | undefined>;
  /** Spoils matching exchanges (the vendor's writes, unless told otherwise) while `body` runs; fails where nothing was spoiled. */
  readonly spoiled: <T>(answer: Spoil, body: () => Promise<T>, only?: { readonly nth?: number; readonly from?: number; readonly all?: boolean }) => Promise<T>;
  /** The flag as soon as the provider can read again: a connection that was broken is noticed at its next use. At most 5 s. */
  readonly recovered: (flag: FlagRef) => Promise<Snapshot>;
  /** How many writes the vendor gets while `body` runs. */
  readonly writesOf: (body: () => Promise<unknown>) => Promise<number>;
  /** Waits until the flag's users see what they should, at most the declared propagation and a little. */
  readonly seen: (flag: FlagRef, subject: Subject, value: boolean) => Promise<void>;
  readonly errors: readonly Error[];
  readonly snapshots: readonly Snapshot[];
  readonly cells: readonly Cell[];
  /** The names of all rules, run or not. */
  readonly rules: readonly string[];
  measured?: Measured;
}

/** Everything the rooms share; `under` is asked when a rule runs. */
export function openBench(under: () => ProviderUnderTest): Bench {
  const errors: Error[] = [];
  const snapshots: Snapshot[] = [];
  const cells: Cell[] = [];
  const rules: string[] = [];
  let ids = 0;

  function keep(snapshot: Snapshot): Snapshot {
    snapshots.push(snapshot);
    return snapshot;
  }

  const bench: Bench = {
    under,
    errors,
    snapshots,
    cells,
    rules,
    rule(name, body, timeout = 60_000) {
      rules.push(name);
      it(
        name,
        async () => {
          try {
            await body();
            cells.push({ rule: name, outcome: 'passed' });
          } catch (error) {
            if (!(error instanceof CannotHere)) {
              cells.push({ rule: name, outcome: 'failed' });
              throw error;
            }
            cells.push({ rule: name, outcome: 'cannot', reason: error.message });
          } finally {
            await under().front.clear();
          }
        },
        timeout,
      );
    },
    way(hook) {
      if (isCannot(hook)) bench.cannot(hook.cannot);
      return hook;
    },
    claimed(claim) {
      const reason = under().lacks[claim];
      if (under().provider.can[claim]) expect(reason, `can.${claim} is claimed, and lacks.${claim} gives a reason why not`).toBeUndefined();
      else if (reason === undefined) throw new Error(`can.${claim} is false; expected lacks.${claim} to say why`);
      else bench.cannot(reason);
    },
    cannot(reason) {
      throw new CannotHere(reason);
    },
    change(flag, to, expected, more = {}) {
      ids += 1;
      return { flag, to, expected, change: `contract/shift/${ids}`, by: 'releaser', comment: 'contract suite', stillWanted: wanted, ...more };
    },
    entry(flag, snapshot, more = {}) {
      ids += 1;
      return { flag, snapshot, phase: 'applied', written: [], change: `contract/rollback/${ids}`, by: 'gonogo', comment: 'contract suite', ...more };
    },
    entryOf({ flag, before, after, to }, more = {}) {
      return bench.entry(flag, before, { written: [to], revision: after.revision, ...more });
    },
    read: async (flag) => keep(await under().provider.read(flag, signal())),
    write: async (...changes) => (await under().provider.write(changes, signal())).map(keep),
    async write1(change, within = signal()) {
      const [after] = await under().provider.write([change], within);
      if (after === undefined) throw new Error('the provider returned no snapshot of what it wrote');
      return keep(after);
    },
    async restore1(entry, within = signal()) {
      const [outcome] = await under().provider.restore([entry], within);
      if (outcome === undefined) throw new Error('the provider returned no outcome of what it restored');
      expect(outcome.flag).toBe(entry.flag.flag);
      return outcome;
    },
    async shifted(to = everyone(true), from, made) {
      const flag = made ?? (await under().newFlag());
      if (from !== undefined) await bench.write1(bench.change(flag, from, await bench.read(flag)));
      const before = await bench.read(flag);
      return { flag, before, after: await bench.write1(bench.change(flag, to, before)), to };
    },
    async failureOf(call) {
      const error: unknown = await call.then(
        (value) => new Error(`it succeeded with ${JSON.stringify(value)}; expected it to throw`),
        (reason: unknown) => reason,
      );
      if (!(error instanceof Error)) throw new Error(`it threw ${JSON.stringify(error)}; expected an Error`);
      errors.push(error);
      return error;
    },
    async stopped(restoring) {
      try {
        const outcome = await restoring;
        if (outcome.kind === 'failed') errors.push(outcome.error);
        return outcome.kind === 'failed' ? outcome.error : undefined;
      } catch (error) {
        expect(error instanceof Terminal || error instanceof Retryable ? '' : error, 'restore throws Terminal or Retryable only').toBe('');
        if (!(error instanceof Error)) throw error;
        errors.push(error);
        return error;
      }
    },
    async spoiled(answer, body, only = {}) {
      const { front, writes } = under();
      let count = 0;
      const match: Parameters<typeof front.next>[0]['match'] = (exchange) => {
        if (only.all === true) return true;
        if (!writes(exchange)) return false;
        count += 1;
        return only.nth === undefined ? count >= (only.from ?? 1) : count === only.nth;
      };
      front.next({ match, times: Infinity, answer });
      try {
        const value = await body();
        expect(front.used(), 'nothing was spoiled: the provider said nothing that matches').toBe(true);
        return value;
      } finally {
        await front.clear();
      }
    },
    async recovered(flag) {
      const end = performance.now() + 5_000;
      for (;;) {
        try {
          return await bench.read(flag);
        } catch (error) {
          if (!(error instanceof Retryable) || performance.now() > end) throw error;
          await delay(10);
        }
      }
    },
    async writesOf(body) {
      const { front, writes } = under();
      front.forget();
      await body();
      return front.seen.filter((exchange) => writes(exchange)).length;
    },
    async seen(flag, subject, value) {
      const end = performance.now() + under().provider.can.propagation + 500;
      while ((await under().valueFor(flag, subject)) !== value) {
        if (performance.now() > end) throw new Error(`${subject.key} does not get ${String(value)} of ${flag.flag} within the declared propagation`);
        await delay(10);
      }
    },
  };
  return bench;
}
