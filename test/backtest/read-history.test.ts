import { describe, expect, it } from 'vitest';
import type { Failed, Measurement } from '../../src/core/measurement.ts';
import { lanes } from '../../src/backtest/lanes.ts';
import { historyReader } from '../../src/backtest/read-history.ts';
import { strides } from '../../src/backtest/strides.ts';
import { grid } from '../../src/sources/ask.ts';
import type { MetricSource, Query } from '../../src/sources/source.ts';
import { alert, burnRate, compareRate, probe, threshold } from '../core/gates.ts';

const EVERY = 15_000;
const never = new AbortController().signal;
const RANGE = { from: 0, to: 2_000 * EVERY };

interface Asked {
  readonly query: Query;
  readonly from: number;
  readonly to: number;
}

/** A source whose answer to a part of the range is made by `answer`, one point at a time, or fails as a whole. */
function source(answer: (at: number, query: Query) => Measurement, fails: (asked: Asked) => Failed['reason'] | undefined = () => undefined) {
  const asked: Asked[] = [];
  let [open, most] = [0, 0];
  const made: MetricSource = {
    kind: 'made',
    remembers: true,
    measure: () => Promise.reject(new Error('nobody asks for now')),
    async series(query, from, to, step) {
      asked.push({ query, from, to });
      most = Math.max(most, (open += 1));
      await Promise.resolve();
      open -= 1;
      const reason = fails({ query, from, to });
      const points = grid(from, to, step).map((at): Measurement =>
        reason === undefined ? answer(at, query) : { kind: 'error', at, query: query.text, reason, detail: `it ${reason}` },
      );
      return { points, remembers: true };
    },
    check: () => Promise.resolve([]),
    close: () => Promise.resolve(),
  };
  return { made, asked, most: () => most };
}

const number = (at: number, query: Query): Measurement => ({ kind: 'value', at, query: query.text, value: at / EVERY });

describe('reading a history', () => {
  it('asks for it in parts, and misses no moment and none twice', async () => {
    const { made, asked } = source(number);
    const found = await historyReader().read(threshold(), made, RANGE, never);
    if (found.kind !== 'history') throw new Error(found.why);
    expect(found.history.points.map(({ at }) => at)).toEqual(grid(RANGE.from, RANGE.to, EVERY));
    expect(asked.length).toBeGreaterThan(1);
  });

  it('each query once, however many gates ask it, and few at a time', async () => {
    const { made, asked, most } = source(number);
    const reader = historyReader();
    await Promise.all([...Array(10).keys()].map((id) => reader.read(threshold({ id: `g${id}`, query: `q${id % 7}` }), made, RANGE, never)));
    expect(asked.filter(({ from }) => from === 0)).toHaveLength(7);
    expect(most()).toBe(4);
  });

  it('asks for running counts from where the part before it ended', async () => {
    const { made, asked } = source(number);
    await historyReader().read(burnRate(), made, RANGE, never);
    const own = asked.filter(({ query }) => query.text === 'b');
    expect(own[0]?.query.rise).toEqual({ of: 'counter' });
    for (const [index, { query, from }] of own.slice(1).entries()) {
      expect(from).toBe((own[index]?.to ?? 0) + EVERY);
      expect(query.rise).toEqual({ of: 'counter', since: from - EVERY });
    }
  });

  it.each(['timeout', 'too-large'] as const)('asks for less at a time where the answer is %s, and for no more than what worked', async (reason) => {
    const { made, asked } = source(number, ({ from, to }) => (to - from > 100 * EVERY ? reason : undefined));
    const found = await historyReader().read(threshold(), made, RANGE, never);
    expect(found.kind === 'history' ? found.history.points.length : found.why).toBe(2_001);
    expect(asked.slice(2).every(({ from, to }) => to - from <= 120 * EVERY)).toBe(true);
  });

  it.each([
    ['refused', /is source prometheus up/, 1],
    ['timeout', /a longer timeout in the config, a shorter --since/, 3],
    ['status', /try the query at source prometheus over the same days: q/, 1],
  ] as const)('gives up where the source %s, and says what to do', async (reason, hint, times) => {
    const { made, asked } = source(number, () => reason);
    const found = await historyReader().read(threshold(), made, RANGE, never);
    expect(found).toMatchObject({ kind: 'failed', why: `value: it ${reason}`, reason });
    expect(found.kind === 'failed' ? found.hint : '').toMatch(hint);
    expect(asked).toHaveLength(times);
  });

  it('what a launch would have met as well is judged, and is no failure, unless there is nothing else', async () => {
    const several = (at: number): Measurement => ({ kind: 'error', at, query: 'q', reason: 'several-series', detail: 'two series' });
    const some = source((at, query) => (at === 5 * EVERY ? several(at) : number(at, query)));
    const found = await historyReader().read(threshold(), some.made, RANGE, never);
    expect(found.kind === 'history' ? found.history.points[5] : found).toEqual(several(5 * EVERY));
    expect(await historyReader().read(threshold(), source(several).made, RANGE, never)).toMatchObject({ kind: 'failed', why: 'value: two series' });
  });

  it('nothing in all that time is named with the last word of the source', async () => {
    const nothing = source((at) => ({ kind: 'no-data', at, query: 'q', reason: 'empty', detail: 'the answer has no series' }));
    const found = await historyReader().read(threshold(), nothing.made, RANGE, never);
    expect(found).toMatchObject({
      kind: 'failed',
      why: 'source prometheus has no history between 1970-01-01 00:00 and 1970-01-01 08:20 UTC (value: the answer has no series)',
    });
  });

  it('an exposed side that was never there leaves the rest', async () => {
    const { made } = source((at, query) =>
      query.text.startsWith('e') ? { kind: 'no-data', at, query: query.text, reason: 'empty', detail: 'none' } : number(at, query),
    );
    const found = await historyReader().read(compareRate(), made, RANGE, never);
    expect(found.kind === 'history' ? found.history.pooled?.at(-1) : found).toMatchObject({ counts: { exposed: 0, rest: 1 } });
  });

  it('a gate that is only heard, a source without a memory and one that nobody named are told apart', async () => {
    const reader = historyReader();
    const { source: _source, ...heard } = alert();
    expect(await reader.read(heard, undefined, RANGE, never)).toMatchObject({ kind: 'none', why: /only heard/ });
    expect(await reader.read(probe(), { ...source(number).made, remembers: false }, RANGE, never)).toMatchObject({
      kind: 'none',
      why: 'source app (made) keeps no history',
    });
    expect(await reader.read(threshold(), undefined, RANGE, never)).toMatchObject({ kind: 'failed', why: 'the config has no source prometheus' });
  });

  it('ends when it is told to', async () => {
    const end = new AbortController();
    const { made, asked } = source(number, ({ to }) => {
      if (to > 500 * EVERY) end.abort(new Error('interrupted'));
      return end.signal.aborted ? 'other' : undefined;
    });
    await expect(historyReader().read(threshold(), made, RANGE, end.signal)).rejects.toThrow('interrupted');
    expect(asked.at(-1)?.to).toBeLessThan(RANGE.to);
  });
});

describe('how much is asked for at a time', () => {
  /** Where a source leads that takes `ms` for so many points. */
  function settled(ms: (points: number) => number): number {
    const stride = strides();
    for (let round = 0; round < 20; round += 1) stride.took(ms(stride.points()));
    return stride.points();
  }

  it('is a long stretch where each question has a long way to go', () => {
    expect(settled((points) => 200 + points / 100)).toBe(3840);
  });
  it('is a short one where twice the range takes four times as long', () => {
    expect(settled((points) => 2 + (points / 60) ** 2)).toBeLessThanOrEqual(120);
  });
  it('is never again what was too long', () => {
    const stride = strides();
    expect(stride.points()).toBe(240);
    expect(stride.shorter()).toBe(true);
    for (let round = 0; round < 20; round += 1) stride.took(1);
    expect(stride.points()).toBeLessThan(240);
    while (stride.shorter());
    expect(stride.points()).toBe(60);
  });
});

describe('lanes', () => {
  it('so many jobs at a time, each in its turn, and a lane that failed is free again', async () => {
    const run = lanes(2);
    const events: string[] = [];
    const gates = [...Array(4).keys()].map(() => Promise.withResolvers<undefined>());
    const jobs = gates.map(({ promise }, index) =>
      run(async () => {
        events.push(`begin ${index}`);
        await promise;
        if (index === 0) throw new Error('no');
        return index;
      }),
    );
    const ends = Promise.allSettled(jobs);
    await Promise.resolve();
    expect(events).toEqual(['begin 0', 'begin 1']);
    for (const gate of gates) gate.resolve(undefined);
    expect((await ends).map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled', 'fulfilled']);
    expect(events).toEqual(['begin 0', 'begin 1', 'begin 2', 'begin 3']);
  });
});
