import { randomBytes, randomUUID } from 'node:crypto';
import type { Exposure, Listed } from '../core/exposure.ts';
import { Drift, Retryable, Terminal } from '../core/failure.ts';
import { batched } from '../batch.ts';
import { openDatabase, type Database, type FlagLog, type Statement } from './database.ts';
import { stateOf, type Flag, type FlagChangeEntry, type Segment } from './flag.ts';
import { readHistory, type HistoryPage } from './history.ts';
import { migrateFlagStore } from './migrate.ts';
import { LONGEST_NAME } from './naming.ts';
import { restoreFlags, type FlagRestore, type FlagRestored, type SentAnswer, type SentRestore } from './restore.ts';
import { checkExposure, checkKey, checkListed, completeFlag, LONGEST_TEXT, refuse, textProblem, type NewFlag } from './rules.ts';
import { FLAG_CHANNEL } from './schema.ts';

/** How a store is opened. */
export interface FlagStoreOptions {
  /** Make or bring up the tables and functions first. Default true; a user who may not is served by an existing schema. */
  readonly migrate?: boolean;
  /** Open also while the database is away, schema unmade. Default false. */
  readonly patient?: boolean;
  /** Connections for everyday calls. Default 4. */
  readonly size?: number;
  /** Connections kept for restoring alone. Default 10. */
  readonly restoreSize?: number;
  /** How many restore connections are opened at once, primed. Default 2. */
  readonly primed?: number;
  readonly log?: FlagLog;
}

/** One flag's write. `expected` is the revision it must stand at. A repeat with the same `change` is the same write. */
export interface FlagWrite {
  readonly key: string;
  readonly to: Exposure;
  readonly expected: string;
  readonly change: string;
  readonly by: string;
  readonly comment: string;
}

/** Everything about flags and their segments at one instant. */
export interface FlagReading {
  readonly flags: readonly Flag[];
  readonly segments: readonly Segment[];
}

/** Who writes, and why. */
export interface Author {
  readonly by: string;
  readonly comment?: string;
  /** Makes a repeat harmless; default: one of its own. */
  readonly change?: string;
}

/** Extras of a write: a signal, and a last question asked when the connection is in hand. */
export interface Writing {
  readonly signal?: AbortSignal;
  /** Called right before sending; what it throws stops the write. */
  readonly stillWanted?: () => Promise<void>;
}

/** The built-in flag store. Every method throws Terminal (`flag-invalid`, `flag-missing`, `flag-exists`, `flag-store-*`) or Retryable. */
export interface FlagStore {
  /** All or none. Throws Terminal `flag-exists` naming those that exist. */
  create(flags: readonly NewFlag[], author: Author): Promise<readonly Flag[]>;
  get(key: string): Promise<Flag>;
  list(): Promise<readonly Flag[]>;
  /** One query: the flags asked for (missing ones left out) and every segment. Without keys: everything. */
  read(keys?: readonly string[], signal?: AbortSignal): Promise<FlagReading>;
  /** All or none, one commit. Returns each flag as it then stands, in the order asked. Throws Drift naming who wrote last. */
  writeMany(writes: readonly FlagWrite[], writing?: Writing): Promise<readonly Flag[]>;
  /** A person's write. `expected` is the revision they saw, or `*` for whatever stands. Throws Drift. */
  putExposure(key: string, exposure: Exposure, expected: string, author: Author): Promise<Flag>;
  /** Puts flags back by the law of core/journal, on connections of its own, each statement within 1 s; `outcomes[i]` is of `entries[i]`. Throws Retryable when nothing could be done. */
  restoreMany(entries: readonly FlagRestore[], signal?: AbortSignal): Promise<readonly FlagRestored[]>;
  /** The newest changes first; `before` is a seq to page on. */
  history(key: string, page?: HistoryPage): Promise<readonly FlagChangeEntry[]>;
  putSegment(name: string, listed: readonly Listed[], by: string): Promise<Segment>;
  /** What this connection may not do here, in words; empty is ready. */
  permissions(signal?: AbortSignal): Promise<readonly string[]>;
  close(): Promise<void>;
}

const READ = (keys: readonly string[] | undefined): Statement => ({
  name: 'gonogo_flag_read',
  text: 'select flags, segments from flag_read($1::text[])',
  values: [keys ?? null],
});
const NOTIFY = (keys: string): Statement => ({ name: 'gonogo_flag_notify', text: 'select pg_notify($1, $2)', values: [FLAG_CHANNEL, keys] });

/** Postgres refuses a notification of 8,000 bytes or more. */
function notification(keys: readonly string[]): Statement {
  const joined = keys.join(',');
  return NOTIFY(joined.length < 7_900 ? joined : '*');
}

/** Opens the store, its schema made and its restore connections warm. Throws Terminal or Retryable. */
export async function openFlagStore(url: string, options: FlagStoreOptions = {}): Promise<FlagStore> {
  // A worker that starts while the flags' database is away must still roll back the flags that live elsewhere.
  const excuse = (error: unknown): void => {
    if (options.patient !== true || !(error instanceof Retryable)) throw error;
    options.log?.warn({ reason: error.message }, 'the flag store is away; it is asked again with the first call');
  };
  if (options.migrate !== false) await migrateFlagStore(url).catch(excuse);
  const { log } = options;
  const logged = log === undefined ? {} : { log };
  const everyday = openDatabase(url, { name: 'flags', size: options.size ?? 4, deadline: 2_000, statement: 1_500, lock: 1_000, ...logged });
  const restoring = openDatabase(url, { name: 'flags-restore', size: options.restoreSize ?? 10, deadline: 1_000, statement: 900, lock: 500, ...logged });
  try {
    await restoring.prime({ name: 'gonogo_flag_restore', text: RESTORE, values: ['[]', false] }, options.primed ?? 2).catch(excuse);
  } catch (error) {
    await Promise.all([everyday.close(), restoring.close()]);
    throw error;
  }
  return flagStore(everyday, restoring, log);
}

/** Two statements in flight keep the disk busy; what arrives meanwhile shares the next commit. */
const BATCHING = { slots: 2, most: 600 };
const RESTORE = 'select key, outcome, doc from flag_restore_many($1::jsonb, $2)';
type Outcome<Word extends string> = { readonly key: string; readonly outcome: Word; readonly doc: Flag | null };

function flagStore(everyday: Database, restoring: Database, log: FlagLog | undefined): FlagStore {
  async function read(keys?: readonly string[], signal?: AbortSignal): Promise<FlagReading> {
    const [row] = (await everyday.call(READ(keys), { signal })) as readonly FlagReading[];
    return row ?? { flags: [], segments: [] };
  }

  async function get(key: string): Promise<Flag> {
    const [flag] = (await read([key])).flags;
    if (flag === undefined) throw missing([key]);
    return flag;
  }

  async function writeMany(writes: readonly FlagWrite[], writing: Writing = {}): Promise<readonly Flag[]> {
    if (writes.length === 0) return [];
    checkWrites(writes);
    const before = await read(
      writes.map((write) => write.key),
      writing.signal,
    );
    const byKey = new Map(before.flags.map((flag) => [flag.key, flag]));
    for (const write of writes) {
      const flag = byKey.get(write.key);
      if (flag === undefined) throw missing(writes.map((each) => each.key).filter((key) => !byKey.has(key)));
      checkExposure(flag, write.to);
    }
    const rows = (await everyday.call(
      { name: 'gonogo_flag_write', text: 'select key, outcome, doc from flag_write_many($1::jsonb)', values: [JSON.stringify(writes)] },
      {
        signal: writing.signal,
        beforeSend: writing.stillWanted,
        afterwards: (answers) => {
          const changed = (answers as readonly Outcome<string>[]).filter((row) => row.outcome === 'written').map((row) => row.key);
          return changed.length === 0 ? undefined : notification(changed);
        },
      },
    )) as readonly Outcome<'missing' | 'repeated' | 'drift' | 'written' | 'withheld'>[];
    return settle(writes, rows, byKey);
  }

  function settle(writes: readonly FlagWrite[], rows: readonly Outcome<string>[], before: ReadonlyMap<string, Flag>): readonly Flag[] {
    const found = new Map(rows.map((row) => [row.key, row]));
    for (const { key, expected } of writes) {
      const row = found.get(key);
      if (row?.outcome === 'drift' && row.doc !== null) {
        const { revision, updatedBy, updatedAt, changeId } = row.doc;
        throw new Drift(
          key,
          `flag ${key} is at revision ${revision}; expected ${expected}. ${updatedBy} wrote it at ${updatedAt} (change ${changeId}); nothing was written`,
        );
      }
    }
    return writes.map(({ key, to, by, change }) => {
      const row = found.get(key);
      if (row?.doc === null || row === undefined || row.outcome === 'missing' || row.outcome === 'withheld') throw missing([key]);
      if (row.outcome === 'written')
        log?.info({ flag: key, by, change, old: before.get(key)?.exposure, new: to, revision: row.doc.revision, state: stateOf(to) }, 'flag written');
      return row.doc;
    });
  }

  async function sendRestores(sent: readonly SentRestore[], patient: boolean): Promise<readonly SentAnswer[]> {
    const rows = await restoring.call(
      { name: 'gonogo_flag_restore', text: RESTORE, values: [JSON.stringify(sent), patient] },
      {
        afterwards: (answers) => {
          const changed = (answers as readonly SentAnswer[]).filter((row) => row.outcome === 'written').map((row) => row.key);
          return changed.length === 0 ? undefined : notification(changed);
        },
      },
    );
    return rows as readonly SentAnswer[];
  }
  const together = batched(BATCHING, (sent: readonly SentRestore[]) => sendRestores(sent, false));

  return {
    read,
    get,
    writeMany,
    async list() {
      return (await read()).flags;
    },
    async create(asked, author) {
      const flags = asked.map((each) => completeFlag(each, randomBytes(8).toString('hex')));
      checkAuthor(author);
      const keys = flags.map((flag) => flag.key);
      if (new Set(keys).size !== keys.length) refuse(`flags ${keys.join(', ')}: a key is named twice; expected each once`);
      const existing = (await read(keys)).flags.map((flag) => flag.key);
      if (existing.length > 0) throw exists(existing);
      const made = (await everyday.call(
        {
          name: 'gonogo_flag_create',
          text: 'select key, doc from flag_create($1::jsonb, $2, $3, $4)',
          values: [JSON.stringify(flags), author.by, author.change ?? randomUUID(), author.comment ?? ''],
        },
        { afterwards: () => notification(keys) },
      )) as readonly { readonly key: string; readonly doc: Flag }[];
      const byKey = new Map(made.map((row) => [row.key, row.doc]));
      const taken = keys.filter((key) => !byKey.has(key));
      if (taken.length > 0) throw exists(taken);
      for (const { key, doc } of made) log?.info({ flag: key, by: author.by, state: stateOf(doc.exposure), owner: doc.owner }, 'flag created');
      return keys.flatMap((key) => byKey.get(key) ?? []);
    },
    async putExposure(key, exposure, expected, author) {
      checkAuthor(author);
      for (let tries = 1; ; tries += 1) {
        const seen = expected === '*' ? (await get(key)).revision : expected;
        try {
          const [flag] = await writeMany([
            { key, to: exposure, expected: seen, change: author.change ?? randomUUID(), by: author.by, comment: author.comment ?? '' },
          ]);
          if (flag === undefined) throw missing([key]);
          return flag;
        } catch (error) {
          if (expected !== '*' || !(error instanceof Drift) || tries === 5) throw error;
        }
      }
    },
    async restoreMany(entries, signal) {
      if (signal?.aborted === true) throw new Retryable('flag store (flags-restore): stopped before anything was sent');
      const outcomes = await restoreFlags(entries, (sent, patient) => (patient ? sendRestores(sent, true) : together(sent)));
      outcomes.forEach((outcome, i) => {
        const entry = entries[i];
        if (entry !== undefined)
          log?.info({ flag: entry.key, by: entry.by, change: entry.change, outcome: outcome.kind, new: entry.snapshot.exposure }, 'flag restored');
      });
      return outcomes;
    },
    async history(key, page = {}) {
      const changes = await readHistory(everyday, key, page);
      if (changes.length === 0) await get(key);
      return changes;
    },
    async putSegment(name, listed, by) {
      checkKey(name);
      checkListed(`segment ${name}`, listed, false);
      checkAuthor({ by });
      const [row] = (await everyday.call(
        { name: 'gonogo_flag_segment', text: 'select doc from flag_segment_put($1, $2::jsonb, $3)', values: [name, JSON.stringify(listed), by] },
        { afterwards: () => NOTIFY('*') },
      )) as readonly { readonly doc: Segment }[];
      if (row === undefined) throw new Retryable(`segment ${name}: the flag store did not say what it wrote`);
      log?.info({ segment: name, by, listed }, 'segment written');
      return row.doc;
    },
    async permissions(signal) {
      const [row] = (await everyday.call({ name: 'gonogo_flag_rights', text: RIGHTS, values: [] }, { signal })) as readonly {
        readonly replica: boolean;
        readonly missing: readonly string[];
      }[];
      return [...(row?.replica === true ? ['this database is a read-only replica'] : []), ...(row?.missing ?? [])];
    },
    async close() {
      await Promise.all([everyday.close(), restoring.close()]);
    },
  };
}

const RIGHTS = `select pg_is_in_recovery() as replica, coalesce(array_agg(format('no right to %s %s', r.privilege, r.name) order by r.name, r.privilege) filter (where not has_table_privilege(r.name, r.privilege)), '{}') as missing
  from (values ('flag', 'select'), ('flag', 'update'), ('flag_change', 'insert'), ('flag_change', 'select'), ('flag_segment', 'select')) r (name, privilege)`;

function missing(keys: readonly string[]): Terminal {
  return new Terminal(
    'flag-missing',
    `flag ${keys.join(', ')} is not in the flag store; expected it to be made before (POST /api/flags), a launch never makes one`,
  );
}

function exists(keys: readonly string[]): Terminal {
  return new Terminal('flag-exists', `flag ${keys.join(', ')} exists already; nothing was made. Change its exposure instead`);
}

function checkAuthor(author: Author): void {
  const problems = [
    author.by === '' ? 'by is empty' : undefined,
    ...[
      ['by', author.by, LONGEST_NAME],
      ['change', author.change ?? '', LONGEST_NAME],
      ['comment', author.comment ?? '', LONGEST_TEXT],
    ].map(([name, text, longest]) => {
      const problem = textProblem(String(text), Number(longest));
      return problem === undefined ? undefined : `${String(name)} ${problem}`;
    }),
  ];
  const problem = problems.find((each) => each !== undefined);
  if (problem !== undefined) refuse(problem);
}

function checkWrites(writes: readonly FlagWrite[]): void {
  const keys = new Set<string>();
  for (const write of writes) {
    checkKey(write.key);
    if (keys.has(write.key)) refuse(`flag ${write.key} is written twice in one call; expected once`);
    keys.add(write.key);
    if (!/^\d{1,18}$/.test(write.expected))
      refuse(`flag ${write.key}: expected revision is "${write.expected.slice(0, 40)}"; expected a number from an earlier read`);
    if (write.change === '') refuse(`flag ${write.key}: the write has no change id`);
    checkAuthor(write);
  }
}
