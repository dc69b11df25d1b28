import { describeMillis, describeNumber } from '../core/bound.ts';
import { brief } from '../core/judges/words.ts';
import { FACTORS, type Backtest, type Catch, type FalseStop, type Tried } from './backtest.ts';

/** A backtest as people read it: a table, what its marks mean, and what is worth knowing besides. */
export interface Told {
  readonly heads: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Why something cannot be told, by the numbers in the table. */
  readonly marks: readonly string[];
  /** When healthy launches would have been stopped, and what is odd about a history. */
  readonly remarks: readonly string[];
  /** Gates without a line in the table, each with the reason and what to do. */
  readonly left: readonly string[];
}

/** So many stops of one gate are named. */
const NAMED = 3;
/** What stopped launches no further apart than this (ms) is told as one. */
const SAME = 300_000;

const minute = (at: number): string => new Date(at).toISOString().slice(0, 16).replace('T', ' ');
const percent = (part: number, whole: number): string => `${brief((100 * part) / whole)} %`;

function timesOf(one: Extract<Catch, { windows: number }>): string {
  if (one.caught === 0) return 'never';
  const [median, p90] = [one.median, one.p90].map((time) => (time === undefined ? '-' : describeMillis(time)));
  return `${median ?? '-'} / ${p90 ?? '-'}${one.caught === one.windows ? '' : ` (${percent(one.caught, one.windows)})`}`;
}

function stopped(stops: readonly FalseStop[], tried: Tried): string {
  return stops.length === 0 ? '0' : `${stops.length} (${percent(stops.length, tried.windows)})`;
}

/** One line for what stopped a gate's healthy windows, the moments told once however many windows and stages saw them. */
function remark(gate: string, kind: 'rolled back' | 'held', stops: readonly FalseStop[]): readonly string[] {
  const moments = [...stops].sort((a, b) => a.at - b.at).filter((stop, index, all) => index === 0 || stop.at - (all[index - 1]?.at ?? 0) > SAME);
  const named = moments.slice(0, NAMED).map((stop) => `${minute(stop.at)} (${stop.why})`);
  const more = moments.length - named.length;
  return named.length === 0 ? [] : [`${gate} would have ${kind} a healthy launch at ${named.join('; ')}${more > 0 ? `; and at ${more} more moments` : ''}`];
}

/** Words and numbers of a backtest; `text` gives the table its columns. */
export function tellBacktest(result: Backtest): Told {
  const marks: string[] = [];
  const mark = (why: string): string => {
    if (!marks.includes(why)) marks.push(why);
    return `cannot [${marks.indexOf(why) + 1}]`;
  };
  const rows = result.tried.map((tried): readonly string[] => {
    const share = tried.share === undefined ? '?' : `${describeNumber(100 * tried.share)} %`;
    const about = [tried.gate, tried.stage, share, describeMillis(tried.bake)];
    if (tried.cannot !== undefined) return [...about, '0', mark(tried.cannot), '', '', ...FACTORS.map(() => '')];
    return [
      ...about,
      String(tried.windows),
      stopped(tried.rollbacks, tried),
      stopped(tried.holds, tried),
      String(tried.undecided),
      ...tried.catches.map((one) => ('cannot' in one ? mark(one.cannot) : timesOf(one))),
    ];
  });
  const histories = result.gates.flatMap((gate) => [
    ...(gate.begins === undefined
      ? []
      : [
          `${gate.gate}: asked for ${describeMillis(result.to - result.from)}, its history begins ${minute(gate.begins)}, ${describeMillis(Math.max(0, result.to - gate.begins))} ago: only that was replayed`,
        ]),
    ...(gate.noData !== undefined && gate.points !== undefined && gate.noData > 0
      ? [`${gate.gate}: no evidence at ${gate.noData} of ${gate.points} moments (${percent(gate.noData, gate.points)})`]
      : []),
  ]);
  const drawn = [...new Set(result.tried.filter((tried) => tried.split).map((tried) => tried.gate))];
  return {
    heads: ['GATE', 'STAGE', 'SHARE', 'BAKE', 'WINDOWS', 'FALSE ROLLBACKS', 'FALSE HOLDS', 'UNDECIDED', ...FACTORS.map((factor) => `x${factor}`)],
    rows,
    marks: marks.map((why, index) => `[${index + 1}] ${why}`),
    remarks: [
      ...result.gates.flatMap(({ gate }) => {
        const own = result.tried.filter((tried) => tried.gate === gate);
        return [
          ...remark(
            gate,
            'rolled back',
            own.flatMap((tried) => tried.rollbacks),
          ),
          ...remark(
            gate,
            'held',
            own.flatMap((tried) => tried.holds),
          ),
        ];
      }),
      ...histories,
      ...drawn.map(
        (gate) => `${gate}: the exposed have no history of their own; everyone's was split at random, which shows no harm that sticks to a few users`,
      ),
    ],
    left: result.gates.flatMap((gate) => {
      if (gate.failed !== undefined) return [`✗ ${gate.gate}: ${gate.failed.why}\n  → ${gate.failed.hint}`];
      return gate.none === undefined ? [] : [`· ${gate.gate}: not replayed: ${gate.none}`];
    }),
  };
}

/** What stands above the table. */
export function headOf(result: Backtest): string {
  return `${result.plan}, ${minute(result.from)} to ${minute(result.to)} UTC; a launch every ${describeMillis(result.startEvery)}; x1.5 and on: time until so much worse is rolled back, median / 90 %`;
}
