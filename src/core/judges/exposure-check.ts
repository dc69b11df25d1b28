import { describeMillis } from '../bound.ts';
import type { Value } from '../measurement.ts';
import type { ExposureCheckGate, Plan } from '../plan.ts';
import { addCounts, logMismatch, NO_SHARES, type ShareEvidence } from '../statistics/share-mismatch.ts';
import { interval, type Counted } from './counted.ts';
import type { Read } from './judge.ts';
import { brief } from './words.ts';

/** What a check of the exposure remembers. */
export interface ExposureState extends Counted {
  readonly evidence?: ShareEvidence;
  readonly promised?: number;
  /** Since when that share is promised (ms). */
  readonly since?: number;
  readonly users?: number;
}

/** Caches of SDKs and pages that are open: users come at the old share for so long after a shift (ms). */
const SETTLES = 120_000;

/** The share (0..1) of the flag that a launch promises after the stage of this index; undefined where no stage up to it sets the flag. */
export function promisedShare(plan: Plan, stage: number, flag: string): number | undefined {
  const changes = plan.stages.slice(0, stage + 1).flatMap((each) => each.set.filter((change) => change.flag === flag));
  const last = changes.at(-1);
  return last === undefined ? undefined : last.to.share / 100;
}

/**
 * Judges `exposureCheck`: a mismatch when the odds that the share of new users is further than `tolerance` from the promised
 * one reach 1/alpha (statistics/share-mismatch.ts: Lindon and Malek 2022). It never is a breach, and never hides one. What
 * comes within two minutes of a changed share is not counted.
 */
export function judgeExposure(gate: ExposureCheckGate, before: ExposureState | undefined, value: Value): Read<ExposureState> {
  const { counts, next } = interval(before, value);
  const { promised } = value;
  const name = gate.title ?? gate.id;
  if (promised === undefined) {
    // Half of it may have moved already: whoever comes now is counted against neither share.
    const { promised: was, since: _since, ...kept }: Partial<ExposureState> = before ?? {};
    const state = { ...kept, ...next };
    return was === undefined && kept.evidence === undefined
      ? { state, reading: { kind: 'no-data', why: `${name}: no data: no stage has set ${gate.flag} yet` } }
      : { state, reading: { kind: 'undecided', why: `${name}: the exposure of ${gate.flag} is being changed` } };
  }
  const since = before?.promised === promised && before.since !== undefined ? before.since : value.at;
  const settling = counts === undefined || value.at - since < SETTLES;
  const evidence = settling
    ? before?.evidence
    : addCounts(before?.evidence ?? NO_SHARES, [counts.exposed, counts.rest], [promised, 1 - promised], gate.tolerance);
  const users = (before?.users ?? 0) + (settling ? 0 : counts.exposed + counts.rest);
  const state: ExposureState = { ...next, promised, since, users, ...(evidence === undefined ? {} : { evidence }) };
  // A new share has no counts yet, but what was shown before stands.
  const odds = evidence === undefined ? 0 : logMismatch(evidence, gate.tolerance);
  if (evidence !== undefined && odds >= Math.log(1 / gate.alpha)) {
    const own = evidence.counts.reduce((sum, count) => sum + count, 0);
    const seen = own > 0 ? (evidence.counts[0] ?? 0) / own : 0;
    const why = `${name}: ${brief(100 * seen)} % of ${brief(own)} users see ${gate.flag}; promised ${brief(100 * promised)} %`;
    return { state, reading: { kind: 'mismatch', why, value: seen } };
  }
  const [exposed = 0, rest = 0] = evidence?.shares[0] === promised ? evidence.counts : [];
  if (settling && exposed + rest === 0) {
    return { state, reading: { kind: 'undecided', why: `${name}: the share of ${brief(100 * promised)} % is settling for ${describeMillis(SETTLES)}` } };
  }
  if (exposed + rest === 0) return { state, reading: { kind: 'no-data', why: `${name}: no data (no-traffic): no new users` } };
  const seen = exposed / (exposed + rest);
  return {
    state,
    reading: {
      kind: 'good',
      why: `${name}: ${brief(100 * seen)} % of ${brief(exposed + rest)} users see ${gate.flag}; promised ${brief(100 * promised)} %`,
      value: seen,
    },
  };
}
