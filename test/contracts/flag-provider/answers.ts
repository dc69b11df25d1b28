import { expect } from 'vitest';
import { everyone, off } from '../../../src/core/exposure.ts';
import { Drift, Retryable, Terminal } from '../../../src/core/failure.ts';
import type { Spoil } from '../../support/front.ts';
import { expectExposure, share, signal, type Bench } from './bench.ts';

/** The longest a vendor may make us wait, ms: what it asks beyond that is cut. */
const LONGEST_DELAY = 300_000;
/** How much later than declared (ms) a call may give up: two noisy cores. */
const SLACK = 1_500;

/** The vendor's bad answers, and no answers. */
export function answerRules(bench: Bench): void {
  const { rule, under, read, write1, change, entry, entryOf, way, failureOf, stopped, restore1, shifted, spoiled, recovered } = bench;

  /** A write and a restore under `spoil`: both fail as they should, change nothing, and work when the trouble is over. */
  async function neither(spoil: Spoil, right: (error: Error) => void, within: () => AbortSignal = signal): Promise<void> {
    const flag = await under().newFlag();
    const before = await read(flag);
    const same = change(flag, everyone(true), before);
    right(await spoiled(spoil, () => failureOf(write1(same, within()))));
    expect(await recovered(flag)).toEqual(before);
    const after = await write1(same);
    expectExposure(after, everyone(true));
    const put = entryOf({ flag, before, after, to: everyone(true) });
    const error = await spoiled(spoil, () => stopped(restore1(put, within())));
    if (error === undefined) throw new Error('the restore was said to be done; expected it to fail');
    right(error);
    expectExposure(await recovered(flag), everyone(true));
    expect(await restore1(put)).toMatchObject({ kind: 'restored', wrote: true });
    expectExposure(await read(flag), before.exposure);
  }

  for (const [status, code] of [
    [401, 'unauthorized'],
    [403, 'forbidden'],
    [404, 'flag-missing'],
  ] as const) {
    rule(`answers Terminal to ${status}, writes nothing, and goes on when it is mended`, async () => {
      way(under().statuses);
      const answer = { status, body: `{"message":"no, not with ${under().secrets[0] ?? 'that'}"}` };
      await neither(answer, (error) => expect(error).toBeInstanceOf(Terminal));
      const flag = await under().newFlag();
      expect(await spoiled(answer, () => failureOf(read(flag)), { all: true })).toMatchObject({ name: 'Terminal', code });
    });
  }

  rule('takes 409 for a conflict, never for the end', async () => {
    way(under().statuses);
    const conflict = { status: 409, body: '{"code":"optimistic_locking_error","message":"Conflict. Optimistic lock error"}' };
    await neither(conflict, (error) => expect(error instanceof Drift || error instanceof Retryable ? 'conflict' : error).toBe('conflict'));
  });

  const instant = (ms: number): string => String(Date.now() + ms);
  const waits: readonly (readonly [string, () => Record<string, string>, readonly [number, number] | undefined])[] = [
    ['seconds', () => ({ 'retry-after': '4' }), [1_000, 4_000]],
    ['a date', () => ({ 'retry-after': new Date(Date.now() + 5_000).toUTCString() }), [1_000, 5_000]],
    ['epoch milliseconds', () => ({ 'retry-after': instant(5_000) }), [1_000, 5_000]],
    ['3600', () => ({ 'retry-after': '3600' }), [60_000, LONGEST_DELAY]],
    ['garbage', () => ({ 'retry-after': 'soon, I hope' }), undefined],
    ['nothing', () => ({}), undefined],
  ];
  for (const [form, headers, delay] of waits) {
    rule(`comes again later after 429 with Retry-After as ${form}, at most 5 min later`, async () => {
      way(under().statuses);
      const flag = await under().newFlag();
      const before = await read(flag);
      const answer = { instead: () => Promise.resolve({ status: 429, headers: headers(), body: '{"message":"too many"}' }) };
      const error = await spoiled(answer, () => failureOf(write1(change(flag, everyone(true), before))));
      expect(error).toBeInstanceOf(Retryable);
      expectDelay(error, delay);
      expect(await read(flag)).toEqual(before);
    });
  }

  rule("comes again when the vendor's own header says so, after 429", async () => {
    way(under().statuses);
    const header = under().resetHeader ?? bench.cannot('the vendor has no header of its own for it');
    const flag = await under().newFlag();
    const answer = { instead: () => Promise.resolve({ status: 429, headers: { [header]: instant(5_000) }, body: '{"message":"too many"}' }) };
    const error = await spoiled(answer, () => failureOf(read(flag)), { all: true });
    expect(error).toBeInstanceOf(Retryable);
    expectDelay(error, [1_000, 5_000]);
  });

  function expectDelay(error: Error, within: readonly [number, number] | undefined): void {
    const delay = error instanceof Retryable ? error.delay : undefined;
    const [least, most] = within ?? [0, LONGEST_DELAY];
    if (within === undefined && delay === undefined) return;
    expect(delay).toBeGreaterThanOrEqual(least);
    expect(delay).toBeLessThanOrEqual(most);
  }

  rule('answers Retryable to 500, 502 with a page of HTML, and 503', async () => {
    way(under().statuses);
    const retryable = (error: Error): void => expect(error).toBeInstanceOf(Retryable);
    await neither({ status: 500, body: '{"message":"boom"}' }, retryable);
    await neither({ status: 502, headers: { 'content-type': 'text/html' }, body: '<html><h1>Bad gateway</h1></html>' }, retryable);
    await neither({ status: 503, body: '' }, retryable);
  });

  rule('gives up a write and a restore that hang within the time it declares, having written nothing', async () => {
    const started: number[] = [];
    await neither(
      'hang',
      (error) => {
        expect(error).toBeInstanceOf(Retryable);
        expect(performance.now() - (started.at(-1) ?? 0)).toBeLessThan(under().provider.can.writeTakes + SLACK);
      },
      () => {
        started.push(performance.now());
        return signal(60_000);
      },
    );
  });

  rule('stops a write that hangs when it is told to', async () => {
    const flag = await under().newFlag();
    const before = await read(flag);
    const started = performance.now();
    expect(await spoiled('hang', () => failureOf(write1(change(flag, everyone(true), before), signal(300))))).toBeInstanceOf(Retryable);
    expect(performance.now() - started).toBeLessThan(300 + SLACK);
    expect(await read(flag)).toEqual(before);
  });

  rule('answers Retryable while nothing listens at the vendor, and goes on when it is back', async () => {
    await neither('refuse', (error) => expect(error).toBeInstanceOf(Retryable));
    const flag = await under().newFlag();
    expect(await spoiled('refuse', () => failureOf(read(flag)), { all: true })).toBeInstanceOf(Retryable);
    expectExposure(await recovered(flag), off(true));
  });

  rule('writes nothing twice when a write arrived and its answer was lost, whichever of its requests it was', async () => {
    const clean = await under().newFlag();
    const start = await read(clean);
    const requests = await bench.writesOf(() => write1(change(clean, everyone(true), start)));
    expect(requests).toBeGreaterThan(0);
    for (let nth = 1; nth <= requests; nth += 1) {
      const flag = await under().newFlag();
      const same = change(flag, everyone(true), await read(flag));
      await spoiled('cut-after-apply', () => write1(same).catch((error: unknown) => expect(error).toBeInstanceOf(Retryable)), { nth });
      const arrived = await recovered(flag);
      const after = await write1(same);
      expectExposure(after, everyone(true));
      if (nth === requests) expect(after.revision, 'the last request had arrived: the repeat writes nothing').toBe(arrived.revision);
      expect(await under().owned(flag)).toEqual(await under().owned(clean));
    }
  });

  rule('restores a write of which any part had arrived when its answer was lost', async () => {
    const clean = await under().newFlag();
    const owned = await under().owned(clean);
    const requests = await bench.writesOf(async () => write1(change(clean, everyone(true), await read(clean))));
    for (let nth = 1; nth <= requests; nth += 1) {
      const flag = await under().newFlag();
      const before = await read(flag);
      await spoiled('cut-after-apply', () => write1(change(flag, everyone(true), before)).catch((error: unknown) => expect(error).toBeInstanceOf(Retryable)), {
        nth,
      });
      expect(await restore1(entry(flag, before, { phase: 'intent', written: [everyone(true)] }))).toMatchObject({ kind: 'restored' });
      expect(await under().owned(flag)).toEqual(owned);
    }
  });

  rule('restores also when the answer to any request of the restore was lost', async () => {
    // From a share where there are shares: a restore that goes off first must not take its own half-way house for a person's narrowing.
    const from = under().provider.can.share ? share(5) : off(true);
    const clean = await shifted(everyone(true), from);
    const requests = await bench.writesOf(() => restore1(entryOf(clean)));
    expect(requests).toBeGreaterThan(0);
    for (let nth = 1; nth <= requests; nth += 1) {
      const moved = await shifted(everyone(true), from);
      const put = entryOf(moved);
      await spoiled('cut-after-apply', () => stopped(restore1(put)), { nth });
      await recovered(moved.flag);
      expect(await restore1(put)).toMatchObject({ kind: 'restored' });
      expect(await under().owned(moved.flag)).toEqual(await under().owned(clean.flag));
    }
  });

  rule('notices a 200 without effect: neither a write nor a restore is said to be done', async () => {
    const pretend = way(under().withoutEffect);
    await neither(pretend === true ? 'ok-without-effect' : { instead: pretend }, (error) => expect(error).toBeInstanceOf(Retryable));
  });
}
