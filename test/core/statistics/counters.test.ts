import { describe, expect, it, test } from 'vitest';
import { bucketsIn, riseIn, riseOfTotal, type RawSeries, type Span, type Targets } from '../../../src/core/statistics/counters.ts';

/** A scrape every 15 s; the span is the last four of them: t = 60 < .. <= 120 s. The samples reach back to 0. */
const SPAN: Span = { since: 0, from: 60_000, to: 120_000, staleAfter: 30_000 };
const SCRAPES = [15, 30, 45, 60, 75, 90, 105, 120];
const A = { job: 'shop', instance: 'a:80' };
const B = { job: 'shop', instance: 'b:80' };

/** Samples at every scrape from `first` (s) on. */
const series = (values: readonly number[], first = 15, labels: Record<string, string> = A): RawSeries => ({
  labels,
  samples: SCRAPES.filter((at) => at >= first)
    .slice(0, values.length)
    .map((at, index) => [at * 1000, values[index] ?? NaN] as const),
});
const steady = (labels: Record<string, string> = A, value = 5): RawSeries =>
  series(
    Array.from({ length: 8 }, () => value),
    15,
    labels,
  );
const up = (values: readonly number[], first = 15, labels = A): Targets => ({ up: [series(values, first, labels)] });
const UP = up([1, 1, 1, 1, 1, 1, 1, 1]);

describe('what a counter rose by', () => {
  const table: readonly (readonly [
    string,
    readonly RawSeries[],
    Targets | undefined,
    number,
    Partial<Record<'resets' | 'births' | 'joined' | 'gone', number>>,
  ])[] = [
    ['rises are added up, without extrapolation', [series([0, 1, 2, 3, 4, 5, 6, 10])], UP, 7, {}],
    ['nothing happened', [steady()], UP, 0, {}],
    ['the rise across the edge of the span belongs to its end', [series([0, 0, 0, 0, 9, 9, 9, 9])], UP, 9, {}],
    ['what came before the span was counted by the look before', [series([0, 5, 9, 9, 9, 9, 9, 9])], UP, 0, {}],
    ['a reset: the new value counts whole', [series([90, 95, 98, 100, 3, 4, 4, 6])], UP, 6, { resets: 1 }],
    ['a reset to 0', [series([90, 95, 98, 100, 0, 0, 0, 0])], UP, 0, { resets: 1 }],
    ['two resets', [series([9, 9, 9, 9, 2, 5, 1, 1])], UP, 6, { resets: 2 }],
    [
      'a reset of one instance does not hide the rise of another',
      [series([90, 95, 98, 100, 0, 0, 0, 0]), series([0, 0, 0, 0, 0, 0, 0, 100], 15, B)],
      UP,
      100,
      { resets: 1 },
    ],
    ['a counter born at 7 on a target that was up counts 7', [series([7, 7, 9], 90)], UP, 9, { births: 1 }],
    ['born in the last scrape of the span', [series([7], 120)], UP, 7, { births: 1 }],
    ['born right at the beginning of the span belongs to the look before', [series([7, 7, 7, 7, 7], 60)], UP, 0, {}],
    [
      'born on a target that was down at the scrape before: nobody knows since when it counts',
      [series([7, 8, 9], 90)],
      up([1, 1, 1, 1, 0, 1, 1, 1]),
      2,
      { joined: 1 },
    ],
    ['born on a target that nobody scraped before', [series([7, 8, 9], 90)], up([1, 1, 1], 90), 2, { joined: 1 }],
    ['born with a process that is as young', [series([7, 8, 9], 90)], { ...up([1, 1, 1], 90), starts: [series([80, 80, 80], 90)] }, 9, { births: 1 }],
    [
      'born with a process that is older than the look',
      [series([7, 8, 9], 90)],
      { ...up([1, 1, 1], 90), starts: [series([-500, -500, -500], 90)] },
      2,
      { joined: 1 },
    ],
    ['the target that was up is another one', [series([7, 8, 9], 90)], up([1, 1, 1, 1, 1, 1, 1, 1], 15, B), 2, { joined: 1 }],
    ['without targets a birth is taken up from its first sample on', [series([7, 8, 9], 90)], undefined, 2, { joined: 1 }],
    ['a label that vanished adds nothing, and takes nothing away', [series([1, 2, 3, 4]), steady(B)], UP, 0, { gone: 1 }],
    [
      'one that vanished and came back goes on from where it was',
      [
        {
          labels: A,
          samples: [
            [30_000, 40],
            [105_000, 43],
          ],
        },
      ],
      UP,
      3,
      {},
    ],
    [
      'one that came back smaller began anew',
      [
        {
          labels: A,
          samples: [
            [30_000, 40],
            [105_000, 4],
          ],
        },
      ],
      UP,
      4,
      { resets: 1 },
    ],
    [
      'samples after the span are for the next look',
      [
        {
          labels: A,
          samples: [
            [60_000, 1],
            [120_000, 2],
            [121_000, 50],
          ],
        },
      ],
      UP,
      1,
      {},
    ],
    [
      'a missed scrape loses nothing',
      [
        {
          labels: A,
          samples: [
            [45_000, 1],
            [120_000, 11],
          ],
        },
      ],
      UP,
      10,
      {},
    ],
    ['counts may be fractional', [series([0, 0, 0, 0.5, 0.75, 1, 1, 1.25])], UP, 0.75, {}],
    [
      'labels in another order are the same target',
      [{ ...series([7, 7, 9], 90), labels: { instance: 'a:80', code: '500', job: 'shop' } }],
      UP,
      9,
      { births: 1 },
    ],
  ];
  it.each(table)('%s', (_, all, targets, value, more) => {
    expect(riseIn(all, SPAN, targets)).toMatchObject({ kind: 'rise', value, resets: 0, births: 0, joined: 0, gone: 0, ...more });
  });
});

describe('what is no answer', () => {
  const table: readonly (readonly [string, readonly RawSeries[], string, string])[] = [
    ['no series at all', [], 'no-data', 'empty'],
    ['a series without samples', [{ labels: A, samples: [] }], 'no-data', 'empty'],
    ['only samples of the future', [{ labels: A, samples: [[121_000, 1]] }], 'no-data', 'empty'],
    ['a target that died: its last sample is old', [series([1, 2, 3, 4, 5])], 'no-data', 'stale'],
    ['NaN', [series([1, 2, 3, NaN, 5, 6, 7, 8])], 'no-data', 'nan'],
    ['+Inf', [series([1, 2, 3, 4, Infinity, 6, 7, 8])], 'no-data', 'infinite'],
    ['-Inf', [series([1, 2, 3, 4, -Infinity, 6, 7, 8])], 'no-data', 'infinite'],
    ['a counter below 0 is none', [series([-1, -1, -1, -1, -1, -1, -1, -1])], 'error', 'malformed'],
    ['the same series twice', [steady(), steady()], 'error', 'malformed'],
    [
      'samples out of order',
      [
        {
          labels: A,
          samples: [
            [90_000, 1],
            [75_000, 2],
          ],
        },
      ],
      'error',
      'malformed',
    ],
    [
      'two samples of one time',
      [
        {
          labels: A,
          samples: [
            [90_000, 1],
            [90_000, 2],
          ],
        },
      ],
      'error',
      'malformed',
    ],
  ];
  it.each(table)('%s', (_, all, kind, reason) => {
    expect(riseIn(all, SPAN, UP)).toMatchObject({ kind, reason });
  });
  it('says how old the newest sample is', () => {
    expect(riseIn([series([1, 2, 3, 4, 5])], SPAN, UP)).toMatchObject({ detail: 'the newest sample is 45 s old; expected at most 30 s' });
  });
});

describe('errors that do not exist yet', () => {
  it('are 0 while the traffic beside them lives', () => {
    expect(riseIn([], SPAN, UP, [steady()])).toEqual({ kind: 'rise', value: 0, newest: 120_000, resets: 0, births: 0, joined: 0, gone: 0 });
  });
  it('are no answer when that traffic is dead too', () => {
    expect(riseIn([], SPAN, UP, [series([1, 2])])).toMatchObject({ kind: 'no-data', reason: 'empty' });
    expect(riseIn([], SPAN, UP, [])).toMatchObject({ kind: 'no-data', reason: 'empty' });
  });
  it('an old error series beside living traffic is 0 as well: its label vanished', () => {
    expect(riseIn([series([1, 2])], SPAN, UP, [steady(B)])).toMatchObject({ kind: 'rise', value: 0, newest: 120_000, gone: 1 });
  });
});

test('looks one after the other count everything once, wherever they are cut', () => {
  const all = [series([3, 4, 9, 2, 2, 8, 8, 20]), series([7, 9, 12, 1], 75, B)];
  const targets: Targets = { up: [steady(A, 1), steady(B, 1)] };
  const rise = (from: number, to: number): number => {
    const found = riseIn(all, { since: 0, from, to, staleAfter: 60_000 }, targets);
    return found.kind === 'rise' ? found.value : NaN;
  };
  const whole = rise(15_000, 120_000);
  expect(whole).toBe(6 + 2 + 6 + 12 + 12 + 1);
  for (const cuts of [[60_000], [30_000, 75_000, 100_000], [16_000, 59_999, 60_000, 60_001, 119_999]]) {
    const edges = [15_000, ...cuts, 120_000];
    expect(
      edges.slice(1).reduce((sum, to, index) => sum + rise(edges[index] ?? 0, to), 0),
      String(cuts),
    ).toBe(whole);
  }
});

describe('histograms', () => {
  const bucket = (le: string, values: readonly number[], labels = A): RawSeries => series(values, 15, { ...labels, le });
  const flat = (value: number): readonly number[] => [0, 0, 0, 0, value, value, value, value];
  it('are summed by edge over their instances, each series with its own resets', () => {
    const found = bucketsIn(
      [bucket('0.5', flat(6)), bucket('+Inf', flat(9)), bucket('0.5', [9, 9, 9, 9, 1, 1, 1, 1], B), bucket('+Inf', [9, 9, 9, 9, 2, 2, 2, 2], B)],
      SPAN,
      UP,
    );
    expect(found).toEqual({
      kind: 'buckets',
      buckets: [
        { le: 0.5, count: 7 },
        { le: Infinity, count: 11 },
      ],
      newest: 120_000,
    });
  });
  it('with different edges on their instances are an error, for their sums would lie', () => {
    const found = bucketsIn([bucket('0.5', flat(6)), bucket('+Inf', flat(9)), bucket('0.7', flat(1), B), bucket('+Inf', flat(2), B)], SPAN, UP);
    expect(found).toMatchObject({ kind: 'error', reason: 'malformed', detail: 'the histograms have different bucket edges: +Inf 0.5 | +Inf 0.7' });
  });
  it('without the label le are none', () => {
    expect(bucketsIn([steady()], SPAN, UP)).toMatchObject({ kind: 'error', reason: 'malformed' });
  });
  it('that are stale or empty say so', () => {
    expect(bucketsIn([], SPAN, UP)).toMatchObject({ kind: 'no-data', reason: 'empty' });
    expect(bucketsIn([bucket('0.5', [1, 1]), bucket('+Inf', [1, 1])], SPAN, UP)).toMatchObject({ kind: 'no-data', reason: 'stale' });
  });
});

test('a total that fell was reset', () => {
  expect([riseOfTotal(5, 9), riseOfTotal(5, 5), riseOfTotal(5, 2)]).toEqual([4, 0, 2]);
});
