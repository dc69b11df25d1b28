/** A pair of windows (ms): the budget burns too fast when it burns faster than `factor` in both. */
export interface BurnWindow {
  readonly long: number;
  readonly short: number;
  /** 1 spends the whole error budget in exactly the period of the objective. */
  readonly factor: number;
}

/** Counts at the end of a slot of time: [time in ms, bad, total], both running totals. */
type Mark = readonly [at: number, bad: number, total: number];

/** Running totals, thinned: fine marks for the shortest window, coarse ones for the longest. Small plain JSON. */
export interface BurnHistory {
  readonly marks: readonly Mark[];
  /** The end of the newest interval (ms), and the totals there. */
  readonly at: number;
  readonly bad: number;
  readonly total: number;
}

/** Nothing was counted yet. */
export const NO_BURN: BurnHistory = { marks: [], at: 0, bad: 0, total: 0 };

/** Marks per window: a window is read to within an eighth of its length. Three pairs of windows stay under 2 KB. */
const MARKS = 8;

/** Adds the counts of an interval that ended at `at` (ms), and drops the marks that no window needs. The first call's counts begin before any mark: only its end is kept. */
export function addBurn(windows: readonly BurnWindow[], before: BurnHistory, at: number, bad: number, total: number): BurnHistory {
  const last = before.marks.at(-1);
  if (last === undefined) return { marks: [[at, 0, 0]], at, bad: 0, total: 0 };
  const next = { at, bad: before.bad + bad, total: before.total + total };
  const finest = windows.reduce((least, { short }) => Math.min(least, short), Infinity) / MARKS;
  if (Math.floor(at / finest) === Math.floor(last[0] / finest)) return { ...next, marks: before.marks };
  const spans = windows.flatMap(({ long, short }) => [long, short]);
  const kept: Mark[] = [];
  let older = -Infinity;
  for (const mark of before.marks) {
    if (isNeeded(spans, mark[0], older, at)) kept.push(mark);
    older = mark[0];
  }
  kept.push([at, next.bad, next.total]);
  return { ...next, marks: kept };
}

/** Whether some window that is that long still needs a mark of `time`: it is the oldest of its cell, and not far past the window's end. */
function isNeeded(spans: readonly number[], time: number, older: number, at: number): boolean {
  for (const span of spans) {
    const width = span / MARKS;
    if (at - time < span + width && Math.floor(older / width) !== Math.floor(time / width)) return true;
  }
  return false;
}

/** How the budget burns in one window: `rate` is bad/total over the budget, a part of the window that was not seen counting as well; `over` (ms) is how much was. */
export interface Burn {
  readonly rate: number;
  readonly bad: number;
  readonly total: number;
  readonly over: number;
}

/**
 * How the budget of `objective` (0..1, e.g. 0.999) burns in the window that ends at the newest mark: from the youngest mark at
 * least so old, or all that was seen. What a young series has spent in a window is what it spent since it began: as much
 * traffic without an error is put in the place of the time before.
 */
export function burnOver(history: BurnHistory, objective: number, window: number): Burn {
  let from: Mark = [history.at, history.bad, history.total];
  for (let index = history.marks.length - 1; index >= 0 && history.at - from[0] < window; index -= 1) from = history.marks[index] ?? from;
  const [bad, total, over] = [history.bad - from[1], history.total - from[2], history.at - from[0]];
  return { rate: total > 0 ? (bad / total / (1 - objective)) * Math.min(1, over / window) : 0, bad, total, over };
}
