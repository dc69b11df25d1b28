import { formatDuration } from '../core/duration.ts';
import type { Plan } from '../core/plan.ts';
import type { RehearsalResult } from './rehearse.ts';
import type { Happened, Rehearsed } from './run.ts';
import { STORIES } from './scenario.ts';

const DAY = 86_400_000;
const MINUTE = 60_000;

/** A line of the timeline: when, by whom or of whom, and what. */
interface Line {
  readonly when: string;
  readonly who: string;
  readonly what: string;
}

/** The day of the rehearsal, from 1, and the time of day (UTC). */
export function dayAndClock(at: number, began: number): string {
  const day = Math.floor(at / DAY) - Math.floor(began / DAY) + 1;
  return `day ${day} ${new Date(at).toISOString().slice(11, 19)}`;
}

/** A length of virtual time in its two largest units. */
export function span(ms: number): string {
  const minutes = Math.round(ms / MINUTE) * MINUTE;
  const [days, rest] = [Math.floor(minutes / DAY), minutes % DAY];
  return days === 0 ? formatDuration(minutes) : `${days}d${rest === 0 ? '' : formatDuration(rest)}`;
}

/** Many ticks, or many checks, in a row by one are one line. */
function together(all: readonly Happened[]): readonly (Happened & { readonly count: number })[] {
  const lines: (Happened & { count: number })[] = [];
  for (const one of all) {
    const last = lines.at(-1);
    if (last !== undefined && (one.kind === 'ticked' || one.kind === 'checked') && last.kind === one.kind && last.by === one.by) last.count += 1;
    else lines.push({ ...one, count: 1 });
  }
  return lines;
}

function wordsOf({ kind, text, count }: Happened & { readonly count: number }): string {
  if (count === 1) return text;
  return kind === 'ticked' ? `ticked ${count} items` : `${count} checks by machine, the first: ${text}`;
}

/** What happened and who was asked what, in order. */
export function linesOf({ timeline, asked }: Rehearsed): readonly Line[] {
  const began = Date.parse(timeline[0]?.at ?? '');
  return together(timeline).flatMap((one): Line[] => [
    { when: dayAndClock(Date.parse(one.at), began), who: one.by, what: wordsOf(one) },
    ...asked
      .filter((ask) => ask.seq === one.seq)
      .map((ask) => ({
        when: dayAndClock(ask.at, began),
        who: `→ ${ask.person}`,
        what: ask.person.includes(ask.role) ? ask.what : `(${ask.role}) ${ask.what}`,
      })),
  ]);
}

/** Whether a rehearsal went as it should; what says nothing of the plan is no failure. */
export function wentWell(result: RehearsalResult): boolean {
  return 'skipped' in result || result.misses.length === 0;
}

/** How it ended, in a sentence. */
export function verdictOf(result: RehearsalResult): string {
  if ('skipped' in result) return `- ${result.scenario}: not rehearsed: ${result.skipped}`;
  const took = `${span(result.virtual)} in ${result.seconds.toFixed(1)} s`;
  if (result.misses.length === 0) return `✓ ${result.scenario}: ${result.outcome}, as it should (${result.should}); ${took}`;
  return `✗ ${result.scenario}: ${result.misses.join('; ')}; ${took}. It should be ${result.should}`;
}

function cellOf(result: RehearsalResult | undefined): string {
  if (result === undefined || 'skipped' in result) return '-';
  return `${result.misses.length === 0 ? '✓' : '✗'} ${result.outcome} ${span(result.virtual)} ${result.seconds.toFixed(1)} s`;
}

/** Scenario by stage: how it ended, in how much virtual time, and real seconds. Heads and rows. */
export function gridOf(plan: Plan, results: readonly RehearsalResult[]): { readonly heads: readonly string[]; readonly rows: readonly (readonly string[])[] } {
  const at = (name: string): RehearsalResult | undefined => results.find((result) => result.scenario === name);
  return {
    heads: ['SCENARIO', ...plan.stages.map((stage, index) => `${index + 1} ${stage.id}`)],
    rows: [['healthy', cellOf(at('healthy'))], ...STORIES.map((story) => [story, ...plan.stages.map((_, index) => cellOf(at(`${story}:${index + 1}`)))])],
  };
}
