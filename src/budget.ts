/** What a vendor's answers say of its rate limits, and what may be spent of them by anything that is not a rollback. */
export interface Budget {
  /** How long (ms) a request that is not a rollback must wait; 0: it may go, and is counted. `route` is whatever the vendor counts apart. */
  take(route: string, now?: number): number;
  /** Learns from an answer's headers (names in lower case). */
  saw(route: string, headers: Readonly<Record<string, string>>, now?: number): void;
}

/** Where the vendor names no end of its window, it is taken to be this long (ms): LaunchDarkly's is ten seconds. */
const WINDOW = 10_000;
/** No reset is believed that lies further ahead (ms). */
const LONGEST = 300_000;
/** Numbers at or above it are milliseconds since the epoch, those from `EPOCH_SECONDS` on are seconds since the epoch, smaller ones seconds from now. */
const EPOCH_MILLIS = 1e11;
const EPOCH_SECONDS = 1e9;

interface Window {
  /** The largest limit or remainder seen: what the vendor grants per window. */
  largest: number;
  remaining: number;
  resetAt: number;
}

/**
 * The instant (ms since the epoch) that a header means: milliseconds or seconds since the epoch, seconds from now, or an
 * HTTP date; undefined where it says nothing usable.
 */
export function instantOf(header: string | undefined, now: number): number | undefined {
  if (header === undefined || header.trim() === '') return undefined;
  const n = Number(header);
  const at = !Number.isFinite(n) ? Date.parse(header) : n >= EPOCH_MILLIS ? n : n >= EPOCH_SECONDS ? n * 1_000 : now + n * 1_000;
  return Number.isFinite(at) ? at : undefined;
}

/** How long (ms, at most 5 min) until the rate limit's window ends, by whichever reset header the answer has. */
export function untilReset(headers: Readonly<Record<string, string>>, now: number): number | undefined {
  const at = instantOf(headers['x-ratelimit-reset'] ?? headers['ratelimit-reset'], now);
  return at === undefined ? undefined : Math.min(Math.max(at - now, 0), LONGEST);
}

function count(header: string | undefined): number | undefined {
  const n = header === undefined || header.trim() === '' ? Number.NaN : Number.parseInt(header, 10);
  return Number.isFinite(n) && n >= 0 ? n : undefined;
}

/** The counters that vendors send: one for everything, one per route. */
const COUNTERS = [
  { remaining: 'x-ratelimit-global-remaining', limit: 'x-ratelimit-global-limit', perRoute: false },
  { remaining: 'x-ratelimit-remaining', limit: 'x-ratelimit-limit', perRoute: false },
  { remaining: 'ratelimit-remaining', limit: 'ratelimit-limit', perRoute: false },
  { remaining: 'x-ratelimit-route-remaining', limit: 'x-ratelimit-route-limit', perRoute: true },
] as const;

/** A budget of which the share `reserve` (0..1 of the largest limit seen) is kept for rollbacks. Without rate-limit headers nothing waits. */
export function budgetWith(reserve: number): Budget {
  const windows = new Map<string, Window>();
  const nameOf = (counter: (typeof COUNTERS)[number], route: string): string => (counter.perRoute ? `${counter.remaining} ${route}` : counter.remaining);
  return {
    take(route, now = Date.now()) {
      const live = COUNTERS.flatMap((counter) => windows.get(nameOf(counter, route)) ?? []).filter((window) => window.resetAt > now);
      const wait = Math.max(0, ...live.filter((window) => window.remaining <= window.largest * reserve).map((window) => window.resetAt - now));
      // Requests under way have not been counted by the vendor's last answer yet.
      if (wait === 0) for (const window of live) window.remaining -= 1;
      return wait;
    },
    saw(route, headers, now = Date.now()) {
      const resetAt = now + (untilReset(headers, now) ?? WINDOW);
      for (const counter of COUNTERS) {
        const remaining = count(headers[counter.remaining]);
        if (remaining === undefined) continue;
        const name = nameOf(counter, route);
        const largest = Math.max(windows.get(name)?.largest ?? 0, count(headers[counter.limit]) ?? 0, remaining);
        windows.set(name, { largest, remaining, resetAt });
      }
    },
  };
}
