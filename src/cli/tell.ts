import { formatDuration } from '../core/duration.ts';
import type { Cause, LaunchEvent } from '../core/event.ts';
import { describe } from '../core/exposure.ts';
import { clean } from './text.ts';

function because(cause: Cause): string {
  switch (cause.kind) {
    case 'gate':
      return `gate ${cause.gate}: ${cause.verdict.why}`;
    case 'policy':
      return `gate ${cause.gate}: ${cause.reason}`;
    case 'alert':
      return `alert ${cause.alert} from ${cause.source}`;
    case 'person':
      return cause.reason;
    case 'no-go':
      return `no-go to ${cause.stage}: ${cause.reason}`;
    case 'witness':
      return `flag ${cause.flag}: ${cause.reason}`;
    case 'unproven-stage':
      return `the rollback of stage ${cause.stage} could not be proven`;
    case 'janitor':
      return cause.reason;
  }
}

/** An event in one line of words, safe for a terminal. */
export function tell(event: LaunchEvent): string {
  return clean(words(event));
}

function words(event: LaunchEvent): string {
  switch (event.kind) {
    case 'opened':
      return `opened by ${event.by}: plan ${event.plan}, ${event.environment}, ${event.stages.length} stages, ${event.flags.length} flags${event.speed === 1 ? '' : `, ${event.speed} times as fast`}`;
    case 'stage-opened':
      return `stage ${event.stage} is open for its checklist and sign-offs`;
    case 'ticked':
      return `${event.by} ${event.done ? 'ticked' : 'unticked'} ${event.item}${event.evidence === undefined ? '' : ` (${event.evidence})`}`;
    case 'checked':
      return `${event.item} checked: ${event.passes ? 'passes' : 'does not pass'}, ${event.why}`;
    case 'signed':
      return `${event.by} signed ${event.stage} as ${event.role}: ${event.decision}${event.reason === undefined ? '' : `, ${event.reason}`}${event.recheckAt === undefined ? '' : `; recheck ${event.recheckAt}`}`;
    case 'reopened':
      return `stage ${event.stage} is open again, round ${event.round}: ${event.reason}`;
    case 'cleared':
      return `stage ${event.stage} is cleared`;
    case 'held':
      return `held by ${event.by}: ${event.reason}`;
    case 'resumed':
      return `resumed by ${event.by}: ${event.reason}`;
    case 'frozen':
      return `stage ${event.stage} is frozen until ${event.until}: ${event.reason}`;
    case 'thawed':
      return `stage ${event.stage} is no longer frozen`;
    case 'remembered':
      return `stage ${event.stage} remembered ${event.flags.map((flag) => `${flag.flag} (${describe(flag.exposure)})`).join(', ')}`;
    case 'shifted':
      return `stage ${event.stage} shifted ${event.flags.map((flag) => `${flag.flag} to ${describe(flag.exposure)}`).join(', ')}`;
    case 'witnessed':
      return `stage ${event.stage} seen at the evaluators: ${event.proofs.map((proof) => `${proof.flag} ${proof.agreed}/${proof.asked}`).join(', ')}`;
    case 'gate':
      return `gate ${event.gate}: ${event.verdict.kind}, ${event.verdict.why}`;
    case 'gap':
      return `gate ${event.gate} was not asked from ${event.from} to ${event.to}${event.lookedBack ? '; looked back over it' : ''}`;
    case 'baked':
      return `stage ${event.stage} baked ${formatDuration(event.earned)} of ${formatDuration(event.required)}`;
    case 'watching':
      return `every stage is live; watching until ${event.until}`;
    case 'watched':
      return `watched ${formatDuration(event.earned)}`;
    case 'rollback-requested':
      return `rollback of ${event.scope.kind === 'stage' ? `stage ${event.scope.stage}` : 'the launch'} asked for by ${event.by}: ${because(event.cause)}`;
    case 'restored':
      return `put back by ${event.hand}: ${event.flags.map((flag) => `${flag.flag} ${flag.outcome}, ${describe(flag.exposure)}`).join('; ')}`;
    case 'rollback-proven':
      return `rollback proven ${event.proofs.reduce((sum, proof) => sum + proof.agreed, 0)}/${event.proofs.reduce((sum, proof) => sum + proof.asked, 0)} in ${event.seconds.toFixed(1)} s`;
    case 'relapsed':
      return `relapsed: ${event.flags.join(', ')}`;
    case 'paged':
      return `PAGED, ${event.about}: ${event.text}${event.commands.length === 0 ? '' : `; by hand: ${event.commands.join(' ; ')}`}`;
    case 'stuck':
      return `STUCK: not proven, still trying: ${event.remainder.join(', ')}`;
    case 'put-back-by-hand':
      return `${event.by} says it was put back by hand: ${event.reason}`;
    case 'concluded':
      return `concluded by ${event.by}: ${event.reason}`;
    case 'drift':
      return `${event.flag} was changed by ${event.who}: ${describe(event.found)} instead of ${describe(event.expected)}`;
    case 'ended':
      return `ended ${event.outcome}: ${event.why}`;
  }
}
