import { policyOf, type Blind, type Lack } from './blind.ts';
import { describeTime } from './bound.ts';
import type { GateRecord } from './event.ts';
import { comparison } from './finding.ts';
import { judgeAlone, type CompareState } from './judges/compare.ts';
import type { Measurement } from './measurement.ts';
import type { Gate, Millis } from './plan.ts';
import { counts, lasting, nameOf, readValue, worstOf, type Statistic } from './reading.ts';
import type { Reading } from './judges/judge.ts';
import type { PolicyAction, Verdict } from './verdict.ts';

/** A breach on its way: bad since `since`, and no good measurement after it. `asked` counts every answer since, missing ones too. */
interface Pending {
  readonly since: number;
  readonly bad: number;
  readonly asked: number;
}

/** All that a gate remembers between two measurements: small, plain JSON. */
export interface GateState {
  /** Judged up to here (the source's clock, ms). An error does not move it, so that what an outage of the source hid is looked back on. */
  readonly cursor: number;
  /** Time of the newest answer that was judged; an older one, or the same again, is late. */
  readonly newest?: number;
  /** Up to here a gate that counts has counted: an answer without data moves `newest`, and not this. */
  readonly counted?: number;
  /** When we last asked and got any answer, or a gap ended. */
  readonly askedAt?: number;
  readonly last?: Verdict;
  readonly pending?: Pending;
  /** The breach. Once here it stays. */
  readonly latched?: Extract<Verdict, { kind: 'no-go' }>;
  readonly blind?: Blind;
  /** What the judge of a gate that counts remembers. */
  readonly statistic?: Statistic;
  /** A mismatch that was said to hold, and since when. */
  readonly mismatch?: number;
  /** As `mismatch`, of a comparison that nothing can decide any more. */
  readonly alone?: number;
  readonly record: { readonly samples: number; readonly breaches: number; readonly worst?: number; readonly blind: Millis };
}

/** What a gate asks for: a breach always a rollback, a policy what the plan says. `since` (ms) is the first bad sample, or the first answer without evidence. */
export interface GateAct {
  readonly kind: PolicyAction;
  readonly cause: 'breach' | 'policy';
  readonly why: string;
  readonly since: number;
}

export interface Judged {
  readonly state: GateState;
  readonly verdict: Verdict;
  readonly act?: GateAct;
}

/** The longest that one question to a source takes (ms): more time than that between two answers was not spent asking. */
const ASK_TAKES: Millis = 10_000;

/** A gate that was armed at `at` and has seen nothing. */
export function freshGate(at: number): GateState {
  return { cursor: at, record: { samples: 0, breaches: 0, blind: 0 } };
}

/** The state with what evidence ends taken away: the blind stretch, and after good news the pending breach. */
function seen(state: GateState, pending: Pending | undefined): GateState {
  // Most of the time there is nothing to take away, and a day has millions of these times.
  if (state.blind === undefined && state.pending === undefined && pending === undefined) return state;
  const { blind: _blind, pending: _pending, ...rest } = state;
  return pending === undefined ? rest : { ...rest, pending };
}

function span(pending: Pending, at: number): string {
  return pending.since === at ? `at ${describeTime(at)}` : `${pending.bad} of ${pending.asked} samples ${describeTime(pending.since)}-${describeTime(at)}`;
}

/** When we last asked: what is looked back on was not asked later than that. */
function lately(state: GateState, at: number): number {
  return Math.max(state.askedAt ?? at, at);
}

/** A breach asks for its rollback every time it is looked at: one effect, and none is lost when a hand dies in between. */
function breached(state: GateState, verdict: Extract<Verdict, { kind: 'no-go' }>): Judged {
  return { state, verdict, act: { kind: 'rollback', cause: 'breach', why: verdict.why, since: verdict.since } };
}

function settle(state: GateState, verdict: Verdict): Judged {
  if (state.latched !== undefined) return breached({ ...state, last: state.latched }, state.latched);
  return { state: { ...state, last: verdict }, verdict };
}

interface Missing {
  readonly by: Lack;
  readonly reason: 'too-few' | 'no-data' | 'error';
  readonly value?: number;
  readonly why: string;
}

/** The state without what a person was called for: it is over. */
function matched(state: GateState): GateState {
  if (state.mismatch === undefined && state.alone === undefined) return state;
  const { mismatch: _mismatch, alone: _alone, ...rest } = state;
  return rest;
}

/** Evidence that is not a go yet. It ends a blind stretch; nothing has to be done, but nothing is earned. */
function judgeUndecided(state: GateState, at: number, value: number, why: string, reason: 'undecided' | 'too-few' = 'undecided'): Judged {
  const record = { ...state.record, samples: state.record.samples + 1 };
  return settle({ ...seen(state, undefined), askedAt: lately(state, at), record }, { kind: 'inconclusive', reason, value, at, why });
}

/** Numbers that cannot be trusted, or to which nothing can be added, hold, once for each stretch; a breach seen before or by another gate goes on as it would. */
function judgeHopeless(state: GateState, at: number, value: number | undefined, why: string, by: 'mismatch' | 'alone'): Judged {
  const since = state[by] ?? at;
  const record = { ...state.record, samples: state.record.samples + 1 };
  const reason = by === 'alone' ? 'undecided' : by;
  const verdict: Verdict = { kind: 'inconclusive', reason, at, why, ...(value === undefined ? {} : { value }) };
  const judged = settle({ ...seen(state, undefined), askedAt: lately(state, at), [by]: since, record }, verdict);
  return state[by] !== undefined || state.latched !== undefined ? judged : { ...judged, act: { kind: 'hold', cause: 'policy', why, since } };
}

/** An answer without evidence: never a pass; it neither ends a pending breach nor confirms it; after `after` of asking, the policy. */
function judgeMissing(gate: Gate, state: GateState, at: number, missing: Missing, exposed: number): Judged {
  const sinceAsked = state.askedAt === undefined ? 0 : Math.max(0, at - state.askedAt);
  const before = state.blind ?? { since: at, noData: 0, error: 0, reason: missing.why, acted: [] };
  const counted = state.blind === undefined ? 0 : Math.min(sinceAsked, 2 * gate.every + ASK_TAKES);
  // Up to this answer there was too little, and not nothing.
  const few = gate.noData === undefined && state.last?.kind === 'inconclusive' && state.last.reason === 'too-few';
  const by = few ? 'few' : missing.by;
  const blind: Blind = { ...before, [by]: (before[by] ?? 0) + counted, reason: missing.why };
  const next: GateState = {
    ...state,
    askedAt: lately(state, at),
    blind,
    record: { ...state.record, blind: state.record.blind + counted },
    ...(state.pending === undefined ? {} : { pending: { ...state.pending, asked: state.pending.asked + 1 } }),
  };
  const verdict: Verdict = {
    kind: 'inconclusive',
    reason: missing.reason,
    at,
    why: missing.why,
    ...(missing.value === undefined ? {} : { value: missing.value }),
  };
  const judged = settle(next, verdict);
  if (next.latched !== undefined) return judged;
  const { policy, why } = policyOf(gate, blind, missing.by, exposed);
  if (why === undefined) return judged;
  return {
    ...judged,
    state: { ...judged.state, blind: { ...blind, acted: [...blind.acted, missing.by] } },
    act: { kind: policy.then, cause: 'policy', why, since: blind.since },
  };
}

function judgeGood(gate: Gate, state: GateState, at: number, value: number, why: string): Judged {
  const record = { ...state.record, samples: state.record.samples + 1, worst: worstOf(gate, state.record.worst ?? value, value) };
  return settle({ ...seen(state, undefined), askedAt: lately(state, at), record }, { kind: 'go', value, at, why });
}

function judgeBad(gate: Gate, state: GateState, at: number, value: number, why: string): Judged {
  const record = {
    ...state.record,
    samples: state.record.samples + 1,
    breaches: state.record.breaches + 1,
    worst: worstOf(gate, state.record.worst ?? value, value),
  };
  const before = state.pending ?? { since: at, bad: 0, asked: 0 };
  const pending: Pending = { since: before.since, bad: before.bad + 1, asked: before.asked + 1 };
  if (state.latched === undefined && at - pending.since < gate.for) {
    const text = `${why} since ${describeTime(pending.since)}${lasting(gate)}`;
    return settle({ ...seen(state, pending), askedAt: lately(state, at), record }, { kind: 'inconclusive', reason: 'pending', value, at, why: text });
  }
  const verdict = state.latched ?? ({ kind: 'no-go', value, at, since: pending.since, why: `${why}, ${span(pending, at)}` } as const);
  return breached({ ...seen(state, undefined), askedAt: lately(state, at), latched: verdict, last: verdict, record }, verdict);
}

/**
 * The state when the source's clock was set back, or one answer came from a clock that was ahead: everything from now on would be late
 * for as long, and nobody would look. What was learned stays; what is waited for is waited for from now on.
 */
function setBack(gate: Gate, state: GateState, m: Measurement): GateState {
  // What is looked back on is older than what was asked since, and newer than all that was answered.
  const newest = m.kind === 'error' ? state.askedAt : state.newest;
  if (newest === undefined || m.at >= newest - staleAfter(gate)) return state;
  const { newest: _newest, counted: _counted, askedAt: _askedAt, ...rest } = state;
  const pending = state.pending === undefined ? {} : { pending: { ...state.pending, since: Math.min(state.pending.since, m.at) } };
  return { ...rest, ...pending, cursor: Math.min(state.cursor, m.at - 1) };
}

/** A late answer, or the same again: good and missing ones change nothing; a bad one still breaches where it can be told that it lasted. */
function judgeLate(gate: Gate, state: GateState, m: Measurement, last: Verdict): Judged {
  if (state.latched !== undefined) return breached(state, state.latched);
  // What a gate that counts was told before is counted already.
  if (m.kind === 'value' && Number.isFinite(m.value) && !counts(gate)) {
    const { kind, why } = readValue(gate, state.statistic, m).reading;
    // Nothing good was judged after `pending.since`, so a bad sample between it and now belongs to that breach.
    const since = gate.for === 0 ? m.at : (state.pending?.since ?? Infinity);
    if (kind === 'bad' && m.at - since >= gate.for)
      return judgeBad(gate, { ...state, pending: { since, bad: state.pending?.bad ?? 0, asked: state.pending?.asked ?? 0 } }, m.at, m.value, why);
  }
  return { state, verdict: last };
}

/** What follows from what one value says. */
function judgeReading(gate: Gate, state: GateState, at: number, measured: number | undefined, reading: Reading, exposed: number): Judged {
  const value = reading.value ?? measured ?? 0;
  switch (reading.kind) {
    case 'good':
      return judgeGood(gate, matched(state), at, value, reading.why);
    case 'bad':
      return judgeBad(gate, matched(state), at, value, reading.why);
    case 'undecided':
      return judgeUndecided(matched(state), at, value, reading.why);
    case 'alone':
    case 'mismatch':
      return judgeHopeless(state, at, reading.value ?? measured, reading.why, reading.kind);
    case 'too-few':
      if (reading.growing === true) return judgeUndecided(matched(state), at, value, reading.why, 'too-few');
      return judgeMissing(gate, state, at, { by: gate.noData === undefined ? 'few' : 'noData', reason: 'too-few', value, why: reading.why }, exposed);
    case 'no-data':
      return judgeMissing(gate, state, at, { by: 'noData', reason: 'no-data', value, why: reading.why }, exposed);
    default:
      return reading.kind satisfies never;
  }
}

/**
 * What a gate says of one more measurement, and what it asks for.
 *
 * A bad sample breaches once badness has lasted `for`: the first bad sample and one at least `for` later, with nothing
 * good between; missing answers between them neither confirm nor excuse. A breach is never unseen. No data, errors and
 * too few samples never pass; after the policy's `after` (counting only time in which we asked) its `then` is asked for,
 * once for each stretch. A gate without a policy has the one of the share (0..1) of the users that is `exposed` now. Late and
 * repeated measurements are harmless.
 */
export function judge(gate: Gate, before: GateState, m: Measurement, exposed = 0): Judged {
  const state = setBack(gate, before, m);
  const newest = m.kind === 'error' ? state.askedAt : state.newest;
  if (newest !== undefined && m.at <= newest && state.last !== undefined) return judgeLate(gate, state, m, state.last);
  const name = nameOf(gate);
  if (m.kind === 'error')
    return judgeMissing(gate, state, m.at, { by: 'error', reason: 'error', why: `${name}: could not look (${m.reason}): ${m.detail}` }, exposed);
  const moved: GateState = { ...state, cursor: Math.max(state.cursor, m.at), newest: m.at };
  if (m.kind === 'no-data') {
    const compared = comparison(gate);
    if (compared !== undefined && m.missing === 'rest' && m.promised === 1)
      return judgeReading(gate, moved, m.at, undefined, judgeAlone(compared, state.statistic as CompareState | undefined), exposed);
    return judgeMissing(gate, moved, m.at, { by: 'noData', reason: 'no-data', why: `${name}: no data (${m.reason}): ${m.detail}` }, exposed);
  }
  if (!Number.isFinite(m.value))
    return judgeMissing(gate, moved, m.at, { by: 'noData', reason: 'no-data', why: `${name}: no data: the value is ${m.value}` }, exposed);
  if (m.since !== undefined && state.counted !== undefined && m.since < state.counted) {
    const detail = `counts from ${describeTime(m.since)} on; expected only what came after the last look at ${describeTime(state.counted)}`;
    return judgeMissing(gate, state, m.at, { by: 'error', reason: 'error', why: `${name}: could not look (malformed): ${detail}` }, exposed);
  }
  const { state: statistic, reading } = readValue(gate, state.statistic, m);
  const next: GateState = { ...moved, ...(statistic === undefined ? {} : { statistic }), ...(counts(gate) ? { counted: m.at } : {}) };
  return judgeReading(gate, next, m.at, m.value, reading, exposed);
}

/** Nobody asked from `from` to `to`, and the source cannot tell: it earns nothing and is no lack of data. A pending breach stays: only good news ends it. */
export function gap(state: GateState, from: number, to: number): GateState {
  if (to <= from) return state;
  return { ...state, cursor: Math.max(state.cursor, to), askedAt: Math.max(state.askedAt ?? to, to) };
}

/** The age (ms) past which a sample behind an answer is no evidence: twice the time between two questions, and at least 10 s. */
export function staleAfter(gate: Gate): Millis {
  return Math.max(2 * gate.every, 10_000);
}

/** What a signer is shown of a gate and an auditor reads. */
export function evidence(gate: Gate, state: GateState): GateRecord {
  const { samples, breaches, worst, blind } = state.record;
  return { gate: gate.id, ...(state.last === undefined ? {} : { last: state.last }), ...(worst === undefined ? {} : { worst }), samples, breaches, blind };
}
