import type { Gate, Millis } from './plan.ts';

/** The longest that one look may take: every gate of the launch waits for it, ms. */
const LONGEST: Millis = 8_000;
/** The shortest that one look is given, however often it is taken, ms. */
const SHORTEST: Millis = 1_000;
/** A probe is over so long before the look is, ms: its silence is told, and not cut off. */
const BEFORE: Millis = 250;

/** How long (ms) one look at a gate may take, armed or tried before it is armed: no longer than the gate rests between two. */
export function lookWithin({ every }: Pick<Gate, 'every'>): Millis {
  return Math.min(LONGEST, Math.max(SHORTEST, every));
}

/** How long (ms) an app may keep a probe waiting: silence until then is its failure. It ends before the look does, since a probe that we stop says nothing of the app. */
export function silentAfter(gate: Pick<Gate, 'every'>): Millis {
  return lookWithin(gate) - BEFORE;
}
