import type { LaunchEvent } from '../core/event.ts';
import { sameExposure } from '../core/exposure.ts';
import { Retryable } from '../core/failure.ts';
import type { FlagRef, Order } from '../core/plan.ts';
import { describeDrift } from '../core/report.ts';
import type { House } from '../house.ts';
import type { FlagProvider, LastChange, Snapshot } from '../providers/provider.ts';
import { leftFlags, noteDrift, type LeftFlag } from '../store/drift.ts';
import { iso, type Watch } from './watch.ts';

/** How often the flags of a live launch are compared with what it left, ms of real time. */
const EVERY = 15_000;
/** One provider call's deadline, ms: one that does not answer keeps nobody waiting. */
const CALL = 8_000;

/** What one watcher remembers between two looks: revisions that were judged, and providers that asked to be left alone until a time of the monotonic clock. */
export interface DriftMemory {
  readonly judged: Map<string, string>;
  readonly resting: Map<string, number>;
}

/** A memory that knows nothing. */
export function freshDriftMemory(): DriftMemory {
  return { judged: new Map(), resting: new Map() };
}

/** The call's answer, or undefined when it failed or took too long: a provider that cannot be read has not drifted. */
async function answered<T>(memory: DriftMemory, provider: string, call: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, CALL, undefined);
  });
  try {
    return await Promise.race([call(AbortSignal.timeout(CALL)), late]);
  } catch (error) {
    if (error instanceof Retryable && error.delay !== undefined) memory.resting.set(provider, performance.now() + error.delay);
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

function drifted(
  house: House,
  now: number,
  flag: FlagRef,
  left: LeftFlag,
  found: Snapshot,
  last: LastChange | undefined,
): Extract<LaunchEvent, { kind: 'drifted' }> {
  return {
    kind: 'drifted',
    at: iso(now),
    by: house.hand,
    flag: flag.flag,
    provider: flag.provider,
    key: flag.key,
    revision: found.revision,
    who: last?.who ?? 'somebody',
    ...(last === undefined ? {} : { what: last.what }),
    ...(last?.at === undefined ? {} : { changedAt: last.at }),
    before: left.target,
    now: found.exposure,
    holds: !sameExposure(left.target, found.exposure),
  };
}

async function lookAtFlag(house: House, launch: string, memory: DriftMemory, flag: FlagRef, provider: FlagProvider, left: LeftFlag): Promise<void> {
  if ((memory.resting.get(flag.provider) ?? 0) > performance.now()) return;
  const found = await answered(memory, flag.provider, (signal) => provider.read(flag, signal));
  if (found === undefined || found.revision === memory.judged.get(flag.flag)) return;
  const same = sameExposure(left.target, found.exposure);
  if (!same || (left.revision !== undefined && left.revision !== found.revision)) {
    const last = await answered(memory, flag.provider, (signal) => provider.lastChange(flag, signal));
    const now = await house.clock.now();
    const event = drifted(house, now, flag, left, found, last);
    const text = describeDrift(event);
    const page: LaunchEvent = { kind: 'paged', at: event.at, by: house.hand, about: 'drift', text: `${launch}: ${text}`, commands: [] };
    const noted = await noteDrift(house.store, launch, left, event, same ? undefined : { reason: text, page });
    // What the launch itself has touched since is judged at the next look.
    if (noted === 'passed') return;
    if (noted === 'noted' && !same) house.meter.paged();
  }
  memory.judged.set(flag.flag, found.revision);
}

/**
 * Compares every flag that a live launch has written with what stands at its provider, all in parallel. A change that is
 * not ours is written down with who made it and holds the launch, once for each revision; one that leaves the exposure
 * as ours is only shown. Never throws for what a provider does.
 */
export async function lookAtDrift(house: House, launch: string, order: Order, memory: DriftMemory): Promise<void> {
  const left = await leftFlags(house.store, launch);
  await Promise.all(
    left.map(async (one) => {
      const flag = order.flags.find((ref) => ref.flag === one.flag);
      const provider = house.providers.get(flag?.provider ?? '');
      if (flag !== undefined && provider !== undefined) await lookAtFlag(house, launch, memory, flag, provider, one);
    }),
  );
}

/** Looks for drift at its own pace beside the loop that measures, so that no gate waits for a provider. Returns how to stop it. */
export function watchDrift(watch: Watch): () => void {
  const memory = freshDriftMemory();
  let [stopped, timer] = [false, undefined as NodeJS.Timeout | undefined];
  const look = async () => {
    const began = performance.now();
    try {
      if (!watch.state.requests.some((one) => one.scope === 'launch' || !one.proven)) await lookAtDrift(watch.house, watch.launch, watch.order, memory);
    } catch (error) {
      watch.house.log.warn({ launch: watch.launch, error: String(error) }, 'the flags could not be compared with the journal; they are again');
    }
    if (!stopped) timer = setTimeout(() => void look(), Math.max(0, EVERY - (performance.now() - began)));
  };
  timer = setTimeout(() => void look(), EVERY);
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
