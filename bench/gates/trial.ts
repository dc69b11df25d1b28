import type { Rule } from './rules.ts';
import type { Setting, Traffic } from './traffic.ts';

/** How a rule did on one launch: the minute (1 is the first look) at which it rolled back or first said go; absent where it did not. */
export interface Outcome {
  readonly rolledBack?: number;
  readonly went?: number;
}

/** Every rule on the same launches, each on the same random stream; outcomes by rule, then by launch. A rule is asked no more once it rolled back. */
export function trial(rules: readonly Rule[], traffic: Traffic, setting: Setting, launches: number, seed: number): readonly (readonly Outcome[])[] {
  const outcomes: Outcome[][] = rules.map(() => []);
  for (let launch = 0; launch < launches; launch += 1) {
    const watches = rules.map((rule) => ({ watch: rule.watch(), rolledBack: undefined as number | undefined, went: undefined as number | undefined }));
    let at = 0;
    for (const minute of traffic(setting, seed + launch)) {
      for (const one of watches) {
        if (one.rolledBack !== undefined) continue;
        const said = one.watch(minute, at);
        if (said === 'rollback') one.rolledBack = at + 1;
        else if (said === 'go') one.went ??= at + 1;
      }
      at += 1;
      if (watches.every(({ rolledBack }) => rolledBack !== undefined)) break;
    }
    for (const [index, { rolledBack, went }] of watches.entries())
      outcomes[index]?.push({ ...(rolledBack === undefined ? {} : { rolledBack }), ...(went === undefined ? {} : { went }) });
  }
  return outcomes;
}

/** How many launches were rolled back. */
export function stopped(outcomes: readonly Outcome[]): number {
  return outcomes.filter(({ rolledBack }) => rolledBack !== undefined).length;
}

/** The minute by which this share (0..1) of all launches was rolled back, those never rolled back counted as late as can be; undefined when it was fewer. */
export function minutesTo(outcomes: readonly Outcome[], share: number): number | undefined {
  const minutes = outcomes.map(({ rolledBack }) => rolledBack ?? Infinity).sort((a, b) => a - b);
  const found = minutes[Math.max(0, Math.ceil(share * minutes.length) - 1)];
  return found === undefined || found === Infinity ? undefined : found;
}
