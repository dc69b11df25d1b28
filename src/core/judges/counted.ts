import type { Value } from '../measurement.ts';
import type { RateBatch } from '../statistics/rate-ratio.ts';
import { riseOfTotal } from '../statistics/counters.ts';

/** Running totals of the answer before, for sources that give totals and not rises. */
export interface Counted {
  readonly totals?: RateBatch;
}

/** The counts of the interval that ended with this value, and the totals to go on from. Undefined while there is nothing to go on from. */
export interface Interval {
  readonly counts: RateBatch | undefined;
  readonly next: Counted;
}

const NAMES = ['exposedBad', 'exposed', 'restBad', 'rest'] as const;

/** What a value adds since the one before: its counts where they are rises, the difference where they are totals. `gauges` are numbers of the moment, taken as they are. */
export function interval(before: Counted | undefined, value: Value, gauges: readonly (keyof RateBatch)[] = []): Interval {
  const { counts } = value;
  if (counts === undefined || value.since !== undefined) return { counts, next: {} };
  const totals = before?.totals;
  if (totals === undefined) return { counts: undefined, next: { totals: counts } };
  const rise = (name: keyof RateBatch): number => (gauges.includes(name) ? counts[name] : riseOfTotal(totals[name], counts[name]));
  const [exposedBad, exposed, restBad, rest] = [rise(NAMES[0]), rise(NAMES[1]), rise(NAMES[2]), rise(NAMES[3])];
  return { counts: { exposedBad, exposed, restBad, rest }, next: { totals: counts } };
}
