import type { EventKind, LaunchEvent, LoggedEvent } from '../core/event.ts';
import { fold } from '../core/fold.ts';
import { headline, STATE_WORDS } from '../core/headline.ts';
import { describeEvent } from '../core/report.ts';
import type { News } from './notifier.ts';

/** How much a channel wants to hear: everything that is news, what changes a launch's fate, or only what wakes someone. */
export type Wanted = 'all' | 'important' | 'pages';

/** Kinds of events that people hear of at all. */
export const NEWSWORTHY: readonly EventKind[] = [
  ...(['opened', 'stage-opened', 'signed', 'reopened', 'held', 'resumed', 'frozen', 'shifted', 'baked', 'watching', 'drifted'] as const),
  ...(['rollback-requested', 'part-proven', 'rollback-proven', 'relapsed', 'paged', 'stuck', 'put-back-by-hand', 'concluded', 'ended'] as const),
];

const PAGES = new Set<EventKind>(['rollback-requested', 'relapsed', 'paged', 'stuck']);
const IMPORTANT = new Set<EventKind>(['opened', 'held', 'drifted', 'part-proven', 'rollback-proven', 'put-back-by-hand', 'concluded', 'ended']);

/** Whether an event wakes someone. */
export function urgencyOf(event: LaunchEvent): News['urgency'] {
  return PAGES.has(event.kind) ? 'page' : 'info';
}

/** Whether a channel wants to hear of an event. */
export function wants(wanted: Wanted, event: LaunchEvent): boolean {
  if (!NEWSWORTHY.includes(event.kind)) return false;
  if (wanted === 'all' || PAGES.has(event.kind)) return true;
  if (wanted === 'pages') return false;
  return IMPORTANT.has(event.kind) || (event.kind === 'signed' && event.decision === 'no-go');
}

/** What is said of one event: the launch's headline as of then, what happened, and the log's head as an anchor outside. `log` ends with the event. Throws on an empty log. */
export function newsOf(launch: string, log: readonly LoggedEvent[], publicUrl?: string): News {
  const last = log.at(-1);
  if (last === undefined) throw new Error(`launch ${launch} has no events to tell of`);
  const told = fold(log);
  const [glyph] = STATE_WORDS[told.state];
  const name = told.opened?.title ?? told.opened?.plan ?? launch;
  const commands = last.event.kind === 'paged' ? last.event.commands.map((command) => `do: ${command}`) : [];
  return {
    launch,
    seq: last.seq,
    urgency: urgencyOf(last.event),
    headline: `${glyph} ${name}: ${headline(told)}`,
    lines: [`${last.event.by} at ${last.event.at}: ${describeEvent(last.event)}`, ...commands],
    head: last.hash,
    ...(publicUrl === undefined ? {} : { link: `${publicUrl}/launches/${encodeURIComponent(launch)}` }),
  };
}
