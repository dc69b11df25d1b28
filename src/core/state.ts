import type { Outcome, State } from './event.ts';

/** Stages of one launch in order, as far as its state depends on them. The last is `WATCH`. */
export interface StageStanding {
  readonly stage: string;
  readonly phase: 'pending' | 'clearance' | 'shifting' | 'live' | 'passed';
  readonly noGo: boolean;
}

/** The id under which the time after the last stage is kept, beside the stages. No stage may be called so. */
export const WATCH = '$watch';

/** The one word for where a launch stands: an outcome, else a rollback, else a no-go or a hold, else what its newest stage is doing. */
export function stateOf(facts: {
  readonly outcome: Outcome | null;
  readonly rollingBack: boolean;
  readonly held: boolean;
  readonly frozen: boolean;
  readonly stages: readonly StageStanding[];
}): State {
  if (facts.outcome !== null) return facts.outcome;
  if (facts.rollingBack) return 'rolling-back';
  const current = facts.stages.findLast((standing) => standing.phase !== 'pending');
  if (current?.noGo === true) return 'no-go';
  if (facts.held) return 'held';
  if (facts.frozen) return 'frozen';
  if (current === undefined) return 'waiting';
  switch (current.phase) {
    case 'shifting':
      return 'shifting';
    case 'live':
      return current.stage === WATCH ? 'watching' : 'baking';
    case 'pending':
    case 'clearance':
    case 'passed':
      return 'waiting';
  }
}
