import { describeMillis, describeNumber, describeTime } from './bound.ts';
import { comparison, type Finding, type GateSeen } from './finding.ts';
import { freshGate, judge } from './gate.ts';
import type { Measurement } from './measurement.ts';
import type { Gate } from './plan.ts';
import type { Statistic } from './reading.ts';
import { logHarm, observedRatio, type RateEvidence } from './statistics/rate-ratio.ts';

/** Fewer points with a value than this are no A/A. */
const FEWEST = 3;

/** The last hours, in which nothing was launched, through the gate's own judge: what alarms there alarms at nothing. */
export function nothingLaunched({ gate, next, span, noPast }: GateSeen, points: readonly Measurement[], remembers: boolean | undefined): readonly Finding[] {
  const where = `gates.${gate.id}`;
  const expected = span === 0 ? 'hours in which nothing was launched' : `no alarm in the last ${describeMillis(span)}, in which nothing was launched`;
  const untried = (found: string, hint: string): readonly Finding[] => [{ severity: 'note', where, found: `not tried on the past: ${found}`, expected, hint }];
  if (span === 0) return noPast === undefined ? [] : untried(noPast, 'nothing, or launch later: a gate that alarms at nothing would be found then');
  if (remembers === undefined) return untried('its source did not tell it in time', 'try again, or ask for less of the past');
  if (!remembers) return untried(`${gate.source ?? 'it'} keeps no history`, 'nothing: a source that remembers would show more');
  const told = points.filter((point) => point.kind === 'value').length;
  const [first] = points;
  if (first === undefined || told < FEWEST)
    return untried(`its source tells ${told} of ${points.length} points`, 'nothing, where the metric is young or born with the launch');
  let state = freshGate(first.at - gate.every);
  for (const point of points) {
    const { state: after, verdict } = judge(gate, state, point);
    state = after;
    if (verdict.kind === 'no-go') {
      return [
        {
          severity: next ? 'error' : 'warning',
          where,
          found: `false alarm at ${new Date(verdict.at).toISOString()} on the past: ${verdict.why}`,
          expected,
          hint: `${remedy(gate, state.statistic)}; where that was a real incident, launch after ${describeTime(verdict.at + span)} UTC`,
        },
      ];
    }
  }
  const compared = comparison(gate);
  const evidence = compared === undefined ? undefined : evidenceOf(state.statistic);
  if (compared === undefined || evidence === undefined) return [];
  const harm = logHarm({ tolerance: compared.tolerance, late: 0 }, evidence);
  if (harm < Math.log(1 / compared.alpha) / 2) return [];
  return [
    {
      severity: 'warning',
      where,
      found: `half way to a false alarm: odds ${describeNumber(Math.exp(harm))} of the ${describeNumber(1 / compared.alpha)} it takes, with nothing launched`,
      expected,
      hint: remedy(gate, state.statistic),
    },
  ];
}

function evidenceOf(statistic: Statistic | undefined): RateEvidence | undefined {
  return statistic !== undefined && 'evidence' in statistic && 'looks' in statistic.evidence ? statistic.evidence : undefined;
}

/** What makes a gate that alarms at nothing quieter. */
function remedy(gate: Gate, statistic: Statistic | undefined): string {
  switch (gate.kind) {
    case 'compareRate':
    case 'compareSlow':
    case 'compareUsers': {
      const evidence = evidenceOf(statistic);
      const ratio = evidence === undefined ? undefined : observedRatio(evidence);
      const above = ratio === undefined ? 'raise tolerance' : `raise tolerance above ${describeNumber(Math.ceil(ratio * 10) / 10)}`;
      return `the sides differ without the flag: ${above}${gate.kind === 'compareUsers' ? '' : ', or compare users (compareUsers): a few heavy ones may make it'}`;
    }
    case 'threshold':
    case 'ratio':
      return `move its limit, or let a breach last longer before it counts (for, now ${describeMillis(gate.for)})`;
    case 'quantile':
      return 'move its limit';
    case 'burnRate':
      return 'raise its factors, or lower its objective';
    case 'alert':
      return 'name labels that only an alert of this launch has';
    case 'probe':
    case 'exposureCheck':
      return 'correct the gate';
    default:
      return gate satisfies never;
  }
}
