import { staleAfter } from '../core/gate.ts';
import type { FlagRef, Gate, Plan } from '../core/plan.ts';
import { measurementsOf, type GateQuery } from '../core/query.ts';
import type { House } from '../house.ts';
import type { Problem } from '../providers/provider.ts';
import type { Query } from '../sources/source.ts';

/** How long one provider, evaluator, source or notifier may take to say whether it is ready, ms. */
export const READY_WITHIN = 8_000;

/** The parts of a house that are asked, each under the name it has in the config. */
type Room = 'providers' | 'evaluators' | 'sources' | 'notifiers';

/** What `work` finds; what it throws, and an answer that does not come within READY_WITHIN, are a problem of `name` too. Never throws. */
export async function attempt(
  room: Room,
  name: string,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<readonly Problem[]>,
): Promise<readonly Problem[]> {
  const { promise: over, reject } = Promise.withResolvers<never>();
  const limit = AbortSignal.any([signal, AbortSignal.timeout(READY_WITHIN)]);
  // It is told to stop; one that does not listen is left behind.
  const stop = (): void =>
    reject(new Error(signal.aborted ? 'was not asked to the end: the time for all was up' : `gave no answer within ${READY_WITHIN / 1_000} s`));
  limit.addEventListener('abort', stop, { once: true });
  if (limit.aborted) stop();
  try {
    return await Promise.race([over, work(limit)]);
  } catch (error) {
    return [{ where: name, message: error instanceof Error ? error.message : String(error), hint: `look at ${room}.${name} in the config` }];
  } finally {
    limit.removeEventListener('abort', stop);
  }
}

function missing(room: Room, name: string): readonly Problem[] {
  return [{ where: name, message: `no such ${room.slice(0, -1)} in the config of the workers`, hint: `add ${room}.${name}` }];
}

/** What stands in the way at one provider for these flags. The one place that asks: a launch and `gonogo doctor` say the same of the same defect. Never throws. */
export function providerProblems(house: Pick<House, 'providers'>, name: string, flags: readonly FlagRef[], signal: AbortSignal): Promise<readonly Problem[]> {
  const provider = house.providers.get(name);
  return provider === undefined ? Promise.resolve(missing('providers', name)) : attempt('providers', name, signal, (limit) => provider.check(flags, limit));
}

/** As `providerProblems`, at one evaluator that proves these flags. */
export function evaluatorProblems(house: Pick<House, 'evaluators'>, name: string, flags: readonly FlagRef[], signal: AbortSignal): Promise<readonly Problem[]> {
  const evaluator = house.evaluators.get(name);
  return evaluator === undefined ? Promise.resolve(missing('evaluators', name)) : attempt('evaluators', name, signal, (limit) => evaluator.check(flags, limit));
}

/** As `providerProblems`, at one source for these queries. */
export function sourceProblems(house: Pick<House, 'sources'>, name: string, queries: readonly Query[], signal: AbortSignal): Promise<readonly Problem[]> {
  const source = house.sources.get(name);
  return source === undefined ? Promise.resolve(missing('sources', name)) : attempt('sources', name, signal, (limit) => source.check(queries, limit));
}

/** The flags by the evaluators that prove them, each flag once. */
export function byEvaluator(flags: readonly FlagRef[]): ReadonlyMap<string, readonly FlagRef[]> {
  const names = new Set(flags.flatMap((flag) => flag.proof.map((proof) => proof.evaluator)));
  return new Map([...names].map((name) => [name, flags.filter((flag) => flag.proof.some((proof) => proof.evaluator === name))]));
}

/** One question of a gate, as its source is asked it. */
export function queryOf(gate: Gate, { text, with: more, alive, rises }: GateQuery): Query {
  return {
    text,
    staleAfter: staleAfter(gate),
    ...(more === undefined ? {} : { with: more }),
    ...(alive === undefined ? {} : { alive }),
    ...(rises === undefined ? {} : { rise: { of: rises } }),
  };
}

/** What a plan's gates ask, by source. */
export function queriesOf(plan: Pick<Plan, 'gates'>): ReadonlyMap<string, readonly Query[]> {
  const asked = plan.gates.flatMap((gate) => {
    const { source } = gate;
    return source === undefined ? [] : measurementsOf(gate).map((query) => ({ source, query: queryOf(gate, query) }));
  });
  return new Map([...Map.groupBy(asked, (one) => one.source)].map(([source, all]) => [source, all.map((one) => one.query)]));
}
