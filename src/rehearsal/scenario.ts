import { defaultPolicy } from '../core/blind.ts';
import { exposedShare } from '../core/exposed.ts';
import type { EventKind, LaunchEvent, Outcome } from '../core/event.ts';
import type { Gate, Millis, Plan, Stage } from '../core/plan.ts';
import { counts } from '../core/reading.ts';
import { cannotBreach, isAsked, type Reads } from './gate-answers.ts';

/** A time of a rehearsal: so long (ms) after a stage's flags moved. */
interface Moment {
  readonly stage: string;
  readonly after: Millis;
}

/** What a gate reads from some moment on, and for how long (ms; to the end where it does not say). */
export interface Trouble extends Moment {
  readonly gate: string;
  readonly reads: Reads;
  readonly for?: Millis;
}

/** A provider that does not answer for a while; every one where none is named. */
export interface Outage extends Moment {
  readonly provider?: string;
  readonly for: Millis;
}

/** How people of a role answer when a stage asks them; everyone, and every stage, where it names none. The last that fits counts. */
export interface Answering {
  readonly role?: string;
  readonly stage?: string;
  /** How long after they were asked, ms. */
  readonly after?: Millis;
  /** They do not sign at all; items are ticked all the same. */
  readonly never?: boolean;
  /** What they say first; when they are asked again they say go. */
  readonly decision?: 'go' | 'no-go';
  readonly reason?: string;
  readonly recheckAfter?: Millis;
  readonly meanwhile?: 'hold' | 'roll-back';
}

/** How a rehearsal should end, and what must and must not have happened by then. */
export interface Should {
  readonly outcome: Exclude<Outcome, 'stuck'>;
  readonly seen: readonly EventKind[];
  readonly unseen: readonly EventKind[];
  /** The last stage whose flags may have moved; `undefined` says nothing, null none. */
  readonly upTo?: string | null;
  /** The same in words. */
  readonly words: string;
}

/** A story to rehearse a plan with. */
export interface Scenario {
  readonly name: string;
  /** How long people take where `people` says nothing, ms. */
  readonly answersAfter: Millis;
  readonly people: readonly Answering[];
  readonly gates: readonly Trouble[];
  readonly providers: readonly Outage[];
  readonly should: Should;
}

/** A scenario that says nothing of this plan, and why. */
export interface NotApplicable {
  readonly name: string;
  readonly why: string;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** How long scripted people take, ms. */
export const ANSWERS_AFTER: Millis = 30 * MINUTE;
/** How long after the policy has acted missing data come back, ms: before the person who is called lets the launch go on. */
const BACK_AFTER = 20 * MINUTE;
/** How long a rollback stays unproven in `provider-down`, ms: past the page after 2 min, and within the promise of 5. */
const DOWN_FOR = 150_000;

/** The built-in stories of a stage, in the order of the grid. `healthy` is of the whole plan. */
export const STORIES = ['breach', 'no-data', 'provider-down', 'nobody-signs', 'no-go'] as const;
type Story = (typeof STORIES)[number];

const launched = (words: string, seen: readonly EventKind[] = [], unseen: readonly EventKind[] = []): Should => ({
  outcome: 'launched',
  seen: ['watched', ...seen],
  unseen,
  words,
});

const rolledBack = (words: string, upTo: string | null | undefined, seen: readonly EventKind[] = []): Should => ({
  outcome: upTo === null ? 'aborted' : 'rolled-back',
  seen: ['rollback-requested', ...(upTo === null ? [] : (['rollback-proven'] as const)), ...seen],
  unseen: ['stuck'],
  ...(upTo === undefined ? {} : { upTo }),
  words,
});

/** The gates that a stage lists, then those that earlier stages armed. */
function armedIn(plan: Plan, index: number): readonly Gate[] {
  const ids = [plan.stages[index]?.gates ?? [], ...plan.stages.slice(0, index).map((stage) => stage.gates)].flat();
  return [...new Set(ids)].flatMap((id) => plan.gates.filter((gate) => gate.id === id));
}

/** When something goes wrong in a stage: half-way through its bake, or at the next look where it has none. */
function middle(stage: Stage, gate: Gate): Moment {
  return { stage: stage.id, after: stage.bake === 0 ? gate.every : Math.round(stage.bake / 2) };
}

function isLive(plan: Plan, index: number): boolean {
  return (plan.stages[index]?.bake ?? 0) > 0 || index < plan.stages.length - 1 || plan.watch > 0;
}

const base = (name: string): Omit<Scenario, 'should'> => ({ name, answersAfter: ANSWERS_AFTER, people: [], gates: [], providers: [] });

/** The first gate that a script can make breach, with the trouble that does, long enough to be sure of and gone before gates are armed again. */
function breachOf(plan: Plan, index: number, stage: Stage): Trouble | NotApplicable['why'] {
  const armed = armedIn(plan, index);
  const gate = armed.find((one) => cannotBreach(one) === undefined);
  if (gate === undefined) return armed.length === 0 ? 'no gate is armed' : armed.map((one) => `${one.id}: ${cannotBreach(one) ?? ''}`).join('; ');
  // What a gate counts has to outweigh the healthy hours before.
  const lasts = counts(gate) ? {} : { for: gate.for + 4 * gate.every + 2 * MINUTE };
  return { gate: gate.id, reads: 'breach', ...middle(stage, gate), ...lasts };
}

function noData(plan: Plan, index: number, stage: Stage, name: string): Scenario | NotApplicable {
  const gate = armedIn(plan, index).find(isAsked);
  if (gate === undefined) return { name, why: 'no gate is asked' };
  const { after, then } = gate.noData ?? defaultPolicy(gate, exposedShare(plan, index));
  const gates = [{ gate: gate.id, reads: 'no-data' as const, ...middle(stage, gate), for: after + BACK_AFTER }];
  const upTo = stage.bake > 0 ? stage.id : undefined;
  if (then === 'rollback') return { ...base(name), gates, should: rolledBack(`rolled back: no data from ${gate.id} for so long is its policy`, upTo) };
  if (then === 'page')
    return { ...base(name), gates, should: launched(`a person is paged, nothing is earned without data; launched later`, ['paged'], ['rollback-requested']) };
  return { ...base(name), gates, should: launched('held until a person lets it go on with data; launched later', ['held', 'resumed'], ['rollback-requested']) };
}

/** One of the built-in stories for one stage (from 0). */
function storyOf(plan: Plan, story: Story, index: number): Scenario | NotApplicable {
  const name = `${story}:${index + 1}`;
  const stage = plan.stages[index];
  if (stage === undefined) return { name, why: `the plan has ${plan.stages.length} stages` };
  const before = plan.stages[index - 1]?.id ?? null;
  switch (story) {
    case 'breach':
    case 'provider-down': {
      if (!isLive(plan, index)) return { name, why: 'the stage neither bakes nor is it watched' };
      const trouble = breachOf(plan, index, stage);
      if (typeof trouble === 'string') return { name, why: trouble };
      const upTo = stage.bake > 0 ? stage.id : undefined;
      if (story === 'breach') return { ...base(name), gates: [trouble], should: rolledBack(`rolled back and proven: ${trouble.gate} breaches`, upTo) };
      const gate = plan.gates.find((one) => one.id === trouble.gate);
      const down: Outage = { stage: trouble.stage, after: trouble.after, for: (gate?.for ?? 0) + 2 * (gate?.every ?? 0) + DOWN_FOR };
      const words = `a person is paged while no provider answers; rolled back and proven once they do`;
      return { ...base(name), gates: [trouble], providers: [down], should: rolledBack(words, upTo, ['paged']) };
    }
    case 'no-data':
      if (!isLive(plan, index)) return { name, why: 'the stage neither bakes nor is it watched' };
      return noData(plan, index, stage, name);
    case 'nobody-signs': {
      if (stage.signOff.length === 0) return { name, why: 'nobody is asked to sign' };
      const words =
        before === null ? 'waits to the end of maxDuration, then aborted: no flag moved' : 'waits to the end of maxDuration, then rolled back and proven';
      return { ...base(name), people: [{ stage: stage.id, never: true }], should: rolledBack(words, before, ['paged']) };
    }
    case 'no-go': {
      const role = stage.signOff[0]?.role;
      if (role === undefined) return { name, why: 'nobody is asked to sign' };
      const noGo: Answering = { role, stage: stage.id, decision: 'no-go', reason: 'not yet (scripted)', recheckAfter: DAY, meanwhile: 'hold' };
      return {
        ...base(name),
        people: [noGo],
        should: launched('waits a day after the no-go, is asked again, and launched', ['reopened'], ['rollback-requested']),
      };
    }
    default:
      return story satisfies never;
  }
}

/** Everything goes well. */
export function healthy(): Scenario {
  return { ...base('healthy'), should: launched('launched, with nobody called', [], ['held', 'paged', 'rollback-requested', 'gap']) };
}

/** The built-in scenario of that name: `healthy`, or a story with its stage from 1, e.g. `breach:2`. Undefined where there is none of that name. */
export function builtIn(plan: Plan, name: string): Scenario | NotApplicable | undefined {
  if (name === 'healthy') return healthy();
  const [story, number = '1'] = name.split(':');
  const known = STORIES.find((one) => one === story);
  return known === undefined || !/^[1-9]\d?$/.test(number) ? undefined : storyOf(plan, known, Number(number) - 1);
}

/** Every built-in scenario for every stage. */
export function everyScenario(plan: Plan): readonly (Scenario | NotApplicable)[] {
  return [healthy(), ...STORIES.flatMap((story) => plan.stages.map((_, index) => storyOf(plan, story, index)))];
}

/** What is wrong with how a rehearsal went; nothing when it went as it should. */
export function misses(plan: Plan, should: Should, events: readonly LaunchEvent[]): readonly string[] {
  const kinds = new Set(events.map((event) => event.kind));
  const outcome = events.findLast((event) => event.kind === 'ended')?.outcome ?? 'not over';
  const shifted = events.flatMap((event) => (event.kind === 'shifted' ? [plan.stages.findIndex((stage) => stage.id === event.stage)] : []));
  const last = should.upTo === undefined ? Infinity : should.upTo === null ? -1 : plan.stages.findIndex((stage) => stage.id === should.upTo);
  const past = shifted.find((index) => index > last);
  return [
    ...(outcome === should.outcome ? [] : [`it ended ${outcome}; it should have ended ${should.outcome}`]),
    ...should.seen.filter((kind) => !kinds.has(kind)).map((kind) => `nothing was ${kind}`),
    ...should.unseen.filter((kind) => kinds.has(kind)).map((kind) => `something was ${kind}`),
    ...(past === undefined ? [] : [`stage ${plan.stages[past]?.id ?? ''} moved its flags all the same`]),
  ];
}
