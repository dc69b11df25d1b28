import type { Cause, LaunchEvent, Scope } from '../core/event.ts';
import type { Order } from '../core/plan.ts';
import type { House } from '../house.ts';
import type { Attempt } from '../rollback/put-back.ts';
import type { RollbackView } from '../store/journal.ts';
import { Refusal } from '../store/people.ts';
import type { WatchState } from '../store/watch.ts';
import type { Coming } from './coming.ts';
import type { GateWatch } from './gate-watch.ts';

/** A rollback that could not be written down, since the database was away. */
export interface Owed {
  readonly scope: Scope;
  readonly cause: Cause;
}

/** The longest that the loop waits for something that is written beside it, ms. */
const QUIET = 3_000;
/** How often the machine's checks are tried again while they are all that a stage waits for, ms. */
export const CHECK_EVERY = 10_000;

/** One watcher's launch: what it knows, and what it has yet to write. */
export interface Watch {
  readonly house: House;
  readonly launch: string;
  readonly order: Order;
  readonly speed: number;
  readonly epoch: number;
  readonly startedAt: number;
  readonly gates: Map<string, GateWatch>;
  state: WatchState;
  view: RollbackView | undefined;
  /** Written first when the database is back; one for each scope, so that the clock runs from the first bad sample. */
  owed: readonly Owed[];
  bake: { stage: string; cursor: number; earned: number; bakedAt?: number } | undefined;
  bakeDirty: boolean;
  nudged: { stage: string; at: number } | undefined;
  /** When (judged time, ms) a stage that has gone undecided too long is looked at again. */
  undecidedAt: number;
  checkedAt: number;
  heardSeq: number;
  witnessedAt: number;
  readyAt: number;
  /** The gates that the stage in clearance will arm. */
  coming: Coming | undefined;
  rested: boolean;
  /** Gate news not written down yet. */
  news: LaunchEvent[];
  /** Our own stop, from the request to the end of its first attempt: what that came to. */
  busy: Promise<Attempt | undefined> | undefined;
}

/** A time as events carry it. */
export const iso = (at: number) => new Date(at).toISOString();

/** What is written beside the watching, within a short time: a row that somebody holds must not keep the next look waiting. */
export async function quietly(watch: Watch, work: () => Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${QUIET / 1_000} s; it may still be`)), QUIET);
  });
  try {
    const doing = work();
    await Promise.race([doing, late]).finally(() => clearTimeout(timer));
  } catch (error) {
    if (!(error instanceof Refusal)) watch.house.log.warn({ launch: watch.launch, error: String(error) }, 'could not be written down now');
  }
}
