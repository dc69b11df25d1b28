/** Grid points in one question to a source, from the shortest to the longest. */
const SIZES = [60, 120, 240, 480, 960, 1920, 3840] as const;
/** Where it begins: the place in SIZES. */
const FIRST = 2;
/** What the newest answer weighs against those before it. */
const NEWEST = 0.5;
/** A stretch twice as long has to be so much cheaper for each point: what is hardly cheaper costs the source more memory and may be chance. */
const CHEAPER = 1.25;

/**
 * How long a stretch to ask for at a time, found by trying: the one that costs least time for each point. Where every question has a long way to go
 * that is a long one; a source whose effort grows faster than the range (Prometheus' `timestamp()` up to 2.42 takes four times as long for twice the range)
 * wants short ones.
 */
export function strides() {
  const pace: (number | undefined)[] = SIZES.map(() => undefined);
  let now: number = FIRST;
  const known = (place: number): boolean => place < 0 || place >= SIZES.length || pace[place] !== undefined;
  return {
    /** So many points are asked for next. */
    points: (): number => SIZES[now] ?? SIZES[FIRST],
    /** Says how long (ms) the answer took; the next one may be longer or shorter. */
    took: (ms: number): void => {
      const own = ms / (SIZES[now] ?? 1);
      const before = pace[now];
      pace[now] = before === undefined ? own : before + NEWEST * (own - before);
      const cost = (place: number): number => (pace[place] ?? Infinity) * CHEAPER ** place;
      const best = SIZES.reduce<number>((found, _, place) => (cost(place) < cost(found) ? place : found), now);
      now = !known(best + 1) ? best + 1 : !known(best - 1) ? best - 1 : best;
    },
    /** Says that no answer came: too long. Nothing as long is tried again; false where there is nothing shorter. */
    shorter: (): boolean => {
      pace.fill(Infinity, now);
      now -= 1;
      if (now >= 0) return true;
      now = 0;
      return false;
    },
  };
}
