/**
 * What can be broken in the marketplace: `notifications` and `chat` only for those who have the new feature;
 * `disputes` (they go overdue) for the whole app, whatever the flags say: what alerts are for.
 */
export const FAULTS = ['notifications', 'chat', 'disputes'] as const;

/** One of them. */
export type Fault = (typeof FAULTS)[number];

/** What is broken now. */
export interface Faults {
  broken(fault: Fault): boolean;
  break(fault: Fault): void;
  mend(): void;
}

/** Whether a text names a fault. */
export function isFault(text: unknown): text is Fault {
  return FAULTS.some((fault) => fault === text);
}

/** Nothing is broken at first. */
export function openFaults(): Faults {
  const now = new Set<Fault>();
  return { broken: (fault) => now.has(fault), break: (fault) => void now.add(fault), mend: () => now.clear() };
}
