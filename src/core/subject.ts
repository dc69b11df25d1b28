import type { FlagValue } from './exposure.ts';

/** Someone a flag is asked for: a key and attributes, as in OpenFeature's evaluation context. `key` is the targeting key. */
export interface Subject {
  readonly key: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** Why a subject is a candidate: named in a list, drawn for a share, or a control whom no change should touch. */
export type Standing = 'listed' | 'sampled' | 'control';

/** A subject drawn once per flag and launch, with the value it had before the launch touched anything. */
export interface Candidate {
  readonly subject: Subject;
  readonly standing: Standing;
  readonly baseline: FlagValue;
}
