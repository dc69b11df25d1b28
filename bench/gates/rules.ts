import { freshGate, judge, type GateState } from '../../src/core/gate.ts';
import type { CompareGate, CompareRateGate, CompareUsersGate } from '../../src/core/plan.ts';
import type { RateBatch } from '../../src/core/statistics/rate-ratio.ts';
import type { Minute } from './traffic.ts';

/** What a rule says after a minute: go on, roll back, or (ours) that health is proven. */
export type Said = 'on' | 'rollback' | 'go';

/** A rule at work on one launch: it sees each minute once. */
export type Watch = (minute: Minute, at: number) => Said;

/** A rule by name, and a fresh watch of it for each launch. */
export interface Rule {
  readonly name: string;
  watch(): Watch;
}

const MINUTE = 60_000;
const base = {
  id: 'errors',
  source: 'prometheus',
  every: MINUTE,
  for: 0,
  noData: { after: 600_000, then: 'hold' },
  error: { after: 600_000, then: 'hold' },
  tolerance: 1,
  floor: 0,
  minSamples: 0,
} as const;

/** A compareRate gate over the minutes of the bench. */
export function rateGate(more: Partial<CompareRateGate> & { readonly alpha: number }): CompareRateGate {
  return { ...base, kind: 'compareRate', exposed: { bad: 'a', total: 'b' }, rest: { bad: 'c', total: 'd' }, ...more };
}

/** A compareUsers gate over the minutes of the bench. */
export function usersGate(more: Partial<CompareUsersGate> & { readonly alpha: number }): CompareUsersGate {
  return { ...base, kind: 'compareUsers', exposed: { failed: 'a', atRisk: 'b' }, rest: { failed: 'c', atRisk: 'd' }, ...more };
}

/** Our gate, through the very judge that the watcher asks. */
export function ours(name: string, gate: CompareGate): Rule {
  return {
    name,
    watch: () => {
      let state: GateState = freshGate(0);
      return (minute, at) => {
        const counts = gate.kind === 'compareUsers' ? minute.users : minute.requests;
        if (counts === undefined) throw new Error(`the gate ${gate.id} is asked of traffic without users`);
        const judged = judge(gate, state, { kind: 'value', at: (at + 1) * MINUTE, since: at * MINUTE, value: 0, query: '', counts });
        state = judged.state;
        return judged.verdict.kind === 'no-go' ? 'rollback' : judged.verdict.kind === 'go' ? 'go' : 'on';
      };
    },
  };
}

/** The share that went wrong; undefined without any. */
export const rate = (bad: number, of: number): number | undefined => (of > 0 ? bad / of : undefined);

/** Argo Rollouts: a measurement that misses its successCondition has failed; more than `failureLimit` failed ones (not in a row) fail the analysis, and that aborts the rollout. */
export function argo(limit: number, failureLimit = 3): Rule {
  return {
    name: `Argo Rollouts, rate <= ${100 * limit} %, failureLimit ${failureLimit}`,
    watch: () => {
      let failed = 0;
      return ({ requests }) => {
        const seen = rate(requests.exposedBad, requests.exposed);
        if (seen !== undefined && seen > limit) failed += 1;
        return failed > failureLimit ? 'rollback' : 'on';
      };
    },
  };
}

/** Flagger: a check outside its thresholdRange counts as failed; `threshold` failed checks (not in a row) roll back. */
export function flagger(limit: number, threshold = 5): Rule {
  return {
    name: `Flagger, success >= ${100 - 100 * limit} %, threshold ${threshold}`,
    watch: () => {
      let failed = 0;
      return ({ requests }) => {
        const seen = rate(requests.exposedBad, requests.exposed);
        if (seen !== undefined && seen > limit) failed += 1;
        return failed >= threshold ? 'rollback' : 'on';
      };
    },
  };
}

/** The everyday alert: over a fixed limit so many times in a row. */
export function inARow(name: string, limit: number, times = 3): Rule {
  return {
    name,
    watch: () => {
      let row = 0;
      return ({ requests }) => {
        const seen = rate(requests.exposedBad, requests.exposed);
        row = seen !== undefined && seen > limit ? row + 1 : 0;
        return row >= times ? 'rollback' : 'on';
      };
    },
  };
}

/** For calibration: the highest limit that would have been passed so many times in a row so far. */
export function rowLimit(times = 3): () => (minute: Minute) => number {
  return () => {
    const row: number[] = [];
    let largest = -Infinity;
    return ({ requests }) => {
      row.push(rate(requests.exposedBad, requests.exposed) ?? -Infinity);
      if (row.length > times) row.shift();
      if (row.length === times) largest = Math.max(largest, Math.min(...row));
      return largest;
    };
  };
}

/** The textbook test on the totals so far, asked every minute as if it were asked once: what looking does to it. One-sided at 5 % unless told. */
export function naive(critical = 1.6449, sides: 1 | 2 = 1): Rule {
  return {
    name: 'two-proportion z at 5 %, looked at each minute',
    watch: () => {
      let all: RateBatch = { exposedBad: 0, exposed: 0, restBad: 0, rest: 0 };
      return ({ requests }) => {
        all = {
          exposedBad: all.exposedBad + requests.exposedBad,
          exposed: all.exposed + requests.exposed,
          restBad: all.restBad + requests.restBad,
          rest: all.rest + requests.rest,
        };
        const pooled = (all.exposedBad + all.restBad) / (all.exposed + all.rest);
        const spread = Math.sqrt(pooled * (1 - pooled) * (1 / all.exposed + 1 / all.rest));
        const more = all.exposedBad / all.exposed - all.restBad / all.rest;
        return spread > 0 && (sides === 2 ? Math.abs(more) : more) / spread > critical ? 'rollback' : 'on';
      };
    },
  };
}
