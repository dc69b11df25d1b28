import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Account, Environment, Flag, Token } from './account.ts';
import { evaluate, type Context } from './evaluate.ts';
import { actionOf, apply, parseInstructions, Refused } from './instructions.ts';
import { auditRep, environmentRep, flagRep, projectRep, segmentRep, triggerRep } from './representations.ts';
import type { SchemaName } from './schemas.ts';
import type { Streams } from './stream.ts';

/** One request to the REST API, its token known. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly contentType: string;
  readonly body: unknown;
  readonly token: Token;
  /** The fake's own address. */
  readonly url: string;
  /** The write is answered with success and not carried out. */
  readonly ignored: boolean;
}

/** One answer, and what it must look like. */
export interface Answered {
  readonly status: number;
  readonly body: unknown;
  readonly schema: SchemaName;
}

const failure = (status: number, code: string, message: string): Answered => ({ status, body: { code, message }, schema: 'ErrorRep' });
const missing = (what: string): Answered => failure(404, 'not_found', `Unknown ${what}`);

const patchBody = z.strictObject({ comment: z.string().optional(), environmentKey: z.string().optional(), instructions: z.unknown() });
const segmentBody = z.strictObject({
  comment: z.string().optional(),
  environmentKey: z.string().optional(),
  instructions: z.array(
    z.strictObject({
      kind: z.enum(['addIncludedTargets', 'removeIncludedTargets', 'addIncludedUsers', 'removeIncludedUsers']),
      contextKind: z.string().optional(),
      values: z.array(z.string()),
    }),
  ),
});
const triggerBody = z.looseObject({ integrationKey: z.string(), instructions: z.array(z.strictObject({ kind: z.enum(['turnFlagOn', 'turnFlagOff']) })) });

function allowed(token: Token, action: string): boolean {
  return token.actions.has('*') || token.actions.has(action);
}

/** Carries out instructions as `by`, in one go or not at all; nothing counts as a change that leaves everything as it was. Throws Refused. */
export function patchFlag(
  account: Account,
  streams: Streams,
  flag: Flag,
  environment: Environment | undefined,
  found: unknown,
  by: string,
  comment: string,
  dryRun = false,
): Flag {
  const instructions = parseInstructions(found);
  const next = structuredClone(flag);
  const setting = environment === undefined ? undefined : next.environments[environment.key];
  for (const one of instructions) apply(account, next, setting, one);
  if (JSON.stringify(next) === JSON.stringify(flag)) return flag;
  const now = Date.now();
  next._version += 1;
  for (const [name, each] of Object.entries(next.environments)) {
    if (JSON.stringify(each) === JSON.stringify(flag.environments[name])) continue;
    each.version += 1;
    each.lastModified = now;
  }
  if (dryRun) return next;
  account.flags.set(flag.key, next);
  account.entries.unshift({
    _id: randomUUID(),
    date: now,
    environment: environment?.key ?? '*',
    flag: flag.key,
    by,
    comment,
    description: instructions.map((one) => one.kind).join(', '),
  });
  streams.flagChanged(next);
  return next;
}

function patch(account: Account, streams: Streams, flag: Flag, asked: Asked): Answered {
  if (!/domain-model=launchdarkly\.semanticpatch/.test(asked.contentType)) return failure(400, 'invalid_request', 'the body is no JSON patch');
  const parsed = patchBody.safeParse(asked.body);
  if (!parsed.success) return failure(400, 'invalid_request', parsed.error.message);
  const { comment = '', environmentKey, instructions } = parsed.data;
  const environment = environmentKey === undefined ? undefined : account.environments.get(environmentKey);
  if (environmentKey !== undefined && environment === undefined) return missing('environment');
  try {
    const actions = parseInstructions(instructions).map(actionOf);
    const barred = actions.find((action) => !allowed(asked.token, action));
    if (barred !== undefined) return failure(403, 'forbidden', `Access to the requested resource was denied: ${barred}`);
    const approval = environment?.approvals;
    const tagged = approval === undefined || approval.tags.length === 0 || approval.tags.some((tag) => flag.tags.includes(tag));
    if (approval?.required === true && tagged && !allowed(asked.token, 'bypassRequiredApproval'))
      return failure(405, 'method_not_allowed', 'Approval is required');
    if (environment?.requireComments === true && comment === '') return failure(400, 'invalid_request', 'a comment is required in this environment');
    if (environment?.scheduled.has(flag.key) === true && asked.query.get('ignoreConflicts') !== 'true')
      return failure(400, 'invalid_request', 'this change would cause a pending scheduled change to fail');
    const dryRun = asked.query.get('dryRun') === 'true';
    const after = asked.ignored ? flag : patchFlag(account, streams, flag, environment, instructions, asked.token.name, comment, dryRun);
    return { status: 200, body: flagRep(account, after), schema: 'FeatureFlag' };
  } catch (error) {
    if (error instanceof Refused) return failure(400, 'invalid_request', error.message);
    throw error;
  }
}

function flagRoutes(account: Account, streams: Streams, asked: Asked, key: string, rest: readonly string[]): Answered {
  const flag = account.flags.get(key);
  if (flag === undefined) return missing('flag key');
  const [noun, environmentKey] = rest;
  if (noun === undefined && asked.method === 'GET')
    return { status: 200, body: flagRep(account, flag, asked.query.get('env') ?? undefined), schema: 'FeatureFlag' };
  if (noun === undefined && asked.method === 'PATCH') return patch(account, streams, flag, asked);
  if (noun !== 'triggers' || environmentKey === undefined || !account.environments.has(environmentKey)) return missing('resource');
  if (asked.method === 'GET') {
    const items = account.triggers.filter((one) => one.flag === key && one.environment === environmentKey).map((one) => triggerRep(account, one));
    return { status: 200, body: { items }, schema: 'TriggerWorkflowCollectionRep' };
  }
  const parsed = triggerBody.safeParse(asked.body);
  if (!parsed.success) return failure(400, 'invalid_request', parsed.error.message);
  const trigger = {
    _id: randomUUID(),
    flag: key,
    environment: environmentKey,
    secret: randomUUID(),
    kind: parsed.data.instructions[0]?.kind ?? 'turnFlagOff',
    enabled: true,
    pulled: 0,
  };
  account.triggers.push(trigger);
  return { status: 201, body: triggerRep(account, trigger, `${asked.url}/webhook/triggers/${trigger._id}/${trigger.secret}`), schema: 'TriggerWorkflowRep' };
}

function segmentRoutes(account: Account, streams: Streams, asked: Asked, environmentKey: string, key: string | undefined): Answered {
  const environment = account.environments.get(environmentKey);
  if (environment === undefined) return missing('environment');
  if (key === undefined)
    return {
      status: 200,
      body: { items: [...environment.segments.values()].map((one) => segmentRep(account, environmentKey, one)), _links: {} },
      schema: 'UserSegments',
    };
  const segment = environment.segments.get(key);
  if (segment === undefined) return missing('segment');
  if (asked.method === 'PATCH') {
    const parsed = segmentBody.safeParse(asked.body);
    if (!parsed.success) return failure(400, 'invalid_request', parsed.error.message);
    for (const { kind, values } of parsed.data.instructions)
      segment.included = kind.startsWith('add') ? [...new Set([...segment.included, ...values])] : segment.included.filter((value) => !values.includes(value));
    segment.version += 1;
    segment.lastModifiedDate = Date.now();
    streams.segmentChanged(environment, segment);
  }
  return { status: 200, body: segmentRep(account, environmentKey, segment), schema: 'UserSegment' };
}

function evaluateRoute(account: Account, asked: Asked, environment: Environment): Answered {
  const context = asked.body as Context;
  if (typeof context !== 'object' || typeof context.kind !== 'string') return failure(400, 'invalid_request', 'the body is no context');
  const only = /^query equals "?([^"]+)"?$/.exec(asked.query.get('filter') ?? '')?.[1];
  const items = [...account.flags.values()]
    .filter((flag) => !flag.archived && (only === undefined || flag.key === only))
    .map((flag) => {
      const { value, reason } = evaluate(account.flags, environment, flag, context);
      return { name: flag.name, key: flag.key, _value: value, reason, _links: {} };
    });
  return { status: 200, body: { items, totalCount: items.length, _links: {} }, schema: 'ContextInstanceEvaluations' };
}

/** LaunchDarkly's REST API over the account. */
export function answerRest(account: Account, streams: Streams, asked: Asked): Answered {
  const [noun, project, ...rest] = asked.path
    .replace(/^\/api\/v2\//, '')
    .split('/')
    .map(decodeURIComponent);
  if (noun === 'caller-identity')
    return { status: 200, body: { tokenName: asked.token.name, authKind: 'token', serviceToken: true }, schema: 'CallerIdentityRep' };
  if (noun === 'auditlog') {
    const [, environment, flag] = /env\/([^:]+):flag\/(.+)$/.exec(asked.query.get('spec') ?? '') ?? [];
    const found = account.entries.filter((entry) => entry.flag === flag && (entry.environment === environment || entry.environment === '*'));
    return { status: 200, body: auditRep(account, found.slice(0, Number(asked.query.get('limit') ?? 10))), schema: 'AuditLogEntryListingRepCollection' };
  }
  if (project !== account.project) return missing('project');
  const [first, second, third, fourth] = rest;
  if (noun === 'flags' && first !== undefined) return flagRoutes(account, streams, asked, first, rest.slice(1));
  if (noun === 'segments' && first !== undefined) return segmentRoutes(account, streams, asked, first, second);
  if (noun !== 'projects') return missing('resource');
  if (first === undefined) return { status: 200, body: projectRep(account), schema: 'Project' };
  const environment = first === 'environments' && second !== undefined ? account.environments.get(second) : undefined;
  if (environment === undefined) return missing('environment');
  if (third === 'flags' && fourth === 'evaluate' && asked.method === 'POST') return evaluateRoute(account, asked, environment);
  return { status: 200, body: environmentRep(account, environment), schema: 'Environment' };
}
