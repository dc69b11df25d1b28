import { setTimeout as pause } from 'node:timers/promises';
import type { Fleet } from '../support/processes/fleet.ts';
import { openReader, startLaunch, untilTold, type Reader, type ToldEvent } from '../support/processes/people.ts';

/** A launch of one stage that turns one flag on for everyone and then bakes for an hour. */
export interface Baking {
  readonly launch: string;
  readonly flag: string;
  readonly read: Reader;
}

/** Launches such a plan, its gates given as in YAML, and waits until its change is seen and each gate that is measured has said go. */
export async function startBaking(fleet: Fleet, name: string, flag: string, gates: Readonly<Record<string, object>>): Promise<Baking> {
  const plan = {
    name,
    environments: ['test'],
    maxDuration: '14d',
    gates,
    stages: [{ id: 'one', set: [{ flag, to: 'everyone' }], bake: '1h', gates: Object.keys(gates) }],
    watch: '1h',
  };
  const launch = await startLaunch(fleet, plan, `start-${name}`);
  const read = openReader(fleet, launch);
  const measured = Object.entries(gates).filter(([, gate]) => !('alert' in gate));
  const ready = (events: readonly ToldEvent[]): boolean =>
    events.some((event) => event.kind === 'witnessed') &&
    measured.every(([id]) => events.some((event) => event.kind === 'gate' && event.gate === id && event.verdict.kind === 'go'));
  await untilTold(read, `${launch} to bake, healthy`, ready, 90_000);
  return { launch, flag, read };
}

/** Resolves with the moment (performance.now) at which the flag's store has it off. Throws after `within` ms. */
export async function offAt(fleet: Fleet, flag: string, within: number): Promise<number> {
  const deadline = performance.now() + within;
  for (;;) {
    // The store of a fleet that is being frozen may keep one question waiting; the next one counts.
    const share = await fleet.flags.get(flag).then(
      (found) => found.exposure.share,
      () => undefined,
    );
    const now = performance.now();
    if (share === 0) return now;
    if (now > deadline) throw new Error(`${flag} was not off after ${within} ms; its share is ${share ?? 'unknown'}`);
    await pause(10);
  }
}

/** Seconds, to a hundredth, for people. */
export function seconds(from: number, to: number): number {
  return Math.round((to - from) / 10) / 100;
}
