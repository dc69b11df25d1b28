import { keeps } from '../core/bound.ts';
import { freshGate, judge, type GateState } from '../core/gate.ts';
import type { Measurement } from '../core/measurement.ts';
import type { Gate, Millis } from '../core/plan.ts';
import { counts } from '../core/reading.ts';

/** A moment (index on the grid) at which a gate would have acted, and why. */
export interface Act {
  readonly index: number;
  readonly cause: 'breach' | 'policy';
  readonly why: string;
}

/** How one window ended for one gate. */
export interface Outcome {
  /** The index of the grid at which the stage's flags moved. */
  readonly start: number;
  readonly rollback?: Act;
  /** The first hold, if it came before a rollback. */
  readonly hold?: Act;
  /** The last word of the window was a go. */
  readonly go: boolean;
}

/** A history as a gate is told it: the point at an index, `since` (ms) after the start of the window. */
export interface Told {
  readonly at: (index: number, since: Millis) => Measurement | undefined;
  /** So long after its start (ms) a window still differs from a later one at the same point. */
  readonly memory: Millis;
  /** Points on the grid. */
  readonly length: number;
  /** The share (0..1) of the users exposed, by which a gate without a policy of its own acts on no data. */
  readonly exposed: number;
}

/** Windows of `length` grid points, by the index at which each starts. */
export interface Windows {
  readonly starts: readonly number[];
  readonly length: number;
}

/** So many windows of a gate that counts are walked, however long they are. */
const FEWEST = 6;

interface Walk {
  readonly outcome: Outcome;
  /** A go after which the state is that of any other window that is there: nothing before it matters. */
  readonly met?: number;
  /** Points judged. */
  readonly judged: number;
}

/** One window by itself: every point after its start goes through the gate's own judge, until it rolls back, ends, or meets the others. */
function walk(gate: Gate, told: Told, start: number, end: number, meets: boolean): Walk {
  let state: GateState = freshGate(told.at(start, Infinity)?.at ?? 0);
  const began = state.cursor;
  let hold: Act | undefined;
  let go = false;
  for (let index = start + 1; index <= end; index += 1) {
    const since = (told.at(index, Infinity)?.at ?? began) - began;
    const point = told.at(index, since);
    if (point === undefined) break;
    const judged = judge(gate, state, point, told.exposed);
    state = judged.state;
    go = judged.verdict.kind === 'go';
    const { act } = judged;
    if (act?.kind === 'rollback') {
      const rollback = { index, cause: act.cause, why: act.why };
      return { outcome: { start, rollback, go: false, ...(hold === undefined ? {} : { hold }) }, judged: index - start };
    }
    if (act?.kind === 'hold') hold ??= { index, cause: act.cause, why: act.why };
    if (meets && go && since >= told.memory) return { outcome: { start, go, ...(hold === undefined ? {} : { hold }) }, met: index, judged: index - start };
  }
  return { outcome: { start, go, ...(hold === undefined ? {} : { hold }) }, judged: end - start };
}

/** What comes after a go at each index: the next rollback and the next hold, and whether each point is a go. */
interface Fates {
  readonly rollback: readonly (Act | undefined)[];
  readonly hold: readonly (Act | undefined)[];
  readonly go: readonly boolean[];
}

/** Whether a point is a go whatever came before it. False where that takes the judge to say. */
function surelyGood(gate: Gate, point: Measurement): boolean {
  if ((gate.kind !== 'threshold' && gate.kind !== 'ratio') || point.kind !== 'value' || !Number.isFinite(point.value)) return false;
  return keeps(gate.bound, point.value) && (gate.minSamples <= 0 || (point.samples ?? 0) >= gate.minSamples);
}

/** The whole history once, begun anew after each breach. Only what is no plain go, and the go before it, is judged: most of a history is plain. */
function fatesOf(gate: Gate, told: Told): Fates {
  const rollback: (Act | undefined)[] = [];
  const hold: (Act | undefined)[] = [];
  const go: boolean[] = [];
  let state = freshGate(told.at(0, Infinity)?.at ?? 0);
  let plain: Measurement | undefined;
  let [rolled, held] = [0, 0];
  for (let index = 0; index < told.length; index += 1) {
    const point = told.at(index, Infinity);
    if (point === undefined) break;
    if (surelyGood(gate, point)) {
      plain = point;
      go.push(true);
      continue;
    }
    // A go ends whatever was under way: all that is left of the past is when it was.
    if (plain !== undefined) state = judge(gate, freshGate(plain.at), plain).state;
    plain = undefined;
    const { state: next, verdict, act } = judge(gate, state, point, told.exposed);
    state = next;
    go.push(verdict.kind === 'go');
    if (act?.kind === 'rollback') {
      for (; rolled < index; rolled += 1) rollback[rolled] = { index, cause: act.cause, why: act.why };
      if (act.cause === 'breach') state = freshGate(point.at);
    }
    if (act?.kind === 'hold') for (; held < index; held += 1) hold[held] = { index, cause: act.cause, why: act.why };
  }
  return { rollback, hold, go };
}

/**
 * What each window would have come to. A gate that keeps no count forgets everything at a good sample, so windows that
 * have had one at the same point go the same way from there: the history is judged once, and each window only up to its
 * first good sample. A gate that counts is walked through window by window, in the order given, until `most` points
 * were judged; a few windows are always walked. Outcomes are in the order of their starts.
 */
export function replay(gate: Gate, told: Told, { starts, length }: Windows, most: number): readonly Outcome[] {
  const last = (start: number): number => Math.min(start + length, told.length - 1);
  if (!counts(gate)) {
    let known: Fates | undefined;
    return starts.map((start): Outcome => {
      const end = last(start);
      const { outcome, met } = walk(gate, told, start, end, true);
      if (met === undefined) return outcome;
      known ??= fatesOf(gate, told);
      const fates = known;
      const [rollback, hold] = [fates.rollback[met], outcome.hold ?? fates.hold[met]];
      const rolls = rollback !== undefined && rollback.index <= end;
      const holds = hold !== undefined && hold.index <= (rolls ? rollback.index : end);
      return { start, go: !rolls && fates.go[end] === true, ...(rolls ? { rollback } : {}), ...(holds ? { hold } : {}) };
    });
  }
  const outcomes: Outcome[] = [];
  let spent = 0;
  for (const start of spread(starts)) {
    if (spent >= most && outcomes.length >= FEWEST) break;
    const { outcome, judged } = walk(gate, told, start, last(start), false);
    outcomes.push(outcome);
    spent += judged;
  }
  return outcomes.sort((a, b) => a.start - b.start);
}

/** The same starts, so ordered that any first few lie evenly over all (van der Corput 1935). */
export function spread(starts: readonly number[]): readonly number[] {
  const bits = Math.max(1, Math.ceil(Math.log2(Math.max(2, starts.length))));
  const order: number[] = [];
  for (let count = 0; count < 2 ** bits; count += 1) {
    let reversed = 0;
    for (let bit = 0; bit < bits; bit += 1) reversed = reversed * 2 + ((count >> bit) & 1);
    const start = starts[reversed];
    if (start !== undefined) order.push(start);
  }
  return order;
}
