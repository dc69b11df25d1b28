import { describe, expect, it } from 'vitest';
import type { Backtest, Tried } from '../../src/backtest/backtest.ts';
import { headOf, tellBacktest } from '../../src/backtest/table.ts';

const at = (text: string): number => Date.parse(`2026-04-24T${text}:00Z`);
const tried = (more: Partial<Tried>): Tried => ({
  gate: 'queue',
  stage: 'five',
  share: 0.05,
  bake: 7_200_000,
  windows: 200,
  rollbacks: [],
  holds: [],
  undecided: 0,
  split: false,
  catches: [],
  ...more,
});
const told = (rows: readonly Tried[], gates: Backtest['gates'] = []) =>
  tellBacktest({ plan: 'trial', from: at('00:00'), to: at('12:00'), startEvery: 3_600_000, gates, tried: rows });
const gate = (more: Partial<Backtest['gates'][number]>): Backtest['gates'][number] => ({
  gate: 'queue',
  title: 'queue',
  kind: 'threshold',
  every: 15_000,
  ...more,
});

describe('the table', () => {
  it('says stage, share, bake, windows, what was stopped for nothing, and how soon each regression is caught', () => {
    const { heads, rows } = told([
      tried({
        rollbacks: [{ start: at('01:00'), at: at('02:00'), cause: 'breach', why: 'over' }],
        undecided: 3,
        catches: [
          { factor: 1.5, windows: 199, caught: 0 },
          { factor: 2, windows: 200, caught: 100, median: 300_000 },
          { factor: 4, windows: 200, caught: 200, median: 75_000, p90: 90_000 },
          { factor: 10, cannot: 'it was 0 all along' },
        ],
      }),
    ]);
    expect(heads).toEqual(['GATE', 'STAGE', 'SHARE', 'BAKE', 'WINDOWS', 'FALSE ROLLBACKS', 'FALSE HOLDS', 'UNDECIDED', 'x1.5', 'x2', 'x4', 'x10']);
    expect(rows).toEqual([['queue', 'five', '5 %', '2h', '200', '1 (0.5 %)', '0', '3', 'never', '5m / - (50 %)', '1m15s / 1m30s', 'cannot [1]']]);
  });

  it('tells each reason once, by its number', () => {
    const none = { factor: 2, cannot: 'nobody is left' } as const;
    const { rows, marks } = told([
      tried({ catches: [none, { factor: 4, cannot: 'another' }] }),
      tried({ stage: 'all', catches: [none] }),
      tried({ stage: 'team', cannot: 'too short' }),
    ]);
    expect(rows.map((row) => row.slice(8))).toEqual([['cannot [1]', 'cannot [2]'], ['cannot [1]'], ['', '', '', '']]);
    expect(rows[2]?.slice(4, 6)).toEqual(['0', 'cannot [3]']);
    expect(marks).toEqual(['[1] nobody is left', '[2] another', '[3] too short']);
  });

  it('a share that nobody knows is a question mark', () => {
    const { share: _share, ...unknown } = tried({});
    expect(told([unknown]).rows[0]?.[2]).toBe('?');
  });
});

describe('beneath the table', () => {
  it('an incident is told once, whatever the number of launches and stages that met it, and three are named', () => {
    const stop = (time: string, minute = 0) => ({ start: at('00:00'), at: at(time) + minute * 60_000, cause: 'breach' as const, why: `over at ${time}` });
    const first = [stop('02:00'), stop('02:00', 1), stop('03:00'), stop('05:00')];
    const { remarks } = told([tried({ rollbacks: first }), tried({ stage: 'all', rollbacks: [stop('02:00', 2), stop('07:00'), stop('08:00')] })], [gate({})]);
    expect(remarks).toEqual([
      'queue would have rolled back a healthy launch at 2026-04-24 02:00 (over at 02:00); 2026-04-24 03:00 (over at 03:00); 2026-04-24 05:00 (over at 05:00); and at 2 more moments',
    ]);
  });

  it('says where a history begins late or has holes, and where sides were drawn by chance', () => {
    const { remarks } = told([tried({ split: true })], [gate({ begins: at('06:00'), points: 400, noData: 4 })]);
    expect(remarks).toEqual([
      'queue: asked for 12h, its history begins 2026-04-24 06:00, 6h ago: only that was replayed',
      'queue: no evidence at 4 of 400 moments (1 %)',
      "queue: the exposed have no history of their own; everyone's was split at random, which shows no harm that sticks to a few users",
    ]);
  });

  it('names gates that were not replayed, with what to do', () => {
    const { left } = told([], [gate({ failed: { why: 'no such metric', hint: 'mend the query', away: false } }), gate({ gate: 'up', none: 'no memory' })]);
    expect(left).toEqual(['✗ queue: no such metric\n  → mend the query', '· up: not replayed: no memory']);
  });

  it('stands under what was looked at', () => {
    expect(headOf({ plan: 'trial', from: at('00:00'), to: at('12:00'), startEvery: 3_600_000, gates: [], tried: [] })).toMatch(
      /^trial, 2026-04-24 00:00 to 2026-04-24 12:00 UTC; a launch every 1h; /,
    );
  });
});
