import { Terminal } from './core/failure.ts';

interface Keyed {
  readonly key: string;
}

interface Job<Item, Answer> {
  readonly items: readonly Item[];
  readonly resolve: (answers: readonly Answer[]) => void;
  readonly reject: (error: unknown) => void;
}

/** How calls are joined: `slots` run at once, each with at most `most` items (a single larger call goes alone). */
export interface Batching {
  readonly slots: number;
  readonly most: number;
}

/**
 * Joins calls that arrive while all slots are busy into one, so that two hundred launches that breach at once cost a
 * few commits instead of two hundred. A call on an idle store goes at once. One key is never twice in a batch, and when
 * a batch is refused for good each of its calls is sent alone: no launch pays for another's mistake.
 */
export function batched<Item extends Keyed, Answer extends Keyed>(
  { slots, most }: Batching,
  run: (items: readonly Item[]) => Promise<readonly Answer[]>,
): (items: readonly Item[]) => Promise<readonly Answer[]> {
  let waiting: Job<Item, Answer>[] = [];
  let running = 0;

  function take(): readonly Job<Item, Answer>[] {
    const keys = new Set<string>();
    const taken: Job<Item, Answer>[] = [];
    const left: Job<Item, Answer>[] = [];
    for (const job of waiting) {
      const fits = taken.length === 0 || (keys.size + job.items.length <= most && job.items.every((item) => !keys.has(item.key)));
      if (!fits) {
        left.push(job);
        continue;
      }
      taken.push(job);
      for (const item of job.items) keys.add(item.key);
    }
    waiting = left;
    return taken;
  }

  async function alone(job: Job<Item, Answer>): Promise<void> {
    try {
      job.resolve(await run(job.items));
    } catch (error) {
      job.reject(error);
    }
  }

  async function send(jobs: readonly Job<Item, Answer>[]): Promise<void> {
    const [only] = jobs;
    if (only !== undefined && jobs.length === 1) return alone(only);
    try {
      const answers = new Map((await run(jobs.flatMap((job) => job.items))).map((answer) => [answer.key, answer]));
      for (const job of jobs) job.resolve(job.items.flatMap((item) => answers.get(item.key) ?? []));
    } catch (error) {
      if (error instanceof Terminal) await Promise.all(jobs.map(alone));
      else for (const job of jobs) job.reject(error);
    }
  }

  function pump(): void {
    while (running < slots && waiting.length > 0) {
      running += 1;
      void send(take()).finally(() => {
        running -= 1;
        pump();
      });
    }
  }

  return (items) =>
    new Promise((resolve, reject) => {
      waiting.push({ items, resolve, reject });
      pump();
    });
}
