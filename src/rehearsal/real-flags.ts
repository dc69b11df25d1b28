import type { Config } from '../config.ts';
import type { Exposure } from '../core/exposure.ts';
import type { FlagRef } from '../core/plan.ts';
import { defaultExposure, type Registry } from '../flags/registry.ts';
import { attempt } from '../launch/ready.ts';
import { openProvider } from '../providers/index.ts';
import type { Capabilities, FlagProvider, Problem } from '../providers/provider.ts';

/** A flag as a rehearsal finds it: plain data, so that nothing of the real provider is left in its hands. */
export interface FoundFlag {
  readonly flag: FlagRef;
  readonly exposure: Exposure;
  /** What the real provider can do; undefined where none was asked. */
  readonly can?: Pick<Capabilities, 'share' | 'shareStep' | 'lists' | 'values'>;
  /** The command that a person would paste. */
  readonly undo?: string;
}

/** All that a rehearsal may do with a real provider. */
type Readable = Pick<FlagProvider, 'can' | 'read' | 'undo' | 'close'>;

const QUIET = { info: () => undefined, warn: () => undefined };

/** The flags as the registry says that they are before any launch. */
export function registryFlags(registry: Registry, environment: string, flags: readonly FlagRef[]): readonly FoundFlag[] {
  return flags.flatMap((flag) => {
    const entry = registry.entries.get(flag.flag);
    return entry === undefined ? [] : [{ flag, exposure: defaultExposure(entry, environment) }];
  });
}

async function readAll(provider: Readable, flags: readonly FlagRef[], signal: AbortSignal): Promise<readonly FoundFlag[]> {
  const { share, shareStep, lists, values } = provider.can;
  const can = { share, lists, values, ...(shareStep === undefined ? {} : { shareStep }) };
  return Promise.all(
    flags.map(async (flag): Promise<FoundFlag> => {
      const snapshot = await provider.read(flag, signal);
      return { flag, exposure: snapshot.exposure, can, undo: provider.undo(flag, snapshot) };
    }),
  );
}

/**
 * The flags as they stand at the config's providers: each provider is opened, read, and closed again before any rehearsal begins. What cannot be
 * read is a problem, as it would be at launch. Never writes, not even at opening: nothing here
 * knows more of a provider than how to read it.
 */
export async function realFlags(
  config: Config,
  flags: readonly FlagRef[],
  signal: AbortSignal,
): Promise<{ readonly found: readonly FoundFlag[]; readonly problems: readonly Problem[] }> {
  const context = { log: QUIET, secret: config.secret, databaseUrl: config.flagStore.url, serverUrl: config.server.publicUrl, readOnly: true };
  const found: FoundFlag[] = [];
  const asked = [...Map.groupBy(flags, (flag) => flag.provider)].map(([name, own]) =>
    attempt('providers', name, signal, async (limit) => {
      const raw = config.providers[name];
      if (raw === undefined) return [{ where: `providers.${name}`, message: `no provider is called ${name}`, hint: `add providers.${name} to the config` }];
      const provider: Readable = await openProvider(name, raw, context);
      try {
        found.push(...(await readAll(provider, own, limit)));
        return [];
      } finally {
        await provider.close();
      }
    }),
  );
  return { problems: (await Promise.all(asked)).flat(), found };
}
