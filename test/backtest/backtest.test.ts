import { describe, expect, it } from 'vitest';
import type { Measurement } from '../../src/core/measurement.ts';
import type { Plan, Stage } from '../../src/core/plan.ts';
import { backtest, shareFor, shareOf, type Backtest, type Remembered, type Trial, type Tried } from '../../src/backtest/backtest.ts';
import { seeded, binomial } from '../../src/backtest/random.ts';
import { loadPlan } from '../../src/plan/load.ts';
import { compareRate, counted, exposureCheck, noData, threshold, value } from '../core/gates.ts';

const EVERY = 15_000;
const HOUR = 3_600_000;

function plan(text: string): Plan {
  const loaded = loadPlan(text);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded.plan;
}

const STAGES = `
  - { id: team, set: [{ flag: shop.basket, to: { listed: { team: [a] } } }], bake: 30m, gates: [GATE], signOff: [qa] }
  - { id: half, set: [{ flag: shop.basket, to: { share: 50, by: user } }], bake: 1h, signOff: [qa] }
  - { id: all, set: [{ flag: shop.basket, to: everyone }], bake: 2h, signOff: [qa] }`;
const PLAN = plan(
  `name: trial\nenvironments: [stage]\ngates:\n  queue: { source: prometheus, query: max(queue), max: 1, for: 1m }\nstages:${STAGES.replace('GATE', 'queue')}\nwatch: 1h\n`,
);
const COMPARED = plan(
  `name: trial\nenvironments: [stage]\nfalseAlarms: 1%\ngates:\n  errors: { kind: compareRate, source: prometheus, exposed: { bad: eb, total: et }, rest: { bad: rb, total: rt } }\nstages:\n  - { id: five, set: [{ flag: shop.basket, to: { share: 5, by: user } }], bake: 1h, gates: [errors], signOff: [qa] }\n  - { id: half, set: [{ flag: shop.basket, to: { share: 50, by: user } }], bake: 1h, gates: [errors], signOff: [qa] }\nwatch: 1h\n`,
);

/** A day of a gauge at 0.4, other than that where `other` says so. */
function gauge(other: (index: number) => Measurement | undefined, length = 24 * 240): Remembered {
  const points = Array.from({ length }, (_, index) => other(index) ?? value((index + 1) * EVERY, 0.4));
  return { kind: 'history', history: { points, from: EVERY, asked: EVERY } };
}

const trial = (remembered: Remembered, more: Partial<Trial> = {}): Trial => ({
  plan: PLAN,
  from: 0,
  to: 24 * HOUR,
  startEvery: HOUR,
  remembered: new Map([['queue', remembered]]),
  shares: new Map(),
  ...more,
});

function stage(result: Backtest, id: string): Tried {
  const found = result.tried.find((tried) => tried.stage === id);
  if (found === undefined) throw new Error(`${id} was not tried`);
  return found;
}

describe('windows', () => {
  it('a launch begins every hour, as long as its whole bake lies in the history', () => {
    const result = backtest(trial(gauge(() => undefined)));
    expect(result.tried.map(({ stage: id, windows }) => [id, windows])).toEqual([
      ['team', 24],
      ['half', 23],
      ['all', 22],
    ]);
  });

  it('a stage is not tried where its bake is longer than the history', () => {
    const result = backtest(trial(gauge(() => undefined, 300)));
    expect(stage(result, 'team').windows).toBe(1);
    expect(stage(result, 'all')).toMatchObject({ windows: 0, cannot: 'its bake is longer than the history' });
  });

  it('a gate is tried from the stage that arms it on, and not before', () => {
    const later = plan(
      `name: trial\nenvironments: [stage]\ngates:\n  queue: { source: prometheus, query: max(queue), max: 1 }\nstages:${STAGES.replace(', gates: [GATE]', '').replace('bake: 1h,', 'bake: 1h, gates: [queue],')}\nwatch: 1h\n`,
    );
    expect(
      backtest(
        trial(
          gauge(() => undefined),
          { plan: later },
        ),
      ).tried.map((tried) => tried.stage),
    ).toEqual(['half', 'all']);
  });
});

describe('healthy launches', () => {
  // Three minutes from 10:00:15 on.
  const incident = (index: number): Measurement | undefined => (index >= 2_400 && index < 2_412 ? value((index + 1) * EVERY, 3) : undefined);

  it('each whose bake an incident lies in is one that would have been rolled back for nothing, at that moment', () => {
    const result = backtest(trial(gauge(incident)));
    // Launches begin at 00:00:15, 01:00:15 and on; for those that end at 10:00:15 one bad moment is no breach yet.
    expect(stage(result, 'half').rollbacks.map(({ start }) => start)).toEqual([2_401 * EVERY]);
    expect(stage(result, 'all').rollbacks.map(({ start }) => start)).toEqual([2_161 * EVERY, 2_401 * EVERY]);
    for (const { start, at, cause, why } of stage(result, 'all').rollbacks) {
      // The launch that begins on the first bad moment judges from the next one on.
      expect([at, cause]).toEqual([start === 2_401 * EVERY ? 2_406 * EVERY : 2_405 * EVERY, 'breach']);
      expect(why).toMatch(/^queue 3 > 1, 5 of 5 samples/);
    }
    expect(stage(result, 'all').holds).toEqual([]);
  });

  it('an incident shorter than `for` stops none', () => {
    const blip = (index: number): Measurement | undefined => (index >= 2_400 && index < 2_403 ? incident(index) : undefined);
    expect(backtest(trial(gauge(blip))).tried.flatMap(({ rollbacks }) => rollbacks)).toEqual([]);
  });

  it('missing data holds below half of the users, and rolls back above', () => {
    const silence = (index: number): Measurement | undefined => (index >= 2_500 && index < 2_560 ? noData((index + 1) * EVERY) : undefined);
    const result = backtest(trial(gauge(silence)));
    expect(stage(result, 'half').holds).toMatchObject([{ cause: 'policy' }]);
    expect(stage(result, 'half').rollbacks).toEqual([]);
    expect(stage(result, 'all').rollbacks).toMatchObject([{ cause: 'policy' }, { cause: 'policy' }]);
  });

  it('one that ends without a word is neither stopped nor a go', () => {
    const last = (index: number): Measurement | undefined => (index > 5_740 ? noData((index + 1) * EVERY) : undefined);
    expect(stage(backtest(trial(gauge(last, 5_761))), 'half').undecided).toBe(1);
  });
});

describe('regressions', () => {
  it('are caught where the part that is exposed moves the number over its limit, after the time that a breach must last', () => {
    const result = backtest(trial(gauge(() => undefined)));
    // 0.4 x (1 + share x (factor - 1)) against 1: x4 at half is exactly 1, which is kept.
    const first = 75_000;
    expect(stage(result, 'half').catches).toMatchObject([
      { factor: 1.5, caught: 0, windows: 23 },
      { factor: 2, caught: 0 },
      { factor: 4, caught: 0 },
      { factor: 10, caught: 23, median: first, p90: first },
    ]);
    expect(stage(result, 'all').catches).toMatchObject([{ caught: 0 }, { caught: 0 }, { caught: 22, median: first }, { caught: 22, median: first }]);
    for (const one of stage(result, 'half').catches.slice(0, 3)) expect(one).not.toHaveProperty('median');
  });

  it('where the plan names people, say nothing until somebody says how much of the traffic they are', () => {
    const silent = stage(backtest(trial(gauge(() => undefined))), 'team');
    expect(silent.share).toBeUndefined();
    expect(silent.catches.map((one) => ('cannot' in one ? one.cannot : ''))).toEqual(
      Array(4).fill('how much of the traffic stage team exposes is not in the plan: say it with --share'),
    );
    const told = stage(
      backtest(
        trial(
          gauge(() => undefined),
          { shares: new Map([['team', 0.2]]) },
        ),
      ),
      'team',
    );
    expect(told.share).toBe(0.2);
    // 0.4 x 2.8 is over 1, 0.4 x 1.6 is not.
    expect(told.catches.map((one) => ('cannot' in one ? undefined : one.caught))).toEqual([0, 0, 0, 24]);
  });

  it('launches that were rolled back as they were say nothing of how soon a regression is caught', () => {
    const bad = backtest(trial(gauge((index) => (index % 240 < 100 ? value((index + 1) * EVERY, 3) : undefined))));
    expect(stage(bad, 'half').rollbacks).toHaveLength(23);
    expect(stage(bad, 'half').catches[3]).toEqual({ factor: 10, cannot: 'every window was rolled back as it was' });
  });
});

describe('a comparison', () => {
  const random = seeded(3);
  const pooled = Array.from({ length: 3 * 24 * 240 }, (_, index) => counted((index + 1) * EVERY, [0, 0, binomial(random, 3_000, 0.005), 3_000]));
  const history: Remembered = { kind: 'history', history: { points: pooled.map(({ at }) => noData(at)), pooled, from: EVERY, asked: EVERY } };
  const tried = (): Backtest => backtest(trial(history, { plan: COMPARED, to: 72 * HOUR, remembered: new Map([['errors', history]]) }));

  it('whose exposed have no past is tried on everyone split at random: hardly a false alarm, worse is found sooner, and more at a larger share', () => {
    const result = tried();
    const [five, half] = [stage(result, 'five'), stage(result, 'half')];
    expect([five.split, half.split]).toEqual([true, true]);
    // Its false alarms are 1 % of launches at most; of 71 windows 5 would be less likely than 1 in 1,000.
    expect(five.rollbacks.length).toBeLessThan(5);
    const medians = (one: Tried): readonly number[] => one.catches.map((each) => ('cannot' in each ? NaN : (each.median ?? Infinity)));
    for (const one of [five, half]) expect(medians(one)).toEqual([...medians(one)].sort((a, b) => b - a));
    for (const [index, median] of medians(five).entries()) expect(medians(half)[index]).toBeLessThanOrEqual(median);
    // A doubling at 5 % of 12,000 a minute within 12 minutes (90 %, at 1 %).
    expect(medians(five)[1]).toBeLessThanOrEqual(12 * 60_000);
    expect(medians(five)[3]).toBeLessThan(medians(five)[1] ?? 0);
  });

  it('the same history says the same', () => {
    expect(tried()).toEqual(tried());
  });
});

describe('how much of everyone sees what a stage changes', () => {
  const changing = (...set: Stage['set']): Stage => ({ id: 'one', checklist: [], signOff: [], set, bake: 0, gates: [] });
  const to = (share: number, listed = false): Stage['set'][number] => ({
    flag: `f${share}`,
    narrows: false,
    to: { value: true, share, listed: listed ? [{ attribute: 'team', values: ['a'] }] : [], by: 'user' },
  });

  it.each([
    ['one share', changing(to(25)), 0.25],
    ['the least of several, beside a master switch', changing(to(100), to(5)), 0.05],
    ['people are no share that a plan knows', changing(to(100), to(0, true)), undefined],
    ['a share and people besides are the share', changing(to(5, true)), 0.05],
    ['what narrows is not counted', changing(to(50), { ...to(1), narrows: true }), 0.5],
    ['nothing changes', changing(), undefined],
  ])('%s', (_, one, share) => {
    expect(shareOf(one)).toBe(share);
  });

  it('what somebody said comes first, but not before what an exposure check was promised', () => {
    const said = new Map([['five', 0.2]]);
    expect(shareFor(threshold(), COMPARED, 0, said)).toBe(0.2);
    expect(shareFor(compareRate(), COMPARED, 0, said)).toBe(0.2);
    expect(shareFor(exposureCheck({ flag: 'shop.basket' }), COMPARED, 0, said)).toBe(0.05);
  });
});

describe('a gate without a history', () => {
  it('is named with the reason, and tried at no stage', () => {
    const failed = backtest(trial({ kind: 'failed', why: 'nobody listens', hint: 'start it', reason: 'refused' }));
    expect(failed.gates).toMatchObject([{ gate: 'queue', failed: { why: 'nobody listens', hint: 'start it', away: true } }]);
    expect(failed.tried).toEqual([]);
    expect(backtest(trial({ kind: 'failed', why: 'no such query', hint: 'mend it', reason: 'status' })).gates[0]?.failed?.away).toBe(false);
    expect(backtest(trial({ kind: 'none', why: 'a probe has no memory' })).gates).toMatchObject([{ none: 'a probe has no memory' }]);
  });

  it('one that begins late says since when, and how much of it is missing', () => {
    const points = Array.from({ length: 500 }, (_, index) => (index % 10 === 0 ? noData(1_000_000 + index * EVERY) : value(1_000_000 + index * EVERY, 0.4)));
    const result = backtest(trial({ kind: 'history', history: { points, from: 1_000_000, asked: 0 } }));
    expect(result.gates).toMatchObject([{ begins: 1_000_000, points: 500, noData: 50 }]);
  });
});
