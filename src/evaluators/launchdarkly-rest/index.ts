import { Retryable, Terminal } from '../../core/failure.ts';
import { placesOf } from '../../flags/places.ts';
import { httpClient, json } from '../../http.ts';
import type { OpenContext } from '../../providers/provider.ts';
import { silent, toEvaluation, together } from '../ask.ts';
import type { Evaluation, Evaluator, Question } from '../evaluator.ts';
import { memberOf, toContext, type Context, type MemberOf } from '../launchdarkly-sdk/translate.ts';
import { addressOf, type LaunchdarklyRestConfig } from './config.ts';

const AT_ONCE = 8;
/** One request's deadline, ms. */
const DEADLINE = 2_000;
/** The API version that evaluates contexts. */
const API_VERSION = '20240415';

function field(found: unknown, name: string): unknown {
  return typeof found === 'object' && found !== null ? (Reflect.get(found, name) as unknown) : undefined;
}

/** Asks LaunchDarkly itself what a context gets: for where no SDK can be run. It is not what the apps were told, so the SDK comes first. */
export function openLaunchdarklyRestEvaluator(config: LaunchdarklyRestConfig, context: OpenContext): Promise<Evaluator> {
  const token = context.secret(config.token);
  const places = placesOf(config);
  const address = addressOf(config.host);
  const name = new URL(address).host;
  const http = httpClient({
    name: `launchdarkly-rest ${context.instance}`,
    baseUrl: address,
    timeout: DEADLINE,
    maxSockets: AT_ONCE,
    headers: { authorization: token, 'ld-api-version': API_VERSION },
    secrets: [token],
    ...(config.caFile === undefined ? {} : { caFile: config.caFile }),
  });
  const [project, environment] = [encodeURIComponent(config.project), encodeURIComponent(config.environment)];

  async function members(questions: readonly Question[], signal: AbortSignal): Promise<MemberOf> {
    const wanted = [...new Set(questions.flatMap(({ subject }) => subject.attributes['segment'] ?? []))];
    const found = await together(wanted, AT_ONCE, async (segment) => {
      const response = await http.send({ url: `/api/v2/segments/${project}/${environment}/${encodeURIComponent(segment)}`, accept: [404] }, signal);
      return [segment, response.status === 404 ? undefined : memberOf(json(response), places.subject)] as const;
    });
    const bySegment = new Map(found);
    return (segment) => bySegment.get(segment);
  }

  async function askContext(asked: Context, key: string, signal: AbortSignal): Promise<unknown> {
    const response = await http.send(
      {
        method: 'POST',
        url: `/api/v2/projects/${project}/environments/${environment}/flags/evaluate`,
        query: { filter: `query equals "${key}"` },
        body: asked,
        repeatable: true,
      },
      signal,
    );
    const items = field(json(response), 'items');
    const found: unknown = Array.isArray(items) ? items.find((item: unknown) => field(item, 'key') === key) : undefined;
    if (found === undefined) throw new Terminal('flag-missing', `${name} evaluated no flag ${key}: it is missing or archived`);
    const reason = field(found, 'reason');
    if (field(reason, 'kind') === 'ERROR') throw new Terminal('evaluation', `${name}: ${String(field(reason, 'errorKind'))} for flag ${key}`);
    return field(found, '_value');
  }

  async function evaluate(questions: readonly Question[], signal: AbortSignal): Promise<readonly (readonly Evaluation[])[]> {
    let member: MemberOf;
    try {
      signal.throwIfAborted();
      member = await members(questions, signal);
    } catch (error) {
      return questions.map(() => [silent(name, error)]);
    }
    // An API that hangs must cost one deadline, not one per subject.
    let lost: Error | undefined;
    return together(questions, AT_ONCE, async ({ flag, subject }) => {
      try {
        if (lost !== undefined) throw lost;
        const asked = toContext(subject, places, member);
        if ('nobodyIn' in asked) return [silent(name, `${name}: segment ${String(asked.nobodyIn)} is unknown, or names nobody by key`)];
        return [toEvaluation(name, flag, await askContext(asked, flag.key, signal))];
      } catch (error) {
        if (error instanceof Retryable) lost ??= error;
        return [silent(name, error)];
      }
    });
  }

  return Promise.resolve({
    kind: 'launchdarkly-rest',
    evaluate,
    async check(flags, signal) {
      const questions = flags.map((flag) => ({ flag, subject: { key: 'gonogo-check', attributes: {} }, with: {} }));
      return (await evaluate(questions, signal)).flat().flatMap((answer) =>
        answer.kind === 'value'
          ? []
          : [
              {
                where: `evaluators.${context.instance}`,
                message: answer.detail,
                hint: 'a rollback is proven here: the token must be allowed to view the project',
              },
            ],
      );
    },
    close() {
      http.close();
      return Promise.resolve();
    },
  });
}
