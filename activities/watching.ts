import { CancelledFailure, Context } from '@temporalio/activity';
import type { House } from '../src/house.ts';
import type { Owed } from '../src/watch/watch.ts';
import { isInDoubt } from '../src/rollback/patrol.ts';
import { runWatch, type WatchEnd } from '../src/watch/watcher.ts';
import { again } from './failures.ts';

/** The watcher's one long activity: it ends with the launch, or when a newer watcher rules. */
export interface Watching {
  watch(launch: string): Promise<'over' | 'superseded'>;
}

/** How often the heartbeat is sent, ms; the SDK sends fewer. */
const BEAT = 2_000;

/**
 * The activity over a house. Its loop outlives it: when Temporal goes away the activity is cancelled here as timed out,
 * and the loop goes on until a newer one takes over or the launch ends. `shutDown` ends the loops of this process.
 */
export function openWatching(house: House, shutDown: AbortSignal, loops: Set<Promise<unknown>>): Watching {
  return {
    async watch(launch) {
      const context = Context.current();
      // What the database never heard of outlives this process in the heartbeat, and is handed on by each attempt to the next.
      let owed = (context.info.heartbeatDetails as readonly Owed[] | undefined) ?? [];
      const send = () => context.heartbeat(owed);
      const beat = setInterval(send, BEAT);
      send();
      const note = (now: readonly Owed[]) => {
        const changed = now !== owed;
        owed = now;
        if (changed) send();
      };
      const loop: Promise<WatchEnd> = runWatch(house, launch, { signal: shutDown, beat: note, owed });
      loops.add(loop);
      void loop.catch(() => undefined).finally(() => loops.delete(loop));
      try {
        const end = await Promise.race([loop, context.cancelled]);
        if (end === 'shut-down') throw again('this worker shuts down; the next one watches on', 100);
        if (end === 'unknown') throw again(`there is no launch ${launch} yet`);
        // Temporal may have been away for all of the rollback: its patrol is its own.
        if (end === 'over' && (await isInDoubt(house.store, launch))) house.nudge.stopped(launch);
        return end;
      } catch (error) {
        if (error instanceof CancelledFailure) house.log.warn({ launch, reason: error.message }, 'Temporal has let go of the watcher; watching goes on');
        throw error;
      } finally {
        clearInterval(beat);
      }
    },
  };
}
