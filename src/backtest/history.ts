import type { Measurement, NoData, Series, Value } from '../core/measurement.ts';
import type { CompareGate, ExposureCheckGate, Gate } from '../core/plan.ts';
import { composeSeries, type GateQuery } from '../core/query.ts';
import { sides, slowSides } from '../core/sides.ts';
import { riseOfTotal } from '../core/statistics/counters.ts';
import type { RateBatch } from '../core/statistics/rate-ratio.ts';

/** What a source remembers of one gate, on a grid of the gate's `every`. Counts are rises since the point before. */
export interface History {
  /** What the gate would have been told. */
  readonly points: readonly Measurement[];
  /** Of a gate with two sides: both together, as the rest's, to be split by a stage's share. */
  readonly pooled?: readonly Measurement[];
  /** Leading grid points without any data were left away; the history begins here (ms). */
  readonly from: number;
  /** The grid was asked from here on (ms). */
  readonly asked: number;
}

/** The answers to a gate's queries over one grid, by name. */
export type SeriesByName = Readonly<Partial<Record<GateQuery['name'], Series>>>;

const NO_COUNTS: RateBatch = { exposedBad: 0, exposed: 0, restBad: 0, rest: 0 };

const firstLook = (point: Value): NoData => ({
  kind: 'no-data',
  reason: 'empty',
  at: point.at,
  query: point.query,
  detail: 'the first running count of the history: rises are counted from here on',
});

/** Running totals as rises, each since the grid point before. Rises are left as they are. */
function toRises(points: readonly Measurement[], gauges: readonly (keyof RateBatch)[] = []): readonly Measurement[] {
  let before: Value | undefined;
  return points.map((point, index) => {
    if (point.kind !== 'value' || point.since !== undefined) return point;
    const last = before;
    before = point;
    if (last === undefined) return firstLook(point);
    const counts = point.counts ?? NO_COUNTS;
    const rise = (name: keyof RateBatch): number => (gauges.includes(name) ? counts[name] : riseOfTotal(last.counts?.[name] ?? 0, counts[name]));
    const known = new Map(last.buckets?.map(({ le, count }) => [le, count]));
    return {
      ...point,
      // What rose while there were no answers is told by the first one after them, as to a launch that asked all along.
      since: points[index - 1]?.at ?? last.at,
      ...(point.buckets === undefined ? {} : { buckets: point.buckets.map(({ le, count }) => ({ le, count: riseOfTotal(known.get(le) ?? 0, count) })) }),
      ...(point.counts === undefined
        ? {}
        : { counts: { exposedBad: rise('exposedBad'), exposed: rise('exposed'), restBad: rise('restBad'), rest: rise('rest') } }),
    };
  });
}

/** One side of a gate that has two, as counts of `exposedBad` and `exposed`. */
function sideOf(gate: CompareGate | ExposureCheckGate, side: 'exposed' | 'rest', answers: SeriesByName): readonly Measurement[] {
  const [totals, bads] = [answers[side]?.points ?? [], answers[`${side}Bad`]?.points ?? []];
  const points = totals.map((total, index): Measurement => {
    const bad = bads[index];
    switch (gate.kind) {
      case 'compareSlow':
        return slowSides(total, total, gate.over);
      case 'exposureCheck':
        return sides('users', { exposed: total });
      case 'compareUsers':
      case 'compareRate':
        return sides(gate.kind === 'compareUsers' ? 'users' : 'requests', { exposed: total, ...(bad === undefined ? {} : { exposedBad: bad }) });
      default:
        return gate satisfies never;
    }
  });
  return toRises(points, gate.kind === 'compareUsers' ? ['exposed'] : []);
}

const countsOf = (point: Measurement | undefined): RateBatch => (point?.kind === 'value' ? (point.counts ?? NO_COUNTS) : NO_COUNTS);

function twoSided(gate: CompareGate | ExposureCheckGate, answers: SeriesByName): Pick<History, 'points' | 'pooled'> {
  const [here, there] = [sideOf(gate, 'exposed', answers), sideOf(gate, 'rest', answers)];
  const points = there.map((rest, index): Measurement => {
    const exposed = here[index];
    if (exposed?.kind !== 'value') return exposed ?? rest;
    if (rest.kind !== 'value') return rest;
    const [own, other] = [countsOf(exposed), countsOf(rest)];
    return { ...exposed, counts: { exposedBad: own.exposedBad, exposed: own.exposed, restBad: other.exposedBad, rest: other.exposed } };
  });
  const pooled = there.map((rest, index): Measurement => {
    const exposed = here[index];
    const told = rest.kind === 'value' ? rest : exposed?.kind === 'value' ? exposed : rest;
    if (told.kind !== 'value') return told;
    const [own, other] = [countsOf(exposed), countsOf(rest)];
    return { ...told, counts: { exposedBad: 0, exposed: 0, restBad: own.exposedBad + other.exposedBad, rest: own.exposed + other.exposed } };
  });
  return { points, pooled };
}

function pointsOf(gate: Gate, answers: SeriesByName): Pick<History, 'points' | 'pooled'> {
  switch (gate.kind) {
    case 'compareRate':
    case 'compareSlow':
    case 'compareUsers':
    case 'exposureCheck':
      return twoSided(gate, answers);
    case 'burnRate':
    case 'quantile':
      return { points: toRises(composeSeries(gate, answers).points) };
    case 'threshold':
    case 'ratio':
    case 'probe':
    case 'alert':
      return { points: composeSeries(gate, answers).points };
    default:
      return gate satisfies never;
  }
}

/** The answers of a source as a gate's history; undefined where there is nothing but `no-data` in it. */
export function historyOf(gate: Gate, answers: SeriesByName): History | undefined {
  const { points, pooled } = pointsOf(gate, answers);
  const told = pooled ?? points;
  const first = told.findIndex((point) => point.kind !== 'no-data');
  const [begin, asked] = [told[first], told[0]];
  if (begin === undefined || asked === undefined) return undefined;
  return { points: points.slice(first), ...(pooled === undefined ? {} : { pooled: pooled.slice(first) }), from: begin.at, asked: asked.at };
}
