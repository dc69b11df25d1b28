import type { Config } from '../config.ts';
import type { Millis, Plan } from '../core/plan.ts';
import { redact } from '../http.ts';
import { readSource } from '../open-house.ts';
import { openSource } from '../sources/index.ts';
import type { MetricSource } from '../sources/source.ts';
import { backtest, type Backtest, type Remembered } from './backtest.ts';
import { backtestPage } from './page.ts';
import { historyReader } from './read-history.ts';

/** What is tried on the past, and over which time (ms). */
export interface Run {
  readonly plan: Plan;
  readonly from: number;
  readonly to: number;
  readonly startEvery: number;
  readonly shares: ReadonlyMap<string, number>;
}

/** How the past was, how long it took (ms) to read it and to replay it, and the same drawn as one HTML document. */
export interface Ran {
  readonly result: Backtest;
  readonly took: { readonly reading: Millis; readonly replaying: Millis };
  readonly page: () => string;
}

/** Reads the history of every gate, and replays it. Secrets in what failed are masked. */
async function backtestOn(sources: ReadonlyMap<string, MetricSource>, run: Run, secrets: readonly string[], signal: AbortSignal): Promise<Ran> {
  const began = performance.now();
  const reader = historyReader();
  const remembered = new Map<string, Remembered>();
  await Promise.all(
    run.plan.gates.map(async (gate) => {
      const found = await reader.read(gate, gate.source === undefined ? undefined : sources.get(gate.source), run, signal);
      remembered.set(gate.id, found.kind === 'failed' ? { ...found, why: redact(found.why, secrets), hint: redact(found.hint, secrets) } : found);
    }),
  );
  const read = performance.now();
  const trial = { ...run, remembered };
  const result = backtest(trial);
  const took = { reading: Math.round(read - began), replaying: Math.round(performance.now() - read) };
  return { result, took, page: () => backtestPage(trial, result) };
}

/** Tries the plan on the past of the config's sources: opens those that it asks, and closes them. Throws Terminal `config` where one's settings are wrong. */
export async function backtestWith(config: Config, run: Run, signal: AbortSignal): Promise<Ran> {
  const names = new Set(run.plan.gates.flatMap((gate) => gate.source ?? []));
  const sources = new Map<string, MetricSource>();
  try {
    for (const [name, raw] of Object.entries(config.sources)) if (names.has(name)) sources.set(name, openSource(name, readSource(name, raw)));
    const secrets = config.secrets().filter((secret) => secret.length > 5);
    return await backtestOn(sources, run, secrets, signal);
  } finally {
    await Promise.allSettled([...sources.values()].map((source) => source.close()));
  }
}
