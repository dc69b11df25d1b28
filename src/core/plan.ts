import type { Exposure, FlagValue } from './exposure.ts';
import type { BurnWindow } from './statistics/burn-rate.ts';

/** Milliseconds. */
export type Millis = number;

/** `max` and `min` are inclusive, `below` and `above` exclusive. */
export interface Bound {
  readonly op: 'max' | 'min' | 'below' | 'above';
  readonly limit: number;
}

/** What to do when a gate has had no evidence for `after` of asking. */
export interface Policy {
  readonly after: Millis;
  readonly then: 'hold' | 'rollback' | 'page';
}

interface GateBase {
  readonly id: string;
  readonly title?: string;
  /** How often the question is asked. */
  readonly every: Millis;
  /** How long a breach must last before it counts; 0 is at once. */
  readonly for: Millis;
  /** What is done when the source has nothing to say, and when it cannot be asked; by the share of users exposed (exposed.ts) where absent. */
  readonly noData?: Policy;
  readonly error?: Policy;
}

/** One number against one bound. `samples` is a query that counts what the number was drawn from. */
export interface ThresholdGate extends GateBase {
  readonly kind: 'threshold';
  readonly source: string;
  readonly query: string;
  readonly bound: Bound;
  readonly unit?: string;
  readonly samples?: string;
  readonly minSamples: number;
  /** A query that is 1 while the metric is alive; replaces the freshness query gonogo derives. */
  readonly alive?: string;
}

/** bad / total against one bound; fewer than `minSamples` in total is no evidence. */
export interface RatioGate extends GateBase {
  readonly kind: 'ratio';
  readonly source: string;
  readonly bad: string;
  readonly total: string;
  readonly bound: Bound;
  readonly minSamples: number;
  readonly alive?: string;
}

/** A request made from outside: a wrong status, body or latency is a breach. */
export interface ProbeGate extends GateBase {
  readonly kind: 'probe';
  readonly source: string;
  /** Path under the source's base URL. */
  readonly path: string;
  /** Accepted status codes. */
  readonly status: readonly number[];
  readonly maxLatency?: Millis;
  /** Text that the body must contain. */
  readonly contains?: string;
}

/** An alert whose labels match; heard by webhook, and where `source` is given also asked for (Prometheus' ALERTS). */
export interface AlertGate extends GateBase {
  readonly kind: 'alert';
  readonly labels: Readonly<Record<string, string>>;
  readonly source?: string;
}

/** How those who are exposed are compared with the rest, and what it takes to be sure. Probabilities and shares are 0..1. */
export interface Comparison extends GateBase {
  readonly source: string;
  /** The ratio of rates, exposed to rest, that is still fine. */
  readonly tolerance: number;
  /** So many more of the exposed must go wrong, as a share of them, before it is a breach. */
  readonly floor: number;
  /** Both sides need so many before a go, where no `maxRatio` asks for proof. */
  readonly minSamples: number;
  /** A go needs proof that the ratio lies below this. */
  readonly maxRatio?: number;
  /** The gate's part of the launch's budget of false alarms. */
  readonly alpha: number;
  readonly alive?: string;
  /** The flag by which exposed and rest are told apart; where absent, all that the stages listing the gate set. */
  readonly flag?: string;
}

/** How many went wrong of how many: of requests, as running counts. */
export interface RateQueries {
  readonly bad: string;
  readonly total: string;
}

/** The rate at which requests of the exposed go wrong against that of the rest. */
export interface CompareRateGate extends Comparison {
  readonly kind: 'compareRate';
  readonly exposed: RateQueries;
  readonly rest: RateQueries;
}

/** The fraction of requests slower than `over`, exposed against rest, from the buckets of histograms. */
export interface CompareSlowGate extends Comparison {
  readonly kind: 'compareSlow';
  /** Queries for all buckets of the histogram. */
  readonly exposed: string;
  readonly rest: string;
  /** An edge of the histogram, in its own unit (seconds as a rule). */
  readonly over: number;
}

/** First failures of users: how many failed for the first time (a running count), and how many were seen and have not failed yet (now). */
export interface UserQueries {
  readonly failed: string;
  readonly atRisk: string;
}

/** How soon users fail for the first time, exposed against rest: a few heavy users count once each. */
export interface CompareUsersGate extends Comparison {
  readonly kind: 'compareUsers';
  readonly exposed: UserQueries;
  readonly rest: UserQueries;
}

/** How fast the exposed burn the error budget of an objective, in pairs of windows. */
export interface BurnRateGate extends GateBase {
  readonly kind: 'burnRate';
  readonly source: string;
  readonly bad: string;
  readonly total: string;
  /** The share (0..1) that has to go well, e.g. 0.999. */
  readonly objective: number;
  readonly windows: readonly BurnWindow[];
  readonly minSamples: number;
  readonly alive?: string;
}

/** A quantile of a histogram against one bound: for what must never be, whoever is exposed. */
export interface QuantileGate extends GateBase {
  readonly kind: 'quantile';
  readonly source: string;
  /** A query for all buckets of the histogram. */
  readonly buckets: string;
  readonly q: number;
  readonly bound: Bound;
  readonly unit?: string;
  readonly minSamples: number;
  readonly alive?: string;
}

/** Whether the share of users that sees the flag is the share that should. A mismatch holds. */
export interface ExposureCheckGate extends GateBase {
  readonly kind: 'exposureCheck';
  readonly source: string;
  readonly flag: string;
  /** Running counts of distinct users, seen for the first time with the flag and without it. */
  readonly exposed: string;
  readonly rest: string;
  /** How far (absolute, 0..1) the share may be off. */
  readonly tolerance: number;
  readonly alpha: number;
  readonly alive?: string;
}

/** The kinds that compare the exposed with the rest by the sequential rate-ratio test. */
export type CompareGate = CompareRateGate | CompareSlowGate | CompareUsersGate;

/** A question asked of the world again and again while a stage is live. */
export type Gate = ThresholdGate | RatioGate | ProbeGate | AlertGate | CompareGate | BurnRateGate | QuantileGate | ExposureCheckGate;

/** A thing that must be true before a stage: ticked by a person with evidence, or checked by the machine. */
export interface ChecklistItem {
  readonly id: string;
  readonly text: string;
  readonly role?: string;
  readonly evidence: 'none' | 'text' | 'link';
  readonly check?: { readonly source: string; readonly query: string; readonly bound: Bound; readonly unit?: string };
}

/** One flag's whole new exposure; lowering it needs `narrows`. */
export interface FlagChange {
  /** The flag's key in the registry. */
  readonly flag: string;
  readonly to: Exposure;
  readonly narrows: boolean;
}

/** So many people of a role must sign. */
export interface SignOffRule {
  readonly role: string;
  readonly count: number;
}

export interface Stage {
  readonly id: string;
  readonly title?: string;
  readonly checklist: readonly ChecklistItem[];
  readonly signOff: readonly SignOffRule[];
  readonly set: readonly FlagChange[];
  readonly bake: Millis;
  /** So long after the shift a stage that is still undecided is held for a person; absent: see bake.ts. */
  readonly maxBake?: Millis;
  /** Ids of the gates that arm when this stage shifts. */
  readonly gates: readonly string[];
  readonly onRollback?: { readonly scope: 'stage'; readonly set: readonly FlagChange[] };
}

/** A plan as parsed: every duration in milliseconds, every exposure whole. */
export interface Plan {
  readonly name: string;
  readonly title?: string;
  readonly lang?: string;
  readonly environments: readonly string[];
  readonly maxDuration: Millis;
  readonly rollback: { readonly within: Millis };
  readonly checklist: readonly ChecklistItem[];
  /** How often (0..1) at most a healthy launch may be stopped by its statistical gates, all of them together; absent where it has none. */
  readonly falseAlarms?: number;
  readonly gates: readonly Gate[];
  readonly stages: readonly Stage[];
  readonly watch: Millis;
  /** What is left to do once launched; `cleanUp` are things for people, in their words. */
  readonly after?: { readonly cleanUpIn?: Millis; readonly cleanUp?: readonly string[] };
}

/** How a flag is read where its users read it; the key of `ask` names the kind of evaluator. */
export interface ProofRef {
  /** Name of an evaluator in the config, or the kind itself where it needs no config (`store`, `ofrep`, `http`). */
  readonly evaluator: string;
  /** Evaluator-specific settings, e.g. `{url, select}` of `http`. */
  readonly with: Readonly<Record<string, unknown>>;
}

/** A registry entry with its environment chosen: all that a launch needs to know of a flag. */
export interface FlagRef {
  /** Key in the registry; plans and people use this one. */
  readonly flag: string;
  /** The provider's instance name in the config. */
  readonly provider: string;
  /** The flag's name at the provider. */
  readonly key: string;
  /** `boolean`, or the allowed strings. */
  readonly type: 'boolean' | { readonly oneOf: readonly string[] };
  /** What those get who are not exposed. */
  readonly offValue: FlagValue;
  readonly proof: readonly ProofRef[];
  /** A SQL or list reference from which real subjects are drawn; without it subjects are made up. */
  readonly population?: Readonly<Record<string, unknown>>;
}

/** A plan bound to an environment and to the registry entries it uses: what is hashed, signed and run. */
export interface Order {
  readonly plan: Plan;
  readonly flags: readonly FlagRef[];
  readonly environment: string;
  /** Hex SHA-256 of the RFC 8785 JSON of {plan, flags, environment}. */
  readonly hash: string;
}
