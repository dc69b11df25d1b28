import { Drift } from '../core/failure.ts';
import type { FlagChange, FlagRef, Stage } from '../core/plan.ts';
import { idOf, mustGet } from '../core/witness.ts';
import type { House } from '../house.ts';
import type { Change } from '../providers/provider.ts';
import { fallbackWanted, fallbackWritten, rememberFallback } from '../store/fallback.ts';
import { rollbackState, type JournalEntry, type RequestRow, type RollbackView } from '../store/journal.ts';
import { holdInFallback } from '../store/people.ts';
import type { NewEntry } from '../store/entries.ts';
import { markApplied } from '../store/stages.ts';
import { agreed, ask } from './ask.ts';
import { drawFor, look, newEntry } from './look.ts';
import { sent } from './sending.ts';

/** The changes that a stage asks for when it alone is rolled back. */
export function fallbackOf(stage: Stage | undefined): readonly FlagChange[] {
  return stage?.onRollback?.set ?? [];
}

const CALL = 8_000;

async function remember(house: House, view: RollbackView, stage: string, changes: readonly FlagChange[]): Promise<boolean> {
  const signal = AbortSignal.timeout(CALL);
  const flags = changes.flatMap((change) => view.order.flags.filter((flag) => flag.flag === change.flag));
  const providerOf = (flag: FlagRef) => {
    const provider = house.providers.get(flag.provider);
    if (provider === undefined) throw new Error(`no provider is called ${flag.provider}`);
    return provider;
  };
  const snapshots = new Map(await Promise.all(flags.map(async (flag) => [flag.flag, await providerOf(flag).read(flag, signal)] as const)));
  const now = await look(
    house,
    changes.map((change) => {
      const flag = refOf(view, change.flag);
      return { flag, drawn: view.candidates[flag.flag] ?? drawFor(view.order.plan, flag, snapshots.get(flag.flag)?.exposure ?? change.to) };
    }),
    signal,
  );
  const entries = await Promise.all(
    changes.map(async (change): Promise<NewEntry> => {
      const flag = refOf(view, change.flag);
      const provider = providerOf(flag);
      const snapshot = snapshots.get(flag.flag) ?? (await provider.read(flag, signal));
      return newEntry(flag, provider, snapshot, change.to, now.get(flag.flag) ?? []);
    }),
  );
  return rememberFallback(house.store, view.launch, stage, entries);
}

function refOf(view: RollbackView, key: string): FlagRef {
  const flag = view.order.flags.find((one) => one.flag === key);
  if (flag === undefined) throw new Error(`the launch knows no flag ${key}`);
  return flag;
}

async function write(house: House, view: RollbackView, entries: readonly JournalEntry[]): Promise<void> {
  const units = Map.groupBy(entries, (entry) => `${entry.provider}\n${entry.unit}`);
  await Promise.all(
    [...units.values()].map(async (unit) => {
      const provider = house.providers.get(unit[0]?.provider ?? '');
      if (provider === undefined) throw new Error(`no provider is called ${unit[0]?.provider ?? '?'}`);
      const changes = unit.map((entry): Change => ({
        flag: refOf(view, entry.flag),
        to: entry.target,
        expected: entry.snapshot,
        change: `${view.launch}/fallback/${entry.flag}`,
        by: 'gonogo',
        comment: `fallback of ${view.launch}`,
        stillWanted: async () => {
          if (!(await fallbackWanted(house.store, view.launch))) throw new Drift(entry.flag, 'the whole launch is rolled back by now');
        },
      }));
      const written = await sent(house.store, view.launch, provider, unit, () => provider.write(changes, AbortSignal.timeout(CALL)));
      const marks = unit.flatMap((entry, index) => (written[index] === undefined ? [] : [{ flag: entry.flag, revision: written[index].revision }]));
      await markApplied(house.store, view.launch, unit[0]?.stage ?? '', marks);
    }),
  );
}

/** What of the fallback the evaluators do not show yet. */
async function unseen(house: House, view: RollbackView, entries: readonly JournalEntry[]): Promise<readonly string[]> {
  const asks = entries.map((entry) => ({ flag: refOf(view, entry.flag), subjects: (view.candidates[entry.flag] ?? []).map((one) => one.subject) }));
  const answers = await ask(house, asks, AbortSignal.timeout(CALL));
  return entries.flatMap((entry) => {
    const flag = refOf(view, entry.flag);
    for (const candidate of view.candidates[entry.flag] ?? []) {
      const expected = mustGet(entry.target, candidate, flag.offValue);
      const said = agreed(answers.get(entry.flag)?.get(idOf(candidate.subject)) ?? []);
      if (said.kind === 'gone' || expected === undefined || (said.kind === 'value' && said.value === expected)) continue;
      return [`${entry.flag}: the fallback is not seen: ${said.kind === 'value' ? `${candidate.subject.key} gets ${String(said.value)}` : said.detail}`];
    }
    return [];
  });
}

/**
 * After a stage's flags are back: its fallback is journalled, written and seen at the evaluators; then the launch is
 * held in it. Returns what is not done yet, or undefined when all is. Any hand may call it any number of times.
 */
export async function writeFallback(house: House, view: RollbackView, request: RequestRow): Promise<readonly string[] | undefined> {
  const stage = request.scope.slice('stage:'.length);
  const changes = fallbackOf(view.order.plan.stages.find((one) => one.id === stage));
  try {
    let current = view;
    if (changes.length > 0) {
      if (!view.journal.some((entry) => entry.fallback)) {
        if (!(await remember(house, view, stage, changes))) return ['a wider rollback was asked for'];
        current = (await rollbackState(house.store, view.launch)) ?? view;
      }
      const entries = current.journal.filter((entry) => entry.fallback);
      const open = entries.filter((entry) => entry.phase === 'intent');
      if (open.length > 0) await write(house, current, open);
      const missing = await unseen(house, current, entries);
      if (missing.length > 0) return missing;
      const at = new Date(await house.clock.now()).toISOString();
      const marks = entries.map((entry) => ({
        flag: entry.flag,
        provider: entry.provider,
        key: entry.key,
        revision: entry.writtenRevision ?? '',
        exposure: entry.target,
      }));
      await fallbackWritten(house.store, view.launch, stage, house.hand, at, marks);
    }
    const at = new Date(await house.clock.now()).toISOString();
    await holdInFallback(house.store, view.launch, at, stage);
    return undefined;
  } catch (error) {
    return [`the fallback of ${stage}: ${error instanceof Error ? error.message : String(error)}`];
  }
}
