import { z } from 'zod';
import { Retryable, Terminal } from '../../core/failure.ts';
import type { FlagRef } from '../../core/plan.ts';
import { httpClient, json, type HttpResponse } from '../../http.ts';
import type { OpenContext, Problem } from '../../providers/provider.ts';
import { silent, toEvaluation } from '../ask.ts';
import type { Evaluation, Evaluator, Question } from '../evaluator.ts';
import { counter, type Bucket, type Counter, type Look } from './batches.ts';
import type { UnleashMetricsConfig } from './config.ts';

/** One request's deadline, ms. */
const DEADLINE = 2_000;

const rawAnswer = z.object({
  data: z.array(z.object({ appName: z.string(), environment: z.string(), timestamp: z.coerce.date(), yes: z.number(), no: z.number() })),
});
const eventsAnswer = z.object({ events: z.array(z.object({ createdAt: z.coerce.date() })) });

/** Reads off what the apps themselves report to Unleash that their users were told: for master switches, which are on for everyone or off. */
export function openUnleashMetrics(config: UnleashMetricsConfig, context: OpenContext): Promise<Evaluator> {
  const token = context.secret(config.token);
  const name = `unleash-metrics ${context.instance}`;
  const http = httpClient({
    name,
    baseUrl: config.url.replace(/\/+$/, ''),
    timeout: DEADLINE,
    headers: { authorization: token },
    secrets: [token],
    ...(config.caFile === undefined ? {} : { caFile: config.caFile }),
  });
  const counters = new Map<string, Counter>();

  function parsed<Schema extends z.ZodType>(schema: Schema, response: HttpResponse): z.infer<Schema> {
    const result = schema.safeParse(json(response));
    if (result.success) return result.data;
    throw new Terminal('malformed', `${name}: the answer is not as expected (${result.error.issues[0]?.message ?? '?'}); is this an Unleash server?`);
  }

  async function look(key: string, signal: AbortSignal): Promise<Look> {
    const query = { feature: `IS:${key}`, environment: `IS:${config.environment}`, limit: 1 };
    // The counters last: whatever they hold has been counted when the newest change is known.
    const events = parsed(eventsAnswer, await http.send({ url: '/api/admin/search/events', query }, signal));
    const response = await http.send({ url: `/api/admin/client-metrics/features/${encodeURIComponent(key)}/raw`, query: { hoursBack: 2 } }, signal);
    const at = Date.parse(response.headers['date'] ?? '');
    if (Number.isNaN(at)) throw new Retryable(`${name}: the answer has no Date; expected the server's clock`);
    const buckets = parsed(rawAnswer, response)
      .data.filter((row) => row.environment === config.environment)
      .map((row): Bucket => ({ app: row.appName, from: row.timestamp.getTime(), yes: row.yes, no: row.no }));
    return { at, buckets, changedAt: events.events[0]?.createdAt.getTime() ?? 0 };
  }

  function answer(app: string, flag: FlagRef, found: Look): Evaluation {
    const id = JSON.stringify([flag.key, app]);
    const own = counters.get(id) ?? counter(app, config.metricsInterval);
    counters.set(id, own);
    const said = own.see(found);
    if (said.kind === 'nothing') return { kind: 'silent', instance: app, detail: said.detail };
    return toEvaluation(app, flag, said.kind === 'yes');
  }

  async function askFlag(flag: FlagRef, signal: AbortSignal): Promise<readonly Evaluation[]> {
    try {
      if (flag.type !== 'boolean')
        throw new Terminal('not-expressible', `flag ${flag.key} has several values; the counters tell yes and no only, prove it with unleash-sdk`);
      const found = await look(flag.key, signal);
      const apps = config.apps ?? [...new Set(found.buckets.map((bucket) => bucket.app))];
      if (apps.length === 0)
        return [{ kind: 'silent', instance: context.instance, detail: `no app has reported flag ${flag.key} in ${config.environment} lately` }];
      return apps.map((app) => answer(app, flag, found));
    } catch (error) {
      return [silent(context.instance, error)];
    }
  }

  return Promise.resolve({
    kind: 'unleash-metrics',
    async evaluate(questions: readonly Question[], signal: AbortSignal) {
      const flags = new Map(questions.map(({ flag }) => [flag.key, flag]));
      const answers = new Map(await Promise.all([...flags].map(async ([key, flag]) => [key, await askFlag(flag, signal)] as const)));
      // Counters know no subjects: all are told what the app's users were told.
      return questions.map(({ flag }) => answers.get(flag.key) ?? []);
    },
    async check(flags: readonly FlagRef[], signal: AbortSignal): Promise<readonly Problem[]> {
      const found = await Promise.all(
        flags.map(async (flag): Promise<readonly Problem[]> => {
          const where = `flags.${flag.flag}`;
          if (flag.type !== 'boolean') return [{ where, message: 'has several values; its apps report yes and no only', hint: 'prove it with unleash-sdk' }];
          try {
            const { buckets } = await look(flag.key, signal);
            const reporting = new Set(buckets.map((bucket) => bucket.app));
            const absent = config.apps?.filter((app) => !reporting.has(app)) ?? (reporting.size === 0 ? ['no app'] : []);
            if (absent.length === 0) return [];
            const message = config.apps === undefined ? 'no app has reported it lately' : `not reported lately by ${absent.join(', ')}`;
            return [{ where, message: `${message} in ${config.environment}`, hint: 'its SDK must send metrics, under this appName, and ask for the flag' }];
          } catch (error) {
            return [
              {
                where: `evaluators.${context.instance}`,
                message: error instanceof Error ? error.message : String(error),
                hint: 'a rollback is proven here: Unleash must answer and accept the token',
              },
            ];
          }
        }),
      );
      return [...new Map(found.flat().map((problem) => [JSON.stringify(problem), problem])).values()];
    },
    close() {
      http.close();
      return Promise.resolve();
    },
  });
}
