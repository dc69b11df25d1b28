import type { Problem } from '../providers/provider.ts';

/** Something people should hear: a headline first, then the facts; `page` wakes someone. */
export interface News {
  readonly launch: string;
  /** The event's number in the launch's log. */
  readonly seq: number;
  readonly urgency: 'info' | 'page';
  readonly headline: string;
  readonly lines: readonly string[];
  /** Head hash of the log when this was said: the anchor outside. */
  readonly head: string;
  readonly link?: string;
}

/** Where people hear of it. `key` makes a repeat harmless at the receiver. Throws Terminal or Retryable. */
export interface Notifier {
  readonly kind: string;
  announce(news: News, key: string, signal: AbortSignal): Promise<void>;
  /** Whether news would arrive, as far as that can be known without sending any. Throws Terminal or Retryable. */
  check(signal: AbortSignal): Promise<readonly Problem[]>;
  close(): Promise<void>;
}
