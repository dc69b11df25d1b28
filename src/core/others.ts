import { describe } from './exposure.ts';
import { remainderOf, type LaunchFold } from './fold.ts';

/** A flag that a rollback has not proven back: where it lives, what it was, and the command that a person can paste. */
export interface Left {
  readonly flag: string;
  readonly provider: string;
  readonly key: string;
  readonly was?: string;
  readonly undo?: string;
}

/** A change that somebody else made to a flag while the launch was live. */
export interface DriftFact {
  readonly at: string;
  readonly flag: string;
  readonly provider: string;
  readonly who: string;
  readonly what?: string;
  readonly before: string;
  readonly now: string;
  readonly held: boolean;
}

/** The exact remainder of an unproven rollback, with the commands that people can paste. */
export function leftOf(launch: LaunchFold): readonly Left[] {
  const undo = new Map(
    launch.stages
      .flatMap((stage) => stage.before)
      .reverse()
      .map((mark) => [mark.flag, mark.undo]),
  );
  return remainderOf(launch).map(({ flag, provider, key, before }) => {
    const command = undo.get(flag);
    return {
      flag,
      provider,
      key,
      ...(before === undefined ? {} : { was: describe(before.exposure) }),
      ...(command === undefined ? {} : { undo: command }),
    };
  });
}

/** What other people did to the launch's flags while it was live, oldest first. */
export function driftsOf(launch: LaunchFold): readonly DriftFact[] {
  return launch.drifts.map(({ at, flag, provider, who, what, before, now, holds }) => ({
    at,
    flag,
    provider,
    who,
    ...(what === undefined ? {} : { what }),
    before: describe(before),
    now: describe(now),
    held: holds,
  }));
}
