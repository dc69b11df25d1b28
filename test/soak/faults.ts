import { setTimeout as pause } from 'node:timers/promises';
import { randomOf, type Random } from '../support/processes/random.ts';
import type { Proxy, Toxic, ToxicOptions } from '../support/servers/toxiproxy.ts';

/** A fault that was on a way: from and until are seconds since the faults began. */
export interface Fault {
  readonly way: string;
  readonly kind: Toxic['type'] | 'down';
  readonly text: string;
  readonly from: number;
  readonly until: number;
}

/** Faults come and go on some ways until they are stopped. */
export interface Faults {
  /** Seconds since they began. */
  now(): number;
  /** Those that were on at some time between the two. */
  between(from: number, until: number): readonly Fault[];
  /** Takes what is on off, and ends. Throws where one could not be put on or taken off. */
  stop(): Promise<void>;
}

/** The longest that one fault is on, ms. */
const LONGEST = 8_000;

/** An SDK waits longer for its stream each time it loses it, up to half a minute, until it had it for a minute. */
function rarer(way: Proxy): number {
  return way.name.endsWith('-sdk') ? 6 : 1;
}

function draw(random: Random): Toxic | 'down' {
  switch (random.pick(['latency', 'bandwidth', 'timeout', 'slow_close', 'reset_peer', 'limit_data', 'down'] as const)) {
    case 'latency':
      return { type: 'latency', latency: random.whole(100, 3_000), jitter: random.whole(0, 500) };
    case 'bandwidth':
      return { type: 'bandwidth', rate: random.whole(1, 50) };
    case 'timeout':
      return { type: 'timeout', timeout: random.pick([0, random.whole(100, 3_000)]) };
    case 'slow_close':
      return { type: 'slow_close', delay: random.whole(200, 4_000) };
    case 'reset_peer':
      return { type: 'reset_peer', timeout: random.whole(0, 1_000) };
    case 'limit_data':
      return { type: 'limit_data', bytes: random.whole(0, 4_000) };
    case 'down':
      return 'down';
  }
}

/** Puts one fault after another on each way, on all ways at once; what the seed decides is the same again, when it comes is up to the clock. */
export function openFaults(seed: number, ways: readonly Proxy[]): Faults {
  const began = performance.now();
  const now = (): number => Math.round((performance.now() - began) / 10) / 100;
  const past: Fault[] = [];
  const current = new Map<string, Omit<Fault, 'until'>>();
  const stopping = new AbortController();
  const rest = (ms: number): Promise<unknown> => pause(ms, undefined, { signal: stopping.signal }).catch(() => undefined);

  async function on(way: Proxy, toxic: Toxic | 'down', options: Required<ToxicOptions>): Promise<() => Promise<void>> {
    if (toxic !== 'down') return way.add(toxic, options);
    await way.setEnabled(false);
    return () => way.setEnabled(true);
  }

  async function trouble(way: Proxy): Promise<void> {
    const random = randomOf(seed, `faults of ${way.name}`);
    for (;;) {
      await rest(rarer(way) * random.whole(300, 5_000));
      if (stopping.signal.aborted) return;
      const toxic = draw(random);
      const options = { stream: random.pick(['downstream', 'upstream'] as const), toxicity: random.pick([1, 1, random.whole(3, 9) / 10]) };
      const kind = toxic === 'down' ? toxic : toxic.type;
      const said = toxic === 'down' ? 'down' : `${JSON.stringify(toxic)} ${options.stream} of ${Math.round(options.toxicity * 100)} %`;
      const off = await on(way, toxic, options);
      const fault = { way: way.name, kind, text: said, from: now() };
      current.set(way.name, fault);
      await rest(random.whole(500, LONGEST));
      await off();
      current.delete(way.name);
      past.push({ ...fault, until: now() });
    }
  }

  const running = Promise.all(ways.map(trouble));
  running.catch(() => undefined);
  return {
    now,
    between: (from, until) =>
      [...past, ...[...current.values()].map((one) => ({ ...one, until: now() }))].filter((one) => one.until >= from && one.from <= until),
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
