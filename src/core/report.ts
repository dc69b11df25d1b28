import type { FlagProof, GateRecord, LaunchEvent, LoggedEvent, Outcome, State } from './event.ts';
import { describe } from './exposure.ts';
import { driftsOf, leftOf, type DriftFact, type Left } from './others.ts';
import { fold, type ItemFact, type LaunchFold, type SignatureFact } from './fold.ts';
import { describeCause, describeWhen, headline } from './headline.ts';
import { describeMillis } from './bound.ts';
import type { Millis } from './plan.ts';
import type { Verdict } from './verdict.ts';

/** One event as it was written down: `body` are the bytes that were hashed. */
export interface ReportLink {
  readonly seq: number;
  readonly recordedAt: string;
  readonly body: string;
  readonly hash: string;
}

/** A flag's way through the launch: what it was, each value it was given with its revision, and who proved it. */
export interface ReportFlag {
  readonly flag: string;
  readonly provider: string;
  readonly key: string;
  readonly before?: { readonly exposure: string; readonly revision: string };
  readonly writes: readonly {
    readonly at: string;
    readonly by: string;
    readonly stage?: string;
    readonly exposure: string;
    readonly revision: string;
    readonly outcome: string;
  }[];
  readonly after?: { readonly exposure: string; readonly revision: string };
  readonly proofs: readonly (FlagProof & { readonly at: string })[];
  readonly verified: boolean;
}

/** One rollback with its clock: asked for, every write back, proof. `seconds` against `promised`. */
export interface ReportRollback {
  readonly scope: string;
  readonly why: string;
  readonly by: string;
  readonly requestedAt: string;
  readonly verifiedAt?: string;
  readonly seconds?: number;
  readonly promised: number;
  readonly relapses: number;
  /** What was proven before the rest, by provider, with its own seconds. */
  readonly parts: readonly { readonly provider: string; readonly flags: readonly string[]; readonly seconds: number }[];
}

/** A stage: its times, what it earned, its signatures (struck-out ones too) and the gates' records. */
export interface ReportStage {
  readonly id: string;
  readonly openedAt?: string;
  readonly shiftedAt?: string;
  readonly bakedAt?: string;
  readonly earned?: Millis;
  readonly required?: Millis;
  readonly signatures: readonly SignatureFact[];
  readonly evidence: readonly GateRecord[];
  readonly gates: readonly GateRecord[];
}

/** A launch's record, from its event log alone. `links` are the chain: with them anyone can check that nothing was changed. */
export interface Report {
  readonly launch: string;
  readonly headline: string;
  readonly state: State;
  readonly outcome?: Outcome;
  readonly plan: string;
  readonly title?: string;
  readonly planHash: string;
  readonly environment: string;
  readonly note?: string;
  readonly speed: number;
  readonly startedBy: string;
  readonly startedAt: string;
  readonly endedAt?: string;
  readonly why?: string;
  readonly stages: readonly ReportStage[];
  readonly checklist: readonly ItemFact[];
  readonly verdicts: readonly { readonly seq: number; readonly gate: string; readonly verdict: Verdict }[];
  readonly gaps: readonly { readonly gate: string; readonly from: string; readonly to: string; readonly lookedBack: boolean }[];
  readonly flags: readonly ReportFlag[];
  readonly rollbacks: readonly ReportRollback[];
  /** Exactly what is not proven back; empty once every rollback is. */
  readonly remainder: readonly Left[];
  readonly drifts: readonly DriftFact[];
  readonly timeline: readonly { readonly seq: number; readonly at: string; readonly by: string; readonly kind: string; readonly text: string }[];
  readonly chain: { readonly events: number; readonly head: string };
  readonly links: readonly ReportLink[];
}

/** The promise that a rollback's clock is set against, s. */
const PROMISED = 300;

function exposures(marks: readonly { readonly flag: string; readonly exposure: Parameters<typeof describe>[0] }[]): string {
  return marks.map((mark) => `${mark.flag} ${describe(mark.exposure)}`).join(', ');
}

function proofText(proofs: readonly FlagProof[]): string {
  return proofs
    .map((proof) => `${proof.flag} ${proof.agreed} of ${proof.asked} at ${proof.instances.length} instance${proof.instances.length === 1 ? '' : 's'}`)
    .join(', ');
}

/** Who changed a flag, from what to what, in the vendor's own words where it tells. */
export function describeDrift(event: Extract<LaunchEvent, { kind: 'drifted' }>): string {
  const values = event.holds ? ` from ${describe(event.before)} to ${describe(event.now)}` : '';
  return `${event.flag} (${event.provider}) was changed${values} by ${event.who}${event.what === undefined ? '' : `: ${event.what}`}`;
}

/** One event in one sentence: what a timeline and a message say of it. */
export function describeEvent(event: LaunchEvent): string {
  switch (event.kind) {
    case 'opened':
      return `started in ${event.environment}, plan ${event.planHash.slice(0, 12)}${event.speed === 1 ? '' : `, at ${event.speed} times the speed`}${event.warnings === undefined ? '' : `; known beforehand: ${event.warnings.join('; ')}`}`;
    case 'stage-opened':
      return `${event.stage} is open for its checklist and signatures`;
    case 'ticked':
      return `${event.done ? 'ticked' : 'unticked'} ${event.item}${event.evidence === undefined ? '' : `: ${event.evidence}`}`;
    case 'checked':
      return `${event.item} ${event.passes ? 'holds' : 'does not hold'}: ${event.why}`;
    case 'signed':
      return `${event.decision} to ${event.stage} as ${event.role}${event.reason === undefined ? '' : `: ${event.reason}`}${event.bugs === undefined || event.bugs.length === 0 ? '' : ` (${event.bugs.join(', ')})`}${event.recheckAt === undefined ? '' : `; asked again ${describeWhen(event.recheckAt)}, meanwhile ${event.meanwhile ?? 'hold'}`}`;
    case 'reopened':
      return `${event.stage} is open for signatures again, round ${event.round}: ${event.reason}`;
    case 'cleared':
      return `${event.stage} is cleared`;
    case 'held':
      return `held (${event.cause}): ${event.reason}`;
    case 'resumed':
      return `resumed: ${event.reason}`;
    case 'frozen':
      return `${event.stage} waits for a freeze until ${describeWhen(event.until)}: ${event.reason}`;
    case 'thawed':
      return `the freeze before ${event.stage} is over`;
    case 'remembered':
      return `${event.stage}: written down before the touch: ${exposures(event.flags)}`;
    case 'shifted':
      return `${event.stage}: ${exposures(event.flags)}`;
    case 'witnessed':
      return `${event.stage} is seen by its users: ${proofText(event.proofs)}`;
    case 'gate':
      return `gate ${event.gate} ${event.verdict.kind}: ${event.verdict.why}`;
    case 'gap':
      return `gate ${event.gate} was not asked from ${event.from} to ${event.to}${event.lookedBack ? '; looked back on since' : ''}`;
    case 'baked':
      return `${event.stage} is baked: ${describeMillis(event.earned) || '0s'} of ${describeMillis(event.required) || '0s'} healthy`;
    case 'watching':
      return `watching until ${describeWhen(event.until)}`;
    case 'watched':
      return `watched for ${describeMillis(event.earned) || '0s'}`;
    case 'rollback-requested':
      return `rollback of ${event.scope.kind === 'launch' ? 'everything' : `stage ${event.scope.stage}`} asked for: ${describeCause(event.cause)}`;
    case 'restored':
      return `written back by ${event.hand}: ${event.flags.map((mark) => `${mark.flag} ${describe(mark.exposure)}${mark.outcome === 'restored' ? '' : ` (${mark.outcome})`}`).join(', ')}`;
    case 'rollback-proven':
      return `proven in ${event.seconds} s: ${proofText(event.proofs)}`;
    case 'part-proven':
      return `${event.provider} proven in ${event.seconds} s, the rest is not yet: ${proofText(event.proofs)}`;
    case 'relapsed':
      return `not back after all${event.patrol === true ? ', found by the patrol' : ''}: ${event.flags.join(', ')}`;
    case 'paged':
      return `paged about ${event.about}: ${event.text}${event.commands.length === 0 ? '' : ` Do: ${event.commands.join(' ; ')}`}`;
    case 'stuck':
      return `stuck: ${event.remainder.join(', ')} not proven`;
    case 'put-back-by-hand':
      return `put back by hand: ${event.reason}`;
    case 'concluded':
      return `concluded: ${event.reason}`;
    case 'drifted':
      return event.holds ? describeDrift(event) : `${describeDrift(event)}; who sees it is as this launch left it`;
    case 'ended':
      return `ended ${event.outcome}: ${event.why}`;
    default:
      return event satisfies never;
  }
}

type Logged = Pick<LoggedEvent, 'seq' | 'recordedAt' | 'event' | 'hash'>;

function writesOf(flag: string, events: readonly Logged[]): ReportFlag['writes'] {
  return events.flatMap(({ event }) => {
    if (event.kind !== 'shifted' && event.kind !== 'restored') return [];
    const stage = event.kind === 'shifted' ? { stage: event.stage } : {};
    return event.flags
      .filter((mark) => mark.flag === flag)
      .map((mark) => ({
        at: event.at,
        by: event.by,
        ...stage,
        exposure: describe(mark.exposure),
        revision: mark.revision,
        outcome: 'outcome' in mark ? String(mark.outcome) : 'written',
      }));
  });
}

function proofsOf(flag: string, events: readonly Logged[]): ReportFlag['proofs'] {
  return events.flatMap(({ event }) =>
    event.kind === 'witnessed' || event.kind === 'rollback-proven'
      ? event.proofs.filter((proof) => proof.flag === flag).map((proof) => ({ ...proof, at: event.at }))
      : [],
  );
}

function flagsOf(launch: LaunchFold, events: readonly Logged[]): ReportFlag[] {
  return launch.flags.map(({ flag, provider, key, before, now, verified }) => ({
    flag,
    provider,
    key,
    ...(before === undefined ? {} : { before: { exposure: describe(before.exposure), revision: before.revision } }),
    writes: writesOf(flag, events),
    ...(now === undefined ? {} : { after: { exposure: describe(now.exposure), revision: now.revision } }),
    proofs: proofsOf(flag, events),
    verified,
  }));
}

function stagesOf(launch: LaunchFold): ReportStage[] {
  return launch.stages.map(({ id, openedAt, shiftedAt, bakedAt, earned, required, signatures, evidence, gates }) => ({
    id,
    ...(openedAt === undefined ? {} : { openedAt }),
    ...(shiftedAt === undefined ? {} : { shiftedAt }),
    ...(bakedAt === undefined ? {} : { bakedAt }),
    ...(earned === undefined ? {} : { earned }),
    ...(required === undefined ? {} : { required }),
    signatures,
    evidence,
    gates,
  }));
}

/** Folds a launch's links, in order, into its report: the same links give the same report, byte for byte. Throws where a body is not JSON. */
export function report(links: readonly ReportLink[]): Report {
  const events: readonly Logged[] = links.map(({ seq, recordedAt, body, hash }) => ({ seq, recordedAt, hash, event: JSON.parse(body) as LaunchEvent }));
  const launch = fold(events);
  const { opened, ended } = launch;
  return {
    launch: opened?.launch ?? '',
    headline: headline(launch),
    state: launch.state,
    ...(launch.outcome === undefined ? {} : { outcome: launch.outcome }),
    plan: opened?.plan ?? '',
    ...(opened?.title === undefined ? {} : { title: opened.title }),
    planHash: opened?.planHash ?? '',
    environment: opened?.environment ?? '',
    ...(opened?.note === undefined ? {} : { note: opened.note }),
    speed: opened?.speed ?? 1,
    startedBy: opened?.by ?? '',
    startedAt: opened?.at ?? '',
    ...(ended === undefined ? {} : { endedAt: ended.at, why: ended.why }),
    stages: stagesOf(launch),
    checklist: [...launch.items.values()],
    verdicts: events.flatMap(({ seq, event }) => (event.kind === 'gate' ? [{ seq, gate: event.gate, verdict: event.verdict }] : [])),
    gaps: events.flatMap(({ event }) => (event.kind === 'gap' ? [{ gate: event.gate, from: event.from, to: event.to, lookedBack: event.lookedBack }] : [])),
    flags: flagsOf(launch, events),
    rollbacks: launch.rollbacks.map(({ scope, cause, by, requestedAt, verifiedAt, seconds, relapses, parts }) => ({
      scope: scope.kind === 'launch' ? 'launch' : `stage ${scope.stage}`,
      why: describeCause(cause),
      by,
      requestedAt,
      ...(verifiedAt === undefined ? {} : { verifiedAt }),
      ...(seconds === undefined ? {} : { seconds }),
      promised: PROMISED,
      relapses,
      parts: parts.map((part) => ({ provider: part.provider, flags: part.flags, seconds: part.seconds })),
    })),
    remainder: leftOf(launch),
    drifts: driftsOf(launch),
    timeline: events.map(({ seq, event }) => ({ seq, at: event.at, by: event.by, kind: event.kind, text: describeEvent(event) })),
    chain: { events: links.length, head: launch.head },
    links,
  };
}
