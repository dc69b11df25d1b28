import type { Millis } from './plan.ts';

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const;

const SHAPE = /^(?=\d)(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?(?:(\d{1,9})ms)?$/;

/** The longest span that a plan may name, ms: a year. */
export const LONGEST: Millis = 365 * 86_400_000;

/** A span written like `30s`, `5m`, `24h`, `14d` or `1m30s` (units d, h, m, s, ms, the larger first), in ms; undefined for anything else and past a year. */
export function parseDuration(text: string): Millis | undefined {
  const found = SHAPE.exec(text);
  if (found === null) return undefined;
  const sum = UNITS.reduce((total, [, size], index) => total + Number(found[index + 1] ?? 0) * size, 0);
  return sum <= LONGEST ? sum : undefined;
}

/** The span in the same spelling, to the millisecond: `90s` is `1m30s`; hours are kept up to two days (`24h`, `3d`). Negative spans get a minus. */
export function formatDuration(span: Millis): string {
  if (span < 0) return `-${formatDuration(-span)}`;
  let left = Math.round(span);
  let said = '';
  for (const [unit, size] of UNITS) {
    if (unit === 'd' && left < 2 * size) continue;
    const count = Math.floor(left / size);
    if (count > 0) said += `${count}${unit}`;
    left -= count * size;
  }
  return said === '' ? '0s' : said;
}
