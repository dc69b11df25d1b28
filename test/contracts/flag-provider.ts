import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everyone, off, sameExposure, type Exposure, type FlagValue } from '../../src/core/exposure.ts';
import { Drift, Retryable, Terminal } from '../../src/core/failure.ts';
import type { FlagRef } from '../../src/core/plan.ts';
import type { Subject } from '../../src/core/subject.ts';
import type { Change, FlagProvider, RestoreEntry, Snapshot } from '../../src/providers/provider.ts';

/** What the suite needs of a provider under test: real flags, somebody else's hand, and the flag's users. */
export interface ProviderUnderTest {
  readonly provider: FlagProvider;
  /** Makes a flag at the vendor, off; `type` other than boolean only where the provider claims values. Flags of one call of the suite share a unit where the provider has units of several flags. */
  newFlag(type?: FlagRef['type']): Promise<FlagRef>;
  /** Writes the exposure as somebody else would: not through this provider. */
  someoneElse(flag: FlagRef, to: Exposure): Promise<void>;
  /** What a user of the flag gets just now. */
  valueFor(flag: FlagRef, subject: Subject): Promise<FlagValue>;
  /** Calls that must fail because the credential is wrong or the vendor is away; each config holds one of `secrets`. */
  readonly failing: readonly (() => Promise<unknown>)[];
  readonly secrets: readonly string[];
  close(): Promise<void>;
}

const yes = (): Promise<void> => Promise.resolve();
const signal = (): AbortSignal => AbortSignal.timeout(20_000);
let ids = 0;

function change(flag: FlagRef, to: Exposure, expected: Snapshot, more: Partial<Change> = {}): Change {
  return { flag, to, expected, change: `c-${(ids += 1)}`, by: 'releaser', comment: 'contract suite', stillWanted: yes, ...more };
}

function entry(flag: FlagRef, snapshot: Snapshot, more: Partial<RestoreEntry> = {}): RestoreEntry {
  return { flag, snapshot, phase: 'applied', written: [], change: `r-${(ids += 1)}`, by: 'gonogo', comment: 'contract suite', ...more };
}

/** The suite that every flag provider passes, against the real vendor's server wherever one can be started. */
export function flagProviderContract(name: string, setup: () => Promise<ProviderUnderTest>): void {
  describe(`${name} keeps the contract of a flag provider`, () => {
    let it_: ProviderUnderTest;
    beforeAll(async () => {
      it_ = await setup();
    });
    afterAll(() => it_.close());

    const read = (flag: FlagRef): Promise<Snapshot> => it_.provider.read(flag, signal());
    async function write(...changes: Change[]): Promise<readonly Snapshot[]> {
      return it_.provider.write(changes, signal());
    }
    async function shifted(to: Exposure, from?: Exposure): Promise<{ flag: FlagRef; before: Snapshot; after: Snapshot }> {
      const flag = await it_.newFlag();
      if (from !== undefined) await write(change(flag, from, await read(flag)));
      const before = await read(flag);
      const [after] = await write(change(flag, to, before));
      if (after === undefined) throw new Error('the provider returned no snapshot of what it wrote');
      return { flag, before, after };
    }
    const share = (percent: number): Exposure => ({ value: true, share: percent, by: 'key', listed: [] });
    const people = (...values: string[]): Exposure => ({ value: true, share: 0, by: 'key', listed: [{ attribute: 'key', values }] });

    it('reads the flag as it stands, and twice the same', async () => {
      const flag = await it_.newFlag();
      const [first, second] = [await read(flag), await read(flag)];
      expect(sameExposure(first.exposure, off(true))).toBe(true);
      expect(second).toEqual(first);
    });

    it('writes everyone and off, and moves the revision each time', async () => {
      const { flag, before, after } = await shifted(everyone(true));
      expect(after.revision).not.toBe(before.revision);
      expect(sameExposure((await read(flag)).exposure, everyone(true))).toBe(true);
      const [last] = await write(change(flag, off(true), after));
      expect(sameExposure(last?.exposure ?? everyone(true), off(true))).toBe(true);
    });

    it('writes every exposure it claims, and refuses with Terminal what it does not claim, writing nothing', async () => {
      const { can } = it_.provider;
      const both: Exposure = { ...share(5), listed: [{ attribute: 'key', values: ['ann'] }] };
      const asked: readonly [boolean, Exposure][] = [
        [can.share, share(5)],
        [can.share, share(25)],
        [can.lists, people('ann', 'bob')],
        [can.share && can.lists, both],
      ];
      for (const [claimed, to] of asked) {
        const flag = await it_.newFlag();
        const before = await read(flag);
        if (claimed) {
          const [after] = await write(change(flag, to, before));
          expect(sameExposure(after?.exposure ?? off(true), to)).toBe(true);
          expect((await read(flag)).exposure).toEqual(after?.exposure);
        } else {
          await expect(write(change(flag, to, before))).rejects.toBeInstanceOf(Terminal);
          expect(await read(flag)).toEqual(before);
        }
      }
      const type = { oneOf: ['full', 'sse-only'] };
      if (!can.values) return;
      const flag = await it_.newFlag(type);
      const before = await read(flag);
      const [after] = await write(change(flag, everyone('sse-only'), before));
      expect(after?.exposure).toMatchObject({ value: 'sse-only', share: 100 });
      await expect(write(change(flag, everyone('nonsense'), after ?? before))).rejects.toBeInstanceOf(Terminal);
    });

    it('writes once when the same change comes twice, also after the answer was lost', async () => {
      const flag = await it_.newFlag();
      const same = change(flag, everyone(true), await read(flag));
      const [first] = await write(same);
      const [second] = await write(same);
      expect(second).toEqual(first);
      expect((await read(flag)).revision).toBe(first?.revision);
    });

    it('answers Drift to a stale revision, naming the flag, and leaves what somebody else wrote', async () => {
      if (!it_.provider.can.guarded) return;
      const flag = await it_.newFlag();
      const before = await read(flag);
      await it_.someoneElse(flag, everyone(true));
      const theirs = await read(flag);
      const error: unknown = await write(change(flag, off(true), before)).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(Drift);
      expect(error).toMatchObject({ flag: flag.flag });
      expect(await read(flag)).toEqual(theirs);
    });

    it('writes all flags of a unit or none', async () => {
      const [a, b] = [await it_.newFlag(), await it_.newFlag()];
      if (it_.provider.unit(a) !== it_.provider.unit(b)) return;
      const [before, stale] = [await read(a), await read(b)];
      await it_.someoneElse(b, everyone(true));
      await expect(write(change(a, everyone(true), before), change(b, off(true), stale))).rejects.toBeInstanceOf(Drift);
      expect(await read(a)).toEqual(before);
      const [one, two] = await write(change(a, everyone(true), before), change(b, off(true), await read(b)));
      expect([one?.exposure.share, two?.exposure.share]).toEqual([100, 0]);
    });

    it('sends nothing when the launch no longer wants it', async () => {
      const flag = await it_.newFlag();
      const before = await read(flag);
      const stop = new Error('the launch has a rollback request');
      await expect(write(change(flag, everyone(true), before, { stillWanted: () => Promise.reject(stop) }))).rejects.toBe(stop);
      expect(await read(flag)).toEqual(before);
    });

    it('restores the snapshot exactly, and once', async () => {
      const { flag, before, after } = await shifted(everyone(true));
      const put = entry(flag, before, { written: [everyone(true)], revision: after.revision });
      expect(await it_.provider.restore([put], signal())).toMatchObject([{ flag: flag.flag, kind: 'restored', wrote: true }]);
      const back = await read(flag);
      expect(back.exposure).toEqual(before.exposure);
      expect(await it_.provider.restore([put], signal())).toMatchObject([{ kind: 'restored', wrote: false, revision: back.revision }]);
      expect(await read(flag)).toEqual(back);
    });

    it('restores what we wrote also when nobody marked it: the write arrived and its answer was lost', async () => {
      const { flag, before } = await shifted(everyone(true));
      const [outcome] = await it_.provider.restore([entry(flag, before, { phase: 'intent', written: [everyone(true)] })], signal());
      expect(outcome).toMatchObject({ kind: 'restored', wrote: true });
      expect((await read(flag)).exposure).toEqual(before.exposure);
    });

    it('moves the revision of an intent, so that a write from a frozen hand is refused when it thaws', async () => {
      if (!it_.provider.can.fences) return;
      const flag = await it_.newFlag();
      const before = await read(flag);
      const late = change(flag, everyone(true), before);
      const [outcome] = await it_.provider.restore([entry(flag, before, { phase: 'intent', written: [everyone(true)] })], signal());
      expect(outcome).toMatchObject({ kind: 'restored', wrote: true });
      const fenced = await read(flag);
      expect(fenced.revision).not.toBe(before.revision);
      expect(fenced.exposure).toEqual(before.exposure);
      await expect(write(late)).rejects.toBeInstanceOf(Drift);
      expect(await read(flag)).toEqual(fenced);
    });

    it('never widens what a person narrowed below the snapshot', async () => {
      const { flag, before, after } = await shifted(everyone(true), it_.provider.can.share ? share(50) : everyone(true));
      await it_.someoneElse(flag, off(true));
      const theirs = await read(flag);
      const [outcome] = await it_.provider.restore([entry(flag, before, { written: [everyone(true)], revision: after.revision })], signal());
      expect(outcome).toMatchObject({ kind: 'kept', revision: theirs.revision });
      expect(await read(flag)).toEqual(theirs);
    });

    it('narrows what a person widened beyond the snapshot', async () => {
      if (!it_.provider.can.share) return;
      const { flag, before, after } = await shifted(share(5));
      await it_.someoneElse(flag, share(60));
      const [outcome] = await it_.provider.restore([entry(flag, before, { written: [share(5)], revision: after.revision })], signal());
      expect(outcome).toMatchObject({ kind: 'restored', wrote: true });
      expect((await read(flag)).exposure).toEqual(before.exposure);
    });

    it("leaves somebody else's value that cannot be compared, and says whose it is", async () => {
      if (!it_.provider.can.lists) return;
      const { flag, before, after } = await shifted(people('ann', 'bob'), people('ann'));
      await it_.someoneElse(flag, people('eve'));
      const theirs = await read(flag);
      const [outcome] = await it_.provider.restore([entry(flag, before, { written: [people('ann', 'bob')], revision: after.revision })], signal());
      expect(outcome?.kind).toBe('foreign');
      expect(outcome).toHaveProperty('who');
      expect(await read(flag)).toEqual(theirs);
    });

    it('puts back the flags that can be put back when one of them is gone', async () => {
      const { flag, before, after } = await shifted(everyone(true));
      const gone: FlagRef = { ...flag, flag: 'gone.flag', key: 'gone_flag_of_nobody' };
      const outcomes = await it_.provider.restore(
        [entry(gone, before), entry(flag, before, { written: [everyone(true)], revision: after.revision })],
        signal(),
      );
      expect(outcomes).toMatchObject([
        { flag: 'gone.flag', kind: 'failed' },
        { flag: flag.flag, kind: 'restored' },
      ]);
      expect((await read(flag)).exposure).toEqual(before.exposure);
    });

    it('answers Terminal for a missing flag, reports it in its check, and never makes it', async () => {
      const real = await it_.newFlag();
      const flag: FlagRef = { ...real, flag: 'missing.flag', key: 'missing_flag_of_nobody' };
      const before = await read(real);
      for (const call of [() => read(flag), () => write(change(flag, everyone(true), before)), () => read(flag)]) {
        await expect(call()).rejects.toMatchObject({ name: 'Terminal', code: 'flag-missing' });
      }
      expect(await it_.provider.check([real], signal())).toEqual([]);
      const problems = await it_.provider.check([real, flag], signal());
      expect(problems).toHaveLength(1);
      expect(problems[0]?.where).toContain('missing.flag');
    });

    it("shows a write to the flag's users within the time it declares", async () => {
      const flag = await it_.newFlag();
      const subject: Subject = { key: 'u-1', attributes: {} };
      const before = await read(flag);
      expect(await it_.valueFor(flag, subject)).toBe(false);
      await write(change(flag, everyone(true), before));
      const started = performance.now();
      await expect.poll(() => it_.valueFor(flag, subject), { timeout: it_.provider.can.propagation, interval: 10 }).toBe(true);
      expect(performance.now() - started).toBeLessThanOrEqual(it_.provider.can.propagation);
    });

    it('gives a command that names the flag and holds no secret', async () => {
      const flag = await it_.newFlag();
      const command = it_.provider.undo(flag, await read(flag));
      expect(command).toContain(flag.key);
      for (const secret of it_.secrets) expect(command).not.toContain(secret);
    });

    it('fails with Terminal or Retryable, and no secret is in any error', async () => {
      expect(it_.failing.length).toBeGreaterThan(0);
      for (const call of it_.failing) {
        const error: unknown = await call().then(
          () => 'it succeeded',
          (reason: unknown) => reason,
        );
        expect(error instanceof Terminal || error instanceof Retryable ? error.name : error).toMatch(/^(Terminal|Retryable)$/);
        const everything = inspect(error, { depth: 10, showHidden: true });
        for (const secret of it_.secrets) expect(everything).not.toContain(secret);
      }
    });
  });
}
