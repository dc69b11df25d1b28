import { createHash } from 'node:crypto';
import { z } from 'zod';
import { alertMark, alertsFiring, decideAlert, matchAlerts, recordAlerts, type AlertAct, type AlertMatch, type FiringAlert } from '../store/alerts.ts';
import { launchRow, type LaunchRow } from '../store/launches.ts';
import { hold, Refusal } from '../store/people.ts';
import { requestRollback } from '../store/request.ts';
import { clearanceOf } from '../store/stages.ts';
import type { HookSource, ServerDeps } from './deps.ts';
import { nudgeRollback } from './nudge.ts';
import { HttpProblem, type Detail } from './problem.ts';

const MOST_LABELS = 500;
/** How far (ms) an alert's start may lie ahead of our clock. */
const AHEAD = 600_000;
const EARLIEST = Date.parse('2001-01-01T00:00:00Z');

const text = z.string().max(16_384);
const alertForm = z.looseObject({
  status: z.enum(['firing', 'resolved']),
  labels: z.record(z.string().max(1_024), text),
  startsAt: z.string().max(64),
  fingerprint: z.string().min(1).max(200).optional(),
});
const groupForm = z.looseObject({
  version: z.literal('4'),
  groupKey: z.string().max(65_536),
  status: z.enum(['firing', 'resolved']),
  truncatedAlerts: z.number().int().min(0).optional(),
  commonLabels: z.record(z.string().max(1_024), text).optional(),
  alerts: z.array(z.unknown()).max(10_000),
});

/** An Alertmanager webhook, read: what fires, what is over, and what cannot be used. */
export interface AlertGroup {
  readonly firing: readonly FiringAlert[];
  readonly resolved: readonly FiringAlert[];
  readonly problems: readonly Detail[];
}

function unusable(labels: Readonly<Record<string, string>>): string | undefined {
  const entries = Object.entries(labels);
  if (entries.length > MOST_LABELS) return `has ${entries.length} labels; at most ${MOST_LABELS} are allowed`;
  const bad = entries.flat().some((word) => word.includes('\0') || !word.isWellFormed());
  return bad ? 'has a label that holds characters no label may have' : undefined;
}

function fingerprintOf(labels: Readonly<Record<string, string>>): string {
  return createHash('sha256')
    .update(JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))))
    .digest('hex')
    .slice(0, 16);
}

function readAlert(given: unknown, index: number, now: number): { readonly status: 'firing' | 'resolved'; readonly alert: FiringAlert } | Detail {
  const path = `alerts.${index}`;
  const parsed = alertForm.safeParse(given);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return { path: [path, ...(issue?.path ?? []).map(String)].join('.'), message: issue?.message ?? 'is no alert' };
  }
  const { status, labels, startsAt, fingerprint } = parsed.data;
  const wrong = unusable(labels);
  if (wrong !== undefined) return { path: `${path}.labels`, message: wrong };
  const start = Date.parse(startsAt);
  if (Number.isNaN(start)) return { path: `${path}.startsAt`, message: 'is no time' };
  if (status === 'firing' && (start > now + AHEAD || start < EARLIEST))
    return { path: `${path}.startsAt`, message: `is ${new Date(start).toISOString()}; expected a time in the near past` };
  return { status, alert: { labels, startsAt: new Date(start), fingerprint: fingerprint ?? fingerprintOf(labels) } };
}

/**
 * Reads a webhook of version 4. One bad alert does not hide the others: they are acted on, and the bad one is told. Where
 * Alertmanager left alerts out, the group's common labels stand for them. Throws HttpProblem 422 `invalid_alert` when the group itself is unusable.
 */
export function readAlertGroup(body: unknown, now: number): AlertGroup {
  const parsed = groupForm.safeParse(body);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => ({ path: issue.path.map(String).join('.'), message: issue.message }));
    throw invalidAlert(problems);
  }
  const { alerts, status, truncatedAlerts, commonLabels, groupKey } = parsed.data;
  const read = alerts.map((alert, index) => readAlert(alert, index, now));
  const problems = read.filter((one): one is Detail => 'path' in one);
  const good = read.filter((one): one is Exclude<typeof one, Detail> => 'status' in one);
  const firing = good.filter((one) => one.status === 'firing').map((one) => one.alert);
  if ((truncatedAlerts ?? 0) > 0 && status === 'firing' && commonLabels !== undefined && unusable(commonLabels) === undefined) {
    const oldest = Math.min(...firing.map((alert) => alert.startsAt.getTime()), now);
    firing.push({ labels: commonLabels, startsAt: new Date(oldest), fingerprint: `group-${createHash('sha256').update(groupKey).digest('hex').slice(0, 16)}` });
  }
  return { firing, resolved: good.filter((one) => one.status === 'resolved').map((one) => one.alert), problems };
}

/** The webhook, or some of its alerts, cannot be used. */
export function invalidAlert(problems: readonly Detail[]): HttpProblem {
  const [first] = problems;
  return new HttpProblem(422, 'invalid_alert', `the webhook cannot be used: ${first?.path ?? ''} ${first?.message ?? ''}`, { problems: problems.slice(0, 50) });
}

/** What an alert did to one launch. */
export interface AlertEffect {
  readonly launch: string;
  readonly gate: string;
  readonly did: 'rollback-requested' | 'covered' | 'held' | 'nothing';
  readonly why?: string;
}

/** Everything that a webhook led to. `refused` are plans that this source may not stop. */
export interface AlertOutcome {
  readonly effects: readonly AlertEffect[];
  readonly refused: readonly { readonly launch: string; readonly plan: string }[];
  readonly duplicates: number;
}

/** Whether nothing but the write is left of a launch's first clearance: items, machine checks at their newest look, signatures. */
async function firstCleared(deps: ServerDeps, launch: string, stage: string): Promise<boolean> {
  const row = await launchRow(deps.store.db, launch);
  if (row === undefined) return false;
  const looks = await deps.store.db.selectFrom('event').select('body').where('launch', '=', launch).where('kind', '=', 'checked').orderBy('seq').execute();
  const passes = new Map(looks.map(({ body }) => JSON.parse(body) as { item: string; passes: boolean }).map((look) => [look.item, look.passes]));
  const now = await clearanceOf(deps.store.db, launch, row.order, stage, new Set([...passes].filter(([, ok]) => ok).map(([item]) => item)));
  return now.clearance.cleared;
}

function alertName(alert: FiringAlert): string {
  return alert.labels['alertname'] ?? alert.fingerprint;
}

async function holdFor(deps: ServerDeps, launch: string, source: string, alert: FiringAlert, now: number): Promise<'held' | 'nothing'> {
  try {
    const reason = `alert ${alertName(alert)} fires at ${source} (${alertMark(alert)})`;
    return (await hold(deps.store, launch, source, new Date(now).toISOString(), reason, 'alert')) === undefined ? 'nothing' : 'held';
  } catch (error) {
    if (error instanceof Refusal) return 'nothing';
    throw error;
  }
}

async function carryOut(deps: ServerDeps, source: string, match: AlertMatch, alert: FiringAlert, receivedAt: number): Promise<AlertEffect> {
  const { launch, gate } = match;
  const cleared =
    match.lastMoved === undefined && !match.held && match.firstStage.phase === 'clearance' && (await firstCleared(deps, launch, match.firstStage.id));
  const act: AlertAct = decideAlert(match, cleared);
  switch (act.kind) {
    case 'none':
      return { launch, gate, did: 'nothing', why: act.why };
    case 'hold':
      return { launch, gate, did: await holdFor(deps, launch, source, alert, receivedAt) };
    case 'rollback': {
      const cause = { kind: 'alert', source, alert: alertName(alert), labels: alert.labels, receivedAt } as const;
      const requested = await requestRollback(deps.store, launch, act.scope, cause, source, receivedAt);
      if (requested.status === 'over' || requested.status === 'unknown') return { launch, gate, did: 'nothing', why: 'the launch has ended' };
      nudgeRollback(deps, launch);
      return { launch, gate, did: requested.status === 'requested' ? 'rollback-requested' : 'covered' };
    }
  }
}

/** Whether a source may stop a plan. */
export function mayStop(source: HookSource, plan: string): boolean {
  return source.plans.includes('*') || source.plans.includes(plan);
}

/** One match per launch and gate decides; of several alerts the one that does most. */
function strongest(matches: readonly AlertMatch[]): readonly AlertMatch[] {
  const weight = (match: AlertMatch): number => ({ rollback: 2, hold: 1, none: 0 })[decideAlert(match, false).kind];
  return [...Map.groupBy(matches, (match) => `${match.launch}\n${match.gate}`).values()].flatMap((same) =>
    same.toSorted((a, b) => weight(b) - weight(a)).slice(0, 1),
  );
}

/**
 * Acts on a webhook: every request and hold is committed when this returns, and so are the receipts. Requests come
 * first, so that what broke off in between is news again when it is sent again. Throws when the database is away.
 */
export async function actOnAlerts(deps: ServerDeps, name: string, source: HookSource, group: AlertGroup, receivedAt: number): Promise<AlertOutcome> {
  const matches = await matchAlerts(deps.store, name, group.firing);
  const allowed = matches.filter((match) => mayStop(source, match.plan));
  const refused = [...new Map(matches.filter((match) => !mayStop(source, match.plan)).map(({ launch, plan }) => [launch, { launch, plan }])).values()];
  const effects = await Promise.all(
    strongest(allowed).map((match) => {
      const alert = group.firing[match.alert];
      if (alert === undefined) throw new Error(`a match names alert ${match.alert} of ${group.firing.length}`);
      return carryOut(deps, name, match, alert, receivedAt);
    }),
  );
  const [duplicates] = await Promise.all([recordAlerts(deps.store, name, group.firing, false), recordAlerts(deps.store, name, group.resolved, true)]);
  return { effects, refused, duplicates };
}

/** Holds a launch that was just opened while an alert of one of its gates was already firing. Best effort: the next delivery of the alert does the same. */
export async function holdIfFiring(deps: ServerDeps, row: LaunchRow): Promise<void> {
  try {
    for (const alert of await alertsFiring(deps.store, row.id)) {
      const source = deps.hooks?.alertmanager[alert.source];
      if (source !== undefined && mayStop(source, row.order.plan.name)) await holdFor(deps, row.id, alert.source, alert, deps.now?.() ?? Date.now());
    }
  } catch (error) {
    deps.log.warn({ launch: row.id, reason: error instanceof Error ? error.message : String(error) }, 'whether an alert was already firing could not be asked');
  }
}
