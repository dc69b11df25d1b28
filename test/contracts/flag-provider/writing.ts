import { expect } from 'vitest';
import { everyone, off, type Exposure } from '../../../src/core/exposure.ts';
import { Drift, Retryable, Terminal } from '../../../src/core/failure.ts';
import { expectExposure, people, share, signal, type Bench } from './bench.ts';
import type { Claim } from './under-test.ts';

/** Reading and shifting, while nothing is broken. */
export function writingRules(bench: Bench): void {
  const { rule, under, read, write, write1, change, claimed, cannot, way, failureOf } = bench;

  rule('reads the flag as it stands, and twice the same', async () => {
    const flag = await under().newFlag();
    const [first, second] = [await read(flag), await read(flag)];
    expectExposure(first, off(true));
    expect(second).toEqual(first);
  });

  rule('writes everyone and off, and moves the revision each time', async () => {
    const { flag, before, after } = await bench.shifted(everyone(true));
    expect(after.revision).not.toBe(before.revision);
    expectExposure(after, everyone(true));
    expect(await read(flag)).toEqual(after);
    const last = await write1(change(flag, off(true), after));
    expect(last.revision).not.toBe(after.revision);
    expectExposure(await read(flag), off(true));
  });

  const claims: readonly (readonly [string, readonly Claim[], readonly Exposure[]])[] = [
    ['a share', ['share'], [share(5), share(25), share(1)]],
    ['people named one by one', ['lists'], [people('ann', 'bob'), people('ann')]],
    ['a share and named people at once', ['share', 'lists'], [{ ...share(5), listed: [{ attribute: 'key', values: ['ann'] }] }]],
  ];
  for (const [what, needs, exposures] of claims) {
    rule(`writes ${what}, or refuses with Terminal and writes nothing`, async () => {
      const flag = await under().newFlag();
      let before = await read(flag);
      for (const to of exposures) {
        if (needs.every((claim) => under().provider.can[claim])) {
          const after = await write1(change(flag, to, before));
          expectExposure(after, to);
          before = await read(flag);
          expect(before).toEqual(after);
        } else {
          expect(await failureOf(write1(change(flag, to, before)))).toBeInstanceOf(Terminal);
          expect(await read(flag)).toEqual(before);
        }
      }
      needs.forEach(claimed);
    });
  }

  rule('writes a share of half a percent, or refuses with Terminal and writes nothing', async () => {
    const flag = await under().newFlag();
    const before = await read(flag);
    const { fractions, share: shares } = under().lacks;
    const lack = fractions ?? shares;
    const tiny = change(flag, share(0.5), before);
    if (lack === undefined) {
      expectExposure(await write1(tiny), share(0.5));
      expectExposure(await read(flag), share(0.5));
    } else {
      // Rounding it would give the flag to others than the plan says.
      expect(await failureOf(write1(tiny))).toBeInstanceOf(Terminal);
      expect(await read(flag)).toEqual(before);
      cannot(lack);
    }
  });

  rule('writes one of several values, and refuses with Terminal one that the flag has not', async () => {
    claimed('values');
    const flag = await under().newFlag({ oneOf: ['full', 'sse-only'] });
    const after = await write1(change(flag, everyone('sse-only'), await read(flag)));
    expectExposure(after, everyone('sse-only'));
    expect(await failureOf(write1(change(flag, everyone('nonsense'), after)))).toBeInstanceOf(Terminal);
    expect(await read(flag)).toEqual(after);
  });

  rule('writes once when the same change comes twice', async () => {
    const flag = await under().newFlag();
    const same = change(flag, everyone(true), await read(flag));
    const first = await write1(same);
    expect(await bench.writesOf(async () => expect(await write1(same)).toEqual(first))).toBeLessThanOrEqual(1);
    expect((await read(flag)).revision).toBe(first.revision);
  });

  rule('answers Drift to a stale revision, naming the flag, and leaves what somebody else wrote', async () => {
    const flag = await under().newFlag();
    const before = await read(flag);
    await under().someoneElse(flag, everyone(true));
    const theirs = await read(flag);
    expect(theirs.revision).not.toBe(before.revision);
    const error = await failureOf(write1(change(flag, off(true), before)));
    expect(error).toBeInstanceOf(Drift);
    expect(error).toMatchObject({ flag: flag.flag });
    expect(await read(flag)).toEqual(theirs);
  });

  rule("has the vendor itself refuse a write when somebody's change slips in between our look and our write", async () => {
    const flag = await under().newFlag();
    claimed('guarded');
    const before = await read(flag);
    const meanwhile = { first: () => under().someoneElse(flag, everyone(true)) };
    const error = await bench.spoiled(meanwhile, () => failureOf(write1(change(flag, off(true), before))), { nth: 1 });
    expect(error).toBeInstanceOf(Drift);
    expectExposure(await read(flag), everyone(true));
  });

  rule("never says that it wrote when somebody's change slipped in between its look and its write", async () => {
    const { can } = under().provider;
    const { flag, after } = await bench.shifted(can.share ? share(5) : everyone(true));
    const meanwhile = { first: () => under().someoneElse(flag, off(true)) };
    const error = await bench.spoiled(meanwhile, () => failureOf(write1(change(flag, can.share ? share(60) : everyone(true), after))), { nth: 1 });
    // Drift says that nothing of ours was written: the journal would forget the flag.
    if (error instanceof Drift) expectExposure(await read(flag), off(true));
    else expect(error).toBeInstanceOf(Retryable);
  });

  rule('writes all flags of a unit or none', async () => {
    const [a, b] = [await under().newFlag(), await under().newFlag()];
    if (under().provider.unit(a) !== under().provider.unit(b)) cannot('each flag is a unit of its own');
    const [before, stale] = [await read(a), await read(b)];
    await under().someoneElse(b, everyone(true));
    expect(await failureOf(write(change(a, everyone(true), before), change(b, off(true), stale)))).toBeInstanceOf(Drift);
    expect(await read(a)).toEqual(before);
    const [one, two] = await write(change(a, everyone(true), before), change(b, off(true), await read(b)));
    expect([one?.exposure.share, two?.exposure.share]).toEqual([100, 0]);
  });

  rule('sends nothing when the launch no longer wants it', async () => {
    const flag = await under().newFlag();
    const before = await read(flag);
    const stop = new Error('the launch has a rollback request');
    const sent = await bench.writesOf(async () => {
      await expect(write1(change(flag, everyone(true), before, { stillWanted: () => Promise.reject(stop) }))).rejects.toBe(stop);
    });
    expect(sent).toBe(0);
    expect(await read(flag)).toEqual(before);
  });

  rule('leaves what is not ours on the flag as it is, when it writes', async () => {
    const another = way(under().anotherRule);
    const flag = await under().newFlag();
    await another.change(flag);
    const theirs = await another.see(flag);
    await write1(change(flag, everyone(true), await read(flag)));
    expect(await another.see(flag)).toEqual(theirs);
  });

  rule('says who changed the flag last, and what they did', async () => {
    const who = way(under().somebody);
    const { flag } = await bench.shifted(everyone(true));
    const ours = await under().provider.lastChange(flag, signal());
    expect(ours?.who).toBeTypeOf('string');
    expect(ours?.who).not.toContain(who);
    await under().someoneElse(flag, off(true));
    const theirs = await under().provider.lastChange(flag, signal());
    expect(theirs?.who).toContain(who);
    expect(theirs?.what).not.toBe('');
    if (theirs?.at !== undefined) expect(Math.abs(Date.now() - Date.parse(theirs.at))).toBeLessThan(300_000);
  });
}
