import type { Gate } from '../core/plan.ts';
import { counts } from '../core/reading.ts';
import { callPerson } from './call-person.ts';
import { isMeasured, lookAtGate, watchGate } from './gate-watch.ts';
import type { Watch } from './watch.ts';

/** How often the gates of a stage that waits for people are tried again, ms; and those that could not be asked. */
const AGAIN = 180_000;
const SOON = 10_000;
/** One look's deadline, ms: the armed gates wait for it. */
const LOOK = 2_000;
/** A source may fail so many looks in a row before a person is called. */
const FAILURES = 3;

/** What is known of the gates that the stage in clearance will arm. */
export interface Coming {
  readonly stage: string;
  /** When they were last tried (judged time, ms), and are due again. */
  readonly due: number;
  readonly failures: number;
  /** Something stands in the stage's way, or it is not known yet. */
  readonly blocked: boolean;
}

interface Tried {
  readonly gate: Gate;
  readonly kind: 'well' | 'breached' | 'failed';
  readonly why: string;
}

async function tryGate(watch: Watch, gate: Gate, now: number): Promise<Tried> {
  const source = gate.source === undefined ? undefined : watch.house.sources.get(gate.source);
  if (source === undefined) return { gate, kind: 'failed', why: `no source is called ${gate.source ?? '(none)'}` };
  // A breach must last: what came before this look is read back, where the source remembers.
  const from = gate.for === 0 || counts(gate) ? now : now - gate.for - 2 * gate.every;
  const { verdict } = await lookAtGate(watch.house, watchGate(gate, from, undefined), source, AbortSignal.timeout(LOOK));
  if (verdict.kind === 'no-go') return { gate, kind: 'breached', why: verdict.why };
  return { gate, kind: verdict.kind === 'inconclusive' && verdict.reason === 'error' ? 'failed' : 'well', why: verdict.why };
}

/**
 * Tries the gates that the stage in clearance will arm and that are not armed yet: when it opens, after a hold, and every few minutes while people
 * take their time. One that is breached already, or that cannot be asked again and again, holds and pages; no data yet is no hindrance.
 */
export async function lookAtComing(watch: Watch, now: number): Promise<void> {
  const open = watch.state.stages.find((one) => one.phase === 'clearance');
  const index = watch.order.plan.stages.findIndex((one) => one.id === open?.stage);
  const stage = watch.order.plan.stages[index];
  if (open === undefined || stage === undefined || watch.state.requests.length > 0) return;
  // A no-go has its own say, and may have to roll back.
  if (open.noGo !== undefined) {
    watch.coming = { stage: stage.id, due: now, failures: 0, blocked: false };
    return;
  }
  // What stood in the way may stand there still when the hold ends.
  if (watch.state.held !== undefined) {
    watch.coming = { stage: stage.id, due: now, failures: 0, blocked: true };
    return;
  }
  // Before the first stage all gates were tried by the launch itself.
  if (watch.coming?.stage !== stage.id) watch.coming = { stage: stage.id, due: index === 0 ? now + AGAIN : now, failures: 0, blocked: index !== 0 };
  if (now < watch.coming.due) return;
  const gates = watch.order.plan.gates.filter((gate) => stage.gates.includes(gate.id) && !watch.gates.has(gate.id) && isMeasured(gate));
  const tried = await Promise.all(gates.map((gate) => tryGate(watch, gate, now)));
  const breached = tried.filter(({ kind }) => kind === 'breached');
  const failed = tried.filter(({ kind }) => kind === 'failed');
  const failures = failed.length === 0 ? 0 : watch.coming.failures + 1;
  const bad = [...breached, ...(failures >= FAILURES ? failed : [])];
  const blocked = breached.length + failed.length > 0;
  watch.coming = { stage: stage.id, due: now + (failures > 0 && failures < FAILURES ? SOON : AGAIN), failures, blocked };
  if (bad.length === 0) return;
  const text = bad.map(({ kind, why }) => (kind === 'breached' ? `breached before ${stage.id} arms it: ${why}` : why)).join('; ');
  await callPerson(watch.house, watch.launch, 'readiness', text, 'readiness', `${stage.id}: ${bad.map(({ gate }) => gate.id).join(', ')}`);
}
