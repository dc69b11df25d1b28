import { Terminal } from '../../core/failure.ts';
import { batched } from '../../batch.ts';
import { openDatabase, type Database, type Statement } from '../../flags/database.ts';
import { evaluate } from '../../flags/evaluate.ts';
import type { FlagReading } from '../../flags/store.ts';
import type { OpenContext } from '../../providers/provider.ts';
import { silent, toEvaluation } from '../ask.ts';
import type { Evaluation, Evaluator } from '../evaluator.ts';
import type { StoreConfig } from './config.ts';

const READ = (keys: readonly string[]): Statement => ({ name: 'gonogo_flag_read', text: 'select flags, segments from flag_read($1::text[])', values: [keys] });

/** Evaluates what the built-in store has committed, read over a connection of its own: for apps that read the store itself. */
export async function openStoreEvaluator(config: StoreConfig, context: OpenContext): Promise<Evaluator> {
  const url = config.database === undefined ? context.databaseUrl : context.secret(config.database);
  if (url === undefined)
    throw new Terminal('config', `evaluators.${context.instance}: database is missing; expected a reference to a Postgres URL, e.g. \${FLAGS_DATABASE_URL}`);
  const database: Database = openDatabase(url, { name: 'flags-evaluator', size: 4, deadline: 2_000, statement: 1_500, lock: 500, log: context.log });
  // Primed so that the first proof does not pay for connecting; where that fails the first question tries again.
  await database
    .prime(READ([]), 1)
    .catch((error: unknown) => context.log.warn({ evaluator: context.instance, reason: String(error) }, 'the evaluator cannot read the flag store yet'));
  const { instance } = context;
  // What is asked while two readings are under way shares the next: hundreds of rollbacks are proven by a few. A reading begins after the question.
  const read = batched({ slots: 2, most: 600 }, async (asked: readonly { readonly key: string }[]) => {
    const [row] = (await database.call(READ(asked.map(({ key }) => key)))) as readonly FlagReading[];
    return (row?.flags ?? []).map((flag) => ({ key: flag.key, flag, segments: row?.segments ?? [] }));
  });

  return {
    kind: 'store',
    async evaluate(questions, signal) {
      if (questions.length === 0) return [];
      try {
        signal.throwIfAborted();
        const found = await read([...new Set(questions.map(({ flag }) => flag.key))].map((key) => ({ key })));
        const flags = new Map(found.map(({ key, flag }) => [key, flag]));
        const segments = new Map(found[0]?.segments.map((segment) => [segment.name, segment.listed]));
        return questions.map(({ flag: ref, subject }): readonly Evaluation[] => {
          const flag = flags.get(ref.key);
          if (flag === undefined) return [{ kind: 'silent', instance, detail: `flag ${ref.key} is not in the flag store` }];
          return [toEvaluation(instance, ref, evaluate(flag, subject, segments).value)];
        });
      } catch (error) {
        return questions.map(() => [silent(instance, error)]);
      }
    },
    async check(flags, signal) {
      try {
        const [row] = (await database.call(READ(flags.map((flag) => flag.key)), { signal })) as readonly FlagReading[];
        const known = new Set(row?.flags.map((flag) => flag.key));
        return flags
          .filter((flag) => !known.has(flag.key))
          .map((flag) => ({
            where: `flags.${flag.flag}`,
            message: `flag ${flag.key} is not in the flag store ${instance} reads`,
            hint: 'make it first: POST /api/flags',
          }));
      } catch (error) {
        return [
          {
            where: `evaluators.${instance}`,
            message: error instanceof Error ? error.message : String(error),
            hint: 'a rollback is proven here; mend the connection before launching',
          },
        ];
      }
    },
    close: () => database.close(),
  };
}
