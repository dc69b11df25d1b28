import { readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { parseArgs } from 'node:util';
import { bars, lines } from './plot.ts';
import { clopperPearson } from './proportions.ts';
import { throughput } from './throughput.ts';
import { stopped } from './trial.ts';
import { ALPHA, delayOf, delays, healthy, lateDelays, proofs, userDelays, type Result, type Scene } from './trials.ts';

const { values: asked } = parseArgs({ options: { quick: { type: 'boolean', default: false }, launches: { type: 'string' } } });
const launches = Number(asked.launches ?? (asked.quick ? 200 : 4000));
if (!Number.isInteger(launches) || launches < 10) throw new Error(`--launches is ${asked.launches ?? ''}; expected a whole number from 10, e.g. 4000`);
const began = performance.now();
const say = (what: string): void => console.error(`${((performance.now() - began) / 1000).toFixed(0)} s  ${what}`);

/** A row of the page: cells of a table. */
type Row = readonly string[];
const table = (head: Row, rows: readonly Row[]): string =>
  [`| ${head.join(' | ')} |`, `|${head.map(() => '---').join('|')}|`, ...rows.map((row) => `| ${row.join(' | ')} |`)].join('\n');

const percent = (share: number): string => `${(100 * share).toFixed(share < 0.1 ? 2 : 1)} %`;
function shareOf(result: Result): { readonly share: number; readonly low: number; readonly high: number; readonly text: string } {
  const of = result.outcomes.length;
  const hits = stopped(result.outcomes);
  const { low, high } = clopperPearson(hits, of);
  return { share: hits / of, low, high, text: `${percent(hits / of)} (${percent(low)} to ${percent(high)})` };
}
function delayText(result: Result): string {
  if (result.outcomes.length === 0) return 'all stopped before';
  const { median, p90, share } = delayOf(result);
  return `${median ?? '-'} / ${p90 ?? '-'}${share < 0.9995 ? ` (${percent(share)})` : ''}`;
}
const find = (scene: Scene | undefined, start: string): Result => {
  const found = scene?.results.find(({ name }) => name.startsWith(start));
  if (found === undefined) throw new Error(`no result of ${start}`);
  return found;
};
const scene = (scenes: readonly Scene[], name: string): Scene | undefined => scenes.find((each) => each.name === name);

interface Check {
  readonly what: string;
  readonly measured: string;
  readonly target: string;
  readonly met: boolean;
}
const checks: Check[] = [];
const atMost = (what: string, measured: number | undefined, target: number, show: (value: number) => string): void => {
  checks.push({
    what,
    measured: measured === undefined ? 'never' : show(measured),
    target: `at most ${show(target)}`,
    met: measured !== undefined && measured <= target,
  });
};
const atLeast = (what: string, measured: number, target: number, show: (value: number) => string): void => {
  checks.push({ what, measured: show(measured), target: `at least ${show(target)}`, met: measured >= target });
};
const minutes = (value: number): string => `${value} min`;
const times = (value: number): string => `${value.toFixed(2)} x`;

// First, while nothing else has warmed or cluttered the process.
say('throughput');
const speed = asked.quick ? throughput(1000, 1) : throughput(1000, 24);

const aa = healthy(launches, say);
for (const [kind, rule] of [
  ['independent requests', `gonogo compareRate, alpha ${ALPHA}`],
  ['shared noise: the rate wanders for both', `gonogo compareRate, alpha ${ALPHA}`],
  ['sticky users, a few of them heavy', 'gonogo compareUsers'],
] as const)
  atMost(`A/A, ${kind}: upper 95 % bound, ${rule}`, shareOf(find(scene(aa, kind), rule)).high, ALPHA, percent);

const { high, low } = delays(launches, say);
const plain = `gonogo compareRate, alpha ${ALPHA}`;
for (const [rule, factor, share, target] of [
  [plain, 'x2', 'median', 5],
  [plain, 'x2', 'p90', 10],
  [plain, 'x4', 'median', 2],
  [plain, 'x10', 'median', 1],
  ['gonogo compareRate, alpha 0.01', 'x2', 'median', 7],
  ['gonogo compareRate, alpha 0.01', 'x2', 'p90', 12],
] as const)
  atMost(`${factor} at 600 of 12,000 a minute, ${share}, ${rule}`, delayOf(find(scene(high, factor), rule))[share], target, minutes);
atMost(`x4 at 60 of 1,200 a minute, median, ${plain}`, delayOf(find(scene(low, 'x4'), plain)).median, 8, minutes);
const equals = high[0]?.results.filter(({ name }) => name.endsWith('equal false alarms')) ?? [];
for (const { name } of equals)
  for (const [factor, target] of [
    ['x1.5', 0.7],
    ['x2', 0.6],
    ['x4', 0.6],
    ['x10', 0.6],
  ] as const) {
    const mine = delayOf(find(scene(high, factor), plain)).median ?? Infinity;
    atMost(`${factor}: our median to that of ${name}`, mine / (delayOf(find(scene(high, factor), name)).median ?? Infinity), target, times);
  }

const proof = proofs(launches, say);
const goes = (each: Scene | undefined): { readonly share: number; readonly high: number; readonly median: number | undefined } => {
  const outcomes = each?.results[0]?.outcomes ?? [];
  const went = outcomes.flatMap(({ went }) => went ?? []).sort((a, b) => a - b);
  return { share: went.length / outcomes.length, high: clopperPearson(went.length, outcomes.length).high, median: went[Math.floor(went.length / 2)] };
};
atLeast('A/A with maxRatio 1.5: proven within the 60 minutes', goes(scene(proof, 'x1')).share, 0.97, percent);
atMost('exactly 1.5 x with maxRatio 1.5: wrongly proven', goes(scene(proof, 'x1.5')).share, 0.05, percent);

const sticky = userDelays(launches, say);
const late = lateDelays(Math.max(20, Math.round(launches / 40)), 3, say);

atMost(
  `${speed.evaluations.toLocaleString('en')} evaluations by the judge (1,000 gates of six kinds), processor time`,
  speed.seconds,
  asked.quick ? 30 / 24 : 30,
  (value) => `${value.toFixed(1)} s`,
);
atMost(`largest state of a gate (${speed.kind}), as JSON`, speed.largest, 2048, (value) => `${value} bytes`);

const rules = (scenes: readonly Scene[]): readonly string[] => scenes[0]?.results.map(({ name }) => name) ?? [];
const delayTable = (scenes: readonly Scene[], first?: string): string =>
  table(
    ['', ...(first === undefined ? [] : [first]), ...scenes.slice(first === undefined ? 0 : 1).map(({ name }) => name)],
    rules(scenes).map((name, index) => [
      name,
      ...scenes.map((each, at) => {
        const result = each.results[index];
        return result === undefined ? '' : first !== undefined && at === 0 ? shareOf(result).text : delayText(result);
      }),
    ]),
  );
const seconds = ((performance.now() - began) / 1000).toFixed(0);
const numbers = [
  `${launches.toLocaleString('en')} launches for each row, fixed seeds; ${os.cpus()[0]?.model ?? 'unknown CPU'}, one core, Node ${process.versions.node}, ${seconds} s for all of it. Ranges are exact 95 % intervals (Clopper-Pearson).`,
  '### Against the targets',
  table(
    ['', 'measured', 'target', ''],
    checks.map(({ what, measured, target, met }) => [what, measured, target, met ? 'met' : '**missed**']),
  ),
  '### Healthy launches that were rolled back',
  'Four stages of 15 minutes at 1, 5, 25 and 50 % of 12,000 requests a minute, of which 0.5 % fail on both sides; a look every minute.',
  table(
    ['', ...aa.map(({ name }) => name)],
    [...new Set(aa.flatMap(({ results }) => results.map(({ name }) => name)))].map((name) => [
      name,
      ...aa.map(({ results }) => {
        const found = results.find((result) => result.name === name);
        return found === undefined ? '' : shareOf(found).text;
      }),
    ]),
  ),
  '![Healthy launches that were rolled back, by rule and kind of traffic](gates-false-alarms.svg)',
  '### Minutes to a rollback',
  'At 5 % of 12,000 requests a minute (600 against 11,400), 0.5 % of the rest fail, the exposed so many times as often from minute 0: median / 90th percentile, and the share caught within the hour where it was not all.',
  delayTable(high, 'healthy, rolled back in 60 min'),
  '![Share of bad launches rolled back by each minute](gates-delays.svg)',
  'At little traffic, 60 against 1,140 requests a minute:',
  delayTable(low, 'healthy, rolled back in 60 min'),
  'After three hours of health at 5 %, minutes from the beginning of the regression, of the launches not stopped before (a fortieth as many launches):',
  delayTable(late),
  'Sticky users in four stages; minute of the launch (the 5 % stage begins at 15, the 25 % stage at 30):',
  delayTable(sticky),
  '### Go by proof',
  'Four stages, `maxRatio: 1.5`: how many were proven to lie below it and at which minute (median), and how many were rolled back.',
  table(
    ['', 'proven', 'at minute', 'rolled back', 'at minute, median / p90'],
    proof.map((each) => {
      const [result] = each.results;
      const { share, median } = goes(each);
      return result === undefined
        ? [each.name]
        : [each.name, percent(share), share < 0.01 ? '-' : String(median ?? '-'), percent(shareOf(result).share), delayText(result).replace(/ \(.*/, '')];
    }),
  ),
].join('\n\n');

const docs = new URL('../../docs/', import.meta.url);
if (!asked.quick) {
  const page = new URL('gates.md', docs);
  const [begin, end] = ['<!-- measured: written by npm run bench:gates -->', '<!-- end of what was measured -->'];
  const text = readFileSync(page, 'utf8');
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/gates.md has no ${begin} before ${end}; put both back where the numbers belong`);
  writeFileSync(page, `${text.slice(0, from + begin.length)}\n\n${numbers}\n\n${text.slice(to)}`);
  const short = (name: string): string =>
    name
      .replace(/^Argo Rollouts.*/, 'Argo Rollouts')
      .replace(/^Flagger.*/, 'Flagger')
      .replace(', tolerance 0.25', '');
  writeFileSync(
    new URL('gates-false-alarms.svg', docs),
    bars(
      'Healthy launches rolled back',
      aa.map(({ name, results }) => ({ name, bars: results.map((result) => ({ name: short(result.name), ...shareOf(result) })) })),
      ALPHA,
      'budget 5 %',
    ),
  );
  const curve = (result: Result, most: number): readonly number[] =>
    Array.from(
      { length: most + 1 },
      (_, minute) => result.outcomes.filter(({ rolledBack }) => rolledBack !== undefined && rolledBack <= minute).length / result.outcomes.length,
    );
  writeFileSync(
    new URL('gates-delays.svg', docs),
    lines(
      'Bad launches rolled back by each minute (5 % of 12,000 a minute)',
      high.slice(1).map((each, index) => ({
        name: each.name,
        lines: each.results.map((result) => ({ name: short(result.name), shares: curve(result, [60, 30, 12, 8][index] ?? 60) })),
      })),
    ),
  );
}
console.log(numbers);
const missed = checks.filter(({ met }) => !met);
console.log(
  `${checks.length - missed.length} of ${checks.length} targets met in ${seconds} s${missed.length === 0 ? '' : `; missed: ${missed.map(({ what, measured }) => `${what} (${measured})`).join('; ')}`}`,
);
