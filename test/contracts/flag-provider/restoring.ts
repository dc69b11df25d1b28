import { execFile } from 'node:child_process';
import os from 'node:os';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { everyone, off } from '../../../src/core/exposure.ts';
import { Drift, Terminal } from '../../../src/core/failure.ts';
import type { FlagRef } from '../../../src/core/plan.ts';
import { expectExposure, people, share, signal, subjects, type Bench } from './bench.ts';

/** Putting back, while nothing is broken but people's manners. */
export function restoringRules(bench: Bench): void {
  const { rule, under, read, write1, change, entry, entryOf, claimed, way, restore1, shifted } = bench;

  rule('restores the snapshot exactly, and once', async () => {
    const flag = await under().newFlag();
    const owned = await under().owned(flag);
    const moved = await shifted(everyone(true), undefined, flag);
    expect(await under().owned(flag)).not.toEqual(owned);
    const put = entryOf(moved);
    expect(await restore1(put)).toMatchObject({ kind: 'restored', wrote: true });
    const back = await read(flag);
    expect(back.exposure).toEqual(moved.before.exposure);
    expect(await under().owned(flag)).toEqual(owned);
    expect(await restore1(put)).toMatchObject({ kind: 'restored', wrote: false, revision: back.revision });
    expect(await read(flag)).toEqual(back);
  });

  rule('restores a flag that wears everything, exactly on the fields that are ours', async () => {
    const dressed = way(under().dressed);
    const flag = await dressed.make();
    const owned = await under().owned(flag);
    const first = await shifted(everyone(true), undefined, flag);
    expect(await under().owned(flag)).not.toEqual(owned);
    await bench.seen(flag, { key: 'nobody-anywhere', attributes: {} }, true);
    const second = await write1(change(flag, off(true), first.after));
    expect(await restore1(entryOf(first, { written: [everyone(true), off(true)], revision: second.revision }))).toMatchObject({ kind: 'restored' });
    expect(await under().owned(flag)).toEqual(owned);
  });

  rule("leaves somebody else's change to another rule as it is, when it restores", async () => {
    const another = way(under().anotherRule);
    const moved = await shifted(everyone(true));
    const before = await another.see(moved.flag);
    await another.change(moved.flag);
    const theirs = await another.see(moved.flag);
    expect(theirs).not.toEqual(before);
    expect(await restore1(entryOf(moved))).toMatchObject({ kind: 'restored' });
    expectExposure(await read(moved.flag), moved.before.exposure);
    expect(await another.see(moved.flag)).toEqual(theirs);
  });

  rule('restores what we wrote also when nobody marked it: the write arrived and its answer was lost', async () => {
    const { flag, before } = await shifted(everyone(true));
    expect(await restore1(entry(flag, before, { phase: 'intent', written: [everyone(true)] }))).toMatchObject({ kind: 'restored', wrote: true });
    expect((await read(flag)).exposure).toEqual(before.exposure);
  });

  rule('moves the revision of an intent, so that a write from a frozen hand is refused when it thaws', async () => {
    const flag = await under().newFlag();
    claimed('fences');
    const before = await read(flag);
    const owned = await under().owned(flag);
    const late = change(flag, everyone(true), before);
    expect(await restore1(entry(flag, before, { phase: 'intent', written: [everyone(true)] }))).toMatchObject({ kind: 'restored', wrote: true });
    const fenced = await read(flag);
    expect(fenced.revision).not.toBe(before.revision);
    expect(await under().owned(flag)).toEqual(owned);
    expect(await bench.failureOf(write1(late))).toBeInstanceOf(Drift);
    expect(await read(flag)).toEqual(fenced);
  });

  rule('never widens what a person narrowed below the snapshot', async () => {
    const moved = await shifted(everyone(true), under().provider.can.share ? share(50) : everyone(true));
    await under().someoneElse(moved.flag, off(true));
    const theirs = await read(moved.flag);
    expect(await restore1(entryOf(moved))).toMatchObject({ kind: 'kept', revision: theirs.revision });
    expect(await read(moved.flag)).toEqual(theirs);
  });

  rule('narrows what a person widened beyond the snapshot', async () => {
    claimed('share');
    const moved = await shifted(share(5));
    await under().someoneElse(moved.flag, share(60));
    expect(await restore1(entryOf(moved))).toMatchObject({ kind: 'restored', wrote: true });
    expect((await read(moved.flag)).exposure).toEqual(moved.before.exposure);
  });

  rule("leaves somebody else's value that cannot be compared, and says whose it is", async () => {
    claimed('lists');
    const moved = await shifted(people('ann', 'bob'), people('ann'));
    await under().someoneElse(moved.flag, people('eve'));
    const theirs = await read(moved.flag);
    const outcome = await restore1(entryOf(moved));
    expect(outcome.kind).toBe('foreign');
    if (outcome.kind === 'foreign') expect(outcome.who).toContain(way(under().somebody));
    expect(await read(moved.flag)).toEqual(theirs);
  });

  rule('puts back the flags that can be put back when one of them is gone', async () => {
    const moved = await shifted(everyone(true));
    const gone: FlagRef = { ...moved.flag, flag: 'gone.flag', key: 'gone_flag_of_nobody' };
    const { provider } = under();
    const entries = [entry(gone, moved.before), entryOf(moved)];
    // As putBack does it: the entries of one unit go in one call.
    const calls = provider.unit(gone) === provider.unit(moved.flag) ? [entries] : entries.map((each) => [each]);
    const outcomes = (
      await Promise.all(calls.map((each) => provider.restore(each, signal()).catch((error: unknown) => [{ flag: 'gone.flag', kind: 'failed', error }])))
    ).flat();
    expect(outcomes).toMatchObject([
      { flag: 'gone.flag', kind: 'failed' },
      { flag: moved.flag.flag, kind: 'restored' },
    ]);
    expect((outcomes[0] as { readonly error?: unknown }).error).toBeInstanceOf(Terminal);
    expect((await read(moved.flag)).exposure).toEqual(moved.before.exposure);
  });

  rule('switches the users off by its first write, before the exact restore is done', async () => {
    way(under().offFirst);
    const dressed = way(under().dressed);
    const flag = await dressed.make();
    const owned = await under().owned(flag);
    const control = await outsider(flag);
    const moved = await shifted(everyone(true), undefined, flag);
    await bench.seen(flag, control, true);
    // The next attempt carries the same change, as putBack's do: our own half-way house is not a person's narrowing.
    const put = entryOf(moved);
    await bench.spoiled(
      'hang',
      async () => {
        const restoring = bench.stopped(restore1(put, signal(5_000)));
        await bench.seen(flag, control, false);
        expect(await restoring, 'the restore was said to be done though all but its first write hung').toBeInstanceOf(Error);
      },
      { from: 2 },
    );
    await bench.recovered(flag);
    expect(await restore1(put)).toMatchObject({ kind: 'restored' });
    expect(await under().owned(flag)).toEqual(owned);
  });

  rule('gives a command that turns the flag back when it is pasted into a shell as it was sent', async () => {
    const environment = way(under().shell);
    const from = under().provider.can.share ? share(5) : off(true);
    const { flag, before } = await shifted(everyone(true), from);
    const command = under().provider.undo(flag, before);
    expect(command).toContain(flag.key);
    for (const secret of under().secrets) expect(command).not.toContain(secret);
    await promisify(execFile)('bash', ['-c', command], { cwd: os.tmpdir(), env: { PATH: process.env['PATH'] ?? '', ...environment }, timeout: 30_000 });
    expectExposure(await read(flag), before.exposure);
  });

  /** A user whom the flag, as it is dressed, does not reach. */
  async function outsider(flag: FlagRef) {
    for (const subject of subjects(40)) if ((await under().valueFor(flag, subject)) === false) return subject;
    throw new Error(`${flag.flag} reaches all of 40 users; expected a dressed flag to reach less than everyone`);
  }
}
