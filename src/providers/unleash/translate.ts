import { compareReach, isOff, type Exposure } from '../../core/exposure.ts';
import { Terminal } from '../../core/failure.ts';
import type { FlagRef } from '../../core/plan.ts';
import type { NewStrategy, Step } from './client.ts';
import type { Feature, Strategy, UnleashEvent } from './document.ts';
import { canonical, contextName, onValue, reachOf, readingOf, within } from './reach.ts';

/** Unleash's limits; some of them its API does not check. */
const MOST_VALUES = 250;
const MOST_STRATEGIES = 30;

const OURS = /^gonogo \[([^\]]*)\]/;
const PARKED = /^gonogo parked \[[^\]]*\] ?/;

/** Text that fits between the brackets of a title. */
function bare(change: string): string {
  return change.replaceAll(/[[\]\s]/g, '_');
}

function ours(strategy: Strategy): boolean {
  return OURS.test(strategy.title);
}

/** A strategy of somebody else that gonogo switched off, as long as its own exposure is narrower. */
function parked(strategy: Strategy): boolean {
  return PARKED.test(strategy.title);
}

/** Whether a strategy of ours was written by this change. */
export function bears(feature: Feature, change: string): boolean {
  return feature.strategies.some((strategy) => OURS.exec(strategy.title)?.[1] === bare(change));
}

/** Why Unleash cannot give the flag this exposure; undefined where it can. */
export function cannotExpress(flag: FlagRef, to: Exposure): Terminal | undefined {
  const says = (message: string): Terminal => new Terminal('not-expressible', `flag ${flag.key}: ${message}`);
  const { share, by, value } = to;
  if (!(share >= 0 && share <= 100)) return says(`a share of ${share} %; expected 0 to 100`);
  if (!Number.isInteger(share)) return says(`a share of ${share} %; Unleash draws in whole percent, choose ${Math.max(1, Math.round(share))}`);
  if (isOff(to)) return undefined;
  if (flag.type === 'boolean' && value !== true)
    return says(`Unleash gives true to those who are exposed, and cannot give ${JSON.stringify(value)}; turn the meaning of the flag around`);
  if (flag.type !== 'boolean' && (typeof value !== 'string' || !flag.type.oneOf.includes(value)))
    return says(`${JSON.stringify(value)} is none of its values; expected one of ${flag.type.oneOf.join(', ')}`);
  if (share > 0 && share < 100 && by === 'random') return says('a share drawn by random is drawn anew at each look; choose an attribute of the subject');
  const { listed } = canonical(to);
  if (listed.length + 1 > MOST_STRATEGIES)
    return says(`${listed.length} lists; Unleash takes ${MOST_STRATEGIES} strategies, share them among fewer attributes`);
  for (const { attribute, values } of listed) {
    if (values.length > MOST_VALUES)
      return says(`${values.length} values of ${attribute}; Unleash takes ${MOST_VALUES} in one list, name a common attribute of them instead`);
    const odd = values.find((each) => each === '' || each !== each.trim());
    if (odd !== undefined) return says(`${JSON.stringify(odd)} in the list of ${attribute}; Unleash's SDKs cut blanks and skip empty values`);
  }
  return undefined;
}

/** Which of our strategies it is: one draws the share, one for each attribute lists. */
function slotOf(strategy: Pick<NewStrategy, 'constraints'>): string {
  const [list] = strategy.constraints;
  return list === undefined ? 'share' : `listed ${list.contextName}`;
}

function ownStrategies(flag: FlagRef, to: Exposure, change: string, comment: string): readonly NewStrategy[] {
  const said = comment.replaceAll(/\p{Cc}/gu, ' ').slice(0, 80);
  const value = String(to.value);
  const common = {
    name: 'flexibleRollout',
    title: `gonogo [${bare(change)}] ${said}`.trim(),
    disabled: false,
    segments: [],
    variants: flag.type === 'boolean' ? [] : [{ name: value, weight: 1000, weightType: 'variable', stickiness: 'default', payload: { type: 'string', value } }],
  };
  // The flag's own key as the group, always: who is inside of 5 % stays inside of 25 %.
  const draw = (share: number, stickiness: string) => ({ rollout: String(share), stickiness, groupId: flag.key });
  const { share, by, listed } = canonical(to);
  return [
    ...(share === 0 ? [] : [{ ...common, parameters: draw(share, contextName(by)), constraints: [] }]),
    ...listed.map(({ attribute, values }) => ({
      ...common,
      parameters: draw(100, 'default'),
      constraints: [{ contextName: contextName(attribute), operator: 'IN', values: [...values], inverted: false, caseInsensitive: false }],
    })),
  ];
}

/** What a strategy says, as text; Unleash leaves out what is at its default. */
function sayingOf({ name, title, disabled, parameters, constraints, segments, variants }: NewStrategy): string {
  return JSON.stringify([
    name,
    title,
    disabled,
    Object.entries(parameters).sort(),
    constraints.map((each) => [each.contextName, each.operator, each.values ?? [], each.value ?? '', each.inverted ?? false, each.caseInsensitive ?? false]),
    segments,
    variants.map((each) => [each.name, each.weight, each.weightType ?? 'variable', each.stickiness ?? 'default', each.payload ?? null]),
  ]);
}

/** Whether the strategy says what is wanted. */
function says(strategy: Strategy, wanted: NewStrategy): boolean {
  return sayingOf(strategy) === sayingOf(wanted);
}

const fields = ({ name, title, disabled, parameters, constraints, segments, variants }: NewStrategy): Partial<NewStrategy> => ({
  name,
  title,
  disabled,
  parameters,
  constraints,
  segments,
  variants,
});

/** Switches somebody's strategy off, and says in its title that it waits. */
function park(strategy: Strategy, change: string): Step {
  return {
    kind: 'change',
    id: strategy.id,
    title: strategy.title,
    to: { disabled: true, title: `gonogo parked [${bare(change)}] ${strategy.title}`.trim() },
  };
}

/**
 * The writes that give the flag this exposure, in an order in which nobody is let in who is neither in the old nor in
 * the new one. Never `on` before there is a strategy: Unleash would make one for everyone.
 */
export function stepsTo(feature: Feature, flag: FlagRef, to: Exposure, change: string, comment: string): readonly Step[] {
  if (isOff(to)) return feature.enabled ? [{ kind: 'off' }] : [];
  const wanted = new Map(ownStrategies(flag, to, change, comment).map((strategy) => [slotOf(strategy), strategy]));
  const widen: Step[] = [];
  const narrow: Step[] = [];
  for (const strategy of feature.strategies) {
    if (ours(strategy)) {
      const own = wanted.get(slotOf(strategy));
      wanted.delete(slotOf(strategy));
      if (own === undefined) narrow.push({ kind: 'remove', id: strategy.id });
      else if (!says(strategy, own)) widen.push({ kind: 'change', id: strategy.id, title: strategy.title, to: fields(own) });
    } else if (!strategy.disabled && !within(reachOf(strategy, flag, feature.variants), to, flag.key)) {
      narrow.push(park(strategy, change));
    }
  }
  for (const strategy of wanted.values()) widen.push({ kind: 'add', strategy });
  // Ours comes first, on or off: it bears the change's name, by which a write that was cut off anywhere is known for its own.
  // While the flag is off nobody feels the order, and every moment in which both are there would be one too many after `on`.
  return [...widen, ...narrow, ...(feature.enabled ? [] : [{ kind: 'on' } as const])];
}

/** The flag as it would stand after these writes. */
function after(feature: Feature, steps: readonly Step[]): Feature {
  return steps.reduce<Feature>((now, step) => {
    switch (step.kind) {
      case 'on':
      case 'off':
        return { ...now, enabled: step.kind === 'on' };
      case 'add':
        return { ...now, strategies: [...now.strategies, { sortOrder: 0, ...step.strategy, id: '' }] };
      case 'change':
        return { ...now, strategies: now.strategies.map((each) => (each.id === step.id ? { ...each, ...step.to } : each)) };
      case 'remove':
        return { ...now, strategies: now.strategies.filter((each) => each.id !== step.id) };
    }
  }, feature);
}

/** The writes that take everything of ours off the flag that the snapshot has not, and give back what it had; somebody else's changes stay. */
function tidy(now: Feature, before: Feature): readonly Step[] {
  const was = new Map(before.strategies.map((strategy) => [strategy.id, strategy]));
  const left = new Set(now.strategies.map((strategy) => strategy.id));
  const remade = before.strategies.filter((strategy) => ours(strategy) && !left.has(strategy.id));
  const give: Step[] = [];
  const take: Step[] = [];
  for (const strategy of now.strategies) {
    const old = was.get(strategy.id);
    if (ours(strategy)) {
      // One that was removed and made again has a new id: it is known by what it says.
      const twin = old === undefined ? remade.findIndex((each) => says(each, strategy)) : -1;
      if (twin >= 0) remade.splice(twin, 1);
      else if (old === undefined) take.push({ kind: 'remove', id: strategy.id });
      else if (!says(strategy, old)) give.push({ kind: 'change', id: strategy.id, title: strategy.title, to: fields(old) });
    } else if (parked(strategy) && (old === undefined || !parked(old))) {
      const title = old?.title ?? strategy.title.replace(PARKED, '');
      give.push({ kind: 'change', id: strategy.id, title: strategy.title, to: { disabled: old?.disabled ?? false, title } });
    }
  }
  for (const { id: _, ...strategy } of remade) give.push({ kind: 'add', strategy });
  return [...give, ...take];
}

/** Whether the flag, once everything of ours is taken off it, is what it was: nobody else has changed it since. */
export function untouchedByOthers(now: Feature, before: Feature): boolean {
  const saying = ({ enabled, strategies, variants }: Feature) => JSON.stringify([enabled, strategies.map(sayingOf).sort(), variants]);
  return saying(after(now, tidy(now, before))) === saying(before);
}

/** Whether a strategy of ours stands as a write of one of these exposures leaves it, and did not before: that write has begun. */
export function hasBegun(now: Feature, before: Feature, flag: FlagRef, written: readonly Exposure[]): boolean {
  const was = new Map(before.strategies.map((strategy) => [strategy.id, strategy]));
  const meant = written.filter((to) => !isOff(to)).flatMap((to) => ownStrategies(flag, to, '', ''));
  return now.strategies.some((strategy) => {
    const old = was.get(strategy.id);
    if (!ours(strategy) || (old !== undefined && says(strategy, old))) return false;
    return meant.some((own) => says({ ...strategy, title: own.title }, own));
  });
}

/** What somebody else did to the other strategies while we were there, undone as far as it lets in more than the snapshot did. */
function narrowed(now: Feature, before: Feature, flag: FlagRef, change: string): readonly Step[] {
  const was = new Map(before.strategies.map((strategy) => [strategy.id, strategy]));
  const limit = readingOf(before, flag).exposure;
  const steps: Step[] = [];
  for (const strategy of now.strategies) {
    if (compareReach(readingOf(after({ ...now, enabled: true }, steps), flag).exposure, limit) !== 'wider') break;
    const old = was.get(strategy.id);
    if (strategy.id === '' || ours(strategy) || strategy.disabled) continue;
    if (old === undefined) steps.push(park(strategy, change));
    else if (!says(strategy, old)) steps.push({ kind: 'change', id: strategy.id, title: strategy.title, to: fields(old) });
  }
  return steps;
}

/** What `restoreSteps` may do: all of it, or only take our own traces off a flag whose users have what they had. */
export type Extent = 'restore' | 'tidy';

/**
 * The writes that put the flag back. Off comes first wherever more than one write is needed: it is one call, and it is
 * what stops the harm. Throws Terminal where the environment would have to be enabled with no strategy left to do it with.
 */
export function restoreSteps(now: Feature, before: Feature, flag: FlagRef, change: string, extent: Extent): readonly Step[] {
  const own = tidy(now, before);
  if (extent === 'tidy') return own;
  if (!before.enabled) return now.enabled ? [{ kind: 'off' }, ...own] : own;
  const steps = [...own, ...narrowed(after(now, own), before, flag, change)];
  if (!after(now, steps).strategies.some((strategy) => !strategy.disabled)) {
    throw new Terminal(
      'not-restorable',
      `flag ${flag.key}: none of its strategies is left to turn it on with, somebody removed or disabled them; Unleash would let everyone in. It stays off: put its strategies back, then turn it on`,
    );
  }
  if (now.enabled && steps.length <= 1) return steps;
  return [...(now.enabled ? [{ kind: 'off' } as const] : []), ...steps, { kind: 'on' }];
}

/** A shell word that holds any text. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The command that puts the flag back by hand: off at once, and where it was on, its strategies as they were and on again. The token comes from the shell. */
export function undoCommand(address: string, before: Feature | undefined, token: string): string {
  const call = (method: string, path: string): string => `curl -fsS -X ${method} "$U${path}" -H "Authorization: $${token}"`;
  const start = `U=${quoted(address)}`;
  if (before?.enabled !== true) return `( ${start}; ${call('POST', '/off')} )`;
  const sent = ({ id: _, ...strategy }: Strategy): string => `-H 'Content-Type: application/json' -d ${quoted(JSON.stringify(strategy))}`;
  const ids = before.strategies.map((strategy) => strategy.id).join(' ');
  const found = `$(curl -fsS "$U/strategies" -H "Authorization: $${token}" | grep -oE '"id": ?"[^"]+"' | cut -d'"' -f4)`;
  const others = `for id in ${found}; do case ${quoted(` ${ids} `)} in *" $id "*) ;; *) ${call('DELETE', '/strategies/$id')} ;; esac; done`;
  const back = before.strategies.map(
    (strategy) => `{ ${call('PUT', `/strategies/${strategy.id}`)} ${sent(strategy)} || ${call('POST', '/strategies')} ${sent(strategy)}; }`,
  );
  return `( ${start}; ${[call('POST', '/off'), others, ...back, call('POST', '/on')].join(' && ')} )`;
}

/** The values that a flag of this registry entry can have at Unleash, set beside what the registry says of it. */
export function typeProblem(flag: FlagRef): string | undefined {
  if (flag.type === 'boolean') return flag.offValue === false ? undefined : 'Unleash answers false when a flag is off, and its registry entry says off is true';
  return onValue(flag) === '' ? 'its registry entry has no value but the off value' : undefined;
}

/** What a change did, in Unleash's own words without its links and asterisks: `ann disabled chat for the production environment ...`. */
export function inWords(event: UnleashEvent): string {
  const said = event.summary ?? event.label ?? event.type;
  return said.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll('**', '');
}
