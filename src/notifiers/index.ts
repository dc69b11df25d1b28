import type { z } from 'zod';
import { Terminal } from '../core/failure.ts';
import type { Notifier } from './notifier.ts';
import { webhookConfig } from './webhook/config.ts';
import { openWebhook } from './webhook/index.ts';

/** One kind of notifier: what its config looks like, and how it is opened. */
interface Kind {
  readonly schema: z.ZodType;
  open(name: string, raw: unknown): Notifier;
}

function kind<Config>(schema: z.ZodType<Config>, open: (name: string, config: Config) => Notifier): Kind {
  return {
    schema,
    open(name, raw) {
      const parsed = schema.safeParse(raw);
      if (parsed.success) return open(name, parsed.data);
      const problems = parsed.error.issues.map((issue) => `${['notifiers', name, ...issue.path.map(String)].join('.')}: ${issue.message}`);
      throw new Terminal('config', problems.join('; '));
    },
  };
}

/** Every kind of notifier by its name in the config: one line each. */
const NOTIFIERS: Readonly<Record<string, Kind>> = {
  webhook: kind(webhookConfig, openWebhook),
};

/** Opens the notifier that `raw` describes; `raw.kind` chooses, `raw.events` is the herald's. Connects to nothing yet. Throws Terminal `config` naming the field. */
export function openNotifier(name: string, raw: unknown): Notifier {
  const { events: _events, ...settings } = typeof raw === 'object' && raw !== null ? (raw as Readonly<Record<string, unknown>>) : {};
  const wanted = settings['kind'];
  const found = typeof wanted === 'string' && Object.hasOwn(NOTIFIERS, wanted) ? NOTIFIERS[wanted] : undefined;
  if (found === undefined) {
    throw new Terminal(
      'config',
      `notifiers.${name}.kind is ${wanted === undefined ? 'missing' : JSON.stringify(wanted)}; expected one of ${Object.keys(NOTIFIERS).join(', ')}`,
    );
  }
  return found.open(name, settings);
}
