import { Terminal } from '../core/failure.ts';
import { defaultExposure, offValue, type Registry } from './registry.ts';
import type { NewFlag } from './rules.ts';
import type { FlagStore } from './store.ts';

/**
 * Makes the registry's flags that live in a built-in store and are missing there, each as the registry says it is before any launch in `environment`.
 * Those that exist are left alone. `lives` tells which providers are that store. Returns the keys made. Throws Terminal, Retryable.
 */
export async function seedFlags(
  store: FlagStore,
  registry: Registry,
  environment: string,
  lives: (provider: string) => boolean,
  by: string,
): Promise<readonly string[]> {
  const wanted = [...registry.entries.values()].flatMap((entry): NewFlag[] => {
    const home = entry.lives[environment];
    if (home === undefined || !lives(home.provider) || entry.status === 'retired') return [];
    return [
      {
        key: home.key,
        type: entry.type,
        offValue: offValue(entry, environment),
        exposure: defaultExposure(entry, environment),
        exposed: entry.exposed,
        owner: entry.owner,
        description: entry.title,
      },
    ];
  });
  const known = new Set((await store.read(wanted.map((flag) => flag.key))).flags.map((flag) => flag.key));
  const missing = wanted.filter((flag) => !known.has(flag.key));
  if (missing.length === 0) return [];
  try {
    await store.create(missing, { by, comment: `registered for ${environment}` });
  } catch (error) {
    // Another process was quicker with some of them: look again.
    if (error instanceof Terminal && error.code === 'flag-exists') return seedFlags(store, registry, environment, lives, by);
    throw error;
  }
  return missing.map((flag) => flag.key);
}
