import { CancellationScope, condition, defineSignal, isCancellation, setHandler } from '@temporalio/workflow';
import { NAMES, type Nudge } from './messages.ts';

/** Someone asked for a rollback: the body ends here, wherever it stands. */
export class Stopped extends Error {}

/** The messages of one launch and what they have said so far. Handlers are synchronous and only take note: the database has decided. */
export interface Desk {
  /** Runs the journey in one scope that a stop cancels wherever it stands. Throws Stopped, also when a completion came in the same task as the stop. */
  run(body: () => Promise<void>): Promise<void>;
  /** The journey ends here, as after the signal of that name. */
  stop(): void;
  /** Waits until a stage's clearance is said to be complete. */
  cleared(stage: string): Promise<void>;
  /** Waits until a stage's bake is said to be earned. */
  passed(stage: string): Promise<void>;
  /** One step of the journey; throws Stopped when it says so, or a stop has come meanwhile. */
  step<T>(work: Promise<T>): Promise<Exclude<T, 'stopped'>>;
}

/** Opens the desk: call it first in the workflow, before anything is awaited. */
export function openDesk(): Desk {
  const said = { cleared: new Set<string>(), passed: new Set<string>(), stopped: false };
  const scope = new CancellationScope({ cancellable: true });
  setHandler(defineSignal<[Nudge]>(NAMES.cleared), ({ stage }) => void said.cleared.add(stage));
  setHandler(defineSignal<[Nudge]>(NAMES.passed), ({ stage }) => void said.passed.add(stage));
  const stop = () => {
    said.stopped = true;
    scope.cancel();
  };
  setHandler(defineSignal(NAMES.stopped), stop);
  const throwIfStopped = () => {
    if (said.stopped) throw new Stopped();
  };
  return {
    stop,
    async run(body) {
      try {
        await scope.run(body);
      } catch (error) {
        if (said.stopped && isCancellation(error)) throw new Stopped();
        throw error;
      }
      throwIfStopped();
    },
    async cleared(stage) {
      await condition(() => said.cleared.has(stage) || said.stopped);
      throwIfStopped();
    },
    async passed(stage) {
      await condition(() => said.passed.has(stage) || said.stopped);
      throwIfStopped();
    },
    async step(work) {
      const done = await work;
      throwIfStopped();
      if (done === 'stopped') throw new Stopped();
      return done as Exclude<typeof done, 'stopped'>;
    },
  };
}
