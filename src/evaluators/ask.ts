import type { FlagValue } from '../core/exposure.ts';
import type { FlagRef } from '../core/plan.ts';
import type { Evaluation } from './evaluator.ts';

/** Runs `work` over `items`, at most `limit` at a time; results in the items' order. */
export async function together<Item, Result>(items: readonly Item[], limit: number, work: (item: Item) => Promise<Result>): Promise<readonly Result[]> {
  const results = new Array<Result>(items.length);
  const queue = items.entries();
  const worker = async (): Promise<void> => {
    for (const [i, item] of queue) results[i] = await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  return results;
}

/** `found` as an answer about `flag`: a value of its type, or silent with what was found instead. */
export function toEvaluation(instance: string, flag: FlagRef, found: unknown): Evaluation {
  if (isValue(flag, found)) return { kind: 'value', instance, value: found };
  const expected = flag.type === 'boolean' ? 'true or false' : `one of ${flag.type.oneOf.join(', ')}`;
  const shown = found === undefined || found === null ? 'nothing' : JSON.stringify(found).slice(0, 80);
  return { kind: 'silent', instance, detail: `${instance} answered ${shown} for ${flag.flag}; expected ${expected}` };
}

function isValue(flag: FlagRef, found: unknown): found is FlagValue {
  return flag.type === 'boolean' ? typeof found === 'boolean' : typeof found === 'string' && flag.type.oneOf.includes(found);
}

/** The answer of an instance that could not be asked. */
export function silent(instance: string, error: unknown): Evaluation {
  return { kind: 'silent', instance, detail: error instanceof Error ? error.message : String(error) };
}
