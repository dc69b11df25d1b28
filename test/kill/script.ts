import type { Outcome } from '../../src/core/event.ts';
import type { PageOfFlags } from '../support/processes/page-of-flags.ts';
import { randomOf } from '../support/processes/random.ts';

/** How a launch goes, and in which stage (from 1) what ends it comes. */
export type Course =
  | { readonly kind: 'launched' | 'held and resumed' }
  | { readonly kind: 'breach' | 'person while baking' | 'person before signing' | 'alert' | 'no-go and back' | 'no-go and again'; readonly at: number };

const KINDS = [
  'launched',
  'breach',
  'person while baking',
  'alert',
  'no-go and again',
  'breach',
  'person before signing',
  'no-go and back',
  'held and resumed',
  'launched',
] as const;

/** A stage as scripted. */
export interface ScriptedStage {
  readonly id: string;
  /** Share of the launch's flag, percent. */
  readonly share: number;
  readonly roles: readonly ('qa' | 'release-engineer')[];
}

/** One launch's whole story, decided by a seed: its plan, what people and the world do, and so how it must end. */
export interface Script {
  readonly n: number;
  readonly course: Course;
  readonly stages: readonly ScriptedStage[];
  readonly flag: string;
  readonly number: string;
  readonly item: string;
  readonly alert: Readonly<Record<string, string>>;
  readonly plan: object;
  readonly outcome: Outcome;
  /** The distinct shares that the flag has, in order. */
  readonly shares: readonly number[];
}

/** The flag of launch `n`. */
export function flagOf(n: number): string {
  return `flag_${n}`;
}

function courseOf(seed: number, n: number, stages: number): Course {
  const random = randomOf(seed, `course ${n}`);
  // The first ten tell every kind of story, whatever the seed.
  const kind = KINDS[n] ?? random.pick(KINDS);
  if (kind === 'launched' || kind === 'held and resumed') return { kind };
  return { kind, at: random.whole(1, stages) };
}

/** How many stages were shifted when it ended. */
function movedBy(course: Course, stages: number): number {
  switch (course.kind) {
    case 'launched':
    case 'held and resumed':
    case 'no-go and again':
      return stages;
    case 'breach':
    case 'person while baking':
    case 'alert':
      return course.at;
    case 'person before signing':
    case 'no-go and back':
      return course.at - 1;
  }
}

function outcomeOf(course: Course, moved: number): Outcome {
  if (course.kind === 'launched' || course.kind === 'held and resumed' || course.kind === 'no-go and again') return 'launched';
  return moved === 0 ? 'aborted' : 'rolled-back';
}

/** Writes launch `n`'s story. */
export function scriptOf(seed: number, n: number): Script {
  const random = randomOf(seed, `plan ${n}`);
  const count = random.whole(2, 3);
  const stages = ['one', 'two', 'three'].slice(0, count).map((id, index): ScriptedStage => {
    const both = random.next() < 0.3;
    return { id, share: index === count - 1 ? 100 : ([10, 50][index] ?? 50), roles: both ? ['qa', 'release-engineer'] : ['qa'] };
  });
  const course = courseOf(seed, n, count);
  const [flag, number, item] = [flagOf(n), `errors_${n}`, `tested-${n}`];
  const alert = { alertname: 'Trouble', launch: String(n) };
  // Where somebody has to act during a bake, it lasts until they have.
  const waits = course.kind === 'person while baking' || course.kind === 'alert' ? course.at : undefined;
  const plan = {
    name: `kill-${n}`,
    environments: ['test'],
    maxDuration: '14d',
    rollback: { within: '5m' },
    checklist: [{ id: item, text: 'It was tested', role: 'qa', evidence: 'link' }],
    gates: { errors: { source: 'page', query: number, max: 1, every: '1s' }, trouble: { alert } },
    stages: stages.map(({ id, share, roles }, index) => ({
      id,
      set: [{ flag, to: share === 100 ? 'everyone' : { share, by: 'contract' } }],
      bake: index + 1 === waits ? '1h' : `${random.whole(1, 3)}s`,
      gates: index === 0 ? ['errors', 'trouble'] : [],
      signOff: roles,
    })),
    watch: `${random.whole(1, 2)}s`,
  };
  const moved = movedBy(course, count);
  const outcome = outcomeOf(course, moved);
  const shares = [0, ...stages.slice(0, moved).map((stage) => stage.share), ...(outcome === 'rolled-back' ? [0] : [])];
  return { n, course, stages, flag, number, item, alert, plan, outcome, shares };
}

/** Makes the world of a script: its number goes bad when its flag reaches the stage that breaks it. */
export function prepareWorld(page: PageOfFlags, script: Script): void {
  const { course, number, flag, stages } = script;
  const broken = course.kind === 'breach' ? stages[course.at - 1] : undefined;
  if (broken === undefined) page.add(number);
  else page.add(number, { flag, share: broken.share });
}
