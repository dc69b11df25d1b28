import type { Order } from '../core/plan.ts';
import type { FlagValue } from '../core/exposure.ts';
import type { Subject } from '../core/subject.ts';
import { idOf, pickWitnesses } from '../core/witness.ts';
import type { House } from '../house.ts';
import { agreed, ask } from '../rollback/ask.ts';
import { rollbackState, type JournalEntry, type RollbackView } from '../store/journal.ts';
import { keepWitnesses } from '../store/stages.ts';
import { callPerson } from './call-person.ts';

/** One call's deadline, ms. */
const CALL = 8_000;

/** The newest entry of each flag that was seen to change. */
function witnessed(view: RollbackView): readonly JournalEntry[] {
  const newest = new Map<string, JournalEntry>();
  for (const entry of view.journal) if (entry.phase === 'applied' && entry.witnesses !== undefined) newest.set(entry.flag, entry);
  return [...newest.values()];
}

/** Whether a value shows the change of an entry's stage: it is not what the subject had before the launch, or before the stage. */
function shows(view: RollbackView, entry: JournalEntry, subject: Subject, value: FlagValue): boolean {
  const id = idOf(subject);
  const baseline = view.candidates[entry.flag]?.find((candidate) => idOf(candidate.subject) === id)?.baseline;
  return value !== baseline || value !== (entry.before[id] ?? value);
}

/** Looks at the witnesses; where one is gone or shows the change no more, others are picked among the candidates that do; none left holds and pages. */
export async function lookAtWitnesses(house: House, launch: string): Promise<void> {
  const view = await rollbackState(house.store, launch);
  if (view === undefined || view.requests.length > 0) return;
  const entries = witnessed(view);
  const flags = entries.flatMap((entry) => view.order.flags.filter((flag) => flag.flag === entry.flag));
  const answers = await ask(
    house,
    flags.map((flag, index) => ({ flag, subjects: entries[index]?.witnesses ?? [] })),
    AbortSignal.timeout(CALL),
  );
  for (const entry of entries) {
    const witnesses = entry.witnesses ?? [];
    // A silent evaluator is no reason to choose others: it is asked again at the next look.
    const lost = witnesses.some((subject) => {
      const said = agreed(answers.get(entry.flag)?.get(idOf(subject)) ?? []);
      return said.kind === 'gone' || (said.kind === 'value' && !shows(view, entry, subject, said.value));
    });
    if (lost || witnesses.length === 0) await repick(house, view, entry);
  }
}

async function repick(house: House, view: RollbackView, entry: JournalEntry): Promise<void> {
  const flag = view.order.flags.find((one) => one.flag === entry.flag);
  const candidates = view.candidates[entry.flag] ?? [];
  if (flag === undefined) return;
  const answers = (await ask(house, [{ flag, subjects: candidates.map((one) => one.subject) }], AbortSignal.timeout(CALL))).get(entry.flag);
  const said = candidates.map((candidate) => ({ candidate, answer: agreed(answers?.get(idOf(candidate.subject)) ?? []) }));
  const flipped = said
    .filter(({ candidate, answer }) => answer.kind === 'value' && shows(view, entry, candidate.subject, answer.value))
    .map(({ candidate }) => candidate);
  if (flipped.length > 0) await keepWitnesses(house.store, view.launch, entry.stage, entry.flag, pickWitnesses(flipped));
  else if (!said.some(({ answer }) => answer.kind === 'silent'))
    await callPerson(
      house,
      view.launch,
      'witness',
      `${entry.flag}: no witness is left that shows the change of ${entry.stage}; a rollback could not be proven by it`,
    );
}

/** Asks the providers and evaluators whether a rollback could be done right now; what stands in its way holds and pages. */
export async function lookAtReadiness(house: House, launch: string, order: Order): Promise<void> {
  const signal = AbortSignal.timeout(CALL);
  const byProvider = Map.groupBy(order.flags, (flag) => flag.provider);
  const found = await Promise.all([...byProvider].map(async ([name, flags]) => (await house.providers.get(name)?.check(flags, signal)) ?? []));
  const problems = found.flat();
  if (problems.length > 0) await callPerson(house, launch, 'readiness', problems.map((one) => `${one.where}: ${one.message}`).join('; '));
}
