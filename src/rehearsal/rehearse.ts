import { DefaultLogger, Runtime } from '@temporalio/worker';
import type { Config } from '../config.ts';
import type { Order } from '../core/plan.ts';
import type { Registry } from '../flags/registry.ts';
import type { Problem } from '../providers/provider.ts';
import { realFlags, registryFlags, type FoundFlag } from './real-flags.ts';
import { runScenario, type Rehearsed } from './run.ts';
import type { NotApplicable, Scenario } from './scenario.ts';
import { startServers } from './servers.ts';

/** What to rehearse. */
export interface Rehearsal {
  readonly order: Order;
  readonly registry: Registry;
  readonly scenarios: readonly (Scenario | NotApplicable)[];
  /** Where the flags are read; the registry's defaults where there is none. */
  readonly config?: Config;
  /** Name -> roles. */
  readonly people: Readonly<Record<string, readonly string[]>>;
  /** Told of each scenario as it ends. */
  readonly onResult?: (result: RehearsalResult) => void;
}

/** How one scenario went, or why it says nothing of this plan. */
export type RehearsalResult = Rehearsed | { readonly scenario: string; readonly skipped: string };

/** The flags could not be read as they stand: what a launch would be told, too. */
export class UnreadFlags extends Error {
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[]) {
    super(problems.map((one) => `${one.where}: ${one.message} (${one.hint})`).join('\n'));
    this.problems = problems;
  }
}

/** Makes Temporal's SDK say only what goes wrong, and leave the process's signals alone. Once per process, before the first rehearsal. */
export function quietTemporal(): void {
  Runtime.install({
    logger: new DefaultLogger('ERROR'),
    shutdownSignals: [],
    telemetryOptions: { logging: { filter: { core: 'ERROR', other: 'ERROR' }, forward: {} } },
  });
}

async function flagsOf({ order, registry, config }: Rehearsal, signal: AbortSignal): Promise<readonly FoundFlag[]> {
  if (config === undefined) return registryFlags(registry, order.environment, order.flags);
  const { found, problems } = await realFlags(config, order.flags, signal);
  if (problems.length > 0) throw new UnreadFlags(problems);
  return found;
}

/**
 * Rehearses a plan, one scenario after the other on the same servers: real durations in skipped time, copies of the flags, scripted people and
 * numbers. The real providers are read before and never written. Throws UnreadFlags, MissingTool, RefusedRehearsal, and what the signal was
 * aborted with; everything that was started is gone then.
 */
export async function rehearse(rehearsal: Rehearsal, signal: AbortSignal): Promise<readonly RehearsalResult[]> {
  const found = await flagsOf(rehearsal, signal);
  const results: RehearsalResult[] = [];
  const add = (result: RehearsalResult): void => {
    results.push(result);
    rehearsal.onResult?.(result);
  };
  if (!rehearsal.scenarios.some((scenario) => 'should' in scenario)) {
    for (const one of rehearsal.scenarios) if ('why' in one) add({ scenario: one.name, skipped: one.why });
    return results;
  }
  const servers = await startServers();
  try {
    const { order, people } = rehearsal;
    for (const scenario of rehearsal.scenarios) {
      signal.throwIfAborted();
      if ('why' in scenario) add({ scenario: scenario.name, skipped: scenario.why });
      else add(await runScenario(servers, { order, found, people }, scenario, signal));
    }
  } finally {
    await servers.stop();
  }
  return results;
}
