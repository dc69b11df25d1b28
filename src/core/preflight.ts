import { describeMillis } from './bound.ts';
import { enough } from './enough.ts';
import { comparison, type Finding, type GateSeen } from './finding.ts';
import type { Measurement } from './measurement.ts';
import { nothingLaunched } from './nothing-launched.ts';
import type { Gate, Millis, Plan, Stage } from './plan.ts';
import { compose, composeSeries } from './query.ts';
import { counts, readValue } from './reading.ts';

/** The stage that arms a gate, with its place in the plan; undefined where none does. */
export function armedBy(plan: Plan, gate: Gate): { readonly stage: Stage; readonly index: number } | undefined {
  const index = plan.stages.findIndex((stage) => stage.gates.includes(gate.id));
  const stage = plan.stages[index];
  return stage === undefined ? undefined : { stage, index };
}

/** What is wrong with the shape of the answer of now. */
function shapeOf({ gate, answers, told }: GateSeen, now: Measurement): readonly Finding[] {
  const where = `gates.${gate.id}`;
  if (now.kind === 'no-data') {
    return [
      {
        severity: 'note',
        where,
        found: `no data yet (${now.reason}): ${now.detail}`,
        expected: 'a number once the stage is live: without one the gate holds, and never passes',
        hint: 'nothing, where the metric is born with the launch; else correct the query',
      },
    ];
  }
  if (now.kind !== 'error') return [];
  // The answers are sound and do not fit together: only the gate can tell.
  const whole = Object.values(answers).every((answer) => answer.kind !== 'error');
  if (!whole && told) return [];
  return [
    {
      severity: whole ? 'error' : 'warning',
      where,
      found: `could not look (${now.reason}): ${now.detail}`,
      expected: comparison(gate) === undefined ? 'one number' : 'the counts of both sides',
      hint: whole ? 'correct the gate: as it is it never passes' : 'look at the source: the gate would hold the launch',
    },
  ];
}

/** How long (ms) the values before the newest one were bad without a good one between; 0 where it is the first. */
function badFor(gate: Gate, points: readonly Measurement[], now: Measurement): Millis {
  let since = now.at;
  for (const point of points.toReversed()) {
    if (point.kind !== 'value' || point.at >= now.at) continue;
    if (readValue(gate, undefined, point).reading.kind !== 'bad') break;
    since = point.at;
  }
  return now.at - since;
}

/** What is bad already. */
function breachOf({ gate, stage, next, told }: GateSeen, now: Measurement, points: readonly Measurement[]): readonly Finding[] {
  // What a gate that counts gathered before the launch is its A/A.
  if (now.kind !== 'value' || counts(gate)) return [];
  // A probe that fails is what its source was found wanting for.
  if (gate.kind === 'probe' && told) return [];
  const { kind, why } = readValue(gate, undefined, now).reading;
  if (kind !== 'bad') return [];
  const lasted = badFor(gate, points, now);
  const severity = next && lasted >= gate.for ? 'error' : 'warning';
  const since = lasted === 0 ? '' : `, for ${describeMillis(lasted)}`;
  return [
    {
      severity,
      where: `gates.${gate.id}`,
      found: `${lasted >= gate.for ? 'breached already' : 'bad now'}: ${why}${since}`,
      expected: `healthy before ${stage.id} arms it${gate.for === 0 ? '' : `; it counts after ${describeMillis(gate.for)}`}`,
      hint: next
        ? 'mend what it measures, or correct query and limit: armed like this it would roll back at once'
        : `mend it before ${stage.id}, which waits for it`,
    },
  ];
}

/** Everything found of one gate before it is armed: the shape of its answer, a breach, its traffic, and what its judge makes of the last hours. Pure. */
export function findingsOf(seen: GateSeen): readonly Finding[] {
  const { gate, back, since } = seen;
  const now = compose(gate, seen.answers);
  const whole = back === undefined ? undefined : composeSeries(gate, back);
  const points = whole?.points ?? [];
  const breach = breachOf(seen, now, points);
  // A probe asks now and only now; the share of users is promised by a launch alone.
  const past =
    breach.length > 0 || gate.kind === 'probe' || gate.kind === 'exposureCheck'
      ? []
      : nothingLaunched(seen, since === undefined ? points : points.filter(({ at }) => at >= since), whole?.remembers);
  return [...shapeOf(seen, now), ...breach, ...enough(seen, now, points), ...past];
}

/** A finding in one sentence: `could not look; expected one number`. */
export function sayFinding({ found, expected }: Finding): string {
  return `${found}; expected ${expected}`;
}
