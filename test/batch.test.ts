import { describe, expect, it } from 'vitest';
import { Retryable, Terminal } from '../src/core/failure.ts';
import { batched } from '../src/batch.ts';

interface Item {
  readonly key: string;
}

/** A batch runner whose calls are answered by hand. */
function byHand() {
  const calls: { readonly keys: readonly string[]; readonly answer: (items: readonly Item[]) => void; readonly fail: (error: Error) => void }[] = [];
  const run = (items: readonly Item[]): Promise<readonly Item[]> =>
    new Promise((resolve, reject) => {
      calls.push({ keys: items.map((item) => item.key), answer: resolve, fail: reject });
    });
  return { calls, run };
}
const items = (...keys: string[]): readonly Item[] => keys.map((key) => ({ key }));
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('joining calls', () => {
  it('sends at once while a slot is free, and joins what waits', async () => {
    const { calls, run } = byHand();
    const call = batched({ slots: 1, most: 10 }, run);
    const first = call(items('a'));
    const [second, third] = [call(items('b', 'c')), call(items('d'))];
    expect(calls.map((each) => each.keys)).toEqual([['a']]);
    calls[0]?.answer(items('a'));
    expect(await first).toEqual(items('a'));
    await settled();
    expect(calls.map((each) => each.keys)).toEqual([['a'], ['b', 'c', 'd']]);
    calls[1]?.answer(items('d', 'c', 'b'));
    expect([await second, await third]).toEqual([items('b', 'c'), items('d')]);
  });

  it('never has one key twice in a batch, nor more than the most', async () => {
    const { calls, run } = byHand();
    const call = batched({ slots: 1, most: 2 }, run);
    const all = [call(items('x')), call(items('a')), call(items('a')), call(items('b')), call(items('c'))];
    for (let i = 0; i < 4; i += 1) {
      await settled();
      calls[i]?.answer(items(...(calls[i]?.keys ?? [])));
    }
    await Promise.all(all);
    expect(calls.map((each) => each.keys)).toEqual([['x'], ['a', 'b'], ['a', 'c']]);
  });

  it('sends each call alone when the batch is refused for good, so that only the bad one fails', async () => {
    const { calls, run } = byHand();
    const call = batched({ slots: 1, most: 10 }, run);
    const first = call(items('x'));
    const [good, bad] = [call(items('good')), call(items('bad'))];
    calls[0]?.answer(items('x'));
    await first;
    await settled();
    calls[1]?.fail(new Terminal('bad', 'one of them is bad'));
    await settled();
    expect(calls.slice(2).map((each) => each.keys)).toEqual([['good'], ['bad']]);
    calls[2]?.answer(items('good'));
    calls[3]?.fail(new Terminal('bad', 'this one'));
    expect(await good).toEqual(items('good'));
    await expect(bad).rejects.toThrow('this one');
  });

  it('tells every caller when the database is away, and goes on afterwards', async () => {
    const { calls, run } = byHand();
    const call = batched({ slots: 1, most: 10 }, run);
    const away = call(items('a'));
    calls[0]?.fail(new Retryable('away'));
    await expect(away).rejects.toThrow('away');
    await settled();
    const next = call(items('b'));
    calls[1]?.answer(items('b'));
    expect(await next).toEqual(items('b'));
  });
});
