import type { FlagMark, FlagProof, LaunchEvent } from '../core/event.ts';
import { describe, sameExposure } from '../core/exposure.ts';
import { Drift, Retryable } from '../core/failure.ts';
import type { FlagRef, Order, Stage } from '../core/plan.ts';
import type { Candidate, Subject } from '../core/subject.ts';
import { bandSample, idOf, mustGet, pickWitnesses, shareBand } from '../core/witness.ts';
import type { House } from '../house.ts';
import type { Change, FlagProvider, Snapshot } from '../providers/provider.ts';
import { agreed, ask } from '../rollback/ask.ts';
import { drawFor, look, newEntry } from '../rollback/look.ts';
import { Fenced, sent } from '../rollback/sending.ts';
import { rollbackState, type JournalEntry, type RollbackView } from '../store/journal.ts';
import type { NewEntry } from '../store/entries.ts';
import { requestRollback } from '../store/request.ts';
import { markApplied, markVoid, rememberStage, stageShifted, stageWitnessed, stillWanted, type Remembered } from '../store/stages.ts';
import { callPerson } from '../watch/call-person.ts';
import { failingChecks } from '../watch/checks.ts';

/** One provider call's deadline, ms. */
const CALL = 8_000;

function stageOf(order: Order, id: string): Stage {
  const stage = order.plan.stages.find((one) => one.id === id);
  if (stage === undefined) throw new Error(`the plan has no stage ${id}`);
  return stage;
}

function refOf(order: Order, key: string): FlagRef {
  const flag = order.flags.find((one) => one.flag === key);
  if (flag === undefined) throw new Error(`the order has no flag ${key}`);
  return flag;
}

function providerOf(house: House, flag: FlagRef): FlagProvider {
  const provider = house.providers.get(flag.provider);
  if (provider === undefined) throw new Retryable(`no provider is called ${flag.provider} in this worker's config`);
  return provider;
}

/** A flag that this launch wrote and that does not stand as it left it: someone else's hand. */
function drifted(view: RollbackView, flag: FlagRef, snapshot: Snapshot): string | undefined {
  const ours = view.journal.findLast((entry) => entry.flag === flag.flag && entry.phase === 'applied');
  if (ours === undefined || (ours.writtenRevision === snapshot.revision && sameExposure(ours.target, snapshot.exposure))) return undefined;
  if (sameExposure(ours.target, snapshot.exposure)) return undefined;
  return `${flag.flag} reads ${describe(snapshot.exposure)}; this launch left it at ${describe(ours.target)}`;
}

/**
 * Reads every flag of a stage and what its candidates get, and writes that down before any is touched. `wait` says what
 * stands against it now; a flag that someone else changed holds the launch.
 */
export async function remember(house: House, launch: string, stageId: string): Promise<Remembered> {
  const view = await rollbackState(house.store, launch);
  if (view === undefined || view.outcome !== undefined || view.requests.length > 0) return { kind: 'stopped' };
  const stage = stageOf(view.order, stageId);
  const known = view.journal.filter((entry) => entry.stage === stageId && !entry.fallback);
  if (known.length === stage.set.length && !known.some((entry) => entry.phase === 'void')) return { kind: 'remembered', entries: known };
  const failing = await failingChecks(house, launch, view.order, stage);
  const signal = AbortSignal.timeout(CALL);
  const flags = stage.set.map((change) => ({ change, flag: refOf(view.order, change.flag) }));
  const snapshots = await Promise.all(flags.map(({ flag }) => providerOf(house, flag).read(flag, signal)));
  const now = await house.clock.now();
  const at = new Date(now).toISOString();
  const drift = flags.flatMap(({ flag }, index) => (snapshots[index] === undefined ? [] : (drifted(view, flag, snapshots[index]) ?? [])));
  if (drift.length > 0) {
    await callPerson(house, launch, 'drift', drift.join('; '));
    return { kind: 'wait', why: drift.join('; ') };
  }
  const seen = await look(
    house,
    flags.map(({ change, flag }, index) => ({
      flag,
      drawn: view.candidates[flag.flag] ?? drawFor(view.order.plan, flag, snapshots[index]?.exposure ?? change.to),
    })),
    signal,
  );
  const entries = flags.flatMap(({ change, flag }, index): NewEntry[] => {
    const snapshot = snapshots[index];
    return snapshot === undefined ? [] : [newEntry(flag, providerOf(house, flag), snapshot, change.to, seen.get(flag.flag) ?? [])];
  });
  const event: LaunchEvent = {
    kind: 'remembered',
    at,
    by: house.hand,
    stage: stageId,
    flags: entries.map((entry) => ({
      flag: entry.flag,
      provider: entry.provider,
      key: entry.key,
      revision: entry.snapshot.revision,
      exposure: entry.snapshot.exposure,
      to: entry.target,
      undo: entry.undo,
    })),
  };
  const checked = new Set(
    [...view.order.plan.checklist, ...stage.checklist].filter((item) => item.check !== undefined && !failing.includes(item.id)).map((item) => item.id),
  );
  return rememberStage(house.store, launch, stageId, entries, checked, event);
}

async function writeUnit(house: House, view: RollbackView, stageId: string, provider: FlagProvider, entries: readonly JournalEntry[]): Promise<void> {
  const changes = entries.map((entry): Change => ({
    flag: refOf(view.order, entry.flag),
    to: entry.target,
    expected: entry.snapshot,
    change: `${view.launch}/${stageId}/${entry.flag}`,
    by: 'gonogo',
    comment: `${view.launch}, stage ${stageId}`,
    stillWanted: async () => {
      if (!(await stillWanted(house.store, view.launch))) throw new Fenced('a rollback was asked for: nothing is written past it');
    },
  }));
  const began = performance.now();
  try {
    const written = await sent(house.store, view.launch, provider, entries, () => provider.write(changes, AbortSignal.timeout(CALL)));
    house.meter.providerCall(entries[0]?.provider ?? '', 'write', true, (performance.now() - began) / 1_000);
    // A write of ours that is repeated is answered with what stands now: where that is not ours any more, its revision is not either.
    const marks = entries.flatMap((entry, index) => {
      const now = written[index];
      return now === undefined ? [] : [{ flag: entry.flag, ...(sameExposure(now.exposure, entry.target) ? { revision: now.revision } : {}) }];
    });
    await markApplied(house.store, view.launch, stageId, marks);
  } catch (error) {
    if (!(error instanceof Fenced)) house.meter.providerCall(entries[0]?.provider ?? '', 'write', false, (performance.now() - began) / 1_000);
    throw error;
  }
}

/** What became of a stage's writes. */
export type Shifted = 'shifted' | 'stopped' | 'drifted';

/**
 * Writes a stage's flags, unit by unit in the plan's order, each against the journal's revision, and marks them. A
 * flag that someone else changed since is left to them: its entries are void, and the launch is held. Throws Retryable.
 */
export async function shift(house: House, launch: string, stageId: string): Promise<Shifted> {
  const view = await rollbackState(house.store, launch);
  if (view === undefined || view.outcome !== undefined || view.requests.length > 0) return 'stopped';
  const entries = view.journal.filter((entry) => entry.stage === stageId && !entry.fallback);
  const units = Map.groupBy(
    entries.filter((entry) => entry.phase === 'intent'),
    (entry) => `${entry.provider}\n${entry.unit}`,
  );
  // What was left to somebody else stays so when another unit's failure, or a crash, begins this anew.
  let left = entries.some((entry) => entry.phase === 'void');
  for (const unit of units.values()) {
    // The launch is held now: nothing more moves before a person has looked.
    if (left) break;
    const provider = providerOf(house, refOf(view.order, unit[0]?.flag ?? ''));
    try {
      await writeUnit(house, view, stageId, provider, unit);
    } catch (error) {
      if (error instanceof Fenced) return 'stopped';
      if (!(error instanceof Drift)) throw error;
      // A rollback fences what is still on its way: that drift is our own, and nobody's to look at.
      if (!(await stillWanted(house.store, launch))) return 'stopped';
      await callPerson(house, launch, 'drift', error.message);
      await markVoid(
        house.store,
        launch,
        stageId,
        unit.map((entry) => entry.flag),
      );
      left = true;
    }
  }
  const now = await house.clock.now();
  const at = new Date(now).toISOString();
  if (left) return 'drifted';
  const after = await rollbackState(house.store, launch);
  const flags = (after?.journal ?? [])
    .filter((entry) => entry.stage === stageId && entry.phase === 'applied')
    .map((entry): FlagMark => ({
      flag: entry.flag,
      provider: entry.provider,
      key: entry.key,
      revision: entry.writtenRevision ?? '',
      exposure: entry.target,
    }));
  if (after === undefined || after.requests.length > 0) return 'stopped';
  await stageShifted(house.store, launch, stageId, now, { kind: 'shifted', at, by: house.hand, stage: stageId, flags });
  return 'shifted';
}

/** How long (ms) the evaluators may take to show a shift before it holds (silent) or rolls back (old values). */
const SEE_WITHIN = 120_000;
/** The deadline (ms) to ask all subjects: the activity itself has 30 s. */
const SEE = 20_000;

interface Seen {
  readonly witnesses: readonly Subject[];
  readonly proof: FlagProof;
  readonly trouble?: { readonly silent: boolean; readonly detail: string };
}

/** What the candidates of one entry get now, against what they must get. */
async function seeEntry(house: House, view: RollbackView, entry: JournalEntry, signal: AbortSignal): Promise<Seen> {
  const flag = refOf(view.order, entry.flag);
  const candidates = view.candidates[entry.flag] ?? [];
  const partial = entry.target.share > 0 && entry.target.share < 100;
  const extra = partial ? bandSample(entry.target.by, view.now - (entry.appliedAt ?? view.now)) : [];
  const answers = (await ask(house, [{ flag, subjects: [...candidates.map((one) => one.subject), ...extra] }], signal)).get(flag.flag);
  const instances = new Set<string>();
  const flipped: Candidate[] = [];
  let [asked, held] = [0, 0];
  let trouble: Seen['trouble'];
  for (const candidate of candidates) {
    const given = answers?.get(idOf(candidate.subject)) ?? [];
    for (const answer of given) instances.add(`${answer.evaluator}/${answer.instance}`);
    const said = agreed(given);
    if (said.kind === 'gone') continue;
    asked += 1;
    const must = mustGet(entry.target, candidate, flag.offValue);
    if (said.kind !== 'value') {
      // Bad news wins: where one instance answers the old value, the silence of another is no excuse.
      const old = given.some((answer) => answer.kind === 'value' && must !== undefined && answer.value !== must);
      if (trouble?.silent !== false) trouble = { silent: said.kind === 'silent' && !old, detail: said.detail };
    } else if (must !== undefined && said.value !== must) {
      if (trouble?.silent !== false) trouble = { silent: false, detail: `${candidate.subject.key} gets ${String(said.value)}, expected ${String(must)}` };
    } else {
      held += 1;
      // A stage may also take a flag back to where it was before the launch.
      if (said.value !== candidate.baseline || said.value !== (entry.before[idOf(candidate.subject)] ?? said.value)) flipped.push(candidate);
    }
  }
  const share = partial ? bandOf(entry, extra, answers) : undefined;
  if (share !== undefined && (share.percent < share.low || share.percent > share.high)) {
    trouble ??= {
      silent: share.sampled === 0,
      detail: `${share.percent.toFixed(2)} % of ${share.sampled} subjects have it, expected ${share.low.toFixed(2)} to ${share.high.toFixed(2)} %`,
    };
  }
  if (flipped.length === 0) trouble ??= { silent: false, detail: 'no candidate shows the change' };
  const proof: FlagProof = {
    flag: flag.flag,
    instances: [...instances],
    asked,
    agreed: held,
    ...(share === undefined ? {} : { share }),
    ...(trouble === undefined ? {} : { detail: trouble.detail }),
  };
  return { witnesses: pickWitnesses(flipped), proof, ...(trouble === undefined ? {} : { trouble }) };
}

function bandOf(
  entry: JournalEntry,
  subjects: readonly Subject[],
  answers: ReadonlyMap<string, Parameters<typeof agreed>[0]> | undefined,
): NonNullable<FlagProof['share']> {
  const said = subjects.map((subject) => agreed(answers?.get(idOf(subject)) ?? [])).filter((one) => one.kind === 'value');
  const having = said.filter((one) => one.value === entry.target.value).length;
  const n = Math.max(1, said.length);
  return { sampled: said.length, percent: (100 * having) / n, ...shareBand(entry.target.share, n) };
}

/**
 * Sees a stage's change where its users read it, and keeps who showed it. Throws Retryable until every instance shows
 * it; after 2 min an evaluator that is silent holds and pages, one that answers the old value rolls back.
 */
export async function witness(house: House, launch: string, stageId: string): Promise<'witnessed' | 'stopped'> {
  const view = await rollbackState(house.store, launch);
  if (view === undefined || view.outcome !== undefined || view.requests.length > 0) return 'stopped';
  const entries = view.journal.filter((entry) => entry.stage === stageId && !entry.fallback && entry.phase === 'applied');
  const signal = AbortSignal.timeout(SEE);
  const seen = await Promise.all(entries.map((entry) => seeEntry(house, view, entry, signal)));
  const now = await house.clock.now();
  const at = new Date(now).toISOString();
  const bad = seen.find((one) => one.trouble?.silent === false) ?? seen.find((one) => one.trouble !== undefined);
  if (bad?.trouble === undefined) {
    const witnesses = Object.fromEntries(entries.map((entry, index) => [entry.flag, seen[index]?.witnesses ?? []]));
    await stageWitnessed(
      house.store,
      launch,
      stageId,
      witnesses,
      seen.map((one) => one.proof),
      at,
    );
    return 'witnessed';
  }
  const since = Math.min(...entries.map((entry) => entry.appliedAt ?? view.now));
  const reason = `${bad.proof.flag}: the change of ${stageId} is not seen after 2 min: ${bad.trouble.detail}`;
  if (view.now - since >= SEE_WITHIN) {
    // What an evaluator says of its trouble may differ each time; it is one trouble.
    if (bad.trouble.silent) await callPerson(house, launch, 'witness', reason, 'witness', `${stageId} ${bad.proof.flag}`);
    else {
      await requestRollback(house.store, launch, { kind: 'launch' }, { kind: 'witness', flag: bad.proof.flag, reason }, 'gonogo', now);
      house.nudge.stopped(launch);
      return 'stopped';
    }
  }
  throw new Retryable(`${bad.proof.flag}: ${bad.trouble.detail}`);
}
