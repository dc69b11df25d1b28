import { describeMillis } from '../core/bound.ts';
import { lookWithin } from '../core/deadlines.ts';
import type { Gate } from '../core/plan.ts';
import { counts } from '../core/reading.ts';
import type { Verdict } from '../core/verdict.ts';
import { callPerson, pageForHold } from './call-person.ts';
import { isMeasured, lookAtGate, watchGate } from './gate-watch.ts';
import { inTime } from './in-time.ts';
import type { Watch } from './watch.ts';

/** How often the gates of a stage that waits for people are tried again, ms; and those that could not be asked. */
const AGAIN = 180_000;
const SOON = 10_000;
/** A source may fail so many looks in a row before a person is called. */
const FAILURES = 3;

interface Tried {
  readonly gate: Gate;
  readonly kind: 'well' | 'breached' | 'failed';
  readonly why: string;
}

/** One look at the gates, beside the loop: those that are armed do not wait for it. */
interface ComingLook {
  /** What it came to; undefined while it is under way. */
  found: readonly Tried[] | undefined;
  /** False once there was a hold, a no-go or another stage since it began: what it finds is of before. */
  wanted: boolean;
}

/** What is known of the gates that the stage in clearance will arm. */
export interface Coming {
  readonly stage: string;
  /** When (judged time, ms) they are tried next. */
  readonly due: number;
  readonly failures: number;
  /** Something stands in the stage's way, or it is not known yet. */
  readonly blocked: boolean;
  /** The look that nobody has collected yet; there is one at most. */
  readonly look: ComingLook | undefined;
  /** When the newest hold began for which it is certain that a person was paged. */
  readonly paged: string | undefined;
}

function triedOf(gate: Gate, verdict: Verdict): Tried {
  if (verdict.kind === 'no-go') return { gate, kind: 'breached', why: verdict.why };
  return { gate, kind: verdict.kind === 'inconclusive' && verdict.reason === 'error' ? 'failed' : 'well', why: verdict.why };
}

/** Never rejects, and is over within the time that the gate has once it is armed, whatever its source does. */
async function tryGate(watch: Watch, gate: Gate, now: number): Promise<Tried> {
  const failed = (why: string): Tried => ({ gate, kind: 'failed', why });
  const source = gate.source === undefined ? undefined : watch.house.sources.get(gate.source);
  if (source === undefined) return failed(`no source is called ${gate.source ?? '(none)'}`);
  // A breach must last: what came before this look is read back, where the source remembers.
  const from = gate.for === 0 || counts(gate) ? now : now - gate.for - 2 * gate.every;
  const signal = AbortSignal.timeout(lookWithin(gate));
  const trying = lookAtGate(watch.house, watchGate(gate, from, undefined), source, signal).then(
    ({ verdict }) => triedOf(gate, verdict),
    (error: unknown) => failed(`${gate.id}: could not look: ${error instanceof Error ? error.message : String(error)}`),
  );
  return (await inTime(trying, signal)) ?? failed(`${gate.id}: no answer within ${describeMillis(lookWithin(gate))}`);
}

function begin(watch: Watch, coming: Coming, gates: readonly Gate[], now: number): void {
  if (gates.length === 0) {
    watch.coming = { ...coming, due: now + AGAIN, failures: 0, blocked: false };
    return;
  }
  const look: ComingLook = { found: undefined, wanted: true };
  watch.coming = { ...coming, due: now + AGAIN, look };
  void Promise.all(gates.map((gate) => tryGate(watch, gate, now))).then((found) => {
    look.found = found;
  });
}

async function collect(watch: Watch, coming: Coming, tried: readonly Tried[], now: number): Promise<void> {
  const breached = tried.filter(({ kind }) => kind === 'breached');
  const failed = tried.filter(({ kind }) => kind === 'failed');
  const failures = failed.length === 0 ? 0 : coming.failures + 1;
  const bad = [...breached, ...(failures >= FAILURES ? failed : [])];
  // A call that cannot be written down is no call: it is tried again soon.
  watch.coming = { ...coming, due: now + (bad.length > 0 || failures > 0 ? SOON : AGAIN), failures, blocked: breached.length + failed.length > 0 };
  if (bad.length === 0) return;
  const text = bad.map(({ kind, why }) => (kind === 'breached' ? `breached before ${coming.stage} arms it: ${why}` : why)).join('; ');
  await callPerson(watch.house, watch.launch, 'readiness', text, 'readiness', `${coming.stage}: ${bad.map(({ gate }) => gate.id).join(', ')}`);
}

/**
 * Tries the gates that the stage in clearance will arm and that are not armed yet: when it opens, after a hold, and every few minutes while people
 * take their time. One that is breached already, or that cannot be asked again and again, holds and pages; no data yet is no hindrance. A look is
 * begun at one tick and collected at a later one.
 */
export async function lookAtComing(watch: Watch, now: number): Promise<void> {
  const open = watch.state.stages.find((one) => one.phase === 'clearance');
  const index = watch.order.plan.stages.findIndex((one) => one.id === open?.stage);
  const stage = watch.order.plan.stages[index];
  if (open === undefined || stage === undefined || watch.state.requests.length > 0) return;
  const { held } = watch.state;
  const look = watch.coming?.look;
  const fresh = (due: number, blocked: boolean): Coming => ({
    stage: stage.id,
    due,
    failures: 0,
    blocked,
    look: look?.found === undefined ? look : undefined,
    paged: watch.coming?.paged,
  });
  const stands = open.noGo !== undefined || held !== undefined;
  if (look !== undefined && (stands || watch.coming?.stage !== stage.id)) look.wanted = false;
  // A no-go has its own say, and may have to roll back. What stood in the way before a hold may stand there still when it ends.
  if (stands) {
    watch.coming = fresh(now, open.noGo === undefined);
    if (held?.by !== 'gonogo' || held.cause !== 'readiness' || held.at === watch.coming.paged || now - Date.parse(held.at) < SOON) return;
    await pageForHold(watch.house, watch.launch, 'readiness', held.reason);
    watch.coming = { ...watch.coming, paged: held.at };
    return;
  }
  // Before the first stage all gates were tried by the launch itself.
  const coming = watch.coming?.stage === stage.id ? watch.coming : fresh(index === 0 ? now + AGAIN : now, index !== 0);
  watch.coming = coming;
  if (coming.look !== undefined) {
    const { found, wanted } = coming.look;
    if (found === undefined) return;
    watch.coming = { ...coming, look: undefined };
    if (wanted) await collect(watch, watch.coming, found, now);
    return;
  }
  if (now < coming.due) return;
  const gates = watch.order.plan.gates.filter((gate) => stage.gates.includes(gate.id) && !watch.gates.has(gate.id) && isMeasured(gate));
  begin(watch, coming, gates, now);
}
