import type { Scope } from '../core/event.ts';
import type { StagePhase } from './schema.ts';
import type { Store } from './store.ts';

/** One firing alert as a source told it. */
export interface FiringAlert {
  readonly fingerprint: string;
  readonly startsAt: Date;
  readonly labels: Readonly<Record<string, string>>;
}

/** A gate of a living launch whose labels an alert has, and all that decides what the alert does there. Times in ms by the database's clock. */
export interface AlertMatch {
  readonly launch: string;
  readonly plan: string;
  readonly gate: string;
  /** Which of the alerts given. */
  readonly alert: number;
  /** The first stage that lists the gate: it is armed from that stage's shift. */
  readonly stage: string;
  readonly firstStage: { readonly id: string; readonly phase: StagePhase };
  /** The stage that moved flags last; absent while none has. */
  readonly lastMoved?: { readonly id: string; readonly listsGate: boolean; readonly scoped: boolean };
  /** When the gate's stage went live; before that, when the first flag was about to move. Absent while nothing moved. */
  readonly since?: number;
  /** When this very alert (same start) was first received; absent when this is the first time. */
  readonly seenAt?: number;
  readonly held: boolean;
  /** The launch was held for this very alert before. */
  readonly heldForIt: boolean;
  /** The rollback of the stage that moved last, if one was asked for: when it was proven. */
  readonly stageRollback?: { readonly provenAt?: number };
  readonly now: number;
}

const MATCHES = `
with alert as (
  select (a.n - 1)::int as n, a.doc->>'fingerprint' as fingerprint, (a.doc->>'startsAt')::timestamptz as starts_at, a.doc->'labels' as labels, a.doc->>'mark' as mark
  from jsonb_array_elements($2::jsonb) with ordinality a(doc, n)
), hit as (
  select l.id, l.plan_name, l.launch_order, l.held is not null as held, g.gate->>'id' as gate, alert.*
  from launch l
  cross join lateral jsonb_array_elements(l.launch_order->'plan'->'gates') g(gate)
  cross join alert
  where (l.outcome is null or l.outcome = 'stuck') and g.gate->>'kind' = 'alert' and g.gate->'labels' <> '{}'::jsonb and alert.labels @> (g.gate->'labels')
)
select h.id as launch, h.plan_name as plan, h.gate, h.n as alert, h.held, (extract(epoch from clock_timestamp()) * 1000)::float8 as now,
  lister.id as stage, first.stage as first_stage, first.phase as first_phase, moved.stage as moved_stage,
  coalesce((select s.stage->'gates' ? h.gate from jsonb_array_elements(h.launch_order->'plan'->'stages') s(stage) where s.stage->>'id' = moved.stage), false) as lists_gate,
  coalesce((select s.stage ? 'onRollback' from jsonb_array_elements(h.launch_order->'plan'->'stages') s(stage) where s.stage->>'id' = moved.stage), false) as scoped,
  (extract(epoch from coalesce(
    (select e.recorded_at from event e where e.launch = h.id and e.key = 'shifted:' || lister.id),
    (select min(e.recorded_at) from event e where e.launch = h.id and e.kind = 'remembered'))) * 1000)::float8 as since,
  (select (extract(epoch from r.received_at) * 1000)::float8 from alert_receipt r where r.source = $1 and r.fingerprint = h.fingerprint and r.starts_at = h.starts_at) as seen_at,
  exists (select 1 from event e where e.launch = h.id and e.kind = 'held' and position(h.mark in e.body) > 0) as held_for_it,
  (select jsonb_build_object('provenAt', (extract(epoch from q.proven_at) * 1000)::float8) from rollback_request q where q.launch = h.id and q.scope = 'stage:' || moved.stage) as stage_rollback
from hit h
cross join lateral (select s.stage->>'id' as id from jsonb_array_elements(h.launch_order->'plan'->'stages') with ordinality s(stage, n) where s.stage->'gates' ? h.gate order by s.n limit 1) lister
cross join lateral (select s.stage, s.phase from stage_state s where s.launch = h.id order by s.ordinal limit 1) first
left join lateral (select s.stage from stage_state s where s.launch = h.id and s.phase in ('shifting', 'live', 'passed') and s.stage <> '$watch' order by s.ordinal desc limit 1) moved on true`;

/** What a hold for an alert says of it, word for word: by this it is known again. */
export function alertMark(alert: FiringAlert): string {
  return `${alert.fingerprint} since ${alert.startsAt.toISOString()}`;
}

/** Which gates of living launches the alerts match: every label of the gate, with its value. One statement, by the rollback's pool. Throws when the database cannot be reached within 1 s. */
export async function matchAlerts(store: Store, source: string, alerts: readonly FiringAlert[]): Promise<readonly AlertMatch[]> {
  if (alerts.length === 0) return [];
  const given = alerts.map((alert) => ({
    fingerprint: alert.fingerprint,
    startsAt: alert.startsAt.toISOString(),
    labels: alert.labels,
    mark: alertMark(alert),
  }));
  const rows = await store.urgent(MATCHES, [source, JSON.stringify(given)], 'match_alerts');
  return rows.map((row) => {
    const movedStage = row['moved_stage'] as string | null;
    const stageRollback = row['stage_rollback'] as { provenAt: number | null } | null;
    return {
      launch: String(row['launch']),
      plan: String(row['plan']),
      gate: String(row['gate']),
      alert: Number(row['alert']),
      stage: String(row['stage']),
      firstStage: { id: String(row['first_stage']), phase: row['first_phase'] as StagePhase },
      held: row['held'] === true,
      heldForIt: row['held_for_it'] === true,
      now: Number(row['now']),
      ...(movedStage === null ? {} : { lastMoved: { id: movedStage, listsGate: row['lists_gate'] === true, scoped: row['scoped'] === true } }),
      ...(row['since'] === null ? {} : { since: Number(row['since']) }),
      ...(row['seen_at'] === null ? {} : { seenAt: Number(row['seen_at']) }),
      ...(stageRollback === null ? {} : { stageRollback: stageRollback.provenAt === null ? {} : { provenAt: stageRollback.provenAt } }),
    };
  });
}

/** Writes down that alerts were received, once per source, fingerprint and start; `resolved` marks them over. Returns how many had been seen before. */
export async function recordAlerts(store: Store, source: string, alerts: readonly FiringAlert[], resolved: boolean): Promise<number> {
  if (alerts.length === 0) return 0;
  const unique = [...new Map(alerts.map((alert) => [alertMark(alert), alert])).values()];
  const rows = await store.urgent(
    `insert into alert_receipt as r (source, fingerprint, starts_at, labels, resolved_at)
       select $1, a->>'fingerprint', (a->>'startsAt')::timestamptz, a->'labels', case when $3 then clock_timestamp() end from jsonb_array_elements($2::jsonb) a
     on conflict (source, fingerprint, starts_at) do update set times = r.times + 1, last_at = clock_timestamp(),
       resolved_at = case when $3 then coalesce(r.resolved_at, clock_timestamp()) end
     returning times`,
    [
      source,
      JSON.stringify(unique.map((alert) => ({ fingerprint: alert.fingerprint, startsAt: alert.startsAt.toISOString(), labels: alert.labels }))),
      resolved,
    ],
    'record_alerts',
  );
  return rows.filter((row) => Number(row['times']) > 1).length;
}

/** How long (h) an alert that was not heard of again still counts as firing: Alertmanager repeats itself every 4 h. */
const STILL_FIRING = 5;

/** Alerts that were received, not resolved, and match a gate of a launch that has moved nothing and was not held for them: what was already firing when it began. */
export async function alertsFiring(store: Store, launch: string): Promise<readonly (FiringAlert & { readonly source: string; readonly gate: string })[]> {
  const rows = await store.urgent(
    `select r.source, r.fingerprint, r.starts_at, r.labels, g.gate->>'id' as gate
     from launch l cross join lateral jsonb_array_elements(l.launch_order->'plan'->'gates') g(gate)
     join alert_receipt r on r.labels @> (g.gate->'labels') and r.resolved_at is null and r.last_at > clock_timestamp() - make_interval(hours => $2)
     where l.id = $1 and g.gate->>'kind' = 'alert' and g.gate->'labels' <> '{}'::jsonb
       and not exists (select 1 from stage_state s where s.launch = l.id and s.phase in ('live', 'passed'))
       and not exists (select 1 from event e where e.launch = l.id and e.kind = 'held' and position(r.fingerprint in e.body) > 0)`,
    [launch, STILL_FIRING],
    'alerts_firing',
  );
  return rows.map((row) => ({
    source: String(row['source']),
    gate: String(row['gate']),
    fingerprint: String(row['fingerprint']),
    startsAt: row['starts_at'] as Date,
    labels: row['labels'] as Readonly<Record<string, string>>,
  }));
}

/** What an alert does to a launch whose gate it matches. */
export type AlertAct = { readonly kind: 'rollback'; readonly scope: Scope } | { readonly kind: 'hold' } | { readonly kind: 'none'; readonly why: string };

/** How long (ms) gates rest after a stage's rollback was proven, before a breach widens it. */
const REST = 600_000;

/**
 * The law of alerts. During the first clearance an alert holds the launch, once; with that clearance complete nothing
 * but the write is left, and it ends the launch. Once flags may have moved it rolls back, also where its gate is not
 * armed yet, unless this very alert was known before its stage went live. After a stage's rollback it widens, when the
 * gates have rested.
 */
export function decideAlert(match: AlertMatch, cleared: boolean): AlertAct {
  const { lastMoved, since, seenAt, stageRollback } = match;
  if (lastMoved === undefined) {
    if (cleared && !match.held) return { kind: 'rollback', scope: { kind: 'launch' } };
    return match.heldForIt ? { kind: 'none', why: 'the launch was held for this alert before' } : { kind: 'hold' };
  }
  if (since !== undefined && seenAt !== undefined && seenAt < since) return { kind: 'none', why: 'this alert was received before the stage went live' };
  const narrow = lastMoved.scoped && lastMoved.listsGate;
  if (!narrow) return { kind: 'rollback', scope: { kind: 'launch' } };
  const scope: Scope = { kind: 'stage', stage: lastMoved.id };
  if (stageRollback === undefined) return { kind: 'rollback', scope };
  if (stageRollback.provenAt === undefined || match.now - stageRollback.provenAt < REST)
    return { kind: 'none', why: `the rollback of stage ${lastMoved.id} was asked for already` };
  return { kind: 'rollback', scope: { kind: 'launch' } };
}
