import { placesOf } from '../../flags/places.ts';
import type { OpenContext } from '../../providers/provider.ts';
import { silent, toEvaluation } from '../ask.ts';
import type { Evaluation, Evaluator, Question } from '../evaluator.ts';
import { useSdk, type Sdk } from './clients.ts';
import { endpointsOf, type LaunchdarklySdkConfig } from './config.ts';
import { memberOf, toContext } from './translate.ts';

/** Asks LaunchDarkly's own server SDK, which is told of every change by its stream: what an app with the same SDK key gets. */
export function openLaunchdarklySdkEvaluator(config: LaunchdarklySdkConfig, context: OpenContext): Promise<Evaluator> {
  const sdkKey = context.secret(config.sdkKey);
  const places = placesOf(config);
  const instances = endpointsOf(config.host).map((endpoints) => ({ name: endpoints.name, sdk: useSdk(endpoints, sdkKey, config.caFile) }));

  async function askOne(name: string, sdk: Sdk, { flag, subject }: Question): Promise<Evaluation> {
    const asked = toContext(subject, places, (segment) => memberOf(sdk.held.segment(segment), places.subject));
    if ('nobodyIn' in asked)
      return silent(name, `${name}: segment ${String(asked.nobodyIn)} is unknown, or names nobody by key: nobody can be asked as one of its members`);
    const detail = await sdk.detail(flag.key, asked);
    const { reason, variationIndex } = detail;
    if (reason.kind === 'ERROR') return silent(name, `${name}: ${reason.errorKind ?? 'ERROR'} for flag ${flag.key}`);
    if (variationIndex === undefined || variationIndex === null)
      return silent(name, `${name} serves no variation of ${flag.key} (${reason.kind}): each app decides by its own default; choose an off variation`);
    return toEvaluation(name, flag, detail.value);
  }

  async function askInstance(name: string, sdk: Sdk, questions: readonly Question[], signal: AbortSignal): Promise<readonly Evaluation[]> {
    try {
      signal.throwIfAborted();
      await sdk.ready(signal);
    } catch (error) {
      return questions.map(() => silent(name, error));
    }
    const stale = new Map<string, unknown>();
    await Promise.all(
      [...new Set(questions.map(({ flag }) => flag.key))].map((key) =>
        sdk.fresh(key, signal).catch((error: unknown) => {
          stale.set(key, error);
        }),
      ),
    );
    return Promise.all(
      questions.map((question) => {
        const old = stale.get(question.flag.key);
        return old === undefined ? askOne(name, sdk, question).catch((error: unknown) => silent(name, error)) : Promise.resolve(silent(name, old));
      }),
    );
  }

  async function evaluate(questions: readonly Question[], signal: AbortSignal): Promise<readonly (readonly Evaluation[])[]> {
    const byInstance = await Promise.all(instances.map(({ name, sdk }) => askInstance(name, sdk, questions, signal)));
    return questions.map((_, i) => byInstance.flatMap((answers) => answers[i] ?? []));
  }

  return Promise.resolve({
    kind: 'launchdarkly-sdk',
    evaluate,
    async check(flags, signal) {
      const questions = flags.map((flag) => ({ flag, subject: { key: 'gonogo-check', attributes: {} }, with: {} }));
      const answers = (await evaluate(questions, signal)).flat();
      return answers.flatMap((answer) =>
        answer.kind === 'value'
          ? []
          : [
              {
                where: `evaluators.${context.instance}`,
                message: answer.detail,
                hint: 'a rollback is proven here: the SDK key must be of the environment that the provider writes, and its stream must be reachable',
              },
            ],
      );
    },
    close() {
      for (const { sdk } of instances) sdk.close();
      return Promise.resolve();
    },
  });
}
