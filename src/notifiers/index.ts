import { z } from 'zod';
import type { Notifier } from './notifier.ts';
import { webhookConfig } from './webhook/config.ts';
import { openWebhook } from './webhook/index.ts';

/** One notifier of the config, by its `kind`. To add a kind: its folder, its schema here, its line in `openNotifier`. */
export const notifierConfig = z.discriminatedUnion('kind', [webhookConfig]);

export type NotifierConfig = z.infer<typeof notifierConfig>;

/** Opens a notifier under its name in the config. Secrets in `config` are already resolved. Connects to nothing yet. */
export function openNotifier(name: string, config: NotifierConfig): Notifier {
  return openWebhook(name, config);
}
