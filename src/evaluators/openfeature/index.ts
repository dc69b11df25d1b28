import { randomUUID } from 'node:crypto';
import { Terminal } from '../../core/failure.ts';
import { redact } from '../../http.ts';
import type { OpenContext } from '../../providers/provider.ts';
import { silent, together } from '../ask.ts';
import type { Evaluation, Evaluator, Question } from '../evaluator.ts';
import type { OpenfeatureConfig } from './config.ts';
import { openInstance, type Instance } from './instance.ts';
import { loadProvider } from './load.ts';
import { secretsIn } from './translate.ts';

const AT_ONCE = 32;

/** References in a provider's arguments replaced by what they stand for. */
function withSecrets(value: unknown, secret: OpenContext['secret']): unknown {
  if (typeof value === 'string') return secret(value);
  if (Array.isArray(value)) return value.map((each) => withSecrets(each, secret));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, withSecrets(each, secret)]));
}

/** Asks any OpenFeature provider for servers, every instance in a domain of its own. Throws Terminal `config` where the package cannot be loaded or makes no provider; one that cannot start is silent, and is tried again. */
export async function openOpenfeatureEvaluator(config: OpenfeatureConfig, context: OpenContext): Promise<Evaluator> {
  const where = `evaluators.${context.instance}`;
  const load = await loadProvider(where, config.module, config.export);
  const named = config.instances ?? { [context.instance]: { options: config.options, args: config.args } };
  const instances: Instance[] = [];
  const close = async (): Promise<void> => {
    await Promise.allSettled(instances.map((instance) => instance.close()));
  };
  try {
    for (const [name, { options, args }] of Object.entries(named)) {
      const resolved = withSecrets(args ?? (options === undefined ? [] : [options]), context.secret) as readonly unknown[];
      const secrets = secretsIn(resolved);
      const mask = (text: string): string => redact(text, secrets);
      const make = async () => {
        try {
          return await load(resolved);
        } catch (error) {
          throw error instanceof Terminal ? new Terminal(error.code, mask(error.message)) : error;
        }
      };
      instances.push(openInstance(name, `gonogo/${context.instance}/${name}/${randomUUID()}`, await make(), make, mask));
    }
  } catch (error) {
    await close();
    throw error;
  }

  async function askInstance(instance: Instance, questions: readonly Question[], signal: AbortSignal): Promise<readonly Evaluation[]> {
    let obstacle = questions.length === 0 ? undefined : await instance.obstacle(signal);
    return together(questions, AT_ONCE, async (question) => {
      if (obstacle !== undefined) return silent(instance.name, obstacle);
      const { answer, hung } = await instance.ask(question, signal);
      // One instance that hangs must cost one deadline, not one per question.
      if (hung && answer.kind === 'silent') obstacle = answer.detail;
      return answer;
    });
  }

  return {
    kind: 'openfeature',
    async evaluate(questions, signal) {
      const byInstance = await Promise.all(instances.map((instance) => askInstance(instance, questions, signal)));
      return questions.map((_, i) => byInstance.flatMap((answers) => answers[i] ?? []));
    },
    async check(flags, signal) {
      const hint = 'a rollback is proven here: the provider must be ready, know the flag and give a value of its type';
      const questions = flags.map((flag) => ({ flag, subject: { key: 'gonogo-check', attributes: {} }, with: {} }));
      const found = await Promise.all(
        instances.map(async (instance) => {
          const obstacle = await instance.obstacle(signal);
          if (obstacle !== undefined) return [obstacle];
          const answers = await askInstance(instance, questions, signal);
          return answers.flatMap((answer) => (answer.kind === 'value' ? [] : [answer.detail]));
        }),
      );
      return [...new Set(found.flat())].map((message) => ({ where, message, hint }));
    },
    close,
  };
}
