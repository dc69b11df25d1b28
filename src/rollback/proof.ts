import type { FlagProof } from '../core/event.ts';
import type { FlagValue } from '../core/exposure.ts';
import type { FlagRef } from '../core/plan.ts';
import type { Candidate, Subject } from '../core/subject.ts';
import { idOf } from '../core/witness.ts';
import type { House } from '../house.ts';
import type { JournalEntry } from '../store/journal.ts';
import { agreed, ask } from './ask.ts';

/** A flag to be proven back: whom to ask, and which values count. More than one value counts only where a person's narrower exposure was kept. */
export interface Claim {
  readonly flag: FlagRef;
  readonly expected: readonly { readonly subject: Subject; readonly values: readonly FlagValue[] }[];
}

/** What the evaluators said of a claim. */
export interface Judged {
  readonly flag: string;
  readonly proven: boolean;
  /** An instance answered, and its value was not the expected one. */
  readonly wrong: boolean;
  readonly proof: FlagProof;
}

/**
 * What proves a flag back. A launch's rollback: the baseline; a stage's: the values before that stage. Asked are the
 * witnesses of the entries in scope, or all candidates while an entry has none.
 */
export function claimOf(flag: FlagRef, entries: readonly JournalEntry[], candidates: readonly Candidate[], scope: string): Claim {
  const oldest = entries[0];
  const before = new Map(candidates.map((candidate) => [idOf(candidate.subject), candidate.baseline]));
  if (scope !== 'launch' && oldest !== undefined) for (const [id, value] of Object.entries(oldest.before)) before.set(id, value);
  const witnesses = entries.every((entry) => entry.witnesses !== undefined && entry.witnesses.length > 0)
    ? entries.flatMap((entry) => entry.witnesses ?? [])
    : candidates.map((candidate) => candidate.subject);
  const kept = entries.some((entry) => entry.restoredAs === 'kept');
  const asked = new Map(witnesses.map((subject) => [idOf(subject), subject]));
  return {
    flag,
    expected: [...asked].flatMap(([id, subject]) => {
      const value = before.get(id);
      if (value === undefined) return [];
      return [{ subject, values: kept && value !== flag.offValue ? [value, flag.offValue] : [value] }];
    }),
  };
}

/** Asks the evaluators whether every claim holds, at every instance, all at once. A claim nobody is left to answer for is not proven. */
export async function judgeClaims(house: House, claims: readonly Claim[], signal: AbortSignal): Promise<readonly Judged[]> {
  const answers = await ask(
    house,
    claims.map((claim) => ({ flag: claim.flag, subjects: claim.expected.map((one) => one.subject) })),
    signal,
  );
  return claims.map((claim) => {
    const bySubject = answers.get(claim.flag.flag);
    const instances = new Set<string>();
    let [asked, held, wrong] = [0, 0, false];
    let detail: string | undefined;
    for (const { subject, values } of claim.expected) {
      const given = bySubject?.get(idOf(subject)) ?? [];
      for (const answer of given) instances.add(`${answer.evaluator}/${answer.instance}`);
      const said = agreed(given);
      if (said.kind === 'gone') continue;
      asked += 1;
      if (said.kind === 'value' && values.includes(said.value)) held += 1;
      else {
        wrong ||= said.kind !== 'silent';
        detail ??= said.kind === 'value' ? `${subject.key} gets ${String(said.value)}, expected ${values.map(String).join(' or ')}` : said.detail;
      }
    }
    if (asked === 0) detail = 'no witness is left to ask';
    const proof: FlagProof = { flag: claim.flag.flag, instances: [...instances], asked, agreed: held, ...(detail === undefined ? {} : { detail }) };
    return { flag: claim.flag.flag, proven: asked > 0 && held === asked, wrong, proof };
  });
}
