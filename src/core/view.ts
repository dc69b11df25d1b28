import { describeNumber, describeMillis } from './bound.ts';
import { itemsBefore } from './clearance.ts';
import type { Cause, GateRecord, LoggedEvent, Outcome, Scope, State } from './event.ts';
import { describe, type Exposure } from './exposure.ts';
import { fold, type LaunchFold, type SignatureFact, type StageFold } from './fold.ts';
import type { GateState } from './gate.ts';
import { describeCause, headline } from './headline.ts';
import { driftsOf, leftOf, type DriftFact, type Left } from './others.ts';
import type { Bound, Gate, Millis, Order, Stage } from './plan.ts';
import { WATCH } from './state.ts';
import type { Verdict } from './verdict.ts';

/** What a view takes from the rows beside the events: only what changes too often to be an event. */
export interface LiveFacts {
  readonly gates: ReadonlyMap<string, GateState>;
  /** Bake earned so far by stage, ms; the watch's under `$watch`. */
  readonly earned: ReadonlyMap<string, Millis>;
}

/** One gate as it stands: its newest verdict in words and numbers. `verdict` is `inconclusive` while it was not asked. */
export interface GateView {
  readonly id: string;
  readonly title?: string;
  readonly kind: Gate['kind'];
  readonly armed: boolean;
  readonly verdict: Verdict['kind'];
  readonly value?: number;
  readonly threshold: string;
  readonly reason: string;
  readonly at?: string;
  readonly worst?: number;
  readonly samples?: number;
  readonly breaches?: number;
}

/** One role's signatures of a stage, in the order of the plan. */
export interface SignOffView {
  readonly role: string;
  readonly count: number;
  readonly missing: number;
  readonly signatures: readonly Omit<SignatureFact, 'stands' | 'role'>[];
}

/** A checklist item before a stage: what evidence it needs, and what was given. `machine`: no person ticks it. */
export interface ChecklistView {
  readonly id: string;
  readonly text: string;
  readonly evidence: 'none' | 'text' | 'link';
  readonly machine: boolean;
  readonly done: boolean;
  readonly role?: string;
  readonly by?: string;
  readonly at?: string;
  readonly given?: string;
  readonly why?: string;
}

/** One stage of a launch view. `seal` is what a signature is bound to. */
export interface StageView {
  readonly id: string;
  readonly title?: string;
  readonly state: StageFold['phase'] | 'no-go';
  readonly round: number;
  readonly seal?: string;
  readonly set: readonly { readonly flag: string; readonly to: string; readonly exposure: Exposure }[];
  readonly bake: { readonly required: Millis; readonly earned: Millis };
  readonly gates: readonly GateView[];
  readonly evidence: readonly GateRecord[];
  readonly signOffs: readonly SignOffView[];
  readonly checklist: readonly ChecklistView[];
  readonly noGo?: { readonly person: string; readonly role: string; readonly reason: string; readonly recheckAt: string; readonly bugs: readonly string[] };
}

/** One rollback of a launch view; `seconds` from the first bad sample, the alert or the request to the proof. */
export interface RollbackView {
  readonly scope: Scope;
  readonly why: string;
  readonly cause: Cause;
  readonly by: string;
  readonly requestedAt: string;
  readonly verifiedAt?: string;
  readonly seconds?: number;
}

/** A launch as API, page and CLI show it. Times ISO 8601, spans ms. */
export interface LaunchView {
  readonly id: string;
  readonly headline: string;
  readonly plan: { readonly name: string; readonly title?: string; readonly hash: string };
  readonly environment: string;
  readonly state: State;
  readonly stage?: string;
  readonly stages: readonly StageView[];
  readonly watch: { readonly required: Millis; readonly earned: Millis };
  readonly flags: readonly {
    readonly flag: string;
    readonly provider: string;
    readonly key: string;
    readonly exposure?: string;
    readonly before?: string;
    readonly revision?: string;
    readonly touched: boolean;
    readonly verified: boolean;
  }[];
  readonly rollback?: RollbackView;
  readonly rollbacks: readonly RollbackView[];
  /** What an open rollback has not proven back yet, with the commands that people can paste. */
  readonly remainder: readonly Left[];
  /** What other people did to its flags. */
  readonly drifts: readonly DriftFact[];
  readonly held?: NonNullable<LaunchFold['held']>;
  readonly frozen?: NonNullable<LaunchFold['frozen']>;
  readonly note?: string;
  readonly speed: number;
  readonly startedBy: string;
  readonly startedAt: string;
  readonly deadline: string;
  readonly outcome?: Outcome;
  readonly endedAt?: string;
  readonly lastSeq: number;
  readonly head: string;
}

const SIGNS = { max: '≤', min: '≥', below: '<', above: '>' } as const;

function limit(bound: Bound, unit: string | undefined, percent: boolean): string {
  return `${SIGNS[bound.op]} ${describeNumber(percent ? bound.limit * 100 : bound.limit)}${percent ? ' %' : unit === undefined || unit === '' ? '' : ` ${unit}`}`;
}

/** What a gate asks for, short: `≤ 1 s`, `< 1 %`, `status 200`, `no alert severity=page`. */
export function describeThreshold(gate: Gate): string {
  switch (gate.kind) {
    case 'threshold':
      return limit(gate.bound, gate.unit, false);
    case 'ratio':
      return limit(gate.bound, undefined, true);
    case 'probe':
      return `status ${gate.status.join(' or ')}${gate.maxLatency === undefined ? '' : `, ≤ ${describeMillis(gate.maxLatency)}`}`;
    case 'alert':
      return `no alert with ${Object.entries(gate.labels)
        .map(([label, value]) => `${label}=${value}`)
        .join(', ')}`;
    case 'compareRate':
    case 'compareSlow':
    case 'compareUsers':
      return `≤ ${describeNumber(gate.tolerance)} x the rest${gate.maxRatio === undefined ? '' : `, shown < ${describeNumber(gate.maxRatio)} x`}`;
    case 'burnRate':
      return gate.windows
        .map(({ long, short, factor }) => `< ${describeNumber(factor)} x over ${describeMillis(long)} and ${describeMillis(short)}`)
        .join(' or ');
    case 'quantile':
      return limit(gate.bound, gate.unit, false);
    case 'exposureCheck':
      return `the promised share ± ${describeNumber(100 * gate.tolerance)} %`;
    default:
      return gate satisfies never;
  }
}

function gateView(gate: Gate, armed: boolean, state: GateState | undefined, told: Verdict | undefined): GateView {
  const verdict = state?.latched ?? state?.last ?? told;
  const record = state?.record;
  const listens = gate.kind === 'alert' && gate.source === undefined;
  const quiet = listens ? 'no matching alert was received' : armed ? 'not asked yet' : 'not armed yet';
  return {
    id: gate.id,
    kind: gate.kind,
    armed,
    verdict: verdict?.kind ?? (listens && armed ? 'go' : 'inconclusive'),
    threshold: describeThreshold(gate),
    reason: verdict?.why ?? quiet,
    ...(gate.title === undefined ? {} : { title: gate.title }),
    ...(verdict?.value === undefined ? {} : { value: verdict.value }),
    ...(verdict === undefined ? {} : { at: new Date(verdict.at).toISOString() }),
    ...(record === undefined ? {} : { samples: record.samples, breaches: record.breaches }),
    ...(record?.worst === undefined ? {} : { worst: record.worst }),
  };
}

function signOffs(stage: Stage, told: StageFold | undefined): SignOffView[] {
  return stage.signOff.map(({ role, count }) => {
    const given = (told?.signatures ?? []).filter((one) => one.stands && one.round === told?.round && one.role === role);
    const people = new Set(given.filter((one) => one.decision === 'go').map((one) => one.person));
    return { role, count, missing: Math.max(0, count - people.size), signatures: given.map(({ stands: _stands, role: _role, ...rest }) => rest) };
  });
}

function checklist(order: Order, stage: Stage, launch: LaunchFold): ChecklistView[] {
  return itemsBefore(order.plan, stage).map((item) => {
    const fact = launch.items.get(item.id);
    return {
      id: item.id,
      text: item.text,
      evidence: item.evidence,
      machine: item.check !== undefined,
      done: fact?.done ?? false,
      ...(item.role === undefined ? {} : { role: item.role }),
      ...(fact === undefined ? {} : { by: fact.by, at: fact.at }),
      ...(fact?.evidence === undefined ? {} : { given: fact.evidence }),
      ...(fact?.why === undefined ? {} : { why: fact.why }),
    };
  });
}

function stageView(order: Order, stage: Stage, launch: LaunchFold, live: LiveFacts, armed: ReadonlySet<string>): StageView {
  const told = launch.stages.find((one) => one.id === stage.id);
  const noGo = launch.noGo?.stage === stage.id ? launch.noGo : undefined;
  return {
    id: stage.id,
    ...(stage.title === undefined ? {} : { title: stage.title }),
    state: noGo === undefined ? (told?.phase ?? 'pending') : 'no-go',
    round: told?.round ?? 1,
    ...(told?.seal === undefined ? {} : { seal: told.seal }),
    set: stage.set.map((change) => ({ flag: change.flag, to: describe(change.to), exposure: change.to })),
    bake: { required: stage.bake, earned: told?.earned ?? live.earned.get(stage.id) ?? 0 },
    gates: order.plan.gates
      .filter((gate) => stage.gates.includes(gate.id))
      .map((gate) => gateView(gate, armed.has(gate.id), live.gates.get(gate.id), launch.gates.get(gate.id))),
    evidence: told?.evidence ?? [],
    signOffs: signOffs(stage, told),
    checklist: checklist(order, stage, launch),
    ...(noGo === undefined ? {} : { noGo: { person: noGo.person, role: noGo.role, reason: noGo.reason, recheckAt: noGo.recheckAt, bugs: noGo.bugs } }),
  };
}

function rollbackViews(launch: LaunchFold): RollbackView[] {
  return launch.rollbacks.map(({ scope, cause, by, requestedAt, verifiedAt, seconds }) => ({
    scope,
    why: describeCause(cause),
    cause,
    by,
    requestedAt,
    ...(verifiedAt === undefined ? {} : { verifiedAt }),
    ...(seconds === undefined ? {} : { seconds }),
  }));
}

/** A launch as people are shown it: its events folded, with the gates' and bakes' live values laid over. Pure. */
export function view(order: Order, events: readonly LoggedEvent[], live: LiveFacts): LaunchView {
  const launch = fold(events);
  const { opened } = launch;
  const moved = launch.stages.filter((stage) => stage.phase === 'live' || stage.phase === 'passed').map((stage) => stage.id);
  const armed = new Set(order.plan.stages.filter((stage) => moved.includes(stage.id)).flatMap((stage) => stage.gates));
  const verdicts = new Map([...live.gates].flatMap(([gate, state]) => (state.last === undefined ? [] : [[gate, state.latched ?? state.last] as const])));
  const rollbacks = rollbackViews(launch);
  // The widest rollback, else the newest: the one whose clock matters.
  const rollback = rollbacks.find((one) => one.scope.kind === 'launch') ?? rollbacks.at(-1);
  return {
    id: opened?.launch ?? '',
    headline: headline(launch, { plan: order.plan, gates: verdicts, earned: live.earned }),
    plan: { name: order.plan.name, ...(order.plan.title === undefined ? {} : { title: order.plan.title }), hash: order.hash },
    environment: order.environment,
    state: launch.state,
    ...(launch.stage === undefined || launch.stage === WATCH ? {} : { stage: launch.stage }),
    stages: order.plan.stages.map((stage) => stageView(order, stage, launch, live, armed)),
    watch: { required: order.plan.watch, earned: live.earned.get(WATCH) ?? 0 },
    flags: launch.flags.map((flag) => ({
      flag: flag.flag,
      provider: flag.provider,
      key: flag.key,
      touched: flag.touched,
      verified: flag.verified,
      ...(flag.now === undefined ? {} : { exposure: describe(flag.now.exposure), revision: flag.now.revision }),
      ...(flag.before === undefined ? {} : { before: describe(flag.before.exposure) }),
    })),
    ...(rollback === undefined ? {} : { rollback }),
    rollbacks,
    remainder: leftOf(launch),
    drifts: driftsOf(launch),
    ...(launch.held === undefined ? {} : { held: launch.held }),
    ...(launch.frozen === undefined ? {} : { frozen: launch.frozen }),
    ...(opened?.note === undefined ? {} : { note: opened.note }),
    speed: opened?.speed ?? 1,
    startedBy: opened?.by ?? '',
    startedAt: opened?.at ?? '',
    deadline: opened?.deadline ?? '',
    ...(launch.outcome === undefined ? {} : { outcome: launch.outcome }),
    ...(launch.ended === undefined ? {} : { endedAt: launch.ended.at }),
    lastSeq: launch.lastSeq,
    head: launch.head,
  };
}
