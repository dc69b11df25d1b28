import { compareReach, isOff, sameExposure } from '../../core/exposure.ts';
import { Drift, Retryable, Terminal } from '../../core/failure.ts';
import { restoreDecision } from '../../core/journal.ts';
import type { FlagRef } from '../../core/plan.ts';
import type { Change, FlagProvider, OpenContext, Problem, RestoreEntry, Restored, Snapshot } from '../provider.ts';
import { unleashClient, type Identity, type State } from './client.ts';
import type { UnleashConfig } from './config.ts';
import { fromNative } from './document.ts';
import { canonical, readingOf } from './reach.ts';
import { bears, cannotExpress, hasBegun, inWords, restoreSteps, stepsTo, typeProblem, undoCommand, untouchedByOthers } from './translate.ts';

/** Longest time (ms) until the server itself serves a change: it looks for new events each second, and then reads the flags. */
const SERVER_LAG = 3_000;
/** Longest time (ms) of one write: its slowest request, and a look before and after it. */
const WRITE_TAKES = 5_000;
/** How often a flag that keeps moving, or does not move though Unleash said so, is looked at again within one restore. */
const LOOKS = 3;
/** What a token must be allowed in the environment, as Unleash calls it. */
const NEEDED = ['UPDATE_FEATURE_ENVIRONMENT', 'CREATE_FEATURE_STRATEGY', 'UPDATE_FEATURE_STRATEGY', 'DELETE_FEATURE_STRATEGY'] as const;

/** Carries what `stillWanted` threw past everything that makes outcomes of errors. */
class Overtaken extends Error {
  constructor(cause: unknown) {
    super('this hand was overtaken', { cause });
  }
}

/** Opens a provider of flags in one environment of an Unleash project; nothing is sent yet. Throws Terminal `config`. */
export function openUnleash(config: UnleashConfig, context: OpenContext): Promise<FlagProvider> {
  const client = unleashClient(config, context);
  const where = `providers.${context.instance}`;
  const token = /^\$\{(\w+)\}$/.exec(config.token)?.[1] ?? 'UNLEASH_TOKEN';
  let known: Identity | undefined;

  /** The names of our token in Unleash's events; without them a change is somebody else's until its value says otherwise. */
  async function ownNames(signal: AbortSignal): Promise<readonly string[]> {
    known ??= await client.identity(signal).catch(() => undefined);
    return known?.names ?? [];
  }

  function snapshotOf(flag: FlagRef, { feature, revision }: State): Snapshot {
    return { revision, exposure: readingOf(feature, flag).exposure, native: feature };
  }

  async function writeOne({ flag, to, expected, change, comment, stillWanted }: Change, signal: AbortSignal): Promise<Snapshot> {
    const impossible = cannotExpress(flag, to);
    if (impossible !== undefined) throw impossible;
    const [state, names] = await Promise.all([client.state(flag.key, signal), ownNames(signal)]);
    const wanted = canonical(to);
    // Off again is off: whoever did it, there is nothing to write.
    if (isOff(wanted) && !state.feature.enabled) return snapshotOf(flag, state);
    // A write of which a part has arrived is gone on with: Drift would say that nothing of ours is on the flag.
    const begun = !isOff(wanted) && bears(state.feature, change);
    if (begun && !names.includes(state.newest?.createdBy ?? '')) {
      const current = snapshotOf(flag, state);
      if (sameExposure(current.exposure, wanted)) return current;
      const before = fromNative(expected.native);
      if (before === undefined || !untouchedByOthers(state.feature, before)) {
        if (names.length === 0) throw new Retryable(`flag ${flag.key}: a part of this write has arrived, and Unleash does not say whose change is the newest`);
        throw new Terminal(
          'interrupted',
          `flag ${flag.key}: ${state.newest?.createdBy ?? 'somebody'} changed it when a part of our write had arrived; take that change back, or roll back`,
        );
      }
    }
    if (state.revision !== expected.revision && !begun)
      throw new Drift(
        flag.flag,
        `flag ${flag.key} is at revision ${state.revision}, last changed by ${state.newest?.createdBy ?? 'nobody known'}; expected ${expected.revision}`,
      );
    let sent = 0;
    for (const step of stepsTo(state.feature, flag, wanted, change, comment)) {
      await stillWanted();
      try {
        await client.step(flag, step, signal);
      } catch (error) {
        // Drift says that nothing of ours was written.
        throw error instanceof Drift && sent > 0 ? new Retryable(`${error.message}; the write was begun and is not complete`) : error;
      }
      sent += 1;
    }
    if (sent === 0) return snapshotOf(flag, state);
    const done = snapshotOf(flag, await client.state(flag.key, signal));
    if (!sameExposure(done.exposure, wanted)) throw new Retryable(`flag ${flag.key}: Unleash took the write, and the flag does not read as written`);
    return done;
  }

  /** Whoever changed the flag last and was not us. */
  async function somebody(flag: FlagRef, names: readonly string[], signal: AbortSignal): Promise<string> {
    const changes = await client.changes(flag.key, signal);
    const theirs = changes.find((event) => !names.includes(event.createdBy ?? ''));
    return theirs?.createdBy ?? changes[0]?.createdBy ?? 'somebody unknown';
  }

  /** Asks whether this hand may still send; its no ends the whole restore. */
  async function stillWanted(entry: RestoreEntry): Promise<void> {
    try {
      await entry.stillWanted?.();
    } catch (error) {
      throw new Overtaken(error);
    }
  }

  async function restoreOne(entry: RestoreEntry, signal: AbortSignal): Promise<Restored> {
    const { flag, snapshot, change } = entry;
    const before = fromNative(snapshot.native);
    if (before === undefined)
      throw new Terminal('flag-invalid', `flag ${flag.key}: its snapshot is none of Unleash's; expected {environment, enabled, strategies, variants}`);
    const written = entry.written.map(canonical);
    let wrote = false;
    let trouble: Error | undefined;
    for (let look = 0; look < LOOKS; look += 1) {
      const [state, names] = await Promise.all([client.state(flag.key, signal, 'rollback'), ownNames(signal)]);
      const current = snapshotOf(flag, state);
      const { revision, exposure } = current;
      const law = restoreDecision({
        phase: entry.phase,
        snapshot,
        written,
        current,
        ours: revision === entry.revision || names.includes(state.newest?.createdBy ?? ''),
        ...(entry.intent === undefined ? {} : { expected: entry.intent.revision }),
      });
      // A part of a write reads as nothing that we meant: it is known by our strategies, and taken back whatever somebody did beside them.
      const decision = law === 'foreign' && entry.phase === 'intent' && hasBegun(state.feature, before, flag, written) ? 'write' : law;
      const other = async (kind: 'kept' | 'foreign'): Promise<Restored> => ({
        flag: flag.flag,
        kind,
        revision,
        exposure,
        who: await somebody(flag, names, signal),
      });
      if (decision === 'keep') return await other('kept');
      if (decision === 'foreign') return await other('foreign');
      const steps = restoreSteps(state.feature, before, flag, change, decision === 'write' ? 'restore' : 'tidy');
      if (steps.length === 0) {
        if (decision !== 'write') return { flag: flag.flag, kind: 'restored', revision, wrote };
        // Nothing of ours is left on it, and it is not as it was: somebody else's.
        return await other(compareReach(exposure, snapshot.exposure) === 'narrower' ? 'kept' : 'foreign');
      }
      trouble = undefined;
      try {
        for (const step of steps) {
          await stillWanted(entry);
          await client.step(flag, step, signal, 'rollback');
          wrote = true;
        }
      } catch (error) {
        if (!(error instanceof Drift)) throw error;
        trouble = error;
      }
    }
    throw new Retryable(trouble?.message ?? `flag ${flag.key}: Unleash took the writes of a rollback, and the flag does not read as before the launch`);
  }

  function tokenProblems({ permissions }: Identity): readonly Problem[] {
    if (permissions.some((each) => each.permission === 'ADMIN')) return [];
    const here = (value: string | null | undefined, wanted: string): boolean => value === undefined || value === null || value === '*' || value === wanted;
    const held = permissions.filter((each) => here(each.project, config.project) && here(each.environment, config.environment)).map((each) => each.permission);
    const lacking = NEEDED.filter((permission) => !held.includes(permission));
    if (lacking.length === 0) return [];
    return [
      {
        where,
        message: `the token may not ${lacking.join(', ')} in project ${config.project}, environment ${config.environment}`,
        hint: 'a rollback needs all of them; give its account a role with these permissions, see the page of this provider',
      },
    ];
  }

  function problem(error: unknown, at: string): Problem {
    const hints: Readonly<Record<string, string>> = {
      unauthorized: 'the token is wrong, expired or revoked; make one as the page of this provider says',
      forbidden: 'the token is one of an SDK, or its role may not write here; make one as the page of this provider says',
      'needs-approval': 'let its service account skip change requests in this environment, or turn them off there',
      'flag-missing': 'make the flag, revive it, or mend its key in the registry',
      'environment-missing': 'add the environment to the project, or mend the config',
    };
    const code = error instanceof Terminal ? error.code : '';
    return {
      where: at,
      message: error instanceof Error ? error.message : String(error),
      hint: hints[code] ?? `${where}.url must reach a healthy Unleash server`,
    };
  }

  async function flagProblems(flag: FlagRef, signal: AbortSignal): Promise<readonly Problem[]> {
    const at = `flags.${flag.flag}`;
    try {
      const type = typeProblem(flag);
      const { feature } = await client.state(flag.key, signal);
      const { exposure, unclear } = readingOf(feature, flag);
      return [
        ...(type === undefined ? [] : [{ where: at, message: type, hint: "mend the registry's type and default" }]),
        ...(unclear.length === 0 || exposure.share < 100
          ? []
          : [
              {
                where: at,
                message: `flag ${flag.key} reads as on for everyone, because nobody can say whom ${unclear.join(' and ')} lets in`,
                hint: 'disable that strategy, or write it as a share or as one list of values (operator IN)',
              },
            ]),
      ];
    } catch (error) {
      return [problem(error, at)];
    }
  }

  return Promise.resolve({
    kind: 'unleash',
    can: {
      share: true,
      shareStep: 1,
      lists: true,
      values: true,
      // Unleash heeds no If-Match; only a change of a strategy can be bound to what it was.
      guarded: false,
      fences: false,
      propagation: config.refreshInterval + SERVER_LAG,
      writeTakes: WRITE_TAKES,
    },
    unit: (flag) => flag.key,
    read: async (flag, signal) => snapshotOf(flag, await client.state(flag.key, signal)),
    async check(flags, signal) {
      try {
        await client.health(signal);
        known = await client.identity(signal);
        const problems = tokenProblems(known);
        if (problems.length > 0) return problems;
        await client.mayWrite(signal);
      } catch (error) {
        return [problem(error, where)];
      }
      return (await Promise.all(flags.map((flag) => flagProblems(flag, signal)))).flat();
    },
    async write(changes, signal) {
      const done: Snapshot[] = [];
      for (const change of changes) done.push(await writeOne(change, signal));
      return done;
    },
    async restore(entries, signal) {
      const outcomes = await Promise.all(
        entries.map((entry) =>
          restoreOne(entry, signal).catch((error: unknown): Restored => {
            if (error instanceof Overtaken) throw error.cause;
            return { flag: entry.flag.flag, kind: 'failed', error: error instanceof Error ? error : new Error(String(error)) };
          }),
        ),
      );
      const errors = outcomes.flatMap((outcome) => (outcome.kind === 'failed' ? [outcome.error] : []));
      const [first] = errors;
      if (errors.length === entries.length && first !== undefined && errors.every((error) => error instanceof Retryable)) throw first;
      return outcomes;
    },
    async lastChange(flag, signal) {
      const [newest] = await client.changes(flag.key, signal);
      if (newest === undefined) return undefined;
      return { who: newest.createdBy ?? 'somebody unknown', what: inWords(newest), at: newest.createdAt };
    },
    undo: (flag, snapshot) => undoCommand(client.address(flag.key), fromNative(snapshot.native), token),
    close() {
      client.close();
      return Promise.resolve();
    },
  });
}
