import { formatDuration } from '../core/duration.ts';
import { sameExposure, type Exposure } from '../core/exposure.ts';
import { defaultPolicy } from '../core/blind.ts';
import { maxBakeOf } from '../core/bake.ts';
import { exposedShare } from '../core/exposed.ts';
import { measurementsOf } from '../core/query.ts';
import type { CompareGate, Bound, ChecklistItem, FlagChange, Gate, Plan, Policy, SignOffRule, Stage } from '../core/plan.ts';
import { defaultExposure, type Registry } from '../flags/registry.ts';
import { effective, inWords } from './check-flags.ts';
import { environmentsFor } from './check.ts';

/**
 * The plan told as a story, a sentence or two per line: what must be true first, who sees what and when, what is watched, who signs,
 * how it goes back and how long it takes at least. With an environment (or where all allowed ones agree) it says what
 * each flag was before. Pure; a plan with unknown flags is told without their past.
 */
export function explain(plan: Plan, registry: Registry, environment?: string): string[] {
  const places = environment === undefined ? environmentsFor(plan, registry) : [environment];
  const sum = plan.stages.reduce((total, stage) => total + stage.bake, plan.watch);
  const story = [
    `${quote(plan.title ?? plan.name)} goes out in ${count(plan.stages.length, 'stage')}, in ${either(places)}. It takes at least ${formatDuration(sum)}, and is rolled back after ${formatDuration(plan.maxDuration)} at the latest.`,
  ];
  if (plan.checklist.length > 0) story.push(`Before anything moves, ${checklist(plan.checklist)}.`);
  const standing = new Map<string, Exposure>();
  let elapsed = 0;
  plan.stages.forEach((stage, index) => {
    story.push(...tellStage(stage, index, elapsed, plan, registry, places, standing));
    elapsed += stage.bake;
  });
  if (plan.watch > 0)
    story.push(`After the last stage everything is watched for ${formatDuration(plan.watch)} more, every gate armed; then the launch is launched.`);
  else story.push('After the last stage the launch is launched.');
  story.push(
    `From the first change to that moment, a breach of any gate, a matching alert or a person's word puts every flag back to what it was${plan.stages.some((stage) => stage.onRollback !== undefined) ? ' (unless a stage above says otherwise)' : ''}: within ${formatDuration(plan.rollback.within)}, proven where the users read it.`,
  );
  if (plan.after?.cleanUpIn !== undefined) story.push(`${formatDuration(plan.after.cleanUpIn)} later the flags should be gone from the code.`);
  return story;
}

function tellStage(
  stage: Stage,
  index: number,
  elapsed: number,
  plan: Plan,
  registry: Registry,
  places: readonly string[],
  standing: Map<string, Exposure>,
): string[] {
  const name = `Stage ${index + 1}, ${stage.title === undefined ? stage.id : `${quote(stage.title)} (${stage.id})`}`;
  const told: string[] = [];
  const before = [
    ...(stage.checklist.length > 0 ? [checklist(stage.checklist)] : []),
    ...(stage.signOff.length > 0 ? [`${both(stage.signOff.map(signer))} must say go`] : []),
  ];
  const earliest = elapsed > 0 ? ` It opens ${formatDuration(elapsed)} after the first change at the earliest.` : '';
  told.push(
    `${name}: ${before.length > 0 ? `first ${both(before)}` : index === 0 ? 'it opens at once' : 'it opens as soon as the stage before has baked'}.${earliest}`,
  );
  told.push(`Then ${both(stage.set.map((change) => move(change, registry, places, standing)))}.`);
  const gates = plan.gates.filter((gate) => stage.gates.includes(gate.id));
  if (gates.length > 0) told.push(`From then on it asks: ${gates.map(tellGate).join('; ')}.`);
  const armed = plan.gates.filter((gate) => plan.stages.slice(0, index + 1).some((one) => one.gates.includes(gate.id)) && measurementsOf(gate).length > 0);
  if (stage.bake > 0) {
    const longest = armed.some(needsEnough) ? ` Still undecided ${formatDuration(maxBakeOf(stage))} after its shift, it waits for a person.` : '';
    told.push(`It must stay healthy for ${formatDuration(stage.bake)}; only minutes with fresh, healthy data count.${longest}`);
  }
  if (armed.length > 0) told.push(...tellBlind(armed, plan, index));
  if (stage.onRollback !== undefined) {
    const fallback = stage.onRollback.set.map((change) => `${change.flag} is set to ${inWords(change.to)}`);
    told.push(
      `If ${either(stage.gates)} breaches while this stage is the last that moved, only this stage's flags go back${fallback.length > 0 ? ` and ${both(fallback)}` : ''}; the launch then waits for a person to conclude it.`,
    );
  }
  return told;
}

function move(change: FlagChange, registry: Registry, places: readonly string[], standing: Map<string, Exposure>): string {
  const entry = registry.entries.get(change.flag);
  const past = standing.get(change.flag);
  const befores = entry === undefined ? [] : past === undefined ? places.map((place) => defaultExposure(entry, place)) : [past];
  const [first] = befores;
  const known = first !== undefined && befores.every((other) => sameExposure(other, first));
  const [place] = places;
  const to = entry === undefined || place === undefined ? change.to : effective(change.to, entry, place);
  standing.set(change.flag, to);
  return `${change.flag} goes ${known ? `from ${inWords(first)} ` : ''}to ${inWords(change.to)}${change.narrows ? ' (fewer than before, on purpose)' : ''}`;
}

/** Whether a gate may be without an answer although it has data: it needs so many samples, or a proof. */
function needsEnough(gate: Gate): boolean {
  return ('minSamples' in gate && gate.minSamples > 0) || 'maxRatio' in gate;
}

const THEN: Record<Policy['then'], string> = { hold: 'it waits for a person', rollback: 'it is rolled back', page: 'a person is paged' };

/** What happens when the gates that are armed cannot see, by what the plan says and by how many are exposed. */
function tellBlind(armed: readonly Gate[], plan: Plan, index: number): string[] {
  const share = exposedShare(plan, index);
  const who = ` (${Number((100 * share).toFixed(3))} % of the users exposed)`;
  const said = new Map<string, string[]>();
  for (const gate of armed) {
    const [noData, error] = [gate.noData, gate.error].map((own) => {
      const { after, then } = own ?? defaultPolicy(gate, share);
      return `${THEN[then]} after ${formatDuration(after)}${own === undefined ? who : ''}`;
    });
    const text = noData === error ? `Without data, or with errors only, ${noData ?? ''}` : `Without data ${noData ?? ''}, with errors only ${error ?? ''}`;
    said.set(text, [...(said.get(text) ?? []), gate.id]);
  }
  return [...said].map(([text, ids]) => (said.size === 1 ? `${text}.` : `${text}: ${both(ids)}.`));
}

function tellGate(gate: Gate): string {
  const lasting = gate.for > 0 ? ` (a breach counts after ${formatDuration(gate.for)})` : '';
  const every = `every ${formatDuration(gate.every)}${lasting}`;
  const name = gate.title === undefined ? gate.id : `${gate.id} (${gate.title})`;
  switch (gate.kind) {
    case 'threshold':
      return `${name} ${limit(gate.bound, gate.unit)}, ${every}`;
    case 'ratio':
      return `${name} ${limit({ ...gate.bound, limit: Number((gate.bound.limit * 100).toFixed(6)) }, '%')}, ${every}`;
    case 'probe':
      return `${name} ${gate.path} answers ${either(gate.status.map(String))}${gate.maxLatency === undefined ? '' : ` within ${formatDuration(gate.maxLatency)}`}, ${every}`;
    case 'alert':
      return `${name} no alert with ${both(Object.entries(gate.labels).map(([label, value]) => `${label} ${value}`))}`;
    case 'compareRate':
      return `${name} requests of the exposed go wrong ${compared(gate)}, ${every}`;
    case 'compareSlow':
      return `${name} requests of the exposed take over ${gate.over} ${compared(gate)}, ${every}`;
    case 'compareUsers':
      return `${name} users who are exposed fail for the first time ${compared(gate)}, ${every}`;
    case 'burnRate':
      return `${name} ${either(gate.windows.map((pair) => `${formatDuration(pair.long)} and ${formatDuration(pair.short)}`))} burn less than ${either(gate.windows.map((pair) => `${pair.factor}`))} times the budget of ${percent(gate.objective)}, ${every}`;
    case 'quantile':
      return `${name} the ${gate.q} quantile ${limit(gate.bound, gate.unit)}, ${every}`;
    case 'exposureCheck':
      return `${name} the share of users that see ${gate.flag} is the one promised, give or take ${percent(gate.tolerance)}; otherwise it holds, ${every}`;
  }
}

const percent = (share: number) => `${Number((share * 100).toFixed(6))}%`;

function compared(gate: CompareGate): string {
  const excess = gate.floor === 0 ? '' : ` and in ${percent(gate.floor)} more of them`;
  const go = gate.maxRatio === undefined ? `from ${gate.minSamples} on either side` : `once it is shown to be below ${gate.maxRatio} times`;
  return `no more than ${gate.tolerance} times as often as those of the rest${excess}, a go ${go}, wrongly stopped in at most ${percent(gate.alpha)} of healthy launches`;
}

const LIMITS: Record<Bound['op'], string> = { max: 'at most', min: 'at least', below: 'below', above: 'above' };

function limit(bound: Bound, unit: string | undefined): string {
  return `${LIMITS[bound.op]} ${bound.limit}${unit === undefined ? '' : ` ${unit}`}`;
}

function checklist(items: readonly ChecklistItem[]): string {
  const machine = items.filter((item) => item.check !== undefined).length;
  const byRole = new Map<string, number>();
  for (const item of items) if (item.check === undefined) byRole.set(item.role ?? 'anyone', (byRole.get(item.role ?? 'anyone') ?? 0) + 1);
  const people = [...byRole].map(([role, many]) => `${many} by ${role}`);
  const parts = [...(people.length > 0 ? [`ticked ${both(people)}`] : []), ...(machine > 0 ? [`${machine} checked by gonogo`] : [])];
  return `${count(items.length, 'checklist item')} must be true (${parts.join(', ')})`;
}

function signer(rule: SignOffRule): string {
  return rule.count === 1 ? rule.role : `${rule.count} x ${rule.role}`;
}

function joined(words: readonly string[], last: string): string {
  return words.length < 2 ? (words[0] ?? '') : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1) ?? ''}`;
}

const both = (words: readonly string[]) => joined(words, 'and');
const either = (words: readonly string[]) => joined(words, 'or');
const quote = (text: string) => `"${text}"`;
const count = (many: number, noun: string) => `${many} ${noun}${many === 1 ? '' : 's'}`;
