import { z } from 'zod';
import type { BurnRateGate, CompareRateGate, CompareSlowGate, CompareUsersGate, Comparison, ExposureCheckGate, Gate, QuantileGate } from '../core/plan.ts';
import { shareOfBudget } from '../core/statistics/false-alarms.ts';
import { duration, fields, flagKeyForm, list, say } from './forms.ts';
import { aliveForm, asked, base, bounds, countForm, fractionForm, limitForm, queryForm, sourceForm, toBound, unitForm, type Unnamed } from './gate-parts.ts';

const RATIO = 'a ratio from 1 to 100, e.g. 1.5';
const ratioForm = z.number({ error: RATIO }).min(1, { error: RATIO }).max(100, { error: RATIO });
const QUANTILE = 'a number between 0 and 1, e.g. 0.95';
const EDGE = 'an edge of the histogram, e.g. 0.5 or 500ms';

const source = sourceForm.describe('Which source of the config is asked.');
const minSamples = countForm.optional();

const comparison = {
  source,
  tolerance: ratioForm.optional().describe('So many times the rate of the rest is still fine; 1.2 when left out.'),
  floor: fractionForm.optional().describe('So many more of the exposed must go wrong before it is a breach; 0.1% when left out.'),
  minSamples: minSamples.describe('A go needs so many on either side; 1000 when left out, 0 with maxRatio.'),
  maxRatio: ratioForm.optional().describe('A go needs proof that the exposed do not go wrong so many times as often as the rest.'),
  alive: aliveForm,
  flag: flagKeyForm.optional().describe('The flag by which exposed and rest are told apart; all that the stages listing the gate set, when left out.'),
  ...asked,
};

type Compared = { readonly [field in keyof typeof comparison]?: z.output<(typeof comparison)[field]> | undefined } & { readonly source: string };

/** What all comparisons have. The budget of false alarms is split once all gates are known. */
function compared(given: Compared, context: z.RefinementCtx): Omit<Comparison, 'id'> {
  const tolerance = given.tolerance ?? 1.2;
  const { maxRatio } = given;
  if (maxRatio !== undefined && maxRatio <= tolerance)
    say(context, `is ${maxRatio}, and up to ${tolerance} is tolerated`, 'write a maxRatio above the tolerance: between the two nothing is proven', [
      'maxRatio',
    ]);
  return {
    source: given.source,
    tolerance,
    floor: given.floor ?? 0.001,
    minSamples: given.minSamples ?? (maxRatio === undefined ? 1000 : 0),
    ...(maxRatio === undefined ? {} : { maxRatio }),
    alpha: 0,
    ...(given.alive === undefined ? {} : { alive: given.alive }),
    ...(given.flag === undefined ? {} : { flag: given.flag }),
    ...base(given),
  };
}

const requests = (who: string) =>
  fields('two queries', {
    bad: queryForm('a counter of what went wrong').describe('A counter of the requests that went wrong.'),
    total: queryForm('a counter of all').describe('A counter of all requests.'),
  }).describe(`Counters of ${who}.`);

/** compareRate: the exposed must not fail more often than the rest. */
export const compareRateForm = fields('a gate', {
  kind: z.literal('compareRate', { error: 'compareRate' }).describe('The kind must be said.'),
  exposed: requests('those who are exposed'),
  rest: requests('the rest'),
  ...comparison,
}).transform((given, context): Unnamed<CompareRateGate> => ({ kind: 'compareRate', exposed: given.exposed, rest: given.rest, ...compared(given, context) }));

/** compareSlow: the exposed must not be slow more often than the rest. */
export const compareSlowForm = fields('a gate', {
  kind: z.literal('compareSlow', { error: 'compareSlow' }).describe('The kind must be said.'),
  exposed: queryForm('the buckets of a histogram').describe('The buckets of the histogram of those who are exposed.'),
  rest: queryForm('the buckets of a histogram').describe('The buckets of the histogram of the rest.'),
  over: z
    .union([z.number({ error: EDGE }).positive({ error: EDGE }), duration(EDGE, 1).transform((span) => span / 1000)], { error: EDGE })
    .describe('Slower than this is slow: an edge of the histogram, in its unit; a duration means seconds.'),
  ...comparison,
}).transform((given, context): Unnamed<CompareSlowGate> => ({
  kind: 'compareSlow',
  exposed: given.exposed,
  rest: given.rest,
  over: given.over,
  ...compared(given, context),
}));

const users = (who: string) =>
  fields('two queries', {
    failed: queryForm('a counter of first failures').describe('A counter of users who failed for the first time.'),
    atRisk: queryForm('the users who have not failed yet').describe('How many users were seen and have not failed yet.'),
  }).describe(`First failures of ${who}.`);

/** compareUsers: the exposed must not fail for the first time sooner than the rest. */
export const compareUsersForm = fields('a gate', {
  kind: z.literal('compareUsers', { error: 'compareUsers' }).describe('The kind must be said.'),
  exposed: users('those who are exposed'),
  rest: users('the rest'),
  ...comparison,
}).transform((given, context): Unnamed<CompareUsersGate> => ({ kind: 'compareUsers', exposed: given.exposed, rest: given.rest, ...compared(given, context) }));

const FACTOR = 'a factor above 0, e.g. 14.4';
const windowForm = fields('a pair of windows', {
  long: duration(undefined, 10_000).describe('The window over which it must burn too fast.'),
  short: duration(undefined, 10_000).describe('The window in which it must still burn.'),
  factor: z.number({ error: FACTOR }).positive({ error: FACTOR }).describe('How many times too fast: 1 spends the whole budget in exactly its period.'),
}).check(({ value, issues }) => {
  if (value.short >= value.long)
    issues.push({ code: 'custom', params: { said: 'has a short window that is not shorter than the long one' }, input: value, message: 'a pair of windows' });
});
/** What is asked of a stage of minutes: 14.4 times over ten minutes is 0.33 % of a budget of 30 days. */
const BURNS = [{ long: 600_000, short: 60_000, factor: 14.4 }];

/** burnRate: the exposed must not burn the error budget too fast. */
export const burnRateForm = fields('a gate', {
  kind: z.literal('burnRate', { error: 'burnRate' }).describe('The kind must be said.'),
  source,
  ratio: requests('those who are exposed'),
  objective: fractionForm.describe('The share that has to go well, e.g. 99.9%.'),
  windows: list(windowForm, 'a list of windows, e.g. [{ long: 10m, short: 1m, factor: 14.4 }]', 3)
    .min(1, { error: 'at least one pair of windows' })
    .optional()
    .describe('In which windows it burns too fast; 10m and 1m, factor 14.4, when left out.'),
  minSamples: minSamples.describe('Fewer requests in the longest window are no evidence; 100 when left out.'),
  alive: aliveForm,
  ...asked,
}).transform((given, context): Unnamed<BurnRateGate> => {
  if (!(given.objective > 0 && given.objective < 1)) say(context, 'leaves no budget to burn', 'write a share below 100%, e.g. 99.9%', ['objective']);
  const common = base(given);
  for (const [index, { short }] of (given.windows ?? []).entries())
    if (short < common.every)
      say(context, 'is shorter than the time between two looks', 'ask more often, or write a longer window', ['windows', index, 'short']);
  return {
    kind: 'burnRate',
    source: given.source,
    bad: given.ratio.bad,
    total: given.ratio.total,
    objective: given.objective,
    windows: given.windows ?? BURNS,
    minSamples: given.minSamples ?? 100,
    ...(given.alive === undefined ? {} : { alive: given.alive }),
    ...common,
  };
});

/** quantile: a quantile of a histogram keeps a limit. */
export const quantileForm = fields('a gate', {
  kind: z.literal('quantile', { error: 'quantile' }).describe('The kind must be said.'),
  source,
  buckets: queryForm('the buckets of a histogram').describe('The buckets of the histogram.'),
  q: z.number({ error: QUANTILE }).gt(0, { error: QUANTILE }).lt(1, { error: QUANTILE }).describe('Which quantile, e.g. 0.95.'),
  ...bounds(limitForm),
  unit: unitForm,
  minSamples: minSamples.describe('Fewer observations between two looks are no evidence; 20 when left out.'),
  alive: aliveForm,
  ...asked,
  for: duration().optional().describe('How long a breach must last before it counts; 0s when left out.'),
}).transform((given, context): Unnamed<QuantileGate> => ({
  kind: 'quantile',
  source: given.source,
  buckets: given.buckets,
  q: given.q,
  bound: toBound(given, context),
  ...(given.unit === undefined ? {} : { unit: given.unit }),
  minSamples: given.minSamples ?? 20,
  ...(given.alive === undefined ? {} : { alive: given.alive }),
  ...base(given),
}));

/** exposureCheck: the share that sees the flag is the share that should. */
export const exposureCheckForm = fields('a gate', {
  kind: z.literal('exposureCheck', { error: 'exposureCheck' }).describe('The kind must be said.'),
  source,
  flag: flagKeyForm.describe('The flag whose share is checked.'),
  exposed: queryForm('a counter of new users').describe('A counter of distinct users seen for the first time with the flag.'),
  rest: queryForm('a counter of new users').describe('A counter of distinct users seen for the first time without it.'),
  tolerance: fractionForm.optional().describe('How far the share may be off; 1% (of all users) when left out.'),
  alive: aliveForm,
  ...asked,
}).transform((given): Unnamed<ExposureCheckGate> => ({
  kind: 'exposureCheck',
  source: given.source,
  flag: given.flag,
  exposed: given.exposed,
  rest: given.rest,
  tolerance: given.tolerance ?? 0.01,
  alpha: 0,
  ...(given.alive === undefined ? {} : { alive: given.alive }),
  ...base(given),
}));

/** Whether a gate is a test that may raise a false alarm, and so has a part of the launch's budget. */
export function spendsAlarms(gate: Gate): boolean {
  return gate.kind === 'compareRate' || gate.kind === 'compareSlow' || gate.kind === 'compareUsers' || gate.kind === 'exposureCheck';
}

/** The gates with the budget of false alarms (0..1) split evenly over those that spend it. */
export function withAlpha(gates: readonly Gate[], falseAlarms: number): readonly Gate[] {
  const alpha = shareOfBudget(falseAlarms, gates.filter(spendsAlarms).length);
  return gates.map((gate): Gate => ('alpha' in gate ? { ...gate, alpha } : gate));
}
