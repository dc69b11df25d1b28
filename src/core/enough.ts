import { describeMillis, describeNumber } from './bound.ts';
import { comparison, type Finding, type GateSeen } from './finding.ts';
import type { Measurement } from './measurement.ts';
import type { Gate, Stage } from './plan.ts';
import { readValue } from './reading.ts';
import { paceOf, timeToCatch, timeToGo } from './traffic.ts';

/** The traffic that a gate can count on is that of the last hour, ms. */
const PACE_OF = 3_600_000;

/** The smallest share (0..1) that the stage exposes, of which a comparison sees least; undefined where nobody or everybody is. */
function shareOf(stage: Stage): number | undefined {
  const shares = stage.set.map(({ to }) => to.share / 100).filter((share) => share > 0 && share < 1);
  return shares.length === 0 ? undefined : Math.min(...shares);
}

/** Too little to decide from, where a gate reads each value by itself. */
function fewOf({ gate, stage }: GateSeen, now: Measurement, points: readonly Measurement[]): readonly Finding[] {
  if ((gate.kind !== 'threshold' && gate.kind !== 'ratio') || now.kind !== 'value') return [];
  const read = readValue(gate, undefined, now).reading;
  if (read.kind !== 'too-few') return [];
  const recent = points.flatMap((point) => (point.kind === 'value' && point.at > now.at - PACE_OF && point.samples !== undefined ? [point.samples] : []));
  const most = Math.max(now.samples ?? 0, ...recent);
  const enough = most >= gate.minSamples;
  const longer = now.samples !== undefined && now.samples > 0 ? ` ${describeNumber(Math.ceil(gate.minSamples / now.samples))} times as long` : '';
  return [
    {
      severity: 'warning',
      where: `gates.${gate.id}`,
      found: `${read.why}${enough ? `; ${describeNumber(most)} at the best of the last hour` : ''}`,
      expected: `${gate.minSamples} samples at every look, so that ${stage.id} can earn its bake of ${describeMillis(stage.bake)}`,
      hint: `ask over a window${longer === '' ? ' that is longer' : longer}, or lower minSamples`,
    },
  ];
}

const rate = (perLook: number, gate: Gate): string => `${describeNumber((perLook * 60_000) / gate.every)} a minute`;

/** Whether a gate that gathers evidence will have enough of it within the bake of its stage. */
function paceFindings(seen: GateSeen, now: Measurement): readonly Finding[] {
  const { gate, stage, back } = seen;
  if (back === undefined) return [];
  const hour = Object.fromEntries(
    Object.entries(back).map(([name, series]) => [name, { ...series, points: series.points.filter((point) => point.at > now.at - PACE_OF) }]),
  );
  const pace = paceOf(gate, hour);
  const where = `gates.${gate.id}`;
  if (pace === undefined) return [];
  if (gate.kind === 'burnRate' || gate.kind === 'quantile') {
    const over = gate.kind === 'quantile' ? gate.every : Math.max(...gate.windows.map(({ long }) => long));
    const had = (pace.perLook * over) / gate.every;
    if (pace.perLook === 0 || had >= gate.minSamples) return [];
    return [
      {
        severity: 'warning',
        where,
        found: `${describeNumber(had)} in ${describeMillis(over)} at the traffic of the last hour (${rate(pace.perLook, gate)}); ${gate.minSamples} would take ${describeMillis((gate.minSamples / pace.perLook) * gate.every)}`,
        expected: `at least ${gate.minSamples} in ${describeMillis(over)}`,
        hint: gate.kind === 'quantile' ? 'lengthen every, or lower minSamples' : 'lengthen the windows, or lower minSamples',
      },
    ];
  }
  const compared = comparison(gate);
  const share = shareOf(stage);
  if (compared === undefined || share === undefined) return [];
  const traffic = `at ${describeNumber(100 * share)} % of ${compared.kind === 'compareUsers' ? `${describeNumber(pace.perLook)} users at risk` : rate(pace.perLook, gate)}, ${describeNumber(100 * pace.wrong)} % of them wrong`;
  const go = timeToGo(compared, pace, share);
  const twice = timeToCatch(compared, pace, share, 2);
  const findings: Finding[] = [];
  if (go === undefined || go > stage.bake) {
    findings.push({
      severity: 'warning',
      where,
      found: `${go === undefined ? 'never decides' : `needs ${describeMillis(go)} for a go`} ${traffic}`,
      expected: `a decision within the bake of ${stage.id}, ${describeMillis(stage.bake)}`,
      hint: `${go === undefined ? 'expose a larger share' : `lengthen the bake to ${describeMillis(go)}, expose a larger share`}, or ask for less with ${compared.maxRatio === undefined ? 'minSamples' : 'maxRatio'}`,
    });
  }
  if (twice === undefined || twice > stage.bake) {
    findings.push({
      severity: 'warning',
      where,
      found:
        twice === undefined
          ? `twice as many failures would not be found ${traffic}`
          : `twice as many failures are found after about ${describeMillis(twice)} ${traffic}`,
      expected: `a doubling found within the bake of ${stage.id}, ${describeMillis(stage.bake)}`,
      hint:
        twice === undefined
          ? `lower floor (${describeNumber(100 * compared.floor)} % of the exposed) or tolerance (${describeNumber(compared.tolerance)})`
          : 'lengthen the bake, or expose a larger share',
    });
  } else {
    findings.push({
      severity: 'note',
      where,
      found: `twice as many failures are found after about ${describeMillis(twice)} ${traffic}`,
      expected: `a doubling found within the bake of ${stage.id}, ${describeMillis(stage.bake)}`,
      hint: 'nothing',
    });
  }
  return findings;
}

/** Whether a gate has enough to decide from within the bake of its stage, at the traffic of the last hour, and how long it would need. */
export function enough(seen: GateSeen, now: Measurement, points: readonly Measurement[]): readonly Finding[] {
  return [...fewOf(seen, now, points), ...paceFindings(seen, now)];
}
