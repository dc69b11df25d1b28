import type { Evaluator } from './evaluators/evaluator.ts';
import type { Notifier } from './notifiers/notifier.ts';
import type { FlagProvider } from './providers/provider.ts';
import type { MetricSource } from './sources/source.ts';
import type { Store } from './store/store.ts';

/** Judged time, and how to wait in it: real time in production, skipped time in a rehearsal. Both in ms. */
export interface Clock {
  now(): Promise<number>;
  /** Resolves after `ms`, or at once when the signal aborts. Never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** What is written to the log: a message and fields; `launch` is always a field where there is one. */
export interface Log {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** What the hands report for /metrics; durations in seconds. */
export interface Meter {
  measured(source: string, kind: 'value' | 'no-data' | 'error', seconds: number, age?: number): void;
  verdict(gate: string, kind: string): void;
  providerCall(provider: string, call: 'read' | 'write' | 'restore' | 'check', ok: boolean, seconds: number): void;
  rolledBack(seconds: number): void;
  ticked(launch: string): void;
  forget(launch: string): void;
  paged(): void;
}

/** Nudges to Temporal: best effort, each with its own deadline; nothing waits for them. */
export interface Nudger {
  cleared(launch: string, stage: string): void;
  passed(launch: string, stage: string): void;
  /** Tells the launch that it is stopped, and starts its rollback workflow. */
  stopped(launch: string): void;
}

/** Everything a worker's hands hold. Providers, evaluators, sources and notifiers by their names in the config. */
export interface House {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  readonly nudge: Nudger;
  readonly providers: ReadonlyMap<string, FlagProvider>;
  readonly evaluators: ReadonlyMap<string, Evaluator>;
  readonly sources: ReadonlyMap<string, MetricSource>;
  readonly notifiers: ReadonlyMap<string, Notifier>;
  /** Names this process among the hands, e.g. `worker-3f2a`. */
  readonly hand: string;
}
