import { describeMillis, describeNumber } from './bound.ts';
import type { Gate, Millis, Policy } from './plan.ts';

/** What is missing: `few` is evidence of which there is too little, where the plan has no policy for it. */
export type Lack = 'noData' | 'error' | 'few';

/** A stretch without evidence. Its times (ms) count only while we asked, by what we got; `acted` names the policies that have had their say. */
export interface Blind {
  readonly since: number;
  readonly noData: Millis;
  readonly error: Millis;
  readonly few?: Millis;
  readonly reason: string;
  readonly acted: readonly Lack[];
}

/** Blind with more than this share (0..1) of the users exposed, a launch goes back by itself. */
const MOST_BLIND = 0.5;
const BLIND_HIGH: Policy = { after: 300_000, then: 'rollback' };
const BLIND_LOW: Policy = { after: 600_000, then: 'hold' };

/** What is done when a gate without a policy of its own has no evidence while this share (0..1) of the users is exposed. A check of the exposure never rolls back: it knows nothing of health. */
export function defaultPolicy(gate: Gate, exposed: number): Policy {
  return exposed > MOST_BLIND && gate.kind !== 'exposureCheck' ? BLIND_HIGH : BLIND_LOW;
}

/**
 * The policy for what is missing now, and why it is due; no `why` where it is not, or has had its say in this stretch. Two kinds
 * of nothing taking turns are nothing all the same; who sees too little is not blind, and is never rolled back for it unasked.
 */
export function policyOf(gate: Gate, blind: Blind, by: Lack, exposed: number): { readonly policy: Policy; readonly why?: string } {
  const few = blind.few ?? 0;
  const all = blind.noData + blind.error + few;
  const [noData, error] = [gate.noData ?? defaultPolicy(gate, exposed), gate.error ?? defaultPolicy(gate, exposed)];
  const policy = { noData, error, few: BLIND_LOW }[by];
  const spent = policy.then === 'rollback' ? all - few : all;
  const together = by === 'few' ? policy.after : Math.max(noData.after, error.after);
  const due = (blind[by] ?? 0) >= policy.after || spent >= together;
  if (!due || blind.acted.includes(by)) return { policy };
  const users = by === 'few' || gate[by] !== undefined ? '' : `, with ${describeNumber(100 * exposed)} % of the users exposed`;
  return { policy, why: `${blind.reason}; no evidence for ${describeMillis(all)} of asking${users}` };
}
