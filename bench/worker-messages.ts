/** The queue of the bare floor's workflows. */
export const FLOOR_QUEUE = 'bench-floor';

/** What a measured worker process is started with. */
export interface WorkerStart {
  readonly temporal: string;
  readonly databaseUrl: string;
  readonly taskQueue: string;
  /** The page that sources `s0`.. read, each its own path. */
  readonly page: string;
  readonly slots: number;
  /** The bearer token of the hook source `bench`. */
  readonly hookToken: string;
  readonly logFile: string;
  /** Serves the API beside the worker, as `gonogo start` does. */
  readonly serve: boolean;
}

/** Asked of a worker process. */
export type WorkerQuestion = { readonly kind: 'memory' } | { readonly kind: 'stop' };

/** Told by a worker process. `rss` and `heap` are bytes, taken after a forced garbage collection. */
export type WorkerAnswer = { readonly kind: 'ready'; readonly url: string } | { readonly kind: 'memory'; readonly rss: number; readonly heap: number };
