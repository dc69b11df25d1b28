import { freshGate, judge, type GateState } from '../../src/core/gate.ts';
import type { Measurement } from '../../src/core/measurement.ts';
import type { Gate } from '../../src/core/plan.ts';
import { randomOf, type Random } from './random.ts';
import { rateGate, usersGate } from './rules.ts';

const EVERY = 15_000;
const asked = {
  id: 'g',
  source: 'prometheus',
  every: EVERY,
  for: 0,
  noData: { after: 600_000, then: 'hold' },
  error: { after: 600_000, then: 'hold' },
} as const;

/** One gate of each statistical kind, as busy as it gets: with proof asked for, and three pairs of windows. */
const KINDS: readonly Gate[] = [
  { ...rateGate({ alpha: 1e-4, maxRatio: 1.5 }), every: EVERY },
  { ...rateGate({ alpha: 1e-4, maxRatio: 1.5 }), kind: 'compareSlow', exposed: 'a', rest: 'b', over: 0.5, every: EVERY },
  { ...usersGate({ alpha: 1e-4, maxRatio: 1.5 }), every: EVERY },
  {
    ...asked,
    kind: 'burnRate',
    bad: 'a',
    total: 'b',
    objective: 0.99,
    minSamples: 100,
    windows: [
      { long: 3_600_000, short: 300_000, factor: 14.4 },
      { long: 21_600_000, short: 1_800_000, factor: 6 },
      { long: 259_200_000, short: 7_200_000, factor: 3 },
    ],
  },
  { ...asked, kind: 'quantile', buckets: 'a', q: 0.95, bound: { op: 'max', limit: 2 }, minSamples: 20 },
  { ...asked, kind: 'exposureCheck', flag: 'chat', exposed: 'a', rest: 'b', tolerance: 0.01, alpha: 1e-4 },
];

type Answer = Omit<Extract<Measurement, { kind: 'value' }>, 'at' | 'since'>;

function answerOf(gate: Gate, random: Random): Answer {
  const [exposed, rest] = [random.poisson(150), random.poisson(2850)];
  const counts = { exposedBad: random.poisson(exposed * 0.005), exposed, restBad: random.poisson(rest * 0.005), rest };
  const answer: Answer = { kind: 'value', value: counts.exposedBad / exposed, samples: exposed, query: 'q', counts };
  if (gate.kind === 'exposureCheck') return { ...answer, promised: 0.05 };
  if (gate.kind !== 'quantile') return answer;
  const edges = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, Infinity];
  const buckets = edges.map((le, index) => ({ le, count: (exposed * Math.min(index + 1, 8)) / 8 }));
  return { ...answer, buckets };
}

/** What judging costs: how many seconds of processor time (garbage collection included) and of the clock so many gates took for a day at a look every 15 s, and the largest state that any of them had, as JSON. */
export function throughput(
  gates: number,
  hours: number,
): { readonly evaluations: number; readonly seconds: number; readonly wall: number; readonly largest: number; readonly kind: string } {
  const random = randomOf(7);
  const all = Array.from({ length: gates }, (_, index) => KINDS[index % KINDS.length]).filter((gate) => gate !== undefined);
  // Answers are made beforehand, and shared by gates of a kind: their making is not the judge's.
  const answers = KINDS.map((gate) => Array.from({ length: 997 }, () => answerOf(gate, random)));
  const states: GateState[] = all.map(() => freshGate(0));
  const looks = (hours * 3_600_000) / EVERY;
  let [largest, kind] = [0, ''];
  const [began, cpu] = [performance.now(), process.cpuUsage()];
  for (let look = 1; look <= looks; look += 1) {
    const told = answers.map((some) =>
      Array.from({ length: 11 }, (_, index): Measurement | undefined => {
        const answer = some[(look * 31 + index) % some.length];
        return answer === undefined ? undefined : { ...answer, at: look * EVERY, since: (look - 1) * EVERY };
      }),
    );
    for (const [index, gate] of all.entries()) {
      const answer = told[index % KINDS.length]?.[index % 11];
      const state = states[index];
      if (answer === undefined || state === undefined) throw new Error('a gate without answers');
      states[index] = judge(gate, state, answer).state;
    }
    // The first of each kind is weighed every half an hour, and all at the end.
    const weighed = look === looks ? states : look % 120 === 0 ? states.slice(0, KINDS.length) : [];
    for (const [index, state] of weighed.entries()) {
      const bytes = Buffer.byteLength(JSON.stringify(state));
      if (bytes > largest) [largest, kind] = [bytes, all[index]?.kind ?? ''];
    }
  }
  const used = process.cpuUsage(cpu);
  return { evaluations: looks * gates, seconds: (used.user + used.system) / 1e6, wall: (performance.now() - began) / 1000, largest, kind };
}
