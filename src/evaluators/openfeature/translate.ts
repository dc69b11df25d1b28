import type { EvaluationContext, EvaluationDetails, FlagValue as OpenFeatureValue } from '@openfeature/server-sdk';
import type { Subject } from '../../core/subject.ts';
import { isSecretName } from '../../redact.ts';
import { toEvaluation } from '../ask.ts';
import type { Evaluation, Question } from '../evaluator.ts';

/** OpenFeature's evaluation context of a subject; its key wins over an attribute of that name. */
export function toContext(subject: Subject): EvaluationContext {
  return { ...subject.attributes, targetingKey: subject.key };
}

/** A text that no flag has for a value: a provider that answers it was not told one. */
export const NO_TEXT = 'gonogo:no-value';

/** One answer of a client that was asked with `fallback`. `doubtful`: the value is the one it was asked with, so that only a second question, with another, can tell. */
export function fromDetails(
  instance: string,
  question: Question,
  details: EvaluationDetails<OpenFeatureValue>,
  fallback: boolean | string,
): Evaluation | { readonly kind: 'doubtful'; readonly reason: string } {
  const { flag } = question;
  const reason = details.reason ?? 'UNKNOWN';
  if (details.errorCode !== undefined || reason === 'ERROR') {
    const said = details.errorMessage === undefined ? '' : `: ${details.errorMessage}`;
    return { kind: 'silent', instance, detail: `${instance}: ${details.errorCode ?? 'ERROR'} for flag ${flag.key}${said}` };
  }
  return details.value === fallback ? { kind: 'doubtful', reason } : toEvaluation(instance, flag, details.value);
}

/** The answer where the value followed what was asked with: users get whatever their own code falls back to, which nobody can see from here. */
export function notTold(instance: string, question: Question, reason: string): Evaluation {
  return {
    kind: 'silent',
    instance,
    detail: `${instance} gave back the caller's own default for flag ${question.flag.key} (reason ${reason}); expected a value of the flag: it is missing, disabled, or has none`,
  };
}

/** The texts among a provider's arguments that no message may show: those in fields that are named as secrets, and the bare ones, which are keys more often than not. */
export function secretsIn(args: readonly unknown[]): readonly string[] {
  const found: string[] = [];
  const walk = (value: unknown, secret: boolean, depth: number): void => {
    if (typeof value === 'string') {
      if (secret && value !== '') found.push(value);
    } else if (typeof value === 'object' && value !== null && depth < 8) {
      for (const [name, each] of Object.entries(value)) walk(each, Array.isArray(value) ? secret : secret || isSecretName(name), depth + 1);
    }
  };
  for (const arg of args) walk(arg, typeof arg === 'string', 0);
  return found;
}
