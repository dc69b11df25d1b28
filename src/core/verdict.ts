/** Why a verdict is inconclusive. `pending` is a breach that has not lasted its `for` yet. */
export type Inconclusive = 'too-few' | 'no-data' | 'error' | 'undecided' | 'pending';

/** What a gate says of one measurement, with the numbers it was drawn from. */
export type Verdict =
  | { readonly kind: 'go'; readonly value?: number; readonly at: number; readonly why: string }
  | { readonly kind: 'no-go'; readonly value?: number; readonly at: number; readonly since: number; readonly why: string }
  | { readonly kind: 'inconclusive'; readonly reason: Inconclusive; readonly value?: number; readonly at: number; readonly why: string };

/** What a policy asks for once its time is up. */
export type PolicyAction = 'hold' | 'rollback' | 'page';
