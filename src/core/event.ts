import type { Exposure, FlagValue } from './exposure.ts';
import type { Millis } from './plan.ts';
import type { Verdict } from './verdict.ts';

/** How a launch ends. `stuck` is a rollback that could not be proven yet: still tried, and not final. */
export type Outcome = 'launched' | 'rolled-back' | 'aborted' | 'stuck';

/** Where a launch stands; the four outcomes are states too. */
export type State = 'waiting' | 'shifting' | 'baking' | 'held' | 'no-go' | 'frozen' | 'watching' | 'rolling-back' | Outcome;

/** Who asked for a rollback, and on what evidence. `firstBadAt`/`receivedAt` (ms) start the five-minute clock. */
export type Cause =
  | { readonly kind: 'gate'; readonly gate: string; readonly verdict: Verdict; readonly firstBadAt: number }
  | { readonly kind: 'policy'; readonly gate: string; readonly reason: string; readonly firstBadAt: number }
  | { readonly kind: 'alert'; readonly source: string; readonly alert: string; readonly labels: Readonly<Record<string, string>>; readonly receivedAt: number }
  | { readonly kind: 'person'; readonly reason: string }
  | { readonly kind: 'no-go'; readonly stage: string; readonly reason: string }
  | { readonly kind: 'witness'; readonly flag: string; readonly reason: string }
  | { readonly kind: 'unproven-stage'; readonly stage: string }
  | { readonly kind: 'janitor'; readonly reason: string };

/** Which flags a rollback puts back: the stage that moved last (with its fallback), or everything. */
export type Scope = { readonly kind: 'launch' } | { readonly kind: 'stage'; readonly stage: string };

/** A flag before or after a write, as the provider said. */
export interface FlagMark {
  readonly flag: string;
  readonly provider: string;
  readonly key: string;
  readonly revision: string;
  readonly exposure: Exposure;
}

/** What the evaluators said of one flag: how many subjects were asked at how many instances, how many agreed. */
export interface FlagProof {
  readonly flag: string;
  readonly instances: readonly string[];
  readonly asked: number;
  readonly agreed: number;
  /** Share of the sampled subjects that have the value, percent, with the band it had to fall in. */
  readonly share?: { readonly sampled: number; readonly percent: number; readonly low: number; readonly high: number };
  readonly detail?: string;
}

/** A gate's record over a stage: what a signer is shown and an auditor reads. */
export interface GateRecord {
  readonly gate: string;
  readonly last?: Verdict;
  readonly worst?: number;
  readonly samples: number;
  readonly breaches: number;
  /** Time without evidence, ms. */
  readonly blind: Millis;
}

/** Everything that happens to a launch, one kind each. `at` is judged time in ISO 8601; `by` is a person or a part of gonogo. */
export type LaunchEvent = { readonly at: string; readonly by: string } & (
  | {
      readonly kind: 'opened';
      readonly launch: string;
      readonly plan: string;
      readonly title?: string;
      readonly planHash: string;
      readonly environment: string;
      readonly note?: string;
      /** Bake, watch and `for` were divided by it; 1 is real time. */
      readonly speed: number;
      readonly deadline: string;
      readonly stages: readonly string[];
      readonly flags: readonly { readonly flag: string; readonly provider: string; readonly key: string }[];
      /** What the pre-flight of the gates found that did not stand in the way. */
      readonly warnings?: readonly string[];
    }
  | { readonly kind: 'stage-opened'; readonly stage: string; readonly round: number; readonly evidence: readonly GateRecord[] }
  | { readonly kind: 'ticked'; readonly item: string; readonly done: boolean; readonly evidence?: string; readonly role?: string }
  | { readonly kind: 'checked'; readonly item: string; readonly passes: boolean; readonly value?: number; readonly why: string }
  | {
      readonly kind: 'signed';
      readonly stage: string;
      readonly round: number;
      readonly role: string;
      readonly decision: 'go' | 'no-go';
      readonly planHash: string;
      /** Hash of the evidence shown. */
      readonly seal: string;
      readonly reason?: string;
      readonly bugs?: readonly string[];
      readonly recheckAt?: string;
      readonly meanwhile?: 'hold' | 'roll-back';
    }
  | { readonly kind: 'reopened'; readonly stage: string; readonly round: number; readonly reason: string }
  | { readonly kind: 'cleared'; readonly stage: string }
  | { readonly kind: 'held'; readonly reason: string; readonly cause: 'person' | 'gate' | 'drift' | 'witness' | 'readiness' | 'fallback' | 'alert' | 'source' }
  | { readonly kind: 'resumed'; readonly reason: string }
  | { readonly kind: 'frozen'; readonly stage: string; readonly reason: string; readonly until: string }
  | { readonly kind: 'thawed'; readonly stage: string }
  | {
      readonly kind: 'remembered';
      readonly stage: string;
      /** `undo` is the command by which a person takes the change back. */
      readonly flags: readonly (FlagMark & { readonly to: Exposure; readonly undo?: string })[];
    }
  | { readonly kind: 'shifted'; readonly stage: string; readonly flags: readonly FlagMark[] }
  | { readonly kind: 'witnessed'; readonly stage: string; readonly proofs: readonly FlagProof[] }
  | { readonly kind: 'gate'; readonly gate: string; readonly stage?: string; readonly verdict: Verdict }
  | { readonly kind: 'gap'; readonly gate: string; readonly from: string; readonly to: string; readonly lookedBack: boolean }
  | { readonly kind: 'baked'; readonly stage: string; readonly earned: Millis; readonly required: Millis; readonly gates: readonly GateRecord[] }
  | { readonly kind: 'watching'; readonly until: string }
  | { readonly kind: 'watched'; readonly earned: Millis; readonly gates: readonly GateRecord[] }
  | { readonly kind: 'rollback-requested'; readonly scope: Scope; readonly cause: Cause }
  | {
      readonly kind: 'restored';
      readonly scope: Scope;
      readonly hand: string;
      readonly flags: readonly (FlagMark & { readonly outcome: 'restored' | 'kept' | 'foreign' | 'fallback' })[];
    }
  | {
      readonly kind: 'rollback-proven';
      readonly scope: Scope;
      readonly hand: string;
      readonly proofs: readonly FlagProof[];
      /** From the first bad sample, the alert's receipt or the request, to the proof. */
      readonly seconds: number;
      readonly verifiedAt: string;
    }
  /** Some flags are proven back while others are not yet; `seconds` as in `rollback-proven`. */
  | {
      readonly kind: 'part-proven';
      readonly scope: Scope;
      readonly provider: string;
      readonly hand: string;
      readonly proofs: readonly FlagProof[];
      readonly seconds: number;
      readonly verifiedAt: string;
    }
  /** `patrol`: found by the patrol after a rollback that left a hand's answer unknown. */
  | { readonly kind: 'relapsed'; readonly flags: readonly string[]; readonly patrol?: boolean }
  | { readonly kind: 'paged'; readonly about: string; readonly text: string; readonly commands: readonly string[] }
  | { readonly kind: 'stuck'; readonly remainder: readonly string[] }
  | { readonly kind: 'put-back-by-hand'; readonly reason: string }
  | { readonly kind: 'concluded'; readonly reason: string }
  /** Somebody else changed a flag of a live launch: `before` is how the launch left it, `now` how it was found at `revision`. `holds` when its exposure is no longer ours. */
  | {
      readonly kind: 'drifted';
      readonly flag: string;
      readonly provider: string;
      readonly key: string;
      readonly revision: string;
      readonly who: string;
      /** The vendor's own words for the change, and when it was made, where it tells. */
      readonly what?: string;
      readonly changedAt?: string;
      readonly before: Exposure;
      readonly now: Exposure;
      readonly holds: boolean;
    }
  | { readonly kind: 'ended'; readonly outcome: Outcome; readonly scope?: Scope; readonly why: string }
);

export type EventKind = LaunchEvent['kind'];

/** An event as the log keeps it: its number, when the database wrote it down, and its place in the chain. */
export interface LoggedEvent {
  readonly launch: string;
  readonly seq: number;
  readonly key: string;
  readonly recordedAt: string;
  readonly event: LaunchEvent;
  /** Hex SHA-256(prev || seq || recordedAt || body). */
  readonly hash: string;
  readonly prev: string;
}

/** A value some subject had, kept for proof. */
export type ValueBySubject = Readonly<Record<string, FlagValue>>;
