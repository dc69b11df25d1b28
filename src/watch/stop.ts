import type { Cause, Scope } from '../core/event.ts';
import { putBack, type Attempt } from '../rollback/put-back.ts';
import type { RollbackView } from '../store/journal.ts';
import { requestRollback, scopeKey } from '../store/request.ts';
import { hearRequests } from './ears.ts';
import { asHand } from './hands.ts';
import { restoreFromMemory } from './memory.ts';
import { CHECK_EVERY, type Watch } from './watch.ts';

/** The longest (ms) that Temporal is told of a rollback later than the first attempt begins: a second hand would only be in the first one's way. */
const TELL_WITHIN = 1_000;

/** The longest (ms) between two attempts while a provider refuses or does not answer. */
const SLOWEST = 2_000;

/** Asks for a rollback and puts back in the same breath; without the database, from memory. */
export async function stop(watch: Watch, scope: Scope, cause: Cause): Promise<void> {
  const stopping = asHand(watch.house.store, () => stopNow(watch, scope, cause));
  watch.busy = stopping;
  await stopping;
  watch.busy = undefined;
}

async function stopNow(watch: Watch, scope: Scope, given: Cause): Promise<Attempt | undefined> {
  const { house, launch } = watch;
  const cause = watch.owed.find((one) => scopeKey(one.scope) === scopeKey(scope))?.cause ?? given;
  const others = () => watch.owed.filter((one) => scopeKey(one.scope) !== scopeKey(scope));
  const now = await house.clock.now();
  try {
    const requested = await requestRollback(house.store, launch, scope, cause, 'gonogo', now, house.hand);
    watch.owed = others();
    const tell = tellSoon(watch);
    const done = requested.status === 'requested' ? await attempt(watch, requested.view) : undefined;
    tell();
    return done;
  } catch (error) {
    house.log.error({ launch, error: String(error) }, 'the rollback could not be written down; putting back from memory');
    watch.owed = [...others(), { scope, cause }];
    if (watch.view !== undefined) await restoreFromMemory(house, watch.view, scope);
    return undefined;
  }
}

/** Tells Temporal of the rollback once: when the function it returns is called, and within a second in any case. */
function tellSoon(watch: Watch): () => void {
  let told = false;
  const tell = () => {
    clearTimeout(timer);
    if (!told) watch.house.nudge.stopped(watch.launch);
    told = true;
  };
  const timer = setTimeout(tell, TELL_WITHIN);
  return tell;
}

function attempt(watch: Watch, given?: RollbackView): Promise<Attempt | undefined> {
  return asHand(watch.house.store, () => attemptNow(watch, given));
}

async function attemptNow(watch: Watch, given?: RollbackView): Promise<Attempt | undefined> {
  try {
    const done = await putBack(watch.house, watch.launch, given);
    if (done.kind === 'unproven') watch.house.log.warn({ launch: watch.launch, remainder: done.remainder }, 'not proven yet');
    return done;
  } catch (error) {
    watch.house.log.error({ launch: watch.launch, error: String(error) }, 'an attempt at putting back failed');
    return undefined;
  }
}

/** Asks for what could not be written down before. */
export async function payDebts(watch: Watch): Promise<void> {
  for (const { scope, cause } of watch.owed) await stop(watch, scope, cause);
}

/** How soon (ms) the next attempt is made; undefined when there is nothing left to do until a request is heard. */
function again(done: Attempt | undefined, failures: number): number | undefined {
  switch (done?.kind) {
    case undefined:
      return 500;
    case 'looking':
      return 1_000;
    case 'unproven':
      return Math.min(SLOWEST, 250 * 1.5 ** failures);
    case 'over':
    case 'nothing':
    case 'resting':
      return undefined;
  }
}

/** Puts back whatever is asked for, beside the loop that measures: a source that hangs delays no rollback. Returns how to stop it. */
export function standBy(watch: Watch): () => void {
  let [running, heard, stopped] = [false, false, false];
  let [told, failures] = [-Infinity, 0];
  let wake = (): void => undefined;
  const isNews = (): boolean => heard;
  // Somebody may ask for more meanwhile: that waits for no pause between two attempts.
  const nap = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  const work = async () => {
    running = true;
    let next: number | undefined = 0;
    while (!stopped && (heard || next !== undefined)) {
      heard = false;
      // Our own stop puts back in the same breath; beside it this hand would only be in its own way.
      const done = (watch.busy === undefined ? undefined : await watch.busy) ?? (await attempt(watch));
      // Whoever asked may have had no way to tell Temporal; being rung is not being asked.
      if (done !== undefined && done.kind !== 'nothing' && performance.now() - told >= CHECK_EVERY) {
        told = performance.now();
        watch.house.nudge.stopped(watch.launch);
      }
      failures = done?.kind === 'unproven' && done.failed === true ? failures + 1 : 0;
      next = again(done, failures);
      if (next !== undefined && !isNews()) await nap(next);
    }
    running = false;
  };
  const off = hearRequests(watch.house, watch.launch, () => {
    heard = true;
    wake();
    if (!running && !stopped) void work();
  });
  if (watch.state.requests.length > 0) void work();
  return () => {
    stopped = true;
    off();
  };
}
