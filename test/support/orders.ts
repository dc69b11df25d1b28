import { everyone, type Exposure } from '../../src/core/exposure.ts';
import type { FlagRef, Gate, Order, Plan, Stage, ThresholdGate } from '../../src/core/plan.ts';
import { hashOf } from '../../src/plan/order.ts';

/** A boolean flag of the built-in store, proven by the store evaluator. */
export function flagRef(flag: string, more: Partial<FlagRef> = {}): FlagRef {
  return { flag, provider: 'builtin', key: flag.replaceAll('.', '_'), type: 'boolean', offValue: false, proof: [{ evaluator: 'store', with: {} }], ...more };
}

/** A threshold gate over the web source `app`: `errors` at most 1, asked every second. */
export function gate(id: string, more: Partial<ThresholdGate> = {}): ThresholdGate {
  const policy = { after: 600_000, then: 'hold' } as const;
  return {
    kind: 'threshold',
    id,
    source: 'app',
    query: id,
    bound: { op: 'max', limit: 1 },
    every: 1_000,
    for: 0,
    noData: policy,
    error: policy,
    minSamples: 0,
    ...more,
  };
}

/** A stage that turns flags on for everyone; without checklist, sign-offs and gates unless given. */
export function stage(id: string, flags: readonly string[] | Readonly<Record<string, Exposure>>, more: Partial<Stage> = {}): Stage {
  const pairs = Array.isArray(flags)
    ? flags.map((flag: string) => [flag, everyone(true)] as const)
    : Object.entries(flags as Readonly<Record<string, Exposure>>);
  return { id, checklist: [], signOff: [], set: pairs.map(([flag, to]) => ({ flag, to, narrows: false })), bake: 1_000, gates: [], ...more };
}

/** An order whose flags are all those that its stages name, in environment `test`. */
export function order(stages: readonly Stage[], gates: readonly Gate[] = [], more: Partial<Plan> = {}, flags: readonly FlagRef[] = []): Order {
  const plan: Plan = {
    name: 'checkout',
    environments: ['test'],
    maxDuration: 14 * 86_400_000,
    rollback: { within: 300_000 },
    checklist: [],
    gates,
    stages,
    watch: 1_000,
    ...more,
  };
  const names = [...new Set(stages.flatMap((one) => [...one.set, ...(one.onRollback?.set ?? [])]).map((change) => change.flag))].sort();
  const refs = names.map((name) => flags.find((flag) => flag.flag === name) ?? flagRef(name));
  const bound = { plan, flags: refs, environment: 'test' };
  return { ...bound, hash: hashOf(bound) };
}
