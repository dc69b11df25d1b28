import { formatDuration } from './duration.ts';
import type { Bound, Millis } from './plan.ts';

/** Whether `value` keeps the bound: `max` and `min` may be touched, `below` and `above` may not. NaN keeps none. */
export function keeps(bound: Bound, value: number): boolean {
  switch (bound.op) {
    case 'max':
      return value <= bound.limit;
    case 'min':
      return value >= bound.limit;
    case 'below':
      return value < bound.limit;
    case 'above':
      return value > bound.limit;
  }
}

/** The one of two values that is further to the bad side of the bound. */
export function worseValue(bound: Bound, a: number, b: number): number {
  return bound.op === 'max' || bound.op === 'below' ? Math.max(a, b) : Math.min(a, b);
}

const KEPT = { max: '<=', min: '>=', below: '<', above: '>' } as const;
const BROKEN = { max: '>', min: '<', below: '>=', above: '<=' } as const;

/** A number for people: four significant digits, without an exponent between 0.0001 and 10^15. */
export function describeNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 1000) return String(Math.round(value * 10) / 10);
  return String(Number(value.toPrecision(4)));
}

/** How value and limit stand, true as written: `1.31 s > 1 s`. Digits that rounding would lose are kept where they decide. `percent` shows both as a share of 1. */
export function describeBound(bound: Bound, value: number, unit: string | undefined, percent = false): string {
  const factor = percent ? 100 : 1;
  const mark = percent ? ' %' : unit === undefined || unit === '' ? '' : ` ${unit}`;
  const sign = (keeps(bound, value) ? KEPT : BROKEN)[bound.op];
  const [short, limit] = [describeNumber(value * factor), describeNumber(bound.limit * factor)];
  const rounded = short === limit && value !== bound.limit;
  const shown = rounded ? [String(value * factor), String(bound.limit * factor)] : [short, limit];
  return `${shown[0] ?? ''}${mark} ${sign} ${shown[1] ?? ''}${mark}`;
}

/** A length of time for people, to the second from a second on: `350ms`, `15s`, `1m30s`, `24h`. */
export function describeMillis(ms: Millis): string {
  return formatDuration(ms < 1000 ? ms : Math.round(ms / 1000) * 1000);
}

/** The time of day, UTC: `03:12:04`. */
export function describeTime(at: number): string {
  return new Date(at).toISOString().slice(11, 19);
}
