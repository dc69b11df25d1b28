import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { freshGate, judge } from '../../src/core/gate.ts';
import type { Measurement } from '../../src/core/measurement.ts';
import type { Gate } from '../../src/core/plan.ts';
import { replay, spread, type Outcome, type Told, type Windows } from '../../src/backtest/replay.ts';
import { alert, burnRate, counted, failed, noData, probe, ratio, threshold, value } from '../core/gates.ts';

const EVERY = 15_000;
const NO_END = Number.MAX_SAFE_INTEGER;
const past = (points: readonly Measurement[], exposed = 0) => ({ at: (index: number) => points[index], memory: 0, length: points.length, exposed });

/** What a window comes to by judging each of its points: the rule itself, without any short way. */
function byHand(gate: Gate, told: Told, start: number, length: number): Outcome {
  const began = told.at(start, Infinity)?.at ?? 0;
  let state = freshGate(began);
  let hold: Outcome['hold'];
  let go = false;
  for (let index = start + 1; index <= Math.min(start + length, told.length - 1); index += 1) {
    const point = told.at(index, (told.at(index, Infinity)?.at ?? began) - began);
    if (point === undefined) break;
    const judged = judge(gate, state, point, told.exposed);
    state = judged.state;
    go = judged.verdict.kind === 'go';
    const { act } = judged;
    if (act?.kind === 'rollback') return { start, go: false, rollback: { index, cause: act.cause, why: act.why }, ...(hold === undefined ? {} : { hold }) };
    if (act?.kind === 'hold') hold ??= { index, cause: act.cause, why: act.why };
  }
  return { start, go, ...(hold === undefined ? {} : { hold }) };
}

/** Stretches of one kind of point each: long enough for policies and `for` to matter. */
const histories = fc
  .array(fc.tuple(fc.constantFrom('good', 'good', 'bad', 'none', 'few', 'failed'), fc.integer({ min: 1, max: 9 })), { minLength: 1, maxLength: 14 })
  .map((stretches) =>
    stretches
      .flatMap(([kind, length]) => Array.from({ length }, () => kind))
      .map((kind, index): Measurement => {
        const at = (index + 1) * EVERY;
        if (kind === 'none') return noData(at);
        if (kind === 'failed') return failed(at);
        return value(at, kind === 'bad' ? 2 : 0.004, { samples: kind === 'few' ? 10 : 500 });
      }),
  );

/** The histories' good and bad values in the terms of a gate: a probe is well at 1, an alert at 0. */
function worth(gate: Gate, seen: number): number {
  if (gate.kind === 'probe') return seen > 1 ? 0 : 1;
  return gate.kind === 'alert' && seen <= 1 ? 0 : seen;
}

describe('a window comes to what judging each of its points comes to', () => {
  const { noData: _noData, error: _error, ...own } = threshold({ for: 30_000, minSamples: 100 });
  const gates: readonly (readonly [string, Gate])[] = [
    ['a threshold at once', threshold({ noData: { after: 60_000, then: 'hold' }, error: { after: 45_000, then: 'rollback' } })],
    [
      'a threshold that must last',
      threshold({ for: 60_000, minSamples: 100, noData: { after: 60_000, then: 'rollback' }, error: { after: 30_000, then: 'page' } }),
    ],
    ['a ratio with too few', ratio({ noData: { after: 30_000, then: 'hold' }, error: { after: 30_000, then: 'hold' } })],
    ['a gate whose policy follows the share', own],
    ['a probe', probe({ noData: { after: 60_000, then: 'hold' } })],
    ['an alert', alert({ noData: { after: 60_000, then: 'rollback' } })],
  ];
  it.each(gates)('%s', (_, gate) => {
    fc.assert(
      fc.property(histories, fc.integer({ min: 1, max: 60 }), fc.constantFrom(0, 0.05, 1), (seen, length, exposed) => {
        const points = seen.map((point) => (point.kind === 'value' ? { ...point, value: worth(gate, point.value) } : point));
        const starts = points.map((_point, index) => index).slice(0, -1);
        const outcomes = replay(gate, past(points, exposed), { starts, length }, NO_END);
        expect(outcomes).toEqual(starts.map((start) => byHand(gate, past(points, exposed), start, length)));
      }),
      { numRuns: 150 },
    );
  });

  it('a gate that counts, window by window', () => {
    const points = Array.from({ length: 200 }, (_, index) => counted((index + 1) * EVERY, [index > 100 ? 30 : 1, 100, 0, 0]));
    const gate = burnRate();
    const starts = [0, 40, 90, 120, 150];
    const outcomes = replay(gate, past(points), { starts, length: 60 }, NO_END);
    expect(outcomes).toEqual(starts.map((start) => byHand(gate, past(points), start, 60)));
    expect(outcomes.map(({ rollback }) => rollback !== undefined)).toEqual([false, false, true, true, true]);
  });
});

describe('a history in which a window differs from a later one at the same point, for some time after its start', () => {
  it('is told apart until then: what a regression does that comes in little by little', () => {
    const gate = threshold({ for: 30_000 });
    fc.assert(
      fc.property(histories, fc.constantFrom(30_000, 90_000, 300_000), (points, memory) => {
        const told: Told = {
          ...past(points),
          memory,
          at: (index, since) => {
            const point = points[index];
            return since < memory && point !== undefined ? value(point.at, 0.004) : point;
          },
        };
        const starts = points.map((_point, index) => index).slice(0, -1);
        expect(replay(gate, told, { starts, length: 40 }, NO_END)).toEqual(starts.map((start) => byHand(gate, told, start, 40)));
      }),
      { numRuns: 150 },
    );
  });
});

describe('windows of a gate that counts', () => {
  const points = Array.from({ length: 2_000 }, (_, index) => counted((index + 1) * EVERY, [0, 100, 0, 0]));
  const windows: Windows = { starts: Array.from({ length: 100 }, (_, index) => index * 10), length: 100 };

  it('are as many as the points they may take, lie evenly over the history, and are given in order', () => {
    const starts = replay(burnRate(), past(points), windows, 1_600).map(({ start }) => start);
    expect(starts).toHaveLength(16);
    expect(starts).toEqual([...starts].sort((a, b) => a - b));
    const gaps = starts.slice(1).map((start, index) => start - (starts[index] ?? 0));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(130);
  });

  it('are a few whatever they take, and always the same', () => {
    const few = replay(burnRate(), past(points), windows, 1);
    expect(few).toHaveLength(6);
    expect(replay(burnRate(), past(points), windows, 1)).toEqual(few);
  });

  it('spread: every start once, the first few far apart', () => {
    const starts = Array.from({ length: 11 }, (_, index) => index);
    expect(spread(starts).toSorted((a, b) => a - b)).toEqual(starts);
    expect(spread(starts).slice(0, 3)).toEqual([0, 8, 4]);
    expect(spread([])).toEqual([]);
  });
});
