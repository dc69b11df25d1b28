import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { FlagChange, FlagRef, Gate, Order, Plan } from '../core/plan.ts';
import { flagRef, type Registry } from '../flags/registry.ts';
import { effective } from './check-flags.ts';

/**
 * The plan with its environment and the flags it uses (fallbacks too, by key), and the hash of the three: what is launched and signed.
 * Pure. Throws where a flag is unknown or does not live there: `checkPlan` first.
 */
export function bindOrder(plan: Plan, registry: Registry, environment: string): Order {
  const names = [...new Set(plan.stages.flatMap((stage) => [...stage.set, ...(stage.onRollback?.set ?? [])]).map((change) => change.flag))].sort();
  const flags = names.map((name): FlagRef => {
    const entry = registry.entries.get(name);
    const ref = entry === undefined ? undefined : flagRef(entry, environment);
    if (ref === undefined)
      throw new Error(
        `the flag ${name} ${entry === undefined ? 'is not in the registry' : `does not live in ${environment}`}; check the plan before it is bound`,
      );
    return ref;
  });
  const bind = (change: FlagChange): FlagChange => {
    const entry = registry.entries.get(change.flag);
    return entry === undefined ? change : { ...change, to: effective(change.to, entry, environment) };
  };
  const stages = plan.stages.map((stage) => ({
    ...stage,
    set: stage.set.map(bind),
    ...(stage.onRollback === undefined ? {} : { onRollback: { scope: stage.onRollback.scope, set: stage.onRollback.set.map(bind) } }),
  }));
  const bound = { plan: { ...plan, stages }, flags, environment };
  return { ...bound, hash: hashOf(bound) };
}

/** Hex SHA-256 of the RFC 8785 JSON of {plan, flags, environment}. */
export function hashOf({ plan, flags, environment }: Omit<Order, 'hash'>): string {
  const text = canonicalize({ plan, flags, environment });
  if (text === undefined) throw new Error('a plan has no JSON form');
  return createHash('sha256').update(text).digest('hex');
}

/**
 * The plan `times` as fast, for a demo: bakes and their limits, watch and `for` are divided (to whole milliseconds, never to
 * nothing), `every` never under a second; the policies' times stay, since sped up they would act on the first missing answer. Pure. Throws RangeError under 1.
 */
export function speedUp(plan: Plan, times: number): Plan {
  if (!(times >= 1 && Number.isFinite(times))) throw new RangeError(`speed is ${times}; expected 1 or more`);
  if (times === 1) return plan;
  const faster = (span: number): number => (span === 0 ? 0 : Math.max(1, Math.round(span / times)));
  return {
    ...plan,
    watch: faster(plan.watch),
    gates: plan.gates.map((gate): Gate => ({
      ...gate,
      every: Math.max(1000, faster(gate.every)),
      for: faster(gate.for),
    })),
    stages: plan.stages.map((stage) => ({ ...stage, bake: faster(stage.bake), ...(stage.maxBake === undefined ? {} : { maxBake: faster(stage.maxBake) }) })),
  };
}
