import { sql } from 'kysely';
import type { Measurement, Series } from '../core/measurement.ts';
import type { Gate, Millis, Order, Plan } from '../core/plan.ts';
import type { Finding } from '../core/finding.ts';
import { armedBy, findingsOf } from '../core/preflight.ts';
import { measurementsOf, type Answers } from '../core/query.ts';
import type { Histories } from '../core/traffic.ts';
import type { House } from '../house.ts';
import type { Problem } from '../providers/provider.ts';
import type { MetricSource } from '../sources/source.ts';
import type { Store } from '../store/store.ts';
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
  /** Nothing before this (ms) is looked at: something was launched. */
  readonly quietSince?: number;
}

/** What a promise came to before the signal, or undefined: for what may come too late, or not at all. */
async function inTime<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  const { promise: over, resolve } = Promise.withResolvers<undefined>();
  const stop = (): void => resolve(undefined);
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    return await Promise.race([over, work]);
  } catch {
    return undefined;
  } finally {
    signal.removeEventListener('abort', stop);
  }
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

async function lookAt(gate: Gate, source: MetricSource, about: Preflight, problems: Promise<readonly Problem[]>, signal: AbortSignal) {
  const armed = armedBy(about.plan, gate);
  if (armed === undefined) return [];
  const answers = await answersOf(gate, source, signal);
  const at = Math.max(...Object.values(answers).map((answer) => answer.at));
  const span = about.last ?? TRIED_ON;
  const from = Math.max(at - span, about.quietSince ?? 0);
  const back = from < at ? await pastOf(gate, source, from, at, AbortSignal.any([signal, AbortSignal.timeout(PAST_WITHIN)])) : {};
  const told = (await problems).length > 0;
  return findingsOf({
    gate,
    stage: armed.stage,
    next: armed.index === 0,
    answers,
    span: Math.max(0, at - from),
    told,
    ...(back === undefined ? {} : { back }),
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

/** When (judged time, ms) the last launch that shares a flag with the order was over and its samples had left the windows; undefined where there was none. */
export async function quietSince(store: Store, order: Order, launch: string): Promise<number | undefined> {
  const flags = order.flags.map(({ flag }) => flag);
  const { rows } = await sql<{ at: Date | null }>`
    select max(e.at) as at from launch l join event e on e.launch = l.id and e.seq = l.last_seq
    where l.id <> ${launch} and exists (
      select 1 from jsonb_array_elements(l.launch_order->'flags') f where f->>'flag' = any(${flags}::text[]))`.execute(store.db);
  const at = rows[0]?.at;
  return at === undefined || at === null ? undefined : at.getTime() + RESTS;
}
