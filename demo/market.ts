import { setTimeout as pause } from 'node:timers/promises';
import type { Fault } from './marketplace/faults.ts';
import { openApi } from './api.ts';

/** What the app says of one contract. */
export interface Communications {
  readonly flags: Readonly<Record<string, unknown>>;
  readonly chat: { readonly open: boolean; readonly mode: 'ws+sse' | 'sse-only' };
}

interface Numbers {
  readonly chat: { readonly newest_p95_seconds: number | null };
}

/** The marketplace as somebody outside uses it. */
export interface Market {
  readonly communications: (contract: string) => Promise<Communications>;
  /** Asks until it is so; rejects after 10 s. */
  readonly until: (contract: string, so: (now: Communications) => boolean) => Promise<Communications>;
  readonly break: (what: Fault) => Promise<void>;
  readonly mend: () => Promise<void>;
  /** Waits until p95 of the newest messages is under `limit` s, and answers it; rejects after 10 s. */
  readonly fastAgain: (limit: number) => Promise<number>;
  /** Waits until the queries of the plan would be answered: 20 deliveries and 100 notifications in the last minute of that Prometheus. */
  readonly ready: (prometheus: string | undefined) => Promise<void>;
}

const PATIENCE = 10_000;
/** A new Prometheus looks for its targets only after 5 s. */
const FIRST_SAMPLES = 30_000;

/** Opens the marketplace at its addresses. */
export function openMarket({ url, admin }: { readonly url: string; readonly admin: string }): Market {
  const [app, breaker] = [openApi(url, ''), openApi(admin, '')];
  const communications = (contract: string): Promise<Communications> => app.get(`/api/marketplace/contracts/${contract}/communications/`);
  return {
    communications,
    until: (contract, so) => wait(PATIENCE, `contract ${contract}`, async () => only(await communications(contract), so)),
    break: async (what) => {
      await breaker.post('/break', { what });
    },
    mend: async () => {
      await breaker.post('/mend', {});
    },
    fastAgain: (limit) =>
      wait(PATIENCE, 'the p95 of the newest messages', async () => {
        const { chat } = await app.get<Numbers>('/numbers');
        return chat.newest_p95_seconds !== null && chat.newest_p95_seconds < limit ? chat.newest_p95_seconds : undefined;
      }),
    ready: async (prometheus) => {
      await wait(FIRST_SAMPLES, 'the numbers of the marketplace', async () => {
        if (prometheus === undefined) {
          const { chat, notifications } = await app.get<{ chat: { deliveries: number }; notifications: { total: number } }>('/numbers');
          return only(true, () => chat.deliveries >= 20 && notifications.total >= 100);
        }
        const answers = await Promise.all([
          ask(prometheus, 'sum(increase(chat_delivery_seconds_count[1m])) >= 20'),
          ask(prometheus, 'sum(increase(notifications_total[1m])) >= 100'),
          ask(prometheus, 'sum(increase(chat_fallback_seconds_count[1m])) >= 0'),
        ]);
        return only(true, () => answers.every(Boolean));
      });
    },
  };
}

function only<T>(value: T, so: (value: T) => boolean): T | undefined {
  return so(value) ? value : undefined;
}

async function ask(prometheus: string, query: string): Promise<boolean> {
  const answer = await fetch(`${prometheus}/api/v1/query?query=${encodeURIComponent(query)}`, { signal: AbortSignal.timeout(2_000) });
  const { data } = (await answer.json()) as { data?: { result?: readonly unknown[] } };
  return (data?.result?.length ?? 0) > 0;
}

/** Asks each 150 ms until there is an answer; what it throws counts as none, and is told when the time is over. */
async function wait<T>(ms: number, what: string, attempt: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + ms;
  let last = '';
  for (;;) {
    try {
      const answer = await attempt();
      if (answer !== undefined) return answer;
    } catch (error) {
      last = ` (${error instanceof Error ? error.message : String(error)})`;
    }
    if (performance.now() > deadline) throw new Error(`${what}: not as expected after ${ms / 1_000} s${last}`);
    await pause(150);
  }
}
