/** Why a verdict is inconclusive. `pending` is a breach that has not lasted its `for` yet, `mismatch` a share of users that is not the one promised. */
export type Inconclusive = 'too-few' | 'no-data' | 'error' | 'undecided' | 'mismatch' | 'pending';

/** What a gate says of one measurement, with the numbers it was drawn from. */
export type Verdict =
  | { readonly kind: 'go'; readonly value?: number; readonly at: number; readonly why: string }
  | { readonly kind: 'no-go'; readonly value?: number; readonly at: number; readonly since: number; readonly why: string }
  | { readonly kind: 'inconclusive'; readonly reason: Inconclusive; readonly value?: number; readonly at: number; readonly why: string };

/** What a policy asks for once its time is up. */
export type PolicyAction = 'hold' | 'rollback' | 'page';

const SEVERITY = { go: 0, undecided: 1, 'too-few': 2, 'no-data': 3, error: 4, mismatch: 5, pending: 6, 'no-go': 7 } as const;

/** How bad a verdict is, 0 (go) to 7 (no-go): bad news, then news on its way, then no news. */
export function severity(verdict: Verdict): number {
  return SEVERITY[verdict.kind === 'inconclusive' ? verdict.reason : verdict.kind];
}

/** The worse of two verdicts; of two equally bad ones the first. */
export function worseOf(a: Verdict, b: Verdict): Verdict {
  return severity(b) > severity(a) ? b : a;
}
