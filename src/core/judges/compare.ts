import { describeMillis } from '../bound.ts';
import type { Value } from '../measurement.ts';
import type { CompareGate } from '../plan.ts';
import {
  addRates,
  excessShare,
  logClear,
  logHarm,
  NO_RATES,
  observedRatio,
  type RateBatch,
  type RateEvidence,
  type RateQuestion,
} from '../statistics/rate-ratio.ts';
import { interval, type Counted } from './counted.ts';
import type { Read, Reading } from './judge.ts';
import { brief } from './words.ts';

/** What a comparison remembers. */
export interface CompareState extends Counted {
  readonly evidence?: RateEvidence;
  /** The ratio was once shown to lie below `maxRatio`. */
  readonly cleared?: true;
  /** When both sides last had traffic (ms). */
  readonly trafficAt?: number;
  /** By how many failures the exposed have exceeded what `floor` allows, since they last kept it. */
  readonly excess?: number;
}

/** The part of the evidence kept for harm that begins late: it costs ln(1/0.9) = 0.1 at the start, and spares hours after a day of health. */
const LATE = 0.1;
/** So many failures above what `floor` allows make an excess, however long everything was well before. */
const EXCESS = 10;
/** So many intervals without traffic on both sides are lived through on what is known. */
const QUIET = 4;
/** The proof that the ratio is below `maxRatio` may be wrong as often as this. */
const WRONG_PROOF = 0.05;

function questionOf(gate: CompareGate): RateQuestion {
  return { tolerance: gate.tolerance, late: LATE, ...(gate.maxRatio === undefined ? {} : { maxRatio: gate.maxRatio }) };
}

/** The counts that the test takes. Users who failed in the interval were at risk in it, and so were those who are now. */
function batchOf(gate: CompareGate, counts: RateBatch): RateBatch {
  if (gate.kind !== 'compareUsers') return counts;
  return { ...counts, exposed: counts.exposed + counts.exposedBad, rest: counts.rest + counts.restBad };
}

const NOUN = { compareRate: 'requests', compareSlow: 'requests', compareUsers: 'users at risk' } as const;
const VERB = { compareRate: 'failed', compareSlow: 'were slow', compareUsers: 'failed for the first time' } as const;

function percent(part: number, whole: number): string {
  return whole > 0 ? `${brief((100 * part) / whole)} %` : 'none';
}

/** A cumulative sum of what exceeds the floor (Page, "Continuous inspection schemes", 1954): it forgets health, as the floor of the whole launch cannot. */
function excessAfter(gate: CompareGate, before: number, { exposedBad, exposed, restBad, rest }: RateBatch): number {
  return Math.max(0, before + exposedBad - exposed * (restBad / rest + gate.floor));
}

/** Whether what goes wrong is worth a rollback: over the launch so far, or over the stretch in which it has gone wrong. */
function worthwhile(gate: CompareGate, state: CompareState, evidence: RateEvidence): boolean {
  return excessShare(evidence) >= gate.floor || (state.excess ?? 0) >= EXCESS;
}

function describe(gate: CompareGate, evidence: RateEvidence, harm: number): string {
  const { totals } = evidence;
  const ratio = observedRatio(evidence);
  const times = ratio === undefined ? '' : ` (${brief(ratio)} x)`;
  const against = `${percent(totals.exposedBad, totals.exposed)} of the exposed ${VERB[gate.kind]} against ${percent(evidence.expected, totals.exposed)} at the rest's rate${times}`;
  return `${gate.title ?? gate.id}: ${against}; odds ${brief(Math.exp(Math.min(harm, 30)))} of the ${brief(1 / gate.alpha)} it takes`;
}

function read(gate: CompareGate, state: CompareState, evidence: RateEvidence): Reading {
  const harm = logHarm(questionOf(gate), evidence);
  const ratio = observedRatio(evidence);
  const shown = { why: describe(gate, evidence, harm), ...(ratio === undefined ? {} : { value: ratio }) };
  if (harm >= Math.log(1 / gate.alpha) && worthwhile(gate, state, evidence)) return { kind: 'bad', ...shown };
  const { exposed, rest } = evidence.totals;
  if (exposed < gate.minSamples || rest < gate.minSamples) {
    const had = `${brief(Math.min(exposed, rest))} of at least ${gate.minSamples} ${NOUN[gate.kind]} on either side`;
    return { ...shown, kind: 'too-few', why: `${gate.title ?? gate.id} drawn from ${had}`, growing: true };
  }
  if (gate.maxRatio === undefined || state.cleared === true) return { kind: 'good', ...shown };
  return { ...shown, kind: 'undecided', why: `${shown.why}; not shown yet to be below ${brief(gate.maxRatio)} x` };
}

/**
 * What a comparison says when everyone is exposed: nobody is left to compare with. What was seen before must have been enough for
 * a go by itself; where it was not, nothing will make it so.
 */
export function judgeAlone(gate: CompareGate, state: CompareState | undefined): Reading {
  const alone = 'everyone is exposed: nobody is left to compare with';
  const name = gate.title ?? gate.id;
  if (state?.evidence === undefined) return { kind: 'alone', why: `${name}: ${alone}, and nothing was seen before` };
  const before = read(gate, state, state.evidence);
  if (before.kind === 'bad') return before;
  if (before.kind === 'good') return { ...before, why: `${before.why}; ${alone}; judged on what was seen before` };
  return { ...before, kind: 'alone', why: `${before.why}; ${alone}, and what was seen before is not enough` };
}

/** Why an interval says nothing of the ratio. */
function nothing(gate: CompareGate, counts: RateBatch | undefined, since: number): Reading {
  const name = gate.title ?? gate.id;
  if (counts === undefined) return { kind: 'too-few', why: `${name}: counts from here on` };
  const quiet = since === Infinity ? 'yet' : `for ${describeMillis(since)}`;
  if (counts.exposed > 0) return { kind: 'no-data', why: `${name}: no data (no-traffic): nobody is left to compare with ${quiet}` };
  return { kind: 'no-data', why: `${name}: no data (no-traffic): ${counts.rest > 0 ? 'nobody exposed had traffic' : 'no traffic on either side'} ${quiet}` };
}

/**
 * Judges `compareRate`, `compareSlow` and `compareUsers` by the sequential rate-ratio test of statistics/rate-ratio.ts: bad
 * when the odds that the exposed are worse than `tolerance` reach 1/alpha and the excess reaches `floor`, over the launch or since it began to; good with
 * `minSamples` on both sides, or where there is a `maxRatio` with proof that the ratio lies below it. What was proven stays
 * proven; evidence of harm goes on being gathered. Where everyone is exposed, see `judgeAlone`. Counting each user's first failure against those still at risk is the
 * log-rank form of the test (ter Schure, Perez-Ortiz, Ly, Gruenwald, "The safe logrank test", 2021).
 */
export function judgeCompare(gate: CompareGate, before: CompareState | undefined, value: Value): Read<CompareState> {
  const { counts, next } = interval(before, value, gate.kind === 'compareUsers' ? ['exposed', 'rest'] : []);
  const batch = counts === undefined ? undefined : batchOf(gate, counts);
  const kept: CompareState = {
    ...next,
    ...(before?.evidence === undefined ? {} : { evidence: before.evidence }),
    ...(before?.cleared === undefined ? {} : { cleared: before.cleared }),
    ...(before?.trafficAt === undefined ? {} : { trafficAt: before.trafficAt }),
    ...(before?.excess === undefined ? {} : { excess: before.excess }),
  };
  if (value.promised === 1 && batch !== undefined && batch.exposed > 0 && !(batch.rest > 0)) {
    const state: CompareState = { ...kept, trafficAt: value.at };
    return { state, reading: judgeAlone(gate, state) };
  }
  if (batch === undefined || !(batch.exposed > 0) || !(batch.rest > 0)) {
    const since = value.at - (kept.trafficAt ?? -Infinity);
    // Low traffic has empty intervals: for a little while what is known stands.
    if (kept.evidence !== undefined && since <= QUIET * gate.every) return { state: kept, reading: read(gate, kept, kept.evidence) };
    return { state: kept, reading: nothing(gate, batch, since) };
  }
  const evidence = addRates(questionOf(gate), kept.evidence ?? NO_RATES, batch);
  const cleared = kept.cleared === true || (gate.maxRatio !== undefined && logClear(evidence) >= Math.log(1 / WRONG_PROOF));
  const excess = excessAfter(gate, kept.excess ?? 0, batch);
  const state: CompareState = { ...kept, evidence, trafficAt: value.at, excess, ...(cleared ? { cleared: true } : {}) };
  return { state, reading: read(gate, state, evidence) };
}
