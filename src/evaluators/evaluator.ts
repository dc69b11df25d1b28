import type { FlagValue } from '../core/exposure.ts';
import type { FlagRef } from '../core/plan.ts';
import type { Subject } from '../core/subject.ts';
import type { Problem } from '../providers/provider.ts';

/** Which value does this subject get of this flag? */
export interface Question {
  readonly flag: FlagRef;
  readonly subject: Subject;
  /** The `with` of the flag's proof entry that led here. */
  readonly with: Readonly<Record<string, unknown>>;
}

/** One instance's answer. `gone`: the subject does not exist any more. `silent`: it could not be asked. */
export type Evaluation =
  | { readonly kind: 'value'; readonly instance: string; readonly value: FlagValue }
  | { readonly kind: 'gone'; readonly instance: string; readonly detail: string }
  | { readonly kind: 'silent'; readonly instance: string; readonly detail: string };

/** Where the flag's users get its value: the only proof that counts. Several instances (three pods) are asked one by one, listed afresh each time. */
export interface Evaluator {
  readonly kind: string;
  /** Every question at every instance, in one request where it can: `answers[i]` are the instances' answers to `questions[i]`, at least one each. Never throws for an instance: it answers `silent`. */
  evaluate(questions: readonly Question[], signal: AbortSignal): Promise<readonly (readonly Evaluation[])[]>;
  check(flags: readonly FlagRef[], signal: AbortSignal): Promise<readonly Problem[]>;
  close(): Promise<void>;
}
