import type { Cause, LaunchEvent } from '../../src/core/event.ts';
import type { Evaluation, Question } from '../../src/evaluators/evaluator.ts';
import type { House } from '../../src/house.ts';
import type { Change, FlagProvider, RestoreEntry, Restored, Snapshot } from '../../src/providers/provider.ts';
import { eventsOf } from '../../src/store/events.ts';
import { launchRow } from '../../src/store/launches.ts';
import { requestRollback } from '../../src/store/request.ts';
import { until } from '../support/until.ts';
import type { World } from '../support/world.ts';

/** How long (ms) a test waits for anything on a machine that others use as well. */
const PATIENCE = 60_000;

type Write = (changes: readonly Change[], signal: AbortSignal, provider: FlagProvider) => Promise<readonly Snapshot[]>;
type Restore = (entries: readonly RestoreEntry[], signal: AbortSignal, provider: FlagProvider) => Promise<readonly Restored[]>;
type Reply = (question: Question, given: readonly Evaluation[]) => readonly Evaluation[];

/** Where a test stands between gonogo and the world: by a flag's registry key, what happens instead of the plain call. */
export interface Control {
  readonly dress: (house: House) => House;
  readonly writing: Map<string, Write>;
  readonly restoring: Map<string, Restore>;
  readonly answering: Map<string, Reply>;
}

/** Controls that change nothing yet. */
export function openControl(): Control {
  const writing = new Map<string, Write>();
  const restoring = new Map<string, Restore>();
  const answering = new Map<string, Reply>();
  const wrap = (inner: FlagProvider): FlagProvider => ({
    ...inner,
    write(changes, signal) {
      const own = changes.flatMap((change) => writing.get(change.flag.flag) ?? [])[0];
      return own === undefined ? inner.write(changes, signal) : own(changes, signal, inner);
    },
    restore(entries, signal) {
      const own = entries.flatMap((entry) => restoring.get(entry.flag.flag) ?? [])[0];
      return own === undefined ? inner.restore(entries, signal) : own(entries, signal, inner);
    },
  });
  return {
    writing,
    restoring,
    answering,
    dress: (house) => ({
      ...house,
      providers: new Map([...house.providers].map(([name, provider]) => [name, wrap(provider)])),
      evaluators: new Map(
        [...house.evaluators].map(([name, evaluator]) => [
          name,
          {
            ...evaluator,
            async evaluate(questions: readonly Question[], signal: AbortSignal) {
              const given = await evaluator.evaluate(questions, signal);
              return questions.map((question, index) => answering.get(question.flag.flag)?.(question, given[index] ?? []) ?? given[index] ?? []);
            },
          },
        ]),
      ),
    }),
  };
}

/** A point in a test that someone reaches, and may pass once it is opened. */
export interface Gateway {
  /** Resolves when someone stands before it. */
  readonly reached: Promise<unknown>;
  /** Lets everyone through from now on. */
  readonly open: () => void;
  readonly pass: () => Promise<unknown>;
}

/** A closed gateway. */
export function gateway(): Gateway {
  const [reached, opened] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
  return {
    reached: reached.promise,
    open: () => opened.resolve(undefined),
    pass: () => {
      reached.resolve(undefined);
      return opened.promise;
    },
  };
}

/** A launch's events of one kind, in order. */
export async function said<K extends LaunchEvent['kind']>(world: World, id: string, kind: K): Promise<readonly Extract<LaunchEvent, { kind: K }>[]> {
  const events = await eventsOf(world.house.store.db, id);
  return events.flatMap(({ event }) => (event.kind === kind ? [event as Extract<LaunchEvent, { kind: K }>] : []));
}

/** Waits until an event of a kind is written so many times. */
export async function heard(world: World, id: string, kind: LaunchEvent['kind'], times = 1, ms = PATIENCE): Promise<void> {
  try {
    await until(`${times} x ${kind} of ${id}`, async () => (await world.kinds(id)).filter((one) => one === kind).length >= times, ms);
  } catch (error) {
    throw new Error(`nobody has said ${kind} of ${id} ${times} x in ${ms} ms, only: ${(await world.kinds(id)).join(' ')}`, { cause: error });
  }
}

/** How the launch has ended so far. */
export async function outcomeOf(world: World, id: string) {
  return (await launchRow(world.house.store.db, id))?.outcome;
}

/** Waits for an outcome, the look after the proof made short: its 15 s are over at once in the database. */
export async function ended(world: World, id: string, outcome: string, ms = PATIENCE): Promise<void> {
  await until(
    `${id} to end ${outcome}`,
    async () => {
      await world.house.store.db
        .updateTable('rollback_request')
        .set((row) => ({ proven_at: row.fn('least', ['proven_at', row.val(new Date(Date.now() - 15_500))]) as never }))
        .where('launch', '=', id)
        .where('proven_at', 'is not', null)
        .execute();
      return (await outcomeOf(world, id)) === outcome;
    },
    ms,
  );
}

/** A person asks for the whole launch, or a stage of it, as through the API: the row, then the nudge. */
export async function personAsks(world: World, id: string, stage?: string) {
  const scope = stage === undefined ? ({ kind: 'launch' } as const) : ({ kind: 'stage', stage } as const);
  const requested = await requestRollback(world.house.store, id, scope, { kind: 'person', reason: 'I see errors' } satisfies Cause, 'Anna', Date.now());
  world.house.nudge.stopped(id);
  return requested;
}

/** Flags by key, as they stand. */
export async function exposures(world: World, ...keys: readonly string[]) {
  return Promise.all(keys.map(async (key) => (await world.flags.get(key)).exposure));
}

/** Who wrote a flag how, oldest first: `write`, `restore`, `fence`; its making left out. */
export async function changesOf(world: World, key: string): Promise<readonly string[]> {
  const changes = await world.flags.history(key);
  return changes
    .map((change) => change.kind)
    .filter((kind) => kind !== 'create')
    .reverse();
}

/** Every witness of the flag answers as silence does. */
export const silent: Reply = (question) => [{ kind: 'silent', instance: 'away', detail: `nobody answers for ${question.flag.flag}` }];
