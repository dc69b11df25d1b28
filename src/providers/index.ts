import type { z } from 'zod';
import { Terminal } from '../core/failure.ts';
import { builtinConfig } from './builtin/config.ts';
import { openBuiltin } from './builtin/index.ts';
import { launchdarklyConfig } from './launchdarkly/config.ts';
import { openLaunchdarkly } from './launchdarkly/index.ts';
import type { FlagProvider, OpenContext } from './provider.ts';
import { unleashConfig } from './unleash/config.ts';
import { openUnleash } from './unleash/index.ts';

/** One kind of provider: what its config looks like, and how it is opened. */
interface Kind {
  readonly schema: z.ZodType;
  open(raw: unknown, context: OpenContext): Promise<FlagProvider>;
}

function kind<Config>(schema: z.ZodType<Config>, open: (config: Config, context: OpenContext) => Promise<FlagProvider>): Kind {
  return {
    schema,
    open(raw, context) {
      const parsed = schema.safeParse(raw);
      if (parsed.success) return open(parsed.data, context);
      const problems = parsed.error.issues.map((issue) => `${['providers', context.instance, ...issue.path.map(String)].join('.')}: ${issue.message}`);
      throw new Terminal('config', problems.join('; '));
    },
  };
}

/** Every kind of flag provider by its name in the config: one line each. */
const PROVIDERS: Readonly<Record<string, Kind>> = {
  builtin: kind(builtinConfig, openBuiltin),
  unleash: kind(unleashConfig, openUnleash),
  launchdarkly: kind(launchdarklyConfig, openLaunchdarkly),
};

/** Opens the provider that `raw` describes; `raw.kind` chooses. Throws Terminal `config` naming the field, and what the kind throws. */
export async function openProvider(name: string, raw: unknown, context: Omit<OpenContext, 'instance'>): Promise<FlagProvider> {
  const wanted: unknown = typeof raw === 'object' && raw !== null ? Reflect.get(raw, 'kind') : undefined;
  const found = typeof wanted === 'string' && Object.hasOwn(PROVIDERS, wanted) ? PROVIDERS[wanted] : undefined;
  if (found === undefined)
    throw new Terminal(
      'config',
      `providers.${name}.kind is ${wanted === undefined ? 'missing' : JSON.stringify(wanted)}; expected one of ${Object.keys(PROVIDERS).join(', ')}`,
    );
  return found.open(raw, { ...context, instance: name });
}
