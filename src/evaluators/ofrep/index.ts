import { httpClient, json, type HttpClient } from '../../http.ts';
import { Retryable } from '../../core/failure.ts';
import type { OpenContext } from '../../providers/provider.ts';
import { silent, together } from '../ask.ts';
import type { Evaluation, Evaluator, Question } from '../evaluator.ts';
import type { OfrepConfig } from './config.ts';
import { bySubject, fromAnswer, fromBulk, toContext, type Group } from './translate.ts';

const AT_ONCE = 16;
/** One request's deadline, ms. */
const DEADLINE = 2_000;

/** Asks over OpenFeature's Remote Evaluation Protocol, every instance by itself: gonogo's own, flagd, GO Feature Flag, Flipt. */
export function openOfrepEvaluator(config: OfrepConfig, context: OpenContext): Promise<Evaluator> {
  const urls = typeof config.url === 'string' ? [config.url] : config.url;
  const token = config.token === undefined ? undefined : context.secret(config.token);
  const instances = urls.map((url) => ({
    name: new URL(url).host,
    client: httpClient({
      name: `ofrep ${context.instance}`,
      baseUrl: url.replace(/\/+$/, ''),
      timeout: DEADLINE,
      maxSockets: AT_ONCE,
      ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` }, secrets: [token] }),
      ...(config.caFile === undefined ? {} : { caFile: config.caFile }),
    }),
  }));

  async function askSubject(instance: string, client: HttpClient, { subject, asked }: Group, signal: AbortSignal): Promise<readonly Evaluation[]> {
    const only = asked.length === 1 ? asked[0] : undefined;
    const request = { method: 'POST' as const, body: { context: toContext(subject) }, accept: [400, 404], repeatable: true };
    if (only !== undefined) {
      const response = await client.send({ ...request, url: `/ofrep/v1/evaluate/flags/${encodeURIComponent(only.question.flag.key)}` }, signal);
      return [fromAnswer(instance, only.question, json(response))];
    }
    const response = await client.send({ ...request, url: '/ofrep/v1/evaluate/flags' }, signal);
    if (response.status !== 200) return asked.map(({ question }) => fromAnswer(instance, question, json(response)));
    const answers = fromBulk(response);
    return asked.map(({ question }) => fromAnswer(instance, question, answers.get(question.flag.key)));
  }

  async function askInstance(instance: string, client: HttpClient, questions: readonly Question[], signal: AbortSignal): Promise<readonly Evaluation[]> {
    const answers = new Array<Evaluation>(questions.length);
    // One instance that hangs must cost one deadline, not one per subject.
    let lost: Error | undefined;
    await together(bySubject(questions), AT_ONCE, async (group) => {
      let found: readonly Evaluation[];
      try {
        if (lost !== undefined) throw lost;
        found = await askSubject(instance, client, group, signal);
      } catch (error) {
        if (error instanceof Retryable) lost ??= error;
        found = group.asked.map(() => silent(instance, error));
      }
      group.asked.forEach(({ index }, i) => {
        const answer = found[i];
        if (answer !== undefined) answers[index] = answer;
      });
    });
    return answers;
  }

  return Promise.resolve({
    kind: 'ofrep',
    async evaluate(questions: readonly Question[], signal: AbortSignal) {
      const byInstance = await Promise.all(instances.map(({ name, client }) => askInstance(name, client, questions, signal)));
      return questions.map((_, i) => byInstance.flatMap((answers) => answers[i] ?? []));
    },
    async check(flags, signal) {
      const questions = flags.map((flag) => ({ flag, subject: { key: 'gonogo-check', attributes: {} }, with: {} }));
      const byInstance = await Promise.all(instances.map(({ name, client }) => askInstance(name, client, questions, signal)));
      return byInstance.flat().flatMap((answer) =>
        answer.kind === 'value'
          ? []
          : [
              {
                where: `evaluators.${context.instance}`,
                message: answer.detail,
                hint: 'a rollback is proven here: the instance must answer, know the flag and accept the token',
              },
            ],
      );
    },
    close() {
      for (const { client } of instances) client.close();
      return Promise.resolve();
    },
  });
}
