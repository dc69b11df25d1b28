import { Retryable, Terminal } from '../../core/failure.ts';
import { httpClient, json, type HttpClient } from '../../http.ts';
import type { OpenContext, Problem } from '../../providers/provider.ts';
import { silent, toEvaluation, together } from '../ask.ts';
import type { Evaluation, Evaluator, Question } from '../evaluator.ts';
import { httpProof, type HttpConfig } from './config.ts';
import { fillUrl, selectFrom } from './translate.ts';

const AT_ONCE = 16;
/** One request's deadline, ms. */
const DEADLINE = 2_000;

interface Instance {
  readonly name: string;
  readonly client: HttpClient;
}

type Page = { readonly kind: 'json'; readonly document: unknown } | { readonly kind: 'gone' } | { readonly kind: 'failed'; readonly error: unknown };

/** Reads the flag where the app itself shows it: a JSON document over HTTP, one GET per distinct URL and instance. */
export function openHttpEvaluator(config: HttpConfig, context: OpenContext): Promise<Evaluator> {
  const token = config.token === undefined ? undefined : context.secret(config.token);
  const hosts = new Map<string, readonly Instance[]>();
  for (const [host, urls] of Object.entries(config.hosts)) {
    const instances = (typeof urls === 'string' ? [urls] : urls).map((url) => ({
      name: new URL(url).host,
      client: httpClient({
        name: `http ${context.instance}`,
        baseUrl: url.replace(/\/+$/, ''),
        timeout: DEADLINE,
        maxSockets: AT_ONCE,
        headers: { accept: 'application/json', 'cache-control': 'no-cache', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
        ...(token === undefined ? {} : { secrets: [token] }),
        ...(config.caFile === undefined ? {} : { caFile: config.caFile }),
      }),
    }));
    hosts.set(host, instances);
  }

  function resolve(question: Question): { readonly instances: readonly Instance[]; readonly path: string; readonly select: string } {
    const proof = httpProof.safeParse(question.with);
    if (!proof.success)
      throw new Terminal(
        'proof',
        `flags.${question.flag.flag}.proof.${proof.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ')}`,
      );
    const { host, path } = fillUrl(proof.data.url, question.subject);
    const instances = hosts.get(host);
    if (instances === undefined)
      throw new Terminal(
        'proof',
        `flags.${question.flag.flag}.proof.url names \${${host}}; expected one of ${[...hosts.keys()].join(', ')} (hosts of evaluator ${context.instance})`,
      );
    return { instances, path, select: proof.data.select };
  }

  async function load({ client }: Instance, path: string, signal: AbortSignal): Promise<Page> {
    try {
      const response = await client.send({ url: path, accept: [404] }, signal);
      return response.status === 404 ? { kind: 'gone' } : { kind: 'json', document: json(response) };
    } catch (error) {
      return { kind: 'failed', error };
    }
  }

  function read(instance: Instance, page: Page | undefined, question: Question, path: string, select: string): Evaluation {
    if (page === undefined || page.kind === 'failed') return silent(instance.name, page?.error ?? `${instance.name} was not asked`);
    if (page.kind === 'gone') return { kind: 'gone', instance: instance.name, detail: `${instance.name}${path} answered 404` };
    try {
      return toEvaluation(instance.name, question.flag, selectFrom(page.document, select));
    } catch (error) {
      return silent(instance.name, error);
    }
  }

  async function evaluate(questions: readonly Question[], signal: AbortSignal): Promise<readonly (readonly Evaluation[])[]> {
    const resolved = questions.map((question) => {
      try {
        return resolve(question);
      } catch (error) {
        return error;
      }
    });
    const asked = new Map<Instance, Map<string, Page>>();
    for (const each of resolved) {
      if (each === undefined || !isResolved(each)) continue;
      for (const instance of each.instances)
        asked.set(instance, (asked.get(instance) ?? new Map<string, Page>()).set(each.path, { kind: 'failed', error: 'not asked' }));
    }
    await Promise.all(
      [...asked].map(async ([instance, pages]) => {
        // One instance that hangs must cost one deadline, not one per page.
        let lost: Page | undefined;
        await together([...pages.keys()], AT_ONCE, async (path) => {
          const page = lost ?? (await load(instance, path, signal));
          if (page.kind === 'failed' && page.error instanceof Retryable) lost ??= page;
          pages.set(path, page);
        });
      }),
    );
    return questions.map((question, i) => {
      const each = resolved[i];
      if (!isResolved(each)) return [silent(context.instance, each)];
      return each.instances.map((instance) => read(instance, asked.get(instance)?.get(each.path), question, each.path, each.select));
    });
  }

  function isResolved(each: unknown): each is ReturnType<typeof resolve> {
    return typeof each === 'object' && each !== null && 'instances' in each;
  }

  return Promise.resolve({
    kind: 'http',
    evaluate,
    async check(flags, signal): Promise<readonly Problem[]> {
      const questions = flags.flatMap((flag) =>
        flag.proof
          .filter(
            (proof) =>
              'select' in proof.with &&
              !String(proof.with['url'])
                .replace(/^\$\{[^}]*\}/, '')
                .includes('{'),
          )
          .map((proof) => ({ flag, subject: { key: 'gonogo-check', attributes: {} }, with: proof.with })),
      );
      const answers = await evaluate(questions, signal);
      return answers.flat().flatMap((answer) =>
        answer.kind === 'silent'
          ? [
              {
                where: `evaluators.${context.instance}`,
                message: answer.detail,
                hint: 'a rollback is proven here: the app must answer with the value where `select` says',
              },
            ]
          : [],
      );
    },
    close() {
      for (const { client } of [...hosts.values()].flat()) client.close();
      return Promise.resolve();
    },
  });
}
