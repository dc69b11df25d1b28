import { describeMillis } from './bound.ts';
import type { Cause, State } from './event.ts';
import { describe } from './exposure.ts';
import { movedFlags, type LaunchFold, type StageFold } from './fold.ts';
import type { Plan } from './plan.ts';
import { itemsBefore } from './clearance.ts';
import { severity, type Verdict } from './verdict.ts';
import { WATCH } from './state.ts';

/** What a headline may know beside the events: the plan, the gates as they stand this minute, and the bake's clock. */
export interface HeadlineFacts {
  readonly plan?: Plan;
  readonly gates?: ReadonlyMap<string, Verdict>;
  /** Bake earned so far by stage, ms; the watch's under `$watch`. */
  readonly earned?: ReadonlyMap<string, number>;
}

/** The state words of page, CLI, messages and report, each with its glyph. */
export const STATE_WORDS = {
  waiting: ['?', 'waiting'],
  shifting: ['◐', 'shifting'],
  baking: ['●', 'baking'],
  held: ['‖', 'held'],
  'no-go': ['✗', 'no-go'],
  frozen: ['◇', 'frozen'],
  watching: ['◉', 'watching'],
  'rolling-back': ['↺', 'rolling back'],
  launched: ['✓', 'launched'],
  'rolled-back': ['↺✓', 'rolled back'],
  aborted: ['–', 'aborted'],
  stuck: ['!', 'STUCK'],
} as const satisfies Record<State, readonly [glyph: string, word: string]>;

/** A time for people, in UTC: `Thu 23 Apr 15:15 UTC`; as given where it is no time. */
export function describeWhen(iso: string): string {
  const at = Date.parse(iso);
  if (Number.isNaN(at)) return iso;
  const date = new Date(at);
  const day = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'][date.getUTCDay()] ?? '';
  const month = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'][date.getUTCMonth()] ?? '';
  return `${day} ${date.getUTCDate()} ${month} ${date.toISOString().slice(11, 16)} UTC`;
}

/** Why a rollback was asked for, in one clause. */
export function describeCause(cause: Cause): string {
  switch (cause.kind) {
    case 'gate':
      return cause.verdict.why;
    case 'policy':
      return cause.reason;
    case 'alert':
      return `alert ${cause.alert} from ${cause.source}`;
    case 'person':
      return cause.reason;
    case 'no-go':
      return `no-go to ${cause.stage}: ${cause.reason}`;
    case 'witness':
      return `${cause.flag}: ${cause.reason}`;
    case 'unproven-stage':
      return `the rollback of stage ${cause.stage} alone was not proven`;
    case 'janitor':
      return cause.reason;
  }
}

function list(words: readonly string[]): string {
  return words.length <= 1 ? (words[0] ?? '') : `${words.slice(0, -1).join(', ')} and ${words.at(-1) ?? ''}`;
}

function stageName(launch: LaunchFold, id: string | undefined): string {
  if (id === undefined) return 'the first stage';
  if (id === WATCH) return 'the watch after the last stage';
  const index = launch.stages.findIndex((stage) => stage.id === id);
  return `stage ${index + 1} of ${launch.stages.length}, ${id}`;
}

function reach(launch: LaunchFold): string {
  const moved = movedFlags(launch);
  if (moved.length === 0) return 'nothing has moved';
  const said = moved.slice(0, 3).map((flag) => `${flag.flag} ${flag.now === undefined ? 'moved' : describe(flag.now.exposure)}`);
  return `${said.join(', ')}${moved.length > 3 ? ` and ${moved.length - 3} more` : ''}`;
}

/** The gate verdict that is worst now, unless all is well. */
function trouble(launch: LaunchFold, facts: HeadlineFacts): string | undefined {
  const worst = [...new Map([...launch.gates, ...(facts.gates ?? [])]).values()].reduce<Verdict | undefined>(
    (a, b) => (a === undefined || severity(b) > severity(a) ? b : a),
    undefined,
  );
  return worst === undefined || worst.kind === 'go' ? undefined : worst.why;
}

/** What a stage's clearance still needs: open items, and roles without their signatures. */
export function openBefore(launch: LaunchFold, stage: StageFold, plan: Plan): { readonly items: readonly string[]; readonly roles: readonly string[] } {
  const planned = plan.stages.find((one) => one.id === stage.id);
  if (planned === undefined) return { items: [], roles: [] };
  const items = itemsBefore(plan, planned).filter((item) => launch.items.get(item.id)?.done !== true);
  const said = (role: string) =>
    new Set(stage.signatures.filter((one) => one.stands && one.round === stage.round && one.role === role && one.decision === 'go').map((one) => one.person))
      .size;
  return { items: items.map((item) => item.id), roles: planned.signOff.filter((rule) => said(rule.role) < rule.count).map((rule) => rule.role) };
}

function waiting(launch: LaunchFold, facts: HeadlineFacts): string {
  const stage = launch.stages.find((one) => one.id === launch.stage);
  if (stage === undefined) return 'Waiting to open its first stage; nothing has moved.';
  if (stage.phase === 'passed') return `Between stages: ${stageName(launch, stage.id)} is baked; ${reach(launch)}.`;
  const open = facts.plan === undefined ? undefined : openBefore(launch, stage, facts.plan);
  const needs = [
    ...(open === undefined || open.items.length === 0
      ? []
      : [`${open.items.length === 1 ? 'checklist item' : `${open.items.length} checklist items, first`} ${open.items[0] ?? ''}`]),
    ...(open === undefined || open.roles.length === 0 ? [] : [`sign-off by ${list(open.roles)}`]),
  ];
  const news = trouble(launch, facts);
  return `Waiting to begin ${stageName(launch, stage.id)}${needs.length === 0 ? '' : `: needs ${needs.join(' and ')}`}; ${reach(launch)}.${news === undefined ? '' : ` ${news}.`}`;
}

function baking(launch: LaunchFold, facts: HeadlineFacts): string {
  const stage = launch.stage ?? '';
  const watching = stage === WATCH;
  const required = watching ? facts.plan?.watch : facts.plan?.stages.find((one) => one.id === stage)?.bake;
  const earned = facts.earned?.get(stage);
  const clock =
    earned === undefined || required === undefined
      ? ''
      : ` ${describeMillis(Math.floor(earned / 1000) * 1000) || '0s'} of ${describeMillis(required) || '0s'} healthy.`;
  const news = trouble(launch, facts);
  const what = watching ? `Watching after the last stage: ${reach(launch)}.` : `Baking ${stageName(launch, stage)}: ${reach(launch)}.`;
  return `${what}${news === undefined ? '' : ` ${news}.`}${clock}`;
}

function rollingBack(launch: LaunchFold): string {
  const open = launch.rollbacks.findLast((one) => one.verifiedAt === undefined) ?? launch.rollbacks.at(-1);
  if (open === undefined) return 'Rolling back.';
  const moved = movedFlags(launch).length;
  const what = open.scope.kind === 'launch' ? 'everything' : `stage ${open.scope.stage}`;
  if (open.verifiedAt !== undefined) return `Rolled back and proven in ${String(open.seconds ?? 0)} s, looking once more: ${describeCause(open.cause)}.`;
  return `Rolling back ${what}: ${describeCause(open.cause)}. ${moved === 0 ? 'Every flag is written back, the proof is awaited.' : `${moved} flag${moved === 1 ? '' : 's'} not back yet.`}`;
}

function ended(launch: LaunchFold): string {
  const why = launch.ended?.why ?? '';
  const rollback = launch.rollbacks.find((one) => one.scope.kind === 'launch') ?? launch.rollbacks.at(-1);
  const { outcome } = launch;
  switch (outcome) {
    case 'launched':
      return `Launched: ${reach(launch)}.`;
    case 'rolled-back': {
      const proof = rollback?.seconds === undefined ? '' : `, proven in ${rollback.seconds} s`;
      const cause = rollback === undefined ? why : describeCause(rollback.cause);
      return launch.ended?.scope?.kind === 'stage'
        ? `Rolled back stage ${launch.ended.scope.stage}${proof}: ${cause}. Concluded: ${why}.`
        : `Rolled back${proof}: ${cause}.`;
    }
    case 'aborted':
      return `Aborted before any flag moved: ${rollback === undefined ? why : describeCause(rollback.cause)}.`;
    case 'stuck':
      return `STUCK: the rollback of ${list(launch.stuck ?? []) || 'some flags'} is not proven; a person must act. It is still tried.`;
    case undefined:
    default:
      return '';
  }
}

/** The one sentence or two that page, CLI, messages and report begin with: state, reach, the most urgent fact, what ends it. Pure. */
export function headline(launch: LaunchFold, facts: HeadlineFacts = {}): string {
  switch (launch.state) {
    case 'waiting':
      return waiting(launch, facts);
    case 'shifting':
      return `Shifting ${stageName(launch, launch.stage)}: ${list(launch.stages.find((one) => one.id === launch.stage)?.before.map((mark) => `${mark.flag} to ${describe(mark.to)}`) ?? [])}.`;
    case 'baking':
    case 'watching':
      return baking(launch, facts);
    case 'held':
      return `Held by ${launch.held?.by ?? 'gonogo'} at ${stageName(launch, launch.stage)}: ${launch.held?.reason ?? ''}; ${reach(launch)}. Rollback stays armed.`;
    case 'no-go': {
      const no = launch.noGo;
      return `No-go by ${no?.person ?? ''} (${no?.role ?? ''}) to ${stageName(launch, no?.stage)}: ${no?.reason ?? ''}; ${reach(launch)}. Asked again ${describeWhen(no?.recheckAt ?? '')}.`;
    }
    case 'frozen':
      return `Frozen before ${stageName(launch, launch.stage)} until ${describeWhen(launch.frozen?.until ?? '')}: ${launch.frozen?.reason ?? ''}; ${reach(launch)}.`;
    case 'rolling-back':
      return rollingBack(launch);
    case 'launched':
    case 'rolled-back':
    case 'aborted':
    case 'stuck':
      return ended(launch);
  }
}
