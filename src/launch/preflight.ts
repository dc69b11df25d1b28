import { sql } from 'kysely';
import { describeTime } from '../core/bound.ts';
import type { Measurement, Series } from '../core/measurement.ts';
import type { Gate, Millis, Order, Plan } from '../core/plan.ts';
import type { Finding } from '../core/finding.ts';
import { armedBy, findingsOf } from '../core/preflight.ts';
import { measurementsOf, type Answers } from '../core/query.ts';
import { counts } from '../core/reading.ts';
import type { Histories } from '../core/traffic.ts';
import type { House } from '../house.ts';
import type { Problem } from '../providers/provider.ts';
import type { MetricSource } from '../sources/source.ts';
import type { Store } from '../store/store.ts';
import { inTime } from '../watch/in-time.ts';
import { queriesOf, queryOf, READY_WITHIN, sourceProblems } from './ready.ts';

/** How far back the gates are tried on what was before the launch, ms. */
const TRIED_ON: Millis = 3 * 3_600_000;
/** The past is a help and no condition: what has not come by then is left out, ms. */
const PAST_WITHIN = 5_000;
/** At most so many points of the past are asked for each query. */
const POINTS = 720;
/** So long after a launch its samples still reach into the windows of queries, ms: as long as gates rest after a rollback. */
const RESTS = 600_000;

/** What a pre-flight looks at. */
export interface Preflight {
  readonly plan: Plan;
  /** Only these gates; all when left out. */
  readonly gates?: readonly Gate[];
  /** How far back the gates are tried, ms; 0 is not at all. Default: TRIED_ON. */
  readonly last?: Millis;
  /** The last launch that moved one of its flags: what it did is no false alarm. */
  readonly moved?: Moved;
}

/** A launch that moved a flag which another one is about to. */
export interface Moved {
  readonly launch: string;
  /** When (judged time, ms) its samples have left the windows of queries; undefined while it goes on. */
  readonly quietFrom?: number;
}

async function answersOf(gate: Gate, source: MetricSource, signal: AbortSignal): Promise<Answers> {
  const asked = measurementsOf(gate).map(async (query): Promise<readonly [string, Measurement]> => {
    const late: Measurement = { kind: 'error', reason: 'timeout', detail: `no answer within ${READY_WITHIN / 1_000} s`, at: Date.now(), query: query.text };
    return [query.name, (await inTime(source.measure(queryOf(gate, query), signal), signal)) ?? late];
  });
  return Object.fromEntries(await Promise.all(asked));
}

async function pastOf(gate: Gate, source: MetricSource, from: number, to: number, signal: AbortSignal): Promise<Histories | undefined> {
  const step = Math.max(gate.every, Math.ceil((to - from) / POINTS / 1_000) * 1_000);
  const asked = measurementsOf(gate).map(async (query): Promise<readonly [string, Series]> => {
    return [query.name, await source.series(queryOf(gate, query), from, to, step, signal)];
  });
  const told = await inTime(Promise.all(asked), signal);
  return told === undefined ? undefined : Object.fromEntries(told);
}

/** How far back a breach of now has to be followed before it counts, ms; 0 where the gate gathers evidence, or has no past. */
function breachReaches(gate: Gate): Millis {
  return counts(gate) || gate.kind === 'probe' || gate.kind === 'exposureCheck' ? 0 : gate.for + 2 * gate.every;
}

/** Why nothing of the past is left to try the gate on. */
function whyNoPast({ launch, quietFrom }: Moved): string {
  return quietFrom === undefined
    ? `${launch} has moved the same flags, and goes on`
    : `${launch} moved the same flags; its samples are in the windows of queries until ${describeTime(quietFrom)} UTC`;
}

async function lookAt(gate: Gate, source: MetricSource, about: Preflight, problems: Promise<readonly Problem[]>, signal: AbortSignal) {
  const armed = armedBy(about.plan, gate);
  if (armed === undefined) return [];
  const answers = await answersOf(gate, source, signal);
  const at = Math.max(...Object.values(answers).map((answer) => answer.at));
  const last = about.last ?? TRIED_ON;
  const quietFrom = about.moved === undefined ? 0 : (about.moved.quietFrom ?? at);
  const since = Math.min(at, Math.max(at - last, quietFrom));
  // Whatever was launched: what is bad now and was all along would roll back at once.
  const from = last === 0 ? at : Math.min(since, at - breachReaches(gate));
  const back = from < at ? await pastOf(gate, source, from, at, AbortSignal.any([signal, AbortSignal.timeout(PAST_WITHIN)])) : {};
  const told = (await problems).length > 0;
  return findingsOf({
    gate,
    stage: armed.stage,
    next: armed.index === 0,
    answers,
    since,
    span: at - since,
    told,
    ...(back === undefined ? {} : { back }),
    ...(about.moved === undefined || last === 0 ? {} : { noPast: whyNoPast(about.moved) }),
  });
}

/** What was found of a plan's gates. */
export interface Tried {
  /** What their sources found wrong with the queries, in the words that `gonogo doctor` has for it. */
  readonly problems: readonly Problem[];
  /** What the gates make of the answers, the worst first. */
  readonly findings: readonly Finding[];
}

/** What a source found wrong with a query, as a finding that names the gates which ask it. */
export function fromSource(gates: readonly Gate[], problem: Problem): Finding {
  const asking = gates.filter((gate) => measurementsOf(gate).some(({ text }) => text !== '' && problem.where.endsWith(`: ${text}`)));
  const named = asking.map((gate) => `gates.${gate.id}`).join(', ');
  return {
    severity: 'error',
    where: named === '' ? problem.where : `${named}: ${problem.where}`,
    found: problem.message,
    expected: 'a query that its source understands, and answers in the shape that the gate needs',
    hint: problem.hint,
  };
}

const SEVERITIES = ['error', 'warning', 'note'] as const;

/**
 * Tries a plan's gates before any flag moves, all at once: each query as its source checks it, its answer of now, and what the gate's own judge makes
 * of the hours before. Never throws; a source that does not answer within READY_WITHIN is a problem, a past that does not come is a note.
 */
export async function preflight(house: Pick<House, 'sources'>, about: Preflight, signal: AbortSignal): Promise<Tried> {
  const gates = about.gates ?? about.plan.gates;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(READY_WITHIN)]);
  const checked = new Map([...queriesOf({ gates })].map(([name, queries]) => [name, sourceProblems(house, name, queries, limit)]));
  const found = await Promise.all(
    gates.map(async (gate) => {
      const source = gate.source === undefined ? undefined : house.sources.get(gate.source);
      const problems = gate.source === undefined ? undefined : checked.get(gate.source);
      return source === undefined || problems === undefined ? [] : lookAt(gate, source, about, problems, limit);
    }),
  );
  return {
    problems: (await Promise.all(checked.values())).flat(),
    findings: found.flat().sort((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity)),
  };
}

/**
 * The launch that last moved a flag of the order, wherever the order is for: one that goes on, else the one that ended last. What was refused, waits for its
 * first stage, or wrote nothing in the end has moved none, and neither has one of a flag that only has the same name.
 */
export async function lastMoved(store: Store, order: Order, launch: string): Promise<Moved | undefined> {
  const flags = JSON.stringify(order.flags.map(({ provider, key }) => ({ provider, key })));
  const { rows } = await sql<{ launch: string; ended: Date | null }>`
    select l.id as launch, case when l.outcome in ('launched', 'rolled-back', 'aborted') then e.at end as ended
    from launch l join event e on e.launch = l.id and e.seq = l.last_seq
    where l.id <> ${launch}
      and exists (select 1 from journal j where j.launch = l.id and j.phase <> 'void')
      and exists (
        select 1 from jsonb_array_elements(l.launch_order->'flags') f, jsonb_array_elements(${flags}::jsonb) mine
        where f->>'provider' = mine->>'provider' and f->>'key' = mine->>'key')
    order by ended desc nulls first limit 1`.execute(store.db);
  const [last] = rows;
  if (last === undefined) return undefined;
  return { launch: last.launch, ...(last.ended === null ? {} : { quietFrom: last.ended.getTime() + RESTS }) };
}
