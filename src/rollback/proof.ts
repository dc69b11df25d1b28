import type { FlagProof, LaunchEvent } from '../core/event.ts';
import type { FlagValue } from '../core/exposure.ts';
import type { FlagRef } from '../core/plan.ts';
import type { Candidate, Subject } from '../core/subject.ts';
import { idOf } from '../core/witness.ts';
import type { House } from '../house.ts';
import type { JournalEntry, RequestRow, RollbackView } from '../store/journal.ts';
import { scopeOf } from '../store/request.ts';
import { agreed, ask } from './ask.ts';
import type { Group } from './scope.ts';

/** One proof's deadline, ms. */
const PROOF = 5_000;

/** A flag to be proven back: whom to ask, and which values count. More than one value counts only where a person's narrower exposure was kept. */
interface Claim {
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
function claimOf(flag: FlagRef, entries: readonly JournalEntry[], candidates: readonly Candidate[], scope: string): Claim {
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
async function judgeClaims(house: House, claims: readonly Claim[], signal: AbortSignal): Promise<readonly Judged[]> {
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

/** Asks for everything in `all` at once whether it is back. */
export async function prove(house: House, view: RollbackView, scope: string, all: readonly Group[], restoredAs: ReadonlyMap<string, string> = new Map()) {
  const claims = all.map((group) => {
    const entries = group.entries.map((entry) => ({ ...entry, ...(restoredAs.get(entry.flag) === 'kept' ? { restoredAs: 'kept' } : {}) }));
    return claimOf(group.flag, entries, view.candidates[group.flag.flag] ?? [], scope);
  });
  const signal = AbortSignal.timeout(PROOF);
  const judged = await judgeClaims(house, claims, signal);
  // All of a flag's witnesses are gone: whoever else was drawn for it can tell as well.
  const lost = all.filter((_, index) => judged[index]?.proof.asked === 0);
  if (lost.length === 0) return judged;
  const others = lost.map((group) =>
    claimOf(
      group.flag,
      group.entries.map(({ witnesses: _, ...entry }) => entry),
      view.candidates[group.flag.flag] ?? [],
      scope,
    ),
  );
  const again = new Map((await judgeClaims(house, others, signal)).map((one) => [one.flag, one]));
  return judged.map((one) => again.get(one.flag) ?? one);
}

/** What is said of proofs once they hold, with the clock from the first bad sample, the alert's receipt or the request. */
export function provenEvent(
  house: House,
  request: RequestRow,
  proofs: readonly FlagProof[],
  verifiedAt: number,
): Extract<LaunchEvent, { kind: 'rollback-proven' }> {
  return {
    kind: 'rollback-proven',
    at: new Date(verifiedAt).toISOString(),
    by: house.hand,
    scope: scopeOf(request.scope),
    hand: house.hand,
    proofs,
    seconds: Math.max(0, Math.round(verifiedAt - request.firstBadAt) / 1_000),
    verifiedAt: new Date(verifiedAt).toISOString(),
  };
}
