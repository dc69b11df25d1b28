import type { FlagValue } from '../core/exposure.ts';
import type { FlagRef } from '../core/plan.ts';
import type { Subject } from '../core/subject.ts';
import { idOf } from '../core/witness.ts';
import type { Evaluation } from '../evaluators/evaluator.ts';
import type { House } from '../house.ts';

/** Which subjects to ask a flag for. */
export interface Ask {
  readonly flag: FlagRef;
  readonly subjects: readonly Subject[];
}

/** One instance of one evaluator, by name, and what it said. */
export type Answer = Evaluation & { readonly evaluator: string };

/** All answers: by flag, then by subject, one for every instance of every evaluator that proves the flag. */
export type Answers = ReadonlyMap<string, ReadonlyMap<string, readonly Answer[]>>;

/** Asks every evaluator of every flag at once, in one call for each evaluator. An evaluator that fails or is unknown answers `silent`. */
export async function ask(house: House, asks: readonly Ask[], signal: AbortSignal): Promise<Answers> {
  const perEvaluator = new Map<string, { flag: FlagRef; subject: Subject; with: Readonly<Record<string, unknown>> }[]>();
  for (const { flag, subjects } of asks) {
    for (const proof of flag.proof) {
      const questions = perEvaluator.get(proof.evaluator) ?? [];
      for (const subject of subjects) questions.push({ flag, subject, with: proof.with });
      perEvaluator.set(proof.evaluator, questions);
    }
  }
  const answers = new Map<string, Map<string, Answer[]>>();
  const put = (flag: string, subject: Subject, given: readonly Answer[]) => {
    const bySubject = answers.get(flag) ?? new Map<string, Answer[]>();
    const id = idOf(subject);
    bySubject.set(id, [...(bySubject.get(id) ?? []), ...given]);
    answers.set(flag, bySubject);
  };
  await Promise.all(
    [...perEvaluator].map(async ([name, questions]) => {
      const evaluator = house.evaluators.get(name);
      const silent = (detail: string): Answer[] => [{ kind: 'silent', evaluator: name, instance: name, detail }];
      let given: readonly (readonly Evaluation[])[] | undefined;
      let failure = `no evaluator is called ${name}`;
      try {
        given = await evaluator?.evaluate(questions, signal);
      } catch (error) {
        failure = error instanceof Error ? error.message : String(error);
      }
      for (const [index, question] of questions.entries()) {
        const evaluations = given?.[index]?.map((evaluation) => ({ ...evaluation, evaluator: name }));
        put(question.flag.flag, question.subject, evaluations === undefined || evaluations.length === 0 ? silent(failure) : evaluations);
      }
    }),
  );
  return answers;
}

/** What all instances agree on for a subject; `gone` when any says the subject does not exist, `unclear` with the reason otherwise. */
export type Agreed =
  { readonly kind: 'value'; readonly value: FlagValue } | { readonly kind: 'gone' } | { readonly kind: 'silent' | 'split'; readonly detail: string };

/** Folds the answers for one subject. */
export function agreed(answers: readonly Answer[]): Agreed {
  const silent = answers.find((answer) => answer.kind === 'silent');
  if (silent?.kind === 'silent') return { kind: 'silent', detail: `${silent.evaluator} ${silent.instance}: ${silent.detail}` };
  if (answers.some((answer) => answer.kind === 'gone')) return { kind: 'gone' };
  const values = answers.flatMap((answer) => (answer.kind === 'value' ? [answer] : []));
  const first = values[0];
  if (first === undefined) return { kind: 'silent', detail: 'nobody answered' };
  const byValue = Map.groupBy(values, (answer) => answer.value);
  if (byValue.size === 1) return { kind: 'value', value: first.value };
  // The fewest first: they are the stale ones, most of the time.
  const said = [...byValue].toSorted(([, a], [, b]) => a.length - b.length);
  return {
    kind: 'split',
    detail: said.map(([value, all]) => `${String(value)} at ${all.map((one) => `${one.evaluator} ${one.instance}`).join(', ')}`).join('; '),
  };
}
