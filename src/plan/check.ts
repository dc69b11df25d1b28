import { formatDuration } from '../core/duration.ts';
import type { Millis, Plan, Stage } from '../core/plan.ts';
import { checkGates } from './check-gates.ts';
import { environmentsOf, type Registry } from '../flags/registry.ts';
import { checkFlags } from './check-flags.ts';
import { NOWHERE, spell, type Complain, type Path, type Places, type Problem } from './problem.ts';

/**
 * Everything wrong with a plan that no single field shows: names that lead nowhere, times that do not fit, sign-offs
 * that nobody can give, and, against the registry, changes that cannot be made, shown or undone. For one environment, or for
 * every one that the plan allows. `places` come from `loadPlan`; without them problems have no lines. Pure.
 */
export function checkPlan(plan: Plan, registry: Registry, environment?: string, places: Places = NOWHERE): Problem[] {
  const found = new Map<string, Problem>();
  const complain: Complain = (path, message, hint) => {
    const said = `${path.length === 0 ? 'the plan' : spell(path)} ${message}`;
    if (!found.has(said)) found.set(said, { code: 'refused', path: spell(path), ...places.value(path), message: said, hint });
  };
  checkNames(plan, complain);
  checkGates(plan, complain);
  checkTimes(plan, complain);
  plan.stages.forEach((stage, index) => checkPeople(stage, ['stages', index], complain));
  if (environment !== undefined && plan.environments.length > 0 && !plan.environments.includes(environment)) {
    complain(['environments'], `does not allow ${environment}`, `launch it in ${plan.environments.join(' or ')}, or add ${environment}`);
  } else {
    for (const place of environment === undefined ? environmentsFor(plan, registry) : [environment]) checkFlags(plan, registry, place, complain);
  }
  return [...found.values()];
}

/** The environments that a plan may be launched in: its own list, or all that the registry knows. */
export function environmentsFor(plan: Plan, registry: Registry): readonly string[] {
  return plan.environments.length > 0 ? plan.environments : environmentsOf(registry);
}

function twice(paths: readonly (readonly [id: string, path: Path])[], hint: string, complain: Complain): void {
  const first = new Map<string, Path>();
  for (const [id, path] of paths) {
    const other = first.get(id);
    if (other === undefined) first.set(id, path);
    else complain(path, `is ${id}, like ${spell(other)}`, hint);
  }
}

function checkNames(plan: Plan, complain: Complain): void {
  twice(
    plan.environments.map((name, index) => [name, ['environments', index]]),
    'name it once',
    complain,
  );
  twice(
    plan.stages.map((stage, index) => [stage.id, ['stages', index, 'id']]),
    'every stage needs an id of its own',
    complain,
  );
  const items = plan.checklist.map((item, index): [string, Path] => [item.id, ['checklist', index, 'id']]);
  const later = plan.stages.flatMap((stage, at) => stage.checklist.map((item, index): [string, Path] => [item.id, ['stages', at, 'checklist', index, 'id']]));
  twice([...items, ...later], 'every checklist item of a plan needs an id of its own', complain);
  const known = plan.gates.map((gate) => gate.id);
  const used = new Set(plan.stages.flatMap((stage) => stage.gates));
  plan.stages.forEach((stage, at) => {
    twice(
      stage.gates.map((id, index) => [id, ['stages', at, 'gates', index]]),
      'list it once',
      complain,
    );
    stage.gates.forEach((id, index) => {
      if (!known.includes(id))
        complain(
          ['stages', at, 'gates', index],
          `is ${id}, which is no gate of this plan`,
          known.length === 0 ? 'add it under gates' : `known: ${known.join(', ')}`,
        );
    });
  });
  for (const id of known) if (!used.has(id)) complain(['gates', id], 'is listed by no stage, so it would never be asked', 'list it in a stage, or take it out');
}

function checkTimes(plan: Plan, complain: Complain): void {
  const limit = formatDuration(plan.maxDuration);
  let sum: Millis = plan.watch;
  let armed = 0;
  plan.stages.forEach((stage, at) => {
    sum += stage.maxBake ?? stage.bake;
    armed += stage.gates.length;
    if (stage.bake > plan.maxDuration)
      complain(['stages', at, 'bake'], `is ${formatDuration(stage.bake)}; the whole launch may take ${limit}`, 'shorten it, or raise maxDuration');
    if (stage.maxBake !== undefined && stage.maxBake < stage.bake)
      complain(
        ['stages', at, 'maxBake'],
        `is ${formatDuration(stage.maxBake)}, and the bake alone takes ${formatDuration(stage.bake)}`,
        'write the bake or more: undecided at its end, the stage bakes on so long',
      );
    if (stage.bake > 0 && armed === 0)
      complain(['stages', at, 'bake'], 'is watched by no gate', 'no evidence is never a go: list a gate in this stage or an earlier one');
    if (stage.onRollback !== undefined && stage.gates.length === 0)
      complain(['stages', at, 'onRollback'], 'can never happen: it is for the gates that this stage lists, and it lists none', 'list a gate, or take it out');
  });
  if (plan.watch > 0 && armed === 0)
    complain(['watch'], `is ${formatDuration(plan.watch)} with no gate to watch`, 'list a gate in a stage, or write watch: 0s');
  if (sum > plan.maxDuration && plan.stages.every((stage) => stage.bake <= plan.maxDuration)) {
    complain(
      ['maxDuration'],
      `is ${limit}; the bakes${plan.stages.some((stage) => stage.maxBake !== undefined) ? ', at their longest,' : ''} and the watch alone take ${formatDuration(sum)}`,
      'raise it, and leave time for people',
    );
  }
}

function checkPeople(stage: Stage, path: Path, complain: Complain): void {
  const rules = [...path, 'signOff'];
  twice(
    stage.signOff.map((rule, index) => [rule.role, [...rules, index]]),
    'name a role once, with a count',
    complain,
  );
  const [only] = stage.signOff;
  if (stage.signOff.length === 1 && only?.role === 'release-engineer' && only.count === 1) {
    complain(
      rules,
      'asks for one release-engineer alone; who starts a launch may sign as release-engineer and is never the only signer',
      'add a second role, or { role: release-engineer, count: 2 }',
    );
  }
}
