import type { Subject } from '../../core/subject.ts';
import { json, type HttpResponse } from '../../http.ts';
import { toEvaluation } from '../ask.ts';
import type { Evaluation, Question } from '../evaluator.ts';

/** One subject's questions, with where their answers belong. */
export interface Group {
  readonly subject: Subject;
  readonly asked: readonly { readonly index: number; readonly question: Question }[];
}

/** A subject's name: the same key and attributes are the same subject. */
function nameOf(subject: Subject): string {
  return JSON.stringify([subject.key, Object.entries(subject.attributes).sort(([a], [b]) => (a < b ? -1 : 1))]);
}

/** The questions by subject, in the order in which the subjects first came. */
export function bySubject(questions: readonly Question[]): readonly Group[] {
  const groups = new Map<string, { subject: Subject; asked: { index: number; question: Question }[] }>();
  questions.forEach((question, index) => {
    const name = nameOf(question.subject);
    const group = groups.get(name) ?? { subject: question.subject, asked: [] };
    group.asked.push({ index, question });
    groups.set(name, group);
  });
  return [...groups.values()];
}

/** OFREP's evaluation context of a subject. */
export function toContext(subject: Subject): Readonly<Record<string, string>> {
  return { ...subject.attributes, targetingKey: subject.key };
}

function field(found: unknown, name: string): unknown {
  return typeof found === 'object' && found !== null ? (Reflect.get(found, name) as unknown) : undefined;
}

/** One flag's answer. An error code is silence: it says that nobody was told a value. */
export function fromAnswer(instance: string, question: Question, answer: unknown): Evaluation {
  const code = field(answer, 'errorCode');
  if (code !== undefined)
    return {
      kind: 'silent',
      instance,
      detail: `${instance}: ${JSON.stringify(code)} for flag ${question.flag.key}: ${JSON.stringify(field(answer, 'errorDetails') ?? '').slice(0, 200)}`,
    };
  return toEvaluation(instance, question.flag, field(answer, 'value'));
}

/** The bulk answer by key. Throws Terminal `malformed` where it is not JSON. */
export function fromBulk(response: HttpResponse): ReadonlyMap<unknown, unknown> {
  const flags = field(json(response), 'flags');
  return new Map(Array.isArray(flags) ? flags.map((flag: unknown) => [field(flag, 'key'), flag]) : []);
}
