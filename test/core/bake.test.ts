import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bakeOf, earn, maxBakeOf, type ArmedGate } from '../../src/core/bake.ts';
import { WATCH } from '../../src/core/state.ts';
import { order, stage } from '../support/orders.ts';

const gate = (every: number, ...points: readonly (readonly [number, boolean])[]): ArmedGate => ({
  every,
  points: points.map(([at, passes]) => ({ at, passes })),
});

describe('the bake clock', () => {
  const table: readonly (readonly [string, readonly ArmedGate[], number])[] = [
    ['earns everything without gates', [], 100],
    ['earns nothing before the first measurement', [gate(10)], 0],
    ['earns while measurements pass', [gate(50, [0, true], [50, true])], 100],
    ['earns from a measurement that came before', [gate(50, [-20, true], [50, true])], 100],
    ['earns until 2 x every after the newest', [gate(10, [0, true])], 20],
    ['stops at a measurement that does not pass', [gate(50, [0, true], [30, false])], 30],
    ['goes on at the next that passes', [gate(50, [0, true], [30, false], [80, true])], 50],
    ['earns only what all gates earn', [gate(50, [0, true], [30, false]), gate(50, [20, true])], 10],
    ['takes the bad one of two measurements of one moment', [gate(50, [0, true], [0, false])], 0],
    ['takes measurements in any order', [gate(50, [50, true], [0, true])], 100],
    ['earns no gap in which nobody asked', [gate(10, [0, true], [10, true], [90, true])], 40],
  ];
  it.each(table)('%s', (_, armed, expected) => {
    expect(earn(0, 100, armed)).toBe(expected);
  });
  it('earns nothing of an empty or turned stretch', () => {
    expect([earn(5, 5, []), earn(9, 5, [])]).toEqual([0, 0]);
  });

  const point = fc.record({ at: fc.integer({ min: -50, max: 250 }), passes: fc.boolean() });
  const armed = fc.array(fc.record({ every: fc.integer({ min: 1, max: 60 }), points: fc.array(point, { maxLength: 30 }) }), { maxLength: 4 });
  const span = fc.tuple(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 200 })).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);

  /** The rule as it is written, asked of every ms. */
  function byTheRule(from: number, to: number, gates: readonly ArmedGate[]): number {
    let sum = 0;
    for (let t = from; t < to; t += 1) {
      const healthy = gates.every(({ every, points }) => {
        const newest = Math.max(...points.filter(({ at }) => at <= t).map(({ at }) => at));
        return t - newest < 2 * every && points.filter(({ at }) => at === newest).every(({ passes }) => passes);
      });
      if (healthy) sum += 1;
    }
    return sum;
  }

  it('earns what the rule says, ms by ms', () => {
    fc.assert(
      fc.property(span, armed, ([from, to], gates) => {
        expect(earn(from, to, gates)).toBe(byTheRule(from, to, gates));
      }),
      { numRuns: 500 },
    );
  });
  it('never earns more than the stretch is long', () => {
    fc.assert(fc.property(span, armed, ([from, to], gates) => earn(from, to, gates) >= 0 && earn(from, to, gates) <= to - from));
  });
  it('earns the same however the stretch is split', () => {
    fc.assert(
      fc.property(span, armed, fc.array(fc.nat(200), { maxLength: 8 }), ([from, to], gates, cuts) => {
        const marks = [from, ...cuts.filter((cut) => cut > from && cut < to).sort((a, b) => a - b), to];
        const sum = marks.slice(1).reduce((total, mark, i) => total + earn(marks[i] ?? from, mark, gates), 0);
        expect(sum).toBe(earn(from, to, gates));
      }),
    );
  });
  it('never earns more with one more gate', () => {
    fc.assert(fc.property(span, armed, armed, ([from, to], gates, more) => earn(from, to, [...gates, ...more]) <= earn(from, to, gates)));
  });
  it('never earns more with one more bad measurement', () => {
    fc.assert(
      fc.property(span, armed, fc.nat(), fc.integer({ min: -50, max: 250 }), ([from, to], gates, which, at) => {
        const worse = gates.map((g, i) => (i === which % gates.length ? { ...g, points: [...g.points, { at, passes: false }] } : g));
        return earn(from, to, worse) <= earn(from, to, gates);
      }),
    );
  });
  it('never earns less over a longer stretch', () => {
    fc.assert(fc.property(span, armed, fc.nat(50), ([from, to], gates, more) => earn(from, to + more, gates) >= earn(from, to, gates)));
  });
});

describe('the longest that a stage may bake', () => {
  const hour = 3_600_000;
  it.each([
    ['is what the plan says', { bake: hour, maxBake: 5 * hour }, 5 * hour],
    ['is twice the bake where it says nothing', { bake: hour }, 2 * hour],
    ['is ten minutes at least, since a gate needs looks to say anything', { bake: 1_000 }, 600_000],
    ['is shorter where the plan says so', { bake: 1_000, maxBake: 2_000 }, 2_000],
  ])('%s', (_, given, expected) => {
    expect(maxBakeOf(given)).toBe(expected);
  });
  it('of the watch after the last stage follows from the watch', () => {
    const { plan } = order([stage('one', ['a'], { bake: hour, maxBake: 3 * hour })], [], { watch: 2 * hour });
    expect(bakeOf(plan, 'one')).toEqual({ bake: hour, maxBake: 3 * hour });
    expect(bakeOf(plan, WATCH)).toEqual({ bake: 2 * hour, maxBake: 4 * hour });
    expect(bakeOf(plan, 'two')).toBeUndefined();
  });
});
