import type { ChecklistItem, Plan, SignOffRule, Stage } from './plan.ts';

/** One person's answer in one role, as kept for a stage's round. */
export interface Signature {
  readonly role: string;
  readonly person: string;
  readonly decision: 'go' | 'no-go';
  readonly planHash: string;
}

/** What people and machines have said of a stage so far. */
export interface ClearanceFacts {
  readonly planHash: string;
  readonly ticked: ReadonlySet<string>;
  /** Machine checks that passed at their newest look. */
  readonly checked: ReadonlySet<string>;
  readonly signatures: readonly Signature[];
  readonly noGo: boolean;
}

/** Whether a stage may begin, and whom and what it waits for. */
export interface Clearance {
  readonly cleared: boolean;
  readonly items: readonly string[];
  readonly checks: readonly string[];
  readonly roles: readonly { readonly role: string; readonly missing: number }[];
}

/** The items that must be true before a stage: its own, and the plan's before the first. */
export function itemsBefore(plan: Plan, stage: Stage): readonly ChecklistItem[] {
  return plan.stages[0]?.id === stage.id ? [...plan.checklist, ...stage.checklist] : stage.checklist;
}

/** How many signatures of a role are still missing: one person counts once, and only for this plan's hash. */
function missing(rule: SignOffRule, facts: ClearanceFacts): number {
  const people = new Set(facts.signatures.filter((s) => s.role === rule.role && s.decision === 'go' && s.planHash === facts.planHash).map((s) => s.person));
  return Math.max(0, rule.count - people.size);
}

/** Judges a stage's clearance: every item ticked or checked, every role's signatures given, no no-go standing. */
export function clearance(plan: Plan, stage: Stage, facts: ClearanceFacts): Clearance {
  const before = itemsBefore(plan, stage);
  const items = before.filter((item) => item.check === undefined && !facts.ticked.has(item.id)).map((item) => item.id);
  const checks = before.filter((item) => item.check !== undefined && !facts.checked.has(item.id)).map((item) => item.id);
  const roles = stage.signOff.map((rule) => ({ role: rule.role, missing: missing(rule, facts) })).filter((open) => open.missing > 0);
  return { cleared: !facts.noGo && items.length + checks.length + roles.length === 0, items, checks, roles };
}
