import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { bornIn, bucketsIn, riseIn, riseOfTotal, tallyOn, type RawSeries, type Span, type Targets } from '../../../src/core/statistics/counters.ts';

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
    [
      'two replicas that are no servers of one target: their names differ by more',
      [steady({ ...A, replica: 'x', shard: '1' }), steady({ ...A, replica: 'y', shard: '2' })],
      UP,
      0,
      {},
    ],
    [
      'born on a target that was down before, in a process that is as young',
      [series([7, 8, 9], 90)],
      { ...up([1, 1, 1, 1, 0, 1, 1, 1]), starts: [series([80, 80, 80], 90)] },
      9,
      { births: 1 },
    ],
    [
      'a recorded sum that falls has lost a series: that step adds nothing',
      [series([90, 95, 98, 100, 60, 62, 62, 70], 15, { __name__: 'job:errors:sum' })],
      UP,
      10,
      { resets: 1 },
    ],
    ['what the look before did not see yet is new, whatever its time', [{ ...series([0, 0, 3, 7, 7, 7, 7, 7]), from: 30_000 }], UP, 7, {}],
    ['what the look before did not know at all is born, whatever its time', [{ ...series([7, 7, 7, 7], 45), from: -Infinity }], UP, 7, { births: 1 }],
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
    ['a counter above 2^53, which no longer counts by ones', [steady(A, 2 ** 53 + 2)], 'error', 'malformed'],
    ['the same target scraped by two servers', [steady({ ...A, replica: 'x' }), steady({ ...A, replica: 'y' })], 'error', 'malformed'],
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
      resets: 2,
    });
  });
  it('with different edges on their instances are an error, for their sums would lie', () => {
    const found = bucketsIn([bucket('0.5', flat(6)), bucket('+Inf', flat(9)), bucket('0.7', flat(1), B), bucket('+Inf', flat(2), B)], SPAN, UP);
    expect(found).toMatchObject({ kind: 'error', reason: 'malformed', detail: 'the histograms have different bucket edges: 0.5 +Inf | 0.7 +Inf' });
  });
  it('write one edge in two ways', () => {
    const found = bucketsIn([bucket('1', flat(6)), bucket('+Inf', flat(9)), bucket('1.0', flat(1), B), bucket('+Inf', flat(2), B)], SPAN, UP);
    expect(found).toMatchObject({ buckets: [{ le: 1, count: 7 }, { le: Infinity, count: 11 }] }); // prettier-ignore
  });
  it('without a bucket up to +Inf, or with an edge that is no number, are an error', () => {
    expect(bucketsIn([bucket('0.5', flat(6)), bucket('1', flat(6))], SPAN, UP)).toMatchObject({
      kind: 'error',
      detail: 'the histogram has no bucket up to +Inf, only 0.5 1; expected all of its buckets',
    });
    expect(bucketsIn([bucket('fast', flat(6)), bucket('+Inf', flat(6))], SPAN, UP)).toMatchObject({ kind: 'error', reason: 'malformed' });
  });
  it('that died are vouched for by what lives beside them', () => {
    expect(bucketsIn([bucket('0.5', [1, 1]), bucket('+Inf', [1, 1])], SPAN, UP, [steady(B)])).toMatchObject({ kind: 'buckets', newest: 120_000 });
  });
  it('without the label le are none', () => {
    expect(bucketsIn([steady()], SPAN, UP)).toMatchObject({ kind: 'error', reason: 'malformed' });
  });
  it('that are stale or empty say so', () => {
    expect(bucketsIn([], SPAN, UP)).toMatchObject({ kind: 'no-data', reason: 'empty' });
    expect(bucketsIn([bucket('0.5', [1, 1]), bucket('+Inf', [1, 1])], SPAN, UP)).toMatchObject({ kind: 'no-data', reason: 'stale' });
  });
});

describe('counts on a grid', () => {
  it('are those of looks one after the other, wherever the samples are cut into parts', () => {
    const counter = fc.record({
      instance: fc.constantFrom('a', 'b'),
      code: fc.constantFrom('1', '2'),
      le: fc.constantFrom('1', '+Inf'),
      steps: fc.array(fc.tuple(fc.integer({ min: 1, max: 40_000 }), fc.integer({ min: 0, max: 20 })), { minLength: 1, maxLength: 30 }),
    });
    fc.assert(
      fc.property(
        fc.uniqueArray(counter, { maxLength: 6, selector: ({ instance, code, le }) => `${instance} ${code} ${le}` }),
        fc.integer({ min: 1, max: 60_000 }),
        fc.integer({ min: 1_000, max: 90_000 }),
        fc.integer({ min: 0, max: 300_000 }),
        fc.boolean(),
        (counters, step, from, cut, targeted) => {
          const all = counters.map(({ instance, code, le, steps }): RawSeries => {
            let at = 0;
            return { labels: { job: 'x', instance, code, le }, samples: steps.map(([ms, value]) => [(at += ms), value] as const) };
          });
          const targets: Targets | undefined = targeted ? { up: [{ labels: { job: 'x', instance: 'a' }, samples: [[0, 1], [300_000, 1]] }] } : undefined; // prettier-ignore
          const length = 12;
          const part = (wanted: (at: number) => boolean): readonly RawSeries[] =>
            all.map((one) => ({ ...one, samples: one.samples.filter(([at]) => wanted(at)) })).filter(({ samples }) => samples.length > 0);
          const tally = tallyOn({ from, step, length }, 'counter');
          const edges = tallyOn({ from, step, length }, 'buckets').edges;
          expect(edges.size).toBe(0);
          for (const samples of [part((at) => at <= cut), part((at) => at > cut)]) tally.add(samples, targets);
          const newest = tally.newest();
          for (let index = 0; index < length; index += 1) {
            const to = from + index * step;
            const look = riseIn(all, { since: from - step, from: to - step, to, staleAfter: Infinity }, targets);
            expect([tally.rise[index], newest[index]]).toEqual(look.kind === 'rise' ? [look.value, look.newest] : [0, -Infinity]);
          }
        },
      ),
    );
  });

  it('blame only the steps that have odd samples, and go on behind them', () => {
    const tally = tallyOn({ from: 45_000, step: 15_000, length: 6 }, 'counter');
    tally.add([series([1, 2, 3, NaN, 5, -1, 7, 8])], UP);
    expect([...tally.rise]).toEqual([1, 0, 2, 0, 2, 1]);
    expect([...tally.faults].map(([index, { kind, reason }]) => [index, kind, reason])).toEqual([
      [1, 'no-data', 'nan'],
      [3, 'error', 'malformed'],
    ]);
  });

  it('are kept by edge for histograms, and blamed where layouts differ', () => {
    const tally = tallyOn({ from: 30_000, step: 15_000, length: 7 }, 'buckets');
    const bucket = (le: string, labels = A): RawSeries => series([0, 1, 2, 3, 4, 5, 6, 7], 15, { ...labels, le });
    tally.add([bucket('0.5'), bucket('+Inf'), bucket('+Inf', B), bucket('0.5', B)], UP);
    expect([...tally.edges].map(([le, counts]) => [le, [...counts]])).toEqual([0.5, Infinity].map((le) => [le, [2, 2, 2, 2, 2, 2, 2]]));
    expect(tally.faults.size).toBe(0);
    const odd = tallyOn({ from: 30_000, step: 15_000, length: 7 }, 'buckets');
    odd.add([bucket('0.5'), bucket('+Inf'), bucket('+Inf', B)], UP);
    expect(odd.faults.size).toBe(7);
  });

  it('tell which series were not there before', () => {
    const tally = tallyOn({ from: 60_000, step: 15_000, length: 3 }, 'counter');
    expect(tally.unknown([steady(), series([7], 60, B)]).map(({ series: one, born }) => [one.labels['instance'], born])).toEqual([['b:80', 60_000]]);
    tally.add([series([7], 60, B)]);
    expect(tally.unknown([series([8], 75, B)])).toEqual([]);
    expect(bornIn([steady(), series([7], 75, B)], SPAN).map(({ born }) => born)).toEqual([75_000]);
  });
});

test('a total that fell was reset', () => {
  expect([riseOfTotal(5, 9), riseOfTotal(5, 5), riseOfTotal(5, 2)]).toEqual([4, 0, 2]);
});
