import { setTimeout as pause } from 'node:timers/promises';
import type { Faults } from './faults.ts';
import type { Flags } from './flags.ts';
import type { Channel, Metrics } from './metrics.ts';
import { ALL_CONTRACTS, DISPUTE_OPS, INTERNAL, type Who } from './people.ts';

/** What the simulated people use. */
export interface Marketplace {
  readonly flags: Flags;
  readonly metrics: Metrics;
  readonly faults: Faults;
  /** Opens a contract's communications page over real HTTP. */
  readonly visit: (contract: string) => Promise<void>;
}

/** A round of everybody's doings, ms. */
const ROUND = 200;
const CONTRACTS_A_ROUND = 6;
const MESSAGES = 2;
/** Transactional e-mails that a contract gets anyway, and what the beta adds: eight chat events, each by e-mail and web push. */
const LETTERS = 2;
const BETA_NOTIFICATIONS = 16;

/** Somebody who watches that chat works at all, before and beside its users. */
const SENTINEL: Who = { targetingKey: 'chat-sentinel' };
/** Master switches are the same for everyone: the app asks for itself. */
const APP: Who = { targetingKey: 'marketplace' };
/** Disputes past their deadline once they are broken. */
const OVERDUE = 3;
const SPAN: Readonly<Record<Channel, readonly [from: number, to: number]>> = { ws: [30, 120], sse: [60, 200], polling: [250, 450] };
const BROKEN_WS: readonly [number, number] = [1_300, 1_900];

const between = ([from, to]: readonly [number, number]): number => from + Math.random() * (to - from);

/** Delivers one message, taking as long as it takes. */
async function deliver({ metrics }: Marketplace, channel: Channel, slow: boolean): Promise<void> {
  const began = performance.now();
  await pause(between(slow && channel === 'ws' ? BROKEN_WS : SPAN[channel]));
  metrics.delivered(channel, (performance.now() - began) / 1_000);
}

async function chat(market: Marketplace, who: Who, released: boolean): Promise<void> {
  const transport = await market.flags.transport(who);
  const channel: Channel = transport === 'sse-only' ? 'sse' : 'ws';
  await Promise.all(Array.from({ length: MESSAGES }, () => deliver(market, channel, released && market.faults.broken('chat'))));
  // Now and then somebody's WebSocket is cut, and SSE takes over.
  if (channel === 'ws' && Math.random() < 0.02) market.metrics.fellBack(between([200, 900]) / 1_000);
}

/** The sentinel sends over each transport that is served, so that chat's numbers are there before anyone has chat. */
async function sentinel(market: Marketplace): Promise<void> {
  const transport = await market.flags.transport(SENTINEL);
  const channels: readonly Channel[] = transport === 'sse-only' ? ['sse', 'sse'] : ['ws', 'sse'];
  await Promise.all(channels.map((channel) => deliver(market, channel, false)));
  if (transport === 'full' && Math.random() < 0.1) await deliver(market, 'polling', false);
}

async function employee(market: Marketplace, who: Who): Promise<void> {
  const [enabled, dark] = await Promise.all([market.flags.on('chat.enabled', APP), market.flags.on('chat_dark_launch', who)]);
  if (enabled && dark) await chat(market, who, false);
}

async function contractRound(market: Marketplace, who: Who): Promise<void> {
  const { flags, metrics, faults } = market;
  const [email, beta, released] = await Promise.all([
    flags.on('notify.email', APP),
    flags.on('chat_notifications_beta', who),
    flags.on('chat_full_release', who),
  ]);
  if (email) for (let i = 0; i < LETTERS; i += 1) metrics.notified('delivered');
  if (beta && email && (await flags.on('notify.webpush', APP))) {
    for (let i = 0; i < BETA_NOTIFICATIONS; i += 1) metrics.notified(faults.broken('notifications') ? 'dropped' : 'delivered');
  }
  if (released && (await flags.on('chat.enabled', APP))) await chat(market, who, true);
}

/** The dispute team looks at its disputes: with the tools the SLA timers run, and all of them fire in time. */
async function agent({ flags, metrics, faults }: Marketplace, who: Who): Promise<void> {
  const [enabled, tools] = await Promise.all([flags.on('dispute.enabled', APP), flags.on('dispute_tools_v2', who)]);
  const late = enabled && tools && faults.broken('disputes') ? OVERDUE : 0;
  metrics.setDisputes(faults.broken('disputes') ? OVERDUE : 0, late);
}

/** Everybody does what they do, round after round, until the returned function is called. What fails in a round is counted where it fails and ends nothing. */
export function startTraffic(market: Marketplace): () => void {
  let round = 0;
  const nth = (all: readonly Who[], index: number): Who => all[index % all.length] ?? SENTINEL;
  const once = (): void => {
    round += 1;
    const doings = [
      sentinel(market),
      employee(market, nth(INTERNAL, round)),
      ...Array.from({ length: CONTRACTS_A_ROUND }, () => contractRound(market, nth(ALL_CONTRACTS, Math.floor(Math.random() * ALL_CONTRACTS.length)))),
      ...(round % 5 === 0 ? [agent(market, nth(DISPUTE_OPS, round / 5)), market.visit(String(1 + (round % ALL_CONTRACTS.length)))] : []),
    ];
    void Promise.allSettled(doings);
  };
  const timer = setInterval(once, ROUND);
  return () => clearInterval(timer);
}
