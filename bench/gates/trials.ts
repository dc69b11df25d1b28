import { kayenta, kayentaZ, normalShare } from './kayenta.ts';
import { argo, flagger, inARow, naive, ours, rateGate, rowLimit, usersGate, type Rule } from './rules.ts';
import { independent, ownNoise, sharedNoise, STAGES, sticky, type Minute, type Setting } from './traffic.ts';
import { minutesTo, stopped, trial, type Outcome } from './trial.ts';

/** How a rule did on many launches. */
export interface Result {
  readonly name: string;
  readonly outcomes: readonly Outcome[];
}

/** One setting and how each rule did in it. */
export interface Scene {
  readonly name: string;
  readonly results: readonly Result[];
}

/** The budget of the bench's gates, and the limit of those that know no baseline: twice the rate of health, Flagger's own example. */
export const ALPHA = 0.05;
const LIMIT = 0.01;
const HOUR = 60;
const BASE = 0.005;
const hourAt = (share: number, more: Partial<Setting> = {}): Setting => ({
  shares: Array.from({ length: HOUR }, () => share),
  requests: 12_000,
  base: BASE,
  times: 1,
  from: 0,
  ...more,
});
const staged = (more: Partial<Setting> = {}): Setting => ({ ...hourAt(0, more), shares: STAGES, ...more });

/** Our gate at a budget, tolerating nothing: the plain test. */
const rate = (alpha: number): Rule => ours(`gonogo compareRate, alpha ${alpha}`, rateGate({ alpha }));
const usual = ours(`gonogo compareRate, tolerance 1.2 and floor 0.1 %, alpha ${ALPHA}`, rateGate({ alpha: ALPHA, tolerance: 1.2, floor: 0.001 }));
const careful = ours(`gonogo compareRate, tolerance 2 and floor 0.1 %, alpha ${ALPHA}`, rateGate({ alpha: ALPHA, tolerance: 2, floor: 0.001 }));
const users = ours(`gonogo compareUsers, alpha ${ALPHA}`, usersGate({ alpha: ALPHA }));
const proving = ours('gonogo compareRate with maxRatio 1.5', rateGate({ alpha: ALPHA, maxRatio: 1.5 }));

/** Seeds: A/A and calibration use the same launches, so that equal means equal as measured; every other setting has its own. */
const SEED = 1_000_000;

function scene(name: string, rules: readonly Rule[], traffic: typeof independent, setting: Setting, launches: number, seed: number): Scene {
  const outcomes = trial(rules, traffic, setting, launches, seed);
  return { name, results: rules.map((rule, index) => ({ name: rule.name, outcomes: outcomes[index] ?? [] })) };
}

/** The knob at which a rule that is stricter as it grows raises at most `target` false alarms on these launches: above it lie the largest knobs of so many of them. */
function calibrated(knob: () => (minute: Minute) => number, target: number, setting: Setting, launches: number, seed: number): number {
  const largest = Array.from({ length: launches }, (_, launch) => {
    const watch = knob();
    let last = -Infinity;
    for (const minute of independent(setting, seed + launch)) last = watch(minute);
    return last;
  });
  return largest.sort((a, b) => b - a)[target] ?? Infinity;
}

/** Kayenta with the confidence that belongs to a z; a hair above, so that it is not reached. */
const kayentaAt = (z: number): Rule => kayenta(2 * normalShare(z) - 1 + 1e-9);

/** False rollbacks of healthy launches of four stages, under each kind of traffic. */
export function healthy(launches: number, say: (what: string) => void): readonly Scene[] {
  say('healthy launches: calibrating');
  const plain = rate(ALPHA);
  const [own = []] = trial([plain], independent, staged(), launches, SEED);
  const limit = calibrated(rowLimit(), stopped(own), staged(), launches, SEED);
  const row = inARow(`3 in a row over ${(100 * limit).toFixed(2)} %, calibrated on independent requests`, limit);
  const rules = [plain, rate(0.01), usual, careful, argo(LIMIT), flagger(LIMIT), kayenta(), row, naive()];
  const kinds = [
    ['independent requests', independent, rules],
    ['shared noise: the rate wanders for both', sharedNoise, rules],
    ['sticky users, a few of them heavy', sticky, [users, ...rules]],
    ['a noise of its own on each side, new every minute', ownNoise, rules],
  ] as const;
  return kinds.map(([name, traffic, those]) => {
    say(`healthy launches: ${name}`);
    return scene(name, those, traffic, staged(), launches, SEED);
  });
}

/** Minutes to catch a regression at 5 % of 12,000 a minute and at 60 of 1,200, ours against the others; those with a knob also at our own measured false alarms. */
export function delays(launches: number, say: (what: string) => void): { readonly high: readonly Scene[]; readonly low: readonly Scene[] } {
  const at = (requests: number, times: readonly number[], lane: number): readonly Scene[] => {
    const aa = hourAt(0.05, { requests });
    say(`delays at ${0.05 * requests} a minute: calibrating`);
    const plain = rate(ALPHA);
    const [own = []] = trial([plain], independent, aa, launches, SEED + lane);
    const target = stopped(own);
    const equal = kayentaAt(calibrated(kayentaZ(), target, aa, launches, SEED + lane));
    const limit = calibrated(rowLimit(), target, aa, launches, SEED + lane);
    const row = inARow(`3 in a row over ${(100 * limit).toFixed(2)} %, equal false alarms`, limit);
    const rules = [plain, rate(0.01), usual, kayenta(), { ...equal, name: `${equal.name}, equal false alarms` }, row, argo(LIMIT), flagger(LIMIT)];
    return [1, ...times].map((each, index) => {
      say(`delays at ${0.05 * requests} a minute: x${each}`);
      return scene(`x${each}`, rules, independent, { ...aa, times: each }, launches, each === 1 ? SEED + lane : SEED + lane + (index + 1) * 100_000);
    });
  };
  return { high: at(12_000, [1.5, 2, 4, 10], 10_000_000), low: at(1200, [2, 4, 10], 20_000_000) };
}

/** Four stages with proof asked for a go: healthy, and exactly as bad as `maxRatio`, and worse. */
export function proofs(launches: number, say: (what: string) => void): readonly Scene[] {
  return [1, 1.5, 2, 4, 10].map((times, index) => {
    say(`four stages with proof: x${times}`);
    return scene(`x${times}`, [proving], independent, staged({ times }), launches, SEED + 30_000_000 + index * 100_000);
  });
}

/** Users' first failures in four stages. */
export function userDelays(launches: number, say: (what: string) => void): readonly Scene[] {
  return [1.5, 2, 4, 10].map((times, index) => {
    say(`sticky users: x${times}`);
    return scene(`x${times}`, [users, careful], sticky, staged({ times }), launches, SEED + 40_000_000 + index * 100_000);
  });
}

/** Minutes from the beginning of a regression that comes after `hours` of health at 5 %: launches stopped before it are left out. */
export function lateDelays(launches: number, hours: number, say: (what: string) => void): readonly Scene[] {
  const minutes = hours * HOUR;
  return [2, 4, 10].map((times, index) => {
    say(`after ${hours} hours of health: x${times}`);
    const setting: Setting = { ...hourAt(0.05, { times, from: minutes }), shares: Array.from({ length: minutes + 2 * HOUR }, () => 0.05) };
    const { name, results } = scene(
      `x${times}`,
      [rate(ALPHA), rate(0.01), kayenta(), argo(LIMIT), flagger(LIMIT)],
      independent,
      setting,
      launches,
      SEED + 50_000_000 + index * 100_000,
    );
    return {
      name,
      results: results.map((result) => ({
        name: result.name,
        outcomes: result.outcomes
          .filter(({ rolledBack }) => rolledBack === undefined || rolledBack > minutes)
          .map(({ rolledBack }) => (rolledBack === undefined ? {} : { rolledBack: rolledBack - minutes })),
      })),
    };
  });
}

/** The median and the 90th percentile of the minutes to a rollback, and the share that was rolled back at all. */
export function delayOf(result: Result): { readonly median: number | undefined; readonly p90: number | undefined; readonly share: number } {
  return { median: minutesTo(result.outcomes, 0.5), p90: minutesTo(result.outcomes, 0.9), share: stopped(result.outcomes) / result.outcomes.length };
}
