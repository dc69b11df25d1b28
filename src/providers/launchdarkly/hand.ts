import { Terminal } from '../../core/failure.ts';
import type { FlagRef } from '../../core/plan.ts';
import { placesOf, type Places } from '../../flags/places.ts';
import type { Change, OpenContext } from '../provider.ts';
import { connect, type LaunchdarklyClient } from './client.ts';
import type { LaunchdarklyConfig } from './config.ts';
import type { LdFlag, Standing } from './document.ts';

/** What reading, writing, restoring and checking work with: one environment of one project. */
export interface Hand {
  readonly config: LaunchdarklyConfig;
  readonly client: LaunchdarklyClient;
  readonly places: Places;
  readonly instance: string;
  readonly log: OpenContext['log'];
  /** The flag in the environment. Throws Terminal `flag-archived`, `config`. */
  standing(ref: FlagRef, flag: LdFlag): Standing;
  /** The flag as it stands now. Throws Terminal `flag-missing`, `flag-archived`, Retryable. */
  look(ref: FlagRef, signal: AbortSignal, rollback?: boolean): Promise<Standing>;
}

/** So often a write that met another one is tried anew at once. */
export const CONFLICTS = 5;

/** What marks an audit entry as this change's. */
export function mark(change: string): string {
  return `[gonogo ${change}]`;
}

/** The comment that a change leaves in LaunchDarkly's audit log. */
export function commentOf({ comment, by, change }: Pick<Change, 'comment' | 'by' | 'change'>): string {
  return `${comment === '' ? 'gonogo' : comment} (${by}) ${mark(change)}`;
}

/** Opens the config's environment. Throws Terminal `config`. */
export function openHand(config: LaunchdarklyConfig, context: OpenContext): Hand {
  const client = connect(config, context);

  function standing(ref: FlagRef, flag: LdFlag): Standing {
    if (flag.archived)
      throw new Terminal(
        'flag-archived',
        `flag ${flag.key} (${ref.flag}) is archived in LaunchDarkly: apps get their own default; restore it there, or take it out of the plan`,
      );
    const setting = flag.environments[config.environment];
    if (setting === undefined)
      throw new Terminal('config', `providers.${context.instance}.environment: project ${config.project} has no environment ${config.environment}`);
    return { key: flag.key, variations: flag.variations, setting };
  }

  return {
    config,
    client,
    places: placesOf(config),
    instance: context.instance,
    log: context.log,
    standing,
    look: async (ref, signal, rollback = false) => standing(ref, await client.flag(ref.key, signal, rollback)),
  };
}
