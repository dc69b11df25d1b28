import { everyone, type Exposure } from '../../src/core/exposure.ts';
import type { AlertGate, FlagRef, Order } from '../../src/core/plan.ts';
import { gate, order, stage } from '../support/orders.ts';
import { randomOf, type Random } from '../support/processes/random.ts';

const HOUR = 3_600_000;
/** Longer than any launch of a soak lives: such a stage ends by what ends the launch. */
const FOR_EVER = HOUR;
const OFF = 'off';
const VALUES = ['blue', 'green', OFF] as const;
/** What a worn flag of several values gives before the launch. */
export const WORN = 'blue';

/** What a flag wears before the launch: nothing, other people's things while it is off, or all of them while it is on. */
export type Dress = 'plain' | 'resting' | 'worn';

/** What somebody else does to a flag while the launch lives. `wide` lets more people in, and so only narrows back where the flag was off. */
export type EditKind = 'rule' | 'description' | 'tag' | 'elsewhere' | 'theirs' | 'wide';

/** One edit: of which flag (its place in the story), and when: so many ms after the launch began, or as soon as such an event is told. */
export interface PlannedEdit {
  readonly flag: number;
  readonly kind: EditKind;
  readonly when: number | 'remembered' | 'shifted' | 'rollback-requested';
}

/** How the launch is meant to end; stages from 0, times in ms after it began. */
export type End =
  | { readonly kind: 'launched' }
  | { readonly kind: 'breach' | 'alert'; readonly stage: number; readonly after: number }
  | { readonly kind: 'person'; readonly after: number };

/** One launch, as its seed tells it. */
export interface Story {
  readonly n: number;
  readonly order: Order;
  /** In the order in which edits name them; `order.flags` has them too. */
  readonly flags: readonly (FlagRef & { readonly dress: Dress })[];
  /** The query of its gate, and the labels of its alert. */
  readonly query: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly end: End;
  readonly edits: readonly PlannedEdit[];
}

/** From nobody to everyone; `worn` flags reach a few already, and a launch that does not say so never narrows. */
function ladder(random: Random, flag: Story['flags'][number], steps: number): readonly Exposure[] {
  const worn = flag.dress === 'worn' && flag.provider === 'launchdarkly';
  const value = flag.type === 'boolean' ? true : worn ? WORN : random.pick(['blue', 'green'] as const);
  // There, somebody's rule stands in the way of all but everyone, and of every other value.
  if (worn) return [everyone(value)];
  const by = random.pick(['key', 'contract'] as const);
  const people = random.pick([
    [{ attribute: 'key', values: ['ann', 'bob'] }],
    [{ attribute: 'contract', values: ['c-1'] }],
    [
      { attribute: 'key', values: ['bob'] },
      { attribute: 'contract', values: ['c-1', 'c-2'] },
    ],
  ] as const);
  const rungs: Exposure[] = [
    ...(flag.dress === 'worn' ? [] : [{ value, share: 0, by: 'key', listed: people }]),
    { value, share: random.whole(20, 45), by, listed: random.next() < 0.3 ? people : [] },
    { value, share: random.whole(50, 90), by, listed: people },
    everyone(value),
  ];
  const chosen = new Set(random.shuffle(rungs).slice(0, steps));
  return rungs.filter((rung) => chosen.has(rung));
}

function flagsOf(random: Random, n: number): Story['flags'] {
  return Array.from({ length: random.whole(2, 6) }, (_, i) => {
    // One of each at least: every launch is over both vendors.
    const provider = i < 2 ? (['launchdarkly', 'unleash'] as const)[i] : random.pick(['launchdarkly', 'unleash'] as const);
    const several = random.next() < 0.25;
    const key = `soak-${n}-${i}`;
    return {
      flag: key,
      key,
      provider: provider ?? 'unleash',
      type: several ? { oneOf: VALUES } : 'boolean',
      offValue: several ? OFF : false,
      proof: [{ evaluator: `${provider ?? 'unleash'}-sdk`, with: {} }],
      dress: random.pick(['plain', 'resting', 'resting', 'worn'] as const),
    };
  });
}

function endOf(random: Random, stages: number): End {
  const at = random.whole(0, stages - 1);
  const after = random.whole(0, 1_500);
  const kind = random.pick(['launched', 'breach', 'breach', 'person', 'alert'] as const);
  if (kind === 'launched') return { kind };
  return kind === 'person' ? { kind, after: random.whole(0, 15_000) } : { kind, stage: at, after };
}

function editsOf(random: Random, flags: Story['flags'], end: End): readonly PlannedEdit[] {
  const kinds: readonly EditKind[] = ['rule', 'description', 'tag', 'elsewhere', 'theirs', 'wide'];
  const edits = Array.from({ length: random.whole(0, 5) }, (): PlannedEdit => {
    const flag = random.whole(0, flags.length - 1);
    const kind = random.pick(kinds);
    // Those that wait for an event meet gonogo's own writes.
    const when = random.pick(['remembered', 'shifted', 'rollback-requested', random.whole(0, 14_000), random.whole(0, 14_000)] as const);
    // What lets people in stays when it is launched, and is narrowed where the flag was on before: it is told only where neither can be.
    const allowed = kind !== 'wide' || ('stage' in end && flags[flag]?.dress !== 'worn' && random.next() < 0.4);
    return { flag, kind: allowed ? kind : 'rule', when };
  });
  return [...new Map(edits.map((edit) => [`${edit.flag} ${edit.kind}`, edit])).values()];
}

/** Tells launch `n` of a seed: the same again each time. */
export function storyOf(seed: number, n: number): Story {
  const random = randomOf(seed, `launch ${n}`);
  const flags = flagsOf(random, n);
  const count = random.whole(1, 3);
  const sets = Array.from({ length: count }, (): Record<string, Exposure> => ({}));
  flags.forEach((flag, i) => {
    const first = i % count;
    ladder(random, flag, random.whole(1, count - first)).forEach((to, step) => Object.assign(sets[first + step] ?? {}, { [flag.flag]: to }));
  });
  const end = endOf(random, count);
  const [query, labels] = [`errors_${n}`, { alertname: 'Trouble', launch: `soak-${n}` }];
  const policy = { after: HOUR, then: 'hold' } as const;
  const alerts: AlertGate = { kind: 'alert', id: `alerts_${n}`, labels, every: 1_000, for: 0, noData: policy, error: policy };
  const stages = sets.map((set, i) =>
    stage(`stage-${i}`, set, {
      bake: 'stage' in end && end.stage === i ? FOR_EVER : random.whole(500, 2_500),
      gates: i === 0 ? [query, alerts.id] : [],
    }),
  );
  const plan = order(stages, [gate(query, { source: 'numbers' }), alerts], { name: `soak-${n}`, watch: random.whole(500, 2_000) }, flags);
  return {
    n,
    // What a flag wears is the soak's, not the plan's.
    order: { ...plan, flags: plan.flags.map(({ flag, key, provider, type, offValue, proof }) => ({ flag, key, provider, type, offValue, proof })) },
    flags,
    query,
    labels,
    end,
    edits: editsOf(random, flags, end),
  };
}
