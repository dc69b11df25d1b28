import { promisedTo } from '../core/exposed.ts';
import { comparison } from '../core/finding.ts';
import type { Gate, Plan } from '../core/plan.ts';
import type { Complain } from './problem.ts';

/** What of a plan's gates cannot work, as its stages expose the flags: flags that nobody moves, and comparisons with nobody. */
export function checkGates(plan: Plan, complain: Complain): void {
  const set = new Set(plan.stages.flatMap((stage) => stage.set.map((change) => change.flag)));
  for (const gate of plan.gates)
    if ('flag' in gate && !set.has(gate.flag))
      complain(['gates', gate.id, 'flag'], `is ${gate.flag}, whose share no stage sets`, `name one of ${[...set].join(', ')}`);
  const armed = new Map<string, Gate>();
  plan.stages.forEach((stage, at) => {
    const first = plan.gates.filter((gate) => stage.gates.includes(gate.id) && !armed.has(gate.id));
    for (const gate of first) armed.set(gate.id, gate);
    const isAlone = (gate: Gate): boolean => comparison(gate) !== undefined && promisedTo(plan, at, gate) === 1;
    const all = [...armed.values()];
    if (all.some(isAlone) && all.every((gate) => isAlone(gate) || gate.kind === 'exposureCheck')) {
      complain(
        ['stages', at, 'gates'],
        `leave ${stage.id} unwatched: everyone is exposed, and ${all.map((gate) => gate.id).join(', ')} only compare${all.length === 1 ? 's' : ''} with the rest, which is nobody`,
        'list a gate of kind threshold, ratio, burnRate, quantile, probe or alert too',
      );
      return;
    }
    for (const gate of first)
      if (isAlone(gate))
        complain(
          ['stages', at, 'gates', stage.gates.indexOf(gate.id)],
          `is ${gate.id}, which compares with the rest, and from this stage on there is none: everyone is exposed`,
          'list it in an earlier stage that exposes a share, name with flag: the one that it compares by, or take it out',
        );
  });
}
