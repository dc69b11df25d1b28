import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { earn } from '../../src/core/bake.ts';
import type { Outcome } from '../../src/core/event.ts';
import { compareReach, off, sameExposure, type Exposure } from '../../src/core/exposure.ts';
import { freshGate, gap, judge, type GateState } from '../../src/core/gate.ts';
import { restoreDecision, type RestoreDecision } from '../../src/core/journal.ts';
import type { Measurement } from '../../src/core/measurement.ts';
import { stateOf, type StageStanding } from '../../src/core/state.ts';
import { exposures } from '../flags/arbitrary.ts';
import { failed, noData, passing, threshold, value } from './gates.ts';

const EVERY = 15_000;

/** Anything that may reach a gate: good, bad, too few, nothing, trouble, a stretch in which nobody asked; at any time, in any order. */
type Happening = { readonly kind: 'measured'; readonly m: Measurement } | { readonly kind: 'gap'; readonly from: number; readonly to: number };

const times = fc.integer({ min: 0, max: 400 }).map((tick) => tick * 3_000);
const measurements: fc.Arbitrary<Measurement> = fc.oneof(
  fc
    .tuple(times, fc.constantFrom(0, 0.5, 1, 1.01, 7, NaN, Infinity), fc.constantFrom(0, 50, 500))
    .map(([at, number, samples]) => value(at, number, { samples })),
  fc.tuple(times, fc.constantFrom('empty', 'nan', 'stale', 'no-traffic')).map(([at, reason]) => noData(at, reason)),
  times.map((at) => failed(at)),
);
const happenings: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 6, arbitrary: measurements.map((m): Happening => ({ kind: 'measured', m })) },
  { weight: 1, arbitrary: fc.tuple(times, times).map(([a, b]): Happening => ({ kind: 'gap', from: Math.min(a, b), to: Math.max(a, b) })) },
);
const gates = fc
  .record({
    for: fc.constantFrom(0, 15_000, 60_000),
    minSamples: fc.constantFrom(0, 100),
    after: fc.constantFrom(30_000, 600_000),
    then: fc.constantFrom('hold', 'page', 'rollback'),
  })
  .map(({ after, then, ...more }) => threshold({ ...more, noData: { after, then }, error: { after, then } }));

/** Across a restart of the watcher a state is JSON in a row. */
const written = (state: GateState): GateState => JSON.parse(JSON.stringify(state)) as GateState;

describe('a breach', () => {
  it('is not unlatched by anything that comes after it, in any order, across any restart', () => {
    fc.assert(
      fc.property(
        gates,
        fc.array(happenings, { maxLength: 40 }),
        times,
        fc.array(fc.tuple(happenings, fc.boolean()), { maxLength: 40 }),
        (gate, before, at, after) => {
          let state = freshGate(0);
          for (const one of before) state = one.kind === 'gap' ? gap(state, one.from, one.to) : judge(gate, state, one.m).state;
          // Bad, and bad again once `for` is over, after all that came before.
          const first = Math.max(at, state.newest ?? 0, state.cursor) + EVERY;
          for (const bad of [first, first + gate.for]) state = judge(gate, state, value(bad, 7, { samples: 500 })).state;
          const { latched } = state;
          expect(latched?.kind).toBe('no-go');
          for (const [one, restarted] of after) {
            if (restarted) state = written(state);
            if (one.kind === 'gap') {
              state = gap(state, one.from, one.to);
              expect(state.latched).toEqual(latched);
              continue;
            }
            const judged = judge(gate, state, one.m);
            expect(judged.act).toMatchObject({ kind: 'rollback', cause: 'breach' });
            state = judged.state;
            expect(state.latched?.since).toBe(latched?.since);
            expect(passing(gate, state, one.m.at)).toBe(false);
          }
        },
      ),
    );
  });

  it('is found in whatever order the same bad and good answers arrive, once one is enough', () => {
    fc.assert(
      fc.property(fc.uniqueArray(times, { minLength: 2, maxLength: 20 }), fc.nat(), fc.infiniteStream(fc.boolean()), (moments, which, shuffled) => {
        const gate = threshold();
        const answers = moments.map((at, index) => value(at, index === which % moments.length ? 7 : 0.2));
        answers.sort(() => (shuffled.next().value === true ? 1 : -1));
        const end = answers.reduce((state, m) => judge(gate, state, m).state, freshGate(0));
        expect(end.latched?.kind).toBe('no-go');
      }),
    );
  });

  it('takes from the bake clock and never gives to it: more bad or missing answers earn no more', () => {
    const points = fc.array(fc.record({ at: times, passes: fc.boolean() }), { maxLength: 30 });
    fc.assert(
      fc.property(points, times, fc.array(points, { maxLength: 3 }), (own, at, others) => {
        const armed = (mine: typeof own) => [mine, ...others].map((all) => ({ every: EVERY, points: all }));
        const whole = earn(0, 1_200_000, armed(own));
        expect(earn(0, 1_200_000, armed([...own, { at, passes: false }]))).toBeLessThanOrEqual(whole);
        expect(whole).toBeLessThanOrEqual(1_200_000);
      }),
    );
  });
});

/** One flag at its vendor. Each write moves the revision; a guarded one is refused when the revision is not the expected one. */
interface Vendor {
  readonly revision: number;
  readonly exposure: Exposure;
  readonly by: 'us' | 'someone' | 'nobody';
}

/** What the journal knows of the flag. */
interface Journalled {
  readonly snapshot: Vendor;
  readonly targets: readonly Exposure[];
  readonly phase: 'intent' | 'applied';
  /** The revision that the write under way expects. */
  readonly expected: number;
}

const put = (vendor: Vendor, exposure: Exposure, by: Vendor['by']): Vendor => ({ revision: vendor.revision + 1, exposure, by });

function decide(journal: Journalled, vendor: Vendor): RestoreDecision {
  const standing = (one: Vendor) => ({ revision: String(one.revision), exposure: one.exposure });
  return restoreDecision({
    phase: journal.phase,
    snapshot: standing(journal.snapshot),
    written: journal.targets,
    current: standing(vendor),
    ours: vendor.by === 'us',
    expected: String(journal.expected),
  });
}

function restore(journal: Journalled, vendor: Vendor): Vendor {
  switch (decide(journal, vendor)) {
    case 'write':
      return put(vendor, journal.snapshot.exposure, 'us');
    case 'fence':
      return put(vendor, vendor.exposure, 'us');
    case 'leave':
    case 'keep':
    case 'foreign':
      return vendor;
  }
}

/** Exposures of a plan that only widens: more share, more people. */
const widening = fc
  .tuple(
    fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 4 }),
    fc.uniqueArray(fc.constantFrom('ann', 'bob', 'eve', 'zoë'), { maxLength: 4 }),
  )
  .map(([steps, people]) => {
    let share = 0;
    return steps.map((step, index): Exposure => {
      share = Math.min(100, share + step);
      return { value: true, share, by: 'contract', listed: [{ attribute: 'key', values: people.slice(0, index + 1) }] };
    });
  });

/** After the no-go: a hand that was frozen before its write thaws, somebody edits, a hand puts back. */
type Later = { readonly kind: 'late' | 'restore' } | { readonly kind: 'edit'; readonly to: Exposure };
const later: fc.Arbitrary<readonly Later[]> = fc.array(
  fc.oneof(
    fc.constant<Later>({ kind: 'late' }),
    fc.constant<Later>({ kind: 'restore' }),
    exposures(true).map((to): Later => ({ kind: 'edit', to })),
  ),
  { maxLength: 12 },
);

describe('after a no-go', () => {
  it('no hand of ours raises the exposure, and no late write of ours lands once a hand has put back', () => {
    fc.assert(
      fc.property(widening, fc.boolean(), later, (targets, arrived, things) => {
        const start: Vendor = { revision: 1, exposure: off(true), by: 'nobody' };
        let vendor = start;
        // Every stage but the newest is written and marked; the newest was sent, and may or may not have arrived.
        for (const to of targets.slice(0, -1)) vendor = put(vendor, to, 'us');
        const [newest = off(true)] = targets.slice(-1);
        const expected = vendor.revision;
        if (arrived) vendor = put(vendor, newest, 'us');
        const journal: Journalled = { snapshot: start, targets, phase: arrived ? 'applied' : 'intent', expected };
        let restored = false;
        for (const thing of things) {
          const before = vendor;
          if (thing.kind === 'edit') vendor = put(vendor, thing.to, 'someone');
          else if (thing.kind === 'late') {
            // Sent before the no-go, against the revision that it was journalled with.
            if (!arrived && vendor.revision === expected) vendor = put(vendor, newest, 'us');
            if (restored) expect(vendor).toBe(before);
          } else {
            vendor = restore(journal, vendor);
            restored = true;
            expect(['same', 'narrower']).toContain(compareReach(vendor.exposure, before.exposure));
          }
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('a launch has one state until its end, whatever its stages and its people do', () => {
    const standings: fc.Arbitrary<readonly StageStanding[]> = fc.array(
      fc.record({
        stage: fc.constantFrom('one', 'two', '$watch'),
        phase: fc.constantFrom('pending', 'clearance', 'shifting', 'live', 'passed'),
        noGo: fc.boolean(),
      }),
      { maxLength: 5 },
    );
    fc.assert(
      fc.property(
        standings,
        fc.boolean(),
        fc.boolean(),
        fc.constantFrom<Outcome | null>(null, 'launched', 'rolled-back', 'aborted', 'stuck'),
        (stages, held, frozen, outcome) => {
          expect(stateOf({ outcome, rollingBack: true, held, frozen, stages })).toBe(outcome ?? 'rolling-back');
        },
      ),
    );
  });
});

describe('putting back', () => {
  const ours = fc.array(exposures(true), { minLength: 1, maxLength: 4 });
  const edits = fc.array(exposures(true), { maxLength: 4 });

  it('restores what is ours exactly, once and for all, whatever was written in between', () => {
    fc.assert(
      fc.property(exposures(true), ours, edits, (before, targets, between) => {
        const start: Vendor = { revision: 1, exposure: before, by: 'nobody' };
        let vendor = start;
        // Others may have written too, as long as ours was the last word.
        targets.forEach((to, index) => {
          const edit = between[index];
          if (edit !== undefined) vendor = put(vendor, edit, 'someone');
          vendor = put(vendor, to, 'us');
        });
        const journal: Journalled = { snapshot: start, targets, phase: 'applied', expected: start.revision };
        const back = restore(journal, vendor);
        expect(sameExposure(back.exposure, before)).toBe(true);
        expect(restore(journal, back)).toBe(back);
      }),
    );
  });

  it('never widens what a person narrowed, in any sequence of our writes and their edits', () => {
    fc.assert(
      fc.property(
        exposures(true),
        fc.array(fc.tuple(exposures(true), fc.boolean()), { minLength: 1, maxLength: 6 }),
        exposures(true),
        (before, writes, last) => {
          const start: Vendor = { revision: 1, exposure: before, by: 'nobody' };
          const targets = writes.flatMap(([to, us]) => (us ? [to] : []));
          fc.pre(!targets.some((target) => sameExposure(target, last)));
          const vendor = put(
            writes.reduce((standing, [to, us]) => put(standing, to, us ? 'us' : 'someone'), start),
            last,
            'someone',
          );
          const journal: Journalled = { snapshot: start, targets, phase: 'applied', expected: start.revision };
          const back = restore(journal, vendor);
          if (compareReach(last, before) === 'narrower') expect(back).toBe(vendor);
          expect(['same', 'narrower']).toContain(compareReach(back.exposure, last));
          expect(['same', 'narrower', 'incomparable']).toContain(compareReach(back.exposure, before));
          expect(restore(journal, back)).toBe(back);
        },
      ),
    );
  });

  it('moves the revision of an intent that nobody touched, once: a write still on its way is refused', () => {
    fc.assert(
      fc.property(exposures(true), ours, (before, targets) => {
        const start: Vendor = { revision: 1, exposure: before, by: 'nobody' };
        const journal: Journalled = { snapshot: start, targets, phase: 'intent', expected: start.revision };
        const fenced = restore(journal, start);
        expect(fenced.revision).toBe(2);
        expect(fenced.exposure).toEqual(before);
        expect(restore(journal, fenced)).toBe(fenced);
      }),
    );
  });
});
