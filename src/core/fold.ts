import type { Cause, FlagMark, FlagProof, GateRecord, LaunchEvent, LoggedEvent, Outcome, Scope, State } from './event.ts';
import { sameExposure, type Exposure } from './exposure.ts';
import type { Millis } from './plan.ts';
import { stateOf, WATCH, type StageStanding } from './state.ts';
import type { Verdict } from './verdict.ts';

type EventOf<K extends LaunchEvent['kind']> = Extract<LaunchEvent, { kind: K }>;

/** One signature as it was given; `stands` is false once its round was cleared by a no-go's recheck or replaced by a later answer. */
export interface SignatureFact {
  readonly seq: number;
  readonly at: string;
  readonly round: number;
  readonly role: string;
  readonly person: string;
  readonly decision: 'go' | 'no-go';
  readonly planHash: string;
  readonly seal: string;
  readonly stands: boolean;
  readonly reason?: string;
  readonly bugs?: readonly string[];
  readonly recheckAt?: string;
  readonly meanwhile?: 'hold' | 'roll-back';
}

/** What is known of a checklist item: the newest tick of a person or look of the machine. */
export interface ItemFact {
  readonly item: string;
  readonly done: boolean;
  readonly by: string;
  readonly at: string;
  readonly role?: string;
  readonly evidence?: string;
  readonly why?: string;
}

/** One stage as its events tell it. */
export interface StageFold {
  readonly id: string;
  readonly phase: StageStanding['phase'];
  readonly round: number;
  readonly openedAt?: string;
  readonly shiftedAt?: string;
  readonly bakedAt?: string;
  /** Hash of the event that (re)opened the stage: what its signatures are bound to. */
  readonly seal?: string;
  readonly evidence: readonly GateRecord[];
  readonly signatures: readonly SignatureFact[];
  readonly before: readonly (FlagMark & { readonly to: Exposure; readonly undo?: string })[];
  readonly after: readonly FlagMark[];
  readonly proofs: readonly FlagProof[];
  readonly earned?: Millis;
  readonly required?: Millis;
  /** Gate records at the end of the bake. */
  readonly gates: readonly GateRecord[];
}

/** A flag as the launch last saw it. `verified` when the evaluators last agreed with it. */
export interface FlagFold {
  readonly flag: string;
  readonly provider: string;
  readonly key: string;
  readonly before?: FlagMark;
  readonly now?: FlagMark;
  readonly touched: boolean;
  readonly verified: boolean;
}

/** One rollback: asked for, written, proven. */
export interface RollbackFold {
  readonly scope: Scope;
  readonly cause: Cause;
  readonly by: string;
  /** Judged time of the asking, and when the database wrote it down. */
  readonly requestedAt: string;
  readonly recordedAt: string;
  readonly restored: readonly (FlagMark & { readonly outcome: string; readonly at: string; readonly hand: string })[];
  readonly proofs: readonly FlagProof[];
  /** What was proven back while the rest was not yet, with its own clock. */
  readonly parts: readonly { readonly provider: string; readonly flags: readonly string[]; readonly seconds: number; readonly verifiedAt: string }[];
  readonly relapses: number;
  readonly verifiedAt?: string;
  readonly seconds?: number;
  readonly hand?: string;
}

/** A launch as its events tell it, and nothing else. */
export interface LaunchFold {
  readonly opened?: EventOf<'opened'>;
  readonly openedAt?: string;
  readonly state: State;
  /** The stage that is doing something now: the newest that is not pending; `$watch` after the last. */
  readonly stage?: string;
  readonly stages: readonly StageFold[];
  readonly items: ReadonlyMap<string, ItemFact>;
  readonly gates: ReadonlyMap<string, Verdict>;
  readonly flags: readonly FlagFold[];
  readonly rollbacks: readonly RollbackFold[];
  /** Changes made by others to flags that this launch had written. */
  readonly drifts: readonly EventOf<'drifted'>[];
  readonly noGo?: {
    readonly stage: string;
    readonly person: string;
    readonly role: string;
    readonly reason: string;
    readonly recheckAt: string;
    readonly bugs: readonly string[];
  };
  readonly held?: { readonly reason: string; readonly cause: string; readonly by: string; readonly at: string };
  readonly frozen?: { readonly reason: string; readonly until: string };
  readonly stuck?: readonly string[];
  readonly watching?: { readonly from: string; readonly until: string };
  readonly outcome?: Outcome;
  readonly ended?: EventOf<'ended'>;
  readonly lastSeq: number;
  readonly head: string;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };
type Draft = Omit<Writable<LaunchFold>, 'stages' | 'flags' | 'rollbacks' | 'drifts' | 'items' | 'gates'> & {
  stages: Map<string, Writable<StageFold>>;
  flags: Map<string, Writable<FlagFold>>;
  rollbacks: Writable<RollbackFold>[];
  drifts: EventOf<'drifted'>[];
  items: Map<string, ItemFact>;
  gates: Map<string, Verdict>;
};

function freshStage(id: string): Writable<StageFold> {
  return { id, phase: 'pending', round: 1, evidence: [], signatures: [], before: [], after: [], proofs: [], gates: [] };
}

function stageOf(draft: Draft, id: string): Writable<StageFold> {
  const stage = draft.stages.get(id) ?? freshStage(id);
  draft.stages.set(id, stage);
  return stage;
}

function flagOf(draft: Draft, mark: { readonly flag: string; readonly provider: string; readonly key: string }): Writable<FlagFold> {
  const flag = draft.flags.get(mark.flag) ?? { flag: mark.flag, provider: mark.provider, key: mark.key, touched: false, verified: false };
  draft.flags.set(mark.flag, flag);
  return flag;
}

function markOf({ flag, provider, key, revision, exposure }: FlagMark): FlagMark {
  return { flag, provider, key, revision, exposure };
}

/** Whether every subject that was asked agreed, and there was one to ask. */
export function agrees(proof: FlagProof): boolean {
  return proof.asked > 0 && proof.agreed === proof.asked;
}

function prove(draft: Draft, proofs: readonly FlagProof[]): void {
  for (const proof of proofs) {
    const flag = draft.flags.get(proof.flag);
    if (flag !== undefined) flag.verified = agrees(proof);
  }
}

function sameScope(a: Scope, b: Scope): boolean {
  return a.kind === 'launch' ? b.kind === 'launch' : b.kind === 'stage' && a.stage === b.stage;
}

function drop<T extends object>(target: T, key: keyof T): void {
  Reflect.deleteProperty(target, key);
}

function signed(draft: Draft, event: EventOf<'signed'>, seq: number): void {
  const stage = stageOf(draft, event.stage);
  const { at, by, round, role, decision, planHash, seal, reason, bugs, recheckAt, meanwhile } = event;
  const fact: SignatureFact = {
    seq,
    at,
    round,
    role,
    person: by,
    decision,
    planHash,
    seal,
    stands: true,
    ...(reason === undefined ? {} : { reason }),
    ...(bugs === undefined ? {} : { bugs }),
    ...(recheckAt === undefined ? {} : { recheckAt }),
    ...(meanwhile === undefined ? {} : { meanwhile }),
  };
  stage.signatures = [...stage.signatures.map((one) => (one.person === by && one.round === round ? { ...one, stands: false } : one)), fact];
  if (decision === 'no-go') draft.noGo = { stage: event.stage, person: by, role, reason: reason ?? '', recheckAt: recheckAt ?? '', bugs: bugs ?? [] };
}

function opened(draft: Draft, event: EventOf<'opened'>): void {
  draft.opened = event;
  draft.openedAt = event.at;
  for (const id of event.stages) draft.stages.set(id, freshStage(id));
  for (const flag of event.flags) flagOf(draft, flag);
}

function shifted(draft: Draft, event: EventOf<'shifted'>): void {
  const stage = stageOf(draft, event.stage);
  stage.phase = 'live';
  stage.shiftedAt = event.at;
  stage.after = event.flags.map(markOf);
  for (const mark of event.flags) Object.assign(flagOf(draft, mark), { now: markOf(mark), touched: true, verified: false });
}

function remembered(draft: Draft, event: EventOf<'remembered'>): void {
  const stage = stageOf(draft, event.stage);
  stage.phase = 'shifting';
  stage.before = event.flags;
  drop(draft, 'frozen');
  for (const mark of event.flags) {
    const flag = flagOf(draft, mark);
    flag.before ??= markOf(mark);
    flag.now ??= markOf(mark);
    flag.touched = true;
  }
}

function requested(draft: Draft, event: EventOf<'rollback-requested'>, recordedAt: string): void {
  const { scope, cause, by, at } = event;
  draft.rollbacks.push({ scope, cause, by, requestedAt: at, recordedAt, restored: [], proofs: [], parts: [], relapses: 0 });
  for (const flag of draft.flags.values()) if (flag.touched) flag.verified = false;
  // A wider request takes a stuck launch up again.
  if (draft.outcome === 'stuck') drop(draft, 'outcome');
  drop(draft, 'stuck');
}

function restored(draft: Draft, event: EventOf<'restored'>): void {
  const rollback = draft.rollbacks.find((one) => sameScope(one.scope, event.scope));
  if (rollback !== undefined) rollback.restored = [...rollback.restored, ...event.flags.map((mark) => ({ ...mark, at: event.at, hand: event.hand }))];
  for (const mark of event.flags) Object.assign(flagOf(draft, mark), { now: markOf(mark), verified: false });
}

function proven(draft: Draft, event: EventOf<'rollback-proven'>): void {
  const rollback = draft.rollbacks.find((one) => sameScope(one.scope, event.scope));
  if (rollback !== undefined) Object.assign(rollback, { proofs: event.proofs, seconds: event.seconds, verifiedAt: event.verifiedAt, hand: event.hand });
  prove(draft, event.proofs);
  drop(draft, 'stuck');
}

function partProven(draft: Draft, event: EventOf<'part-proven'>): void {
  const { provider, proofs, seconds, verifiedAt } = event;
  const rollback = draft.rollbacks.find((one) => sameScope(one.scope, event.scope));
  if (rollback !== undefined) rollback.parts = [...rollback.parts, { provider, flags: proofs.map((proof) => proof.flag), seconds, verifiedAt }];
  prove(draft, proofs);
}

/** Someone else's change: the flag stands as they left it, and what was seen of it is seen no more. */
function drifted(draft: Draft, event: EventOf<'drifted'>): void {
  draft.drifts.push(event);
  const { flag, provider, key, revision, now } = event;
  Object.assign(flagOf(draft, event), { now: { flag, provider, key, revision, exposure: now }, ...(event.holds ? { verified: false } : {}) });
}

function relapsed(draft: Draft, event: EventOf<'relapsed'>): void {
  const rollback =
    draft.rollbacks.find((one) => one.scope.kind === 'launch' && one.verifiedAt !== undefined) ??
    draft.rollbacks.findLast((one) => one.verifiedAt !== undefined);
  if (rollback !== undefined) {
    rollback.relapses += 1;
    drop(rollback, 'verifiedAt');
    drop(rollback, 'seconds');
    rollback.parts = rollback.parts.filter((part) => !part.flags.some((flag) => event.flags.includes(flag)));
  }
  // A patrol may find it after the end: the launch is rolling back again.
  if (draft.outcome === 'rolled-back') {
    drop(draft, 'outcome');
    drop(draft, 'ended');
  }
  for (const name of event.flags) {
    const flag = draft.flags.get(name);
    if (flag !== undefined) flag.verified = false;
  }
}

/** The next fact, by the kind of its event. */
function apply(draft: Draft, event: LaunchEvent, seq: number, recordedAt: string, hash: string): void {
  switch (event.kind) {
    case 'opened':
      opened(draft, event);
      return;
    case 'stage-opened':
      Object.assign(stageOf(draft, event.stage), { phase: 'clearance', round: event.round, openedAt: event.at, evidence: event.evidence, seal: hash });
      return;
    case 'reopened': {
      const stage = stageOf(draft, event.stage);
      Object.assign(stage, { round: event.round, seal: hash, signatures: stage.signatures.map((one) => ({ ...one, stands: false })) });
      drop(draft, 'noGo');
      return;
    }
    case 'ticked': {
      const { item, done, by, at, role, evidence } = event;
      draft.items.set(item, { item, done, by, at, ...(role === undefined ? {} : { role }), ...(evidence === undefined ? {} : { evidence }) });
      return;
    }
    case 'checked':
      draft.items.set(event.item, { item: event.item, done: event.passes, by: event.by, at: event.at, why: event.why });
      return;
    case 'signed':
      signed(draft, event, seq);
      return;
    case 'held':
      draft.held = { reason: event.reason, cause: event.cause, by: event.by, at: event.at };
      return;
    case 'resumed':
      drop(draft, 'held');
      return;
    case 'frozen':
      draft.frozen = { reason: event.reason, until: event.until };
      return;
    case 'thawed':
      drop(draft, 'frozen');
      return;
    case 'remembered':
      remembered(draft, event);
      return;
    case 'shifted':
      shifted(draft, event);
      return;
    case 'witnessed':
      stageOf(draft, event.stage).proofs = event.proofs;
      prove(draft, event.proofs);
      return;
    case 'gate':
      draft.gates.set(event.gate, event.verdict);
      return;
    case 'baked':
      Object.assign(stageOf(draft, event.stage), { phase: 'passed', bakedAt: event.at, earned: event.earned, required: event.required, gates: event.gates });
      return;
    case 'watching':
      draft.watching = { from: event.at, until: event.until };
      Object.assign(stageOf(draft, WATCH), { phase: 'live', shiftedAt: event.at });
      return;
    case 'watched':
      Object.assign(stageOf(draft, WATCH), { bakedAt: event.at, earned: event.earned, gates: event.gates });
      return;
    case 'rollback-requested':
      requested(draft, event, recordedAt);
      return;
    case 'restored':
      restored(draft, event);
      return;
    case 'rollback-proven':
      proven(draft, event);
      return;
    case 'relapsed':
      relapsed(draft, event);
      return;
    case 'stuck':
      draft.stuck = event.remainder;
      draft.outcome = 'stuck';
      return;
    case 'drifted':
      drifted(draft, event);
      return;
    case 'part-proven':
      partProven(draft, event);
      return;
    case 'ended':
      draft.outcome = event.outcome;
      draft.ended = event;
      drop(draft, 'held');
      drop(draft, 'stuck');
      return;
    case 'cleared':
    case 'gap':
    case 'paged':
    case 'put-back-by-hand':
    case 'concluded':
      return;
    default:
      event satisfies never;
  }
}

/** Folds a launch's events, in order, into the launch as it stands after the last of them. Pure; the same for page, report, messages and CLI. */
export function fold(events: readonly Pick<LoggedEvent, 'seq' | 'recordedAt' | 'event' | 'hash'>[]): LaunchFold {
  const draft: Draft = {
    state: 'waiting',
    stages: new Map(),
    items: new Map(),
    gates: new Map(),
    flags: new Map(),
    rollbacks: [],
    drifts: [],
    lastSeq: 0,
    head: '0'.repeat(64),
  };
  for (const { seq, recordedAt, event, hash } of events) {
    apply(draft, event, seq, recordedAt, hash);
    draft.lastSeq = seq;
    draft.head = hash;
  }
  const stages = [...draft.stages.values()];
  const current = stages.findLast((stage) => stage.phase !== 'pending');
  const state = stateOf({
    outcome: draft.outcome ?? null,
    rollingBack: draft.rollbacks.some((one) => one.scope.kind === 'launch' || one.verifiedAt === undefined),
    held: draft.held !== undefined,
    frozen: draft.frozen !== undefined,
    stages: stages.map((stage) => ({ stage: stage.id, phase: stage.phase, noGo: draft.noGo?.stage === stage.id })),
  });
  return {
    ...draft,
    state,
    ...(current === undefined ? {} : { stage: current.id }),
    stages: stages.filter((stage) => stage.id !== WATCH),
    flags: [...draft.flags.values()],
  };
}

/** The flags that a launch has changed and that stand otherwise than before it. */
export function movedFlags(launch: LaunchFold): readonly FlagFold[] {
  return launch.flags.filter(
    (flag) => flag.touched && flag.now !== undefined && (flag.before === undefined || !sameExposure(flag.now.exposure, flag.before.exposure)),
  );
}

/** The flags that an unproven rollback has not proven back yet; none while no rollback is open. */
export function remainderOf(launch: LaunchFold): readonly FlagFold[] {
  const open = launch.rollbacks.filter((one) => one.verifiedAt === undefined);
  const covers = (flag: string) =>
    open.some(
      ({ scope }) => scope.kind === 'launch' || launch.stages.some((stage) => stage.id === scope.stage && stage.before.some((mark) => mark.flag === flag)),
    );
  return launch.flags.filter((flag) => flag.touched && !flag.verified && covers(flag.flag));
}
