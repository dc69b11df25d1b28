import { freshGate, gap, judge, staleAfter, type GateAct, type GateState } from '../core/gate.ts';
import type { Failed, Measurement, Series } from '../core/measurement.ts';
import type { Gate } from '../core/plan.ts';
import { compose, composeSeries, measurementsOf, type GateQuery } from '../core/query.ts';
import { counts } from '../core/reading.ts';
import type { Verdict } from '../core/verdict.ts';
import type { House } from '../house.ts';
import type { MetricSource, Query } from '../sources/source.ts';
import type { MeasurementRow } from '../store/schema.ts';
import type { GateTick } from '../store/watch.ts';

/** A point of the bake clock: when a gate was judged, and whether it passed. */
export interface Point {
  readonly at: number;
  readonly passes: boolean;
}

/** A gate while it is armed: its state, when it is due, and what a tick has yet to write. */
export interface GateWatch {
  readonly gate: Gate;
  readonly armedAt: number;
  state: GateState;
  /** Local judged time at which it is asked next. */
  due: number;
  dirty: boolean;
  points: Point[];
  rows: MeasurementRow[];
  keptAt: number;
  /** Looks back that failed, in a row. */
  unread: number;
  /** The newest verdict that was written as an event: kind and reason. */
  said: string | undefined;
  /** The share (0..1) that should be among the exposed of a gate that compares, or checks an exposure. */
  promised: number | undefined;
  /** The share (0..1) of the users that is exposed now. */
  exposed: number;
  /** Goes on from what another watcher left, and has not looked yet. */
  inherited: boolean;
}

/** So many failed looks back in a row are tried before the gap is given up and a person is paged. */
const UNREAD = 20;
/** Good measurements are kept at most so often, ms; the others all. */
const KEEP_EVERY = 300_000;

/** Begins to watch a gate armed at `armedAt`, or goes on from a state that was left. */
export function watchGate(gate: Gate, armedAt: number, state: GateState | undefined): GateWatch {
  const own = state ?? freshGate(armedAt);
  const last = own.last;
  return {
    gate,
    armedAt,
    state: own,
    due: 0,
    dirty: false,
    points: last === undefined ? [] : [{ at: last.at, passes: last.kind === 'go' }],
    rows: [],
    keptAt: 0,
    unread: 0,
    said: last === undefined ? undefined : saidOf(last),
    promised: undefined,
    exposed: 0,
    inherited: state !== undefined,
  };
}

/** What of a verdict makes it news: its kind, and why it is inconclusive. */
export function saidOf(verdict: Verdict): string {
  return verdict.kind === 'inconclusive' ? `inconclusive:${verdict.reason}` : verdict.kind;
}

/** Whether the gate is asked at all; an alert without a source is only heard. */
export function isMeasured(gate: Gate): boolean {
  return measurementsOf(gate).length > 0;
}

function queryOf(gate: Gate, query: GateQuery, since: number | undefined): Query {
  return {
    ...(query.rises === undefined ? {} : { rise: { of: query.rises, ...(since === undefined ? {} : { since }) } }),
    text: query.text,
    staleAfter: staleAfter(gate),
    ...(query.with === undefined ? {} : { with: query.with }),
    ...(query.alive === undefined ? {} : { alive: query.alive }),
  };
}

async function askNow({ gate, state, promised }: GateWatch, source: MetricSource, signal: AbortSignal): Promise<Measurement> {
  const queries = measurementsOf(gate, promised);
  const answers = await Promise.all(queries.map(async (query) => [query.name, await source.measure(queryOf(gate, query, state.counted), signal)] as const));
  const answer = compose(gate, Object.fromEntries(answers));
  return answer.kind !== 'error' && promised !== undefined ? { ...answer, promised } : answer;
}

async function askBack(gate: Gate, source: MetricSource, from: number, to: number, signal: AbortSignal): Promise<Series> {
  const queries = measurementsOf(gate);
  const answers = await Promise.all(
    queries.map(async (query) => [query.name, await source.series(queryOf(gate, query, undefined), from, to, gate.every, signal)] as const),
  );
  return composeSeries(gate, Object.fromEntries(answers));
}

function note(watch: GateWatch, point: Measurement, passes: boolean): void {
  watch.points.push({ at: point.at, passes });
  if (passes && point.at - watch.keptAt < KEEP_EVERY) return;
  if (passes) watch.keptAt = point.at;
  watch.rows.push({
    gate: watch.gate.id,
    at: Math.round(point.at),
    kind: point.kind === 'value' ? (passes ? 'go' : 'value') : `${point.kind}:${point.reason}`,
    ...(point.kind === 'value' ? { value: point.value } : { detail: point.detail.slice(0, 300) }),
  });
}

/** What one look found: the newest verdict, and what the gate asks for. */
export interface Looked {
  readonly verdict: Verdict;
  readonly act?: GateAct;
  /** A gap worth an event: one that the source could not fill, or that lay between two watchers. */
  readonly gap?: { readonly from: number; readonly to: number; readonly lookedBack: boolean };
}

/** Fills what was missed between the cursor and a new answer, from the source's memory where it has one. */
async function lookBack(
  house: Pick<House, 'log' | 'meter'>,
  watch: GateWatch,
  source: MetricSource,
  until: number,
  signal: AbortSignal,
): Promise<{ act?: GateAct; gap: NonNullable<Looked['gap']>; failed?: Failed }> {
  const from = watch.state.cursor;
  const { gate } = watch;
  const missed = { from, to: until, lookedBack: true };
  if (source.remembers) {
    const series = await askBack(gate, source, from + gate.every, until - 1, signal);
    const first = series.points[0];
    watch.unread = first?.kind === 'error' ? watch.unread + 1 : 0;
    if (series.remembers && watch.unread <= UNREAD) {
      let act: GateAct | undefined;
      // Point by point, so that every one of them is on the bake clock with its own verdict.
      for (const point of series.points) {
        if (point.kind === 'error') return { gap: missed, failed: point, ...(act === undefined ? {} : { act }) };
        const judged = judge(gate, watch.state, point, watch.exposed);
        watch.state = judged.state;
        note(watch, point, judged.verdict.kind === 'go');
        act = act?.cause === 'breach' ? act : (judged.act ?? act);
      }
      return { gap: missed, ...(act === undefined ? {} : { act }) };
    }
  }
  house.log.info({ gate: gate.id, from, to: until }, 'a gap that the source does not tell earns nothing');
  watch.state = gap(watch.state, from, until);
  const given = { gap: { ...missed, lookedBack: false } };
  if (watch.unread <= UNREAD) return given;
  watch.unread = 0;
  const why = `${gate.id}: what happened from ${new Date(from).toISOString()} to ${new Date(until).toISOString()} could not be read back; a breach in it would be unseen`;
  return { ...given, act: { kind: 'page', cause: 'policy', why, since: from } };
}

/** Asks a gate's source once, looks back over what was missed since its cursor, and judges all of it in order. Never throws for what the world does. */
export async function lookAtGate(house: Pick<House, 'log' | 'meter'>, watch: GateWatch, source: MetricSource, signal: AbortSignal): Promise<Looked> {
  const { gate } = watch;
  const began = performance.now();
  const answer = await askNow(watch, source, signal);
  const seconds = (performance.now() - began) / 1_000;
  house.meter.measured(gate.source ?? gate.id, answer.kind, seconds, answer.kind === 'value' ? answer.age : undefined);
  const live = judge(gate, watch.state, answer, watch.exposed);
  // A breach waits for nothing. Anything else is judged after what was missed before it.
  // The next answer of a gate that counts spans what was missed.
  const behind = !counts(gate) && answer.at - watch.state.cursor > 1.5 * gate.every && answer.kind !== 'error' && live.verdict.kind !== 'no-go';
  const back = behind && watch.state.latched === undefined ? await lookBack(house, watch, source, answer.at, signal) : undefined;
  // What could not be looked back on must not be passed over: the new answer waits with it, unless it is bad news.
  const bad = live.verdict.kind === 'inconclusive' && live.verdict.reason === 'pending';
  const present: Measurement = back?.failed === undefined || bad ? answer : { ...back.failed, at: answer.at };
  const judged = back === undefined ? live : judge(gate, watch.state, present, watch.exposed);
  watch.state = judged.state;
  watch.dirty = true;
  // The source's clock was set back: what it said of times to come earns nothing.
  if (present.at < (watch.points.at(-1)?.at ?? present.at) - staleAfter(gate)) watch.points = watch.points.filter(({ at }) => at <= present.at);
  note(watch, present, judged.verdict.kind === 'go');
  house.meter.verdict(gate.id, judged.verdict.kind);
  // A blindness that is over by the time it is looked back on has been acted on while it lasted, or did not last.
  const over = judged.verdict.kind !== 'inconclusive' || judged.state.blind === undefined;
  const missed = over && back?.act?.cause === 'policy' && back.gap.lookedBack ? undefined : back?.act;
  const act = missed?.cause === 'breach' ? missed : (judged.act ?? missed);
  const long = back !== undefined && back.gap.to - back.gap.from > 4 * gate.every + 30_000 && (watch.inherited || !back.gap.lookedBack);
  watch.inherited = false;
  return { verdict: judged.verdict, ...(act === undefined ? {} : { act }), ...(long ? { gap: back.gap } : {}) };
}

/** What a tick writes of the gate, and forgets: points older than the newest before `keepFrom` go. */
export function tickOf(watch: GateWatch): GateTick {
  return {
    gate: watch.gate.id,
    armedAt: Math.round(watch.armedAt),
    state: watch.state,
    cursor: Math.round(watch.state.cursor),
    every: watch.gate.every,
    measured: isMeasured(watch.gate),
    passes: watch.state.latched === undefined && watch.state.last?.kind === 'go',
    pending: watch.state.pending !== undefined,
  };
}

/** Drops the points that the bake clock no longer needs: all before the newest one at or before `at`. */
export function forgetBefore(watch: GateWatch, at: number): void {
  const index = watch.points.findLastIndex((point) => point.at <= at);
  if (index > 0) watch.points = watch.points.slice(index);
}
