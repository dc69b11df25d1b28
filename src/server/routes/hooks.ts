import { createHash, timingSafeEqual } from 'node:crypto';
import { audit } from '../../store/audit.ts';
import { actOnAlerts, invalidAlert, readAlertGroup } from '../alerting.ts';
import { bearer, failureLimit } from '../auth.ts';
import { parseJson } from '../body.ts';
import { nowOf, type HookSource, type ServerDeps } from '../deps.ts';
import { within } from '../nudge.ts';
import { HttpProblem } from '../problem.ts';
import type { Answer, Call, Route } from '../route.ts';

/** Without the database a webhook is answered within this long (ms), with 503: the sender sends it again. */
const ANSWER_WITHIN = 1_900;

const digest = (text: string): Buffer => createHash('sha256').update(text, 'utf8').digest();

/** Finds the source whose token was shown: every digest is compared, each in constant time. */
function sourceFinder(sources: Readonly<Record<string, HookSource>>): (token: string) => { readonly name: string; readonly source: HookSource } | undefined {
  // Only digests are kept for comparing; a token in a heap dump is one too many.
  const known = Object.entries(sources).map(([name, source]) => ({ name, source, digest: digest(source.token) }));
  return (token) => {
    const shown = digest(token);
    return known.filter((one) => timingSafeEqual(one.digest, shown))[0];
  };
}

/** How many webhooks a source may send: `burst` at once, `perSecond` on average. Generous, since a webhook that is refused may be lost; one noisy source never slows another. */
function tokenBuckets(perSecond: number, burst: number): (source: string) => boolean {
  const buckets = new Map<string, { left: number; at: number }>();
  return (source) => {
    const now = performance.now();
    const bucket = buckets.get(source) ?? { left: burst, at: now };
    bucket.left = Math.min(burst, bucket.left + ((now - bucket.at) / 1_000) * perSecond);
    bucket.at = now;
    buckets.set(source, bucket);
    if (bucket.left < 1) return false;
    bucket.left -= 1;
    return true;
  };
}

/** The webhooks of a server: Alertmanager's, version 4. */
export function hookRoutes(deps: ServerDeps): readonly Route[] {
  const find = sourceFinder(deps.hooks?.alertmanager ?? {});
  const allow = tokenBuckets(deps.hookRate?.perSecond ?? 200, deps.hookRate?.burst ?? 500);
  const failed = failureLimit(deps.failedLogins ?? 30, 'too_many_attempts');

  async function receive({ req, res, raw }: Call<unknown>): Promise<Answer> {
    const receivedAt = nowOf(deps);
    const token = bearer(req);
    const found = token === undefined ? undefined : find(token);
    if (found === undefined) {
      await failed(req, res);
      throw new HttpProblem(
        401,
        'webhook_unauthenticated',
        'no source of alerts has this token; send authorization: Bearer <the token of hooks.alertmanager.<source>>',
        { audited: true, headers: { 'www-authenticate': 'Bearer realm="gonogo hooks"' } },
      );
    }
    const { name, source } = found;
    if (!allow(name))
      throw new HttpProblem(429, 'too_many_webhooks', `${name} sends more webhooks than it may; raise group_interval`, { headers: { 'retry-after': '1' } });
    const group = readAlertGroup(parseJson(raw, req.headers['content-type']), receivedAt);
    const outcome = await actOrBusy(name, source, group, receivedAt);
    for (const { launch, plan } of outcome.refused)
      await audit(deps.store, { person: name, action: 'webhook', target: launch, why: `source_not_allowed: ${name} may not stop ${plan}` }).catch(
        () => undefined,
      );
    if (group.problems.length > 0) throw invalidAlert(group.problems);
    if (outcome.refused.length > 0 && outcome.effects.length === 0) {
      throw new HttpProblem(
        403,
        'source_not_allowed',
        `${name} may not stop ${[...new Set(outcome.refused.map((one) => one.plan))].join(', ')}; it is allowed ${source.plans.join(', ')}`,
      );
    }
    const alerts = group.firing.length + group.resolved.length;
    return {
      status: 202,
      body: {
        source: name,
        alerts,
        duplicate: group.firing.length > 0 && outcome.duplicates === group.firing.length,
        launches: outcome.effects,
        ...(outcome.refused.length === 0 ? {} : { refused: outcome.refused }),
      },
    };
  }

  async function actOrBusy(name: string, source: HookSource, group: Parameters<typeof actOnAlerts>[3], receivedAt: number): ReturnType<typeof actOnAlerts> {
    try {
      return await within(ANSWER_WITHIN, actOnAlerts(deps, name, source, group, receivedAt), 'the database');
    } catch (error) {
      deps.log.error(
        { source: name, reason: error instanceof Error ? error.message : String(error) },
        'a webhook could not be written down; its sender is told to send it again',
      );
      throw new HttpProblem(503, 'database_unreachable', 'nothing is confirmed; send it again', { headers: { 'retry-after': '1' } });
    }
  }

  return [
    {
      method: 'post',
      path: '/hooks/alertmanager',
      summary: 'Alertmanager webhook, version 4; bearer token of a source in the config. A 2xx means that every request it led to is committed',
      access: 'anyone',
      body: 'any',
      responses: {
        202: 'Durable',
        401: 'No source has this token',
        403: 'The source may not stop this plan',
        422: 'No usable webhook',
        429: 'Too many',
        503: 'Send it again',
      },
      handle: receive,
    },
  ];
}
