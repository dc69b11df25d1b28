import { Terminal } from '../../core/failure.ts';
import { openFlagStore, type FlagStore } from '../../flags/store.ts';
import type { OpenContext } from '../provider.ts';
import type { BuiltinConfig } from './config.ts';

/** Opens the flag store that the config names, also while its database is away. Throws Terminal, Retryable. */
export function connect(config: BuiltinConfig, context: OpenContext): Promise<FlagStore> {
  const url = config.database === undefined ? context.databaseUrl : context.secret(config.database);
  if (url === undefined)
    throw new Terminal('config', `providers.${context.instance}: database is missing; expected a reference to a Postgres URL, e.g. \${FLAGS_DATABASE_URL}`);
  return openFlagStore(url, { log: context.log, patient: true, ...(context.readOnly === true ? { migrate: false, primed: 0 } : {}) });
}
