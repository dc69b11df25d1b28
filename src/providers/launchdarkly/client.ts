import { z } from 'zod';
import { Retryable, Terminal } from '../../core/failure.ts';
import { httpClient, json, type HttpRequest, type HttpResponse } from '../../http.ts';
import type { OpenContext } from '../provider.ts';
import { addressOf, type LaunchdarklyConfig } from './config.ts';
import { ldFlag, type LdFlag } from './document.ts';
import type { Instruction } from './translate.ts';

/** One semantic patch and how it is sent. */
export interface Patch {
  readonly instructions: readonly Instruction[];
  readonly comment: string;
  /** Validated and previewed, nothing is changed. */
  readonly dryRun?: boolean;
  /** Sent whatever is left of the rate budget (but for a dry run), and applied also where it makes a scheduled change or a pending approval fail. */
  readonly rollback?: boolean;
}

/** `conflict`: somebody else wrote at the same time, nothing was changed. */
export type Patched = { readonly kind: 'flag'; readonly flag: LdFlag } | { readonly kind: 'conflict' };

/** An entry of the audit log about one flag in one environment. */
export interface Entry {
  readonly who: string;
  readonly what: string;
  readonly comment: string;
  /** ms since the epoch */
  readonly date: number;
}

/** LaunchDarkly's REST API as far as it is needed. Everything throws Terminal or Retryable, without the token. */
export interface LaunchdarklyClient {
  readonly address: string;
  /** Throws Terminal `flag-missing`. */
  flag(key: string, signal: AbortSignal, rollback?: boolean): Promise<LdFlag>;
  /** Throws Terminal `flag-missing`, `approval-required`, `forbidden`, `bad-request`. */
  patch(key: string, patch: Patch, signal: AbortSignal): Promise<Patched>;
  /** The newest 20 entries, newest first: tags and other environments' news of the flag are among them. */
  recent(key: string, signal: AbortSignal): Promise<readonly Entry[]>;
  /** Undefined where the flag has no entry. */
  newest(key: string, signal: AbortSignal, rollback?: boolean): Promise<Entry | undefined>;
  environment(signal: AbortSignal): Promise<z.infer<typeof environment>>;
  caller(signal: AbortSignal): Promise<z.infer<typeof caller>>;
  triggers(key: string, signal: AbortSignal): Promise<z.infer<typeof triggers>['items']>;
  /** Pulls the flag's trigger. Throws Terminal `config` where there is none. */
  pull(key: string, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** The version of the API that is spoken: without it the token's own would be. */
const API_VERSION = '20240415';
/** One request's deadline, ms. */
const DEADLINE = 4_000;
const SEMANTIC = 'application/json; domain-model=launchdarkly.semanticpatch';

const named = z.object({ name: z.string().optional(), email: z.string().optional() });
const entries = z.object({
  items: z.array(
    z.object({
      date: z.number(),
      comment: z.string().default(''),
      title: z.string().default(''),
      description: z.string().default(''),
      shortDescription: z.string().default(''),
      member: named.optional(),
      token: named.optional(),
      app: named.optional(),
      subject: named.optional(),
    }),
  ),
});
const environment = z.object({
  key: z.string(),
  approvalSettings: z.object({ required: z.boolean(), requiredApprovalTags: z.array(z.string()).default([]) }).optional(),
});
const caller = z.object({ tokenName: z.string().optional(), serviceToken: z.boolean().optional() });
const triggers = z.object({
  items: z.array(z.object({ enabled: z.boolean().default(false), instructions: z.array(z.looseObject({ kind: z.string() })).default([]) })).default([]),
});

/** Opens a client of the config's project and environment. Throws Terminal `config`. */
export function connect(config: LaunchdarklyConfig, context: OpenContext): LaunchdarklyClient {
  const address = addressOf(config.host);
  const token = context.secret(config.token);
  const urls = new Map(Object.entries(config.triggers).map(([key, reference]) => [key, context.secret(reference)]));
  const misspelt = [...urls].find(([, url]) => !URL.canParse(url));
  if (misspelt !== undefined)
    throw new Terminal('config', `providers.${context.instance}.triggers.${misspelt[0]} is no URL; expected the secret URL of a flag trigger`);
  const name = `launchdarkly ${context.instance}`;
  const ca = config.caFile === undefined ? {} : { caFile: config.caFile };
  // A URL's last part is the secret of a trigger, and errors show paths.
  const secrets = [token, ...urls.values(), ...[...urls.values()].map((url) => new URL(url).pathname)];
  const http = httpClient({
    name,
    baseUrl: address,
    timeout: DEADLINE,
    maxBytes: 8 * 1_048_576,
    headers: { authorization: token, 'ld-api-version': API_VERSION },
    secrets,
    reserve: config.reserve / 100,
    ...ca,
  });
  // The trigger's own client sends no token: its URL is all it needs, and it may lead elsewhere.
  const bare = httpClient({ name: `${name} trigger`, timeout: DEADLINE, secrets, ...ca });
  const project = encodeURIComponent(config.project);
  const flagPath = (key: string): string => `/api/v2/flags/${project}/${encodeURIComponent(key)}`;
  const purpose = (rollback: boolean | undefined) => (rollback === true ? { purpose: 'rollback' as const } : {});

  function read<Shape>(shape: z.ZodType<Shape>, response: HttpResponse): Shape {
    const parsed = shape.safeParse(json(response));
    if (parsed.success) return parsed.data;
    const [issue] = parsed.error.issues;
    throw new Retryable(`${name}: the answer is not as LaunchDarkly describes it, at ${issue?.path.join('.') ?? '?'}: ${issue?.message ?? '?'}`);
  }

  async function about(key: string, request: HttpRequest, signal: AbortSignal): Promise<HttpResponse> {
    const response = await http.send({ ...request, accept: [...(request.accept ?? []), 404] }, signal);
    if (response.status !== 404) return response;
    throw new Terminal(
      'flag-missing',
      `flag ${key} is not in project ${config.project} of ${name}; make it in LaunchDarkly before the launch, or mend its key (a flag's key never changes there: a new key is a new flag)`,
    );
  }

  async function log(key: string, limit: number, signal: AbortSignal, rollback?: boolean): Promise<readonly Entry[]> {
    const spec = `proj/${config.project}:env/${config.environment}:flag/${key}`;
    const { items } = read(entries, await http.send({ url: '/api/v2/auditlog', query: { spec, limit }, ...purpose(rollback) }, signal));
    return items.map((entry) => {
      const who = [entry.member?.email, entry.member?.name, entry.token?.name, entry.app?.name, entry.subject?.name].find(
        (one) => one !== undefined && one !== '',
      );
      const what = [entry.description, entry.shortDescription, entry.title].find((one) => one !== '') ?? '';
      return { who: who ?? 'somebody', what, comment: entry.comment, date: entry.date };
    });
  }

  return {
    address,
    async flag(key, signal, rollback) {
      return read(ldFlag, await about(key, { url: flagPath(key), query: { env: config.environment }, ...purpose(rollback) }, signal));
    },
    async patch(key, { instructions, comment, dryRun, rollback }, signal) {
      const response = await about(
        key,
        {
          method: 'PATCH',
          url: flagPath(key),
          query: { ...(dryRun === true ? { dryRun } : {}), ...(rollback === true ? { ignoreConflicts: true } : {}) },
          headers: { 'content-type': SEMANTIC },
          body: JSON.stringify({ comment, environmentKey: config.environment, instructions }),
          accept: [405, 409],
          ...purpose(rollback === true && dryRun !== true),
        },
        signal,
      );
      if (response.status === 409) return { kind: 'conflict' };
      if (response.status === 405)
        throw new Terminal(
          'approval-required',
          `${name}: changes of flag ${key} in ${config.environment} need an approval there; let the token's role bypass it (bypassRequiredApproval), or take the flag out of the approvals`,
        );
      return { kind: 'flag', flag: read(ldFlag, response) };
    },
    recent: (key, signal) => log(key, 20, signal),
    newest: async (key, signal, rollback) => (await log(key, 1, signal, rollback))[0],
    async environment(signal) {
      return read(environment, await http.send({ url: `/api/v2/projects/${project}/environments/${encodeURIComponent(config.environment)}` }, signal));
    },
    async caller(signal) {
      return read(caller, await http.send({ url: '/api/v2/caller-identity' }, signal));
    },
    async triggers(key, signal) {
      return read(triggers, await about(key, { url: `${flagPath(key)}/triggers/${encodeURIComponent(config.environment)}` }, signal)).items;
    },
    async pull(key, signal) {
      const url = urls.get(key);
      if (url === undefined) throw new Terminal('config', `providers.${context.instance}.triggers has none for ${key}`);
      await bare.send({ method: 'POST', url, repeatable: true, purpose: 'rollback' }, signal);
    },
    close() {
      http.close();
      bare.close();
    },
  };
}
