import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareReach, everyone, isOff, off, sameExposure, type Exposure } from '../../../src/core/exposure.ts';
import type { Feature, Strategy } from '../../../src/providers/unleash/document.ts';
import type { Step } from '../../../src/providers/unleash/client.ts';
import { canonical, readingOf } from '../../../src/providers/unleash/reach.ts';
import { bears, cannotExpress, restoreSteps, stepsTo, undoCommand } from '../../../src/providers/unleash/translate.ts';
import { unleashFlag } from './admin.ts';

const flag = unleashFlag('chat');
const mode = unleashFlag('mode', { oneOf: ['full', 'sse-only'] });
const share = (percent: number, by = 'key'): Exposure => ({ value: true, share: percent, by, listed: [] });
const listed = (attribute: string, ...values: string[]): Exposure => ({ value: true, share: 0, by: 'key', listed: [{ attribute, values }] });

let ids = 0;
function strategy(more: Partial<Strategy> = {}): Strategy {
  const parameters = { rollout: '100', stickiness: 'userId', groupId: 'chat' };
  return {
    id: `s-${(ids += 1)}`,
    name: 'flexibleRollout',
    title: '',
    disabled: false,
    parameters,
    constraints: [],
    segments: [],
    variants: [],
    sortOrder: 0,
    ...more,
  };
}
const rollout = (percent: number | string, more: Record<string, string> = {}, rest: Partial<Strategy> = {}): Strategy =>
  strategy({ parameters: { rollout: String(percent), stickiness: 'userId', groupId: 'chat', ...more }, ...rest });
const IN = (contextName: string, ...values: string[]) => ({ contextName, operator: 'IN', values });
const on = (...strategies: Strategy[]): Feature => ({ environment: 'production', enabled: true, strategies, variants: [] });
const dark = (...strategies: Strategy[]): Feature => ({ ...on(...strategies), enabled: false });

/** Does what Unleash does with these writes, its unwanted help included. */
function play(feature: Feature, steps: readonly Step[]): Feature {
  let { enabled, strategies } = feature;
  for (const step of steps) {
    switch (step.kind) {
      case 'off':
        enabled = false;
        break;
      case 'on':
        if (strategies.every((each) => each.disabled)) strategies = [...strategies, strategy({ title: 'made by Unleash for everyone' })];
        enabled = true;
        break;
      case 'add':
        strategies = [...strategies, { sortOrder: 0, ...step.strategy, id: `s-${(ids += 1)}` }];
        break;
      case 'change':
        strategies = strategies.map((each) => (each.id === step.id && (step.title === '' || each.title === step.title) ? { ...each, ...step.to } : each));
        break;
      case 'remove':
        strategies = strategies.filter((each) => each.id !== step.id);
        break;
    }
    if (strategies.every((each) => each.disabled)) enabled = false;
  }
  return { ...feature, enabled, strategies };
}
const bare = (feature: Feature): unknown => ({
  enabled: feature.enabled,
  strategies: feature.strategies.map(({ id: _, ...rest }) => JSON.stringify(rest)).sort(),
});

describe('reading whom a flag reaches', () => {
  const rows: readonly (readonly [string, Feature, Exposure, boolean])[] = [
    ['a disabled environment is off, whatever waits in it', dark(rollout(100)), off(true), true],
    ['enabled without a strategy is everyone: so the SDKs have it', on(), everyone(true), true],
    ['enabled with disabled strategies only is everyone as well', on(rollout(5, {}, { disabled: true })), everyone(true), true],
    ['the strategy default is everyone', on(strategy({ name: 'default', parameters: {} })), everyone(true), true],
    ['a rollout is a share', on(rollout(5)), share(5), true],
    ['a rollout by a field is a share by it', on(rollout(5, { stickiness: 'contract' })), share(5, 'contract'), true],
    ['a rollout beyond 100, which Unleash takes, is everyone', on(rollout(101)), everyone(true), true],
    ['a rollout that is no number is read as everyone', on(rollout('many')), everyone(true), false],
    ['two rollouts of one draw overlap', on(rollout(5), rollout(25)), share(25), true],
    ['two rollouts of two draws add up', on(rollout(5), rollout(25, { groupId: 'other' })), share(30), true],
    ['a list of users', on(strategy({ constraints: [IN('userId', 'ann', 'bob')] })), listed('key', 'ann', 'bob'), true],
    ['a list of a field', on(strategy({ constraints: [IN('team', 'ops')] })), listed('team', 'ops'), true],
    ['the old list of users', on(strategy({ name: 'userWithId', parameters: { userIds: 'ann, bob' } })), listed('key', 'ann', 'bob'), true],
    ['a share within a list is read as the list', on(rollout(5, {}, { constraints: [IN('team', 'ops')] })), listed('team', 'ops'), false],
    ['of two conditions one is the bound', on(strategy({ constraints: [IN('team', 'ops'), IN('country', 'CL')] })), listed('team', 'ops'), false],
    ['a segment bounds nothing that can be named', on(rollout(40, {}, { segments: [1] })), share(40), false],
    ['a list turned around bounds nothing', on(strategy({ constraints: [{ ...IN('team', 'ops'), inverted: true }] })), everyone(true), false],
    ['another operator bounds nothing', on(strategy({ constraints: [{ contextName: 'v', operator: 'SEMVER_GT', value: '2.0.0' }] })), everyone(true), false],
    ['a strategy nobody knows is read as everyone', on(strategy({ name: 'byMoon', parameters: {} })), everyone(true), false],
    ['a share beside a list', on(rollout(5), strategy({ constraints: [IN('userId', 'ann')] })), { ...share(5), listed: listed('key', 'ann').listed }, true],
  ];
  it.each(rows)('%s', (_, feature, expected, exact) => {
    const { exposure, unclear } = readingOf(feature, flag);
    expect(exposure).toEqual(expected);
    expect(unclear.length === 0).toBe(exact);
  });

  it('reads the value from the variant of the strategy, from its payload before its name', () => {
    const variants = [{ name: 'v1', weight: 1000, payload: { type: 'string', value: 'sse-only' } }];
    expect(readingOf(on(strategy({ variants })), mode).exposure).toMatchObject({ value: 'sse-only', share: 100 });
    expect(readingOf({ ...on(rollout(5)), variants: [{ name: 'sse-only', weight: 1000 }] }, mode).exposure).toMatchObject({ value: 'sse-only', share: 5 });
    expect(readingOf(on(rollout(5)), mode).exposure).toMatchObject({ value: 'full', share: 5 });
  });
});

describe('writing an exposure', () => {
  it.each([
    ['a share of -1 %', share(-1)],
    ['a share of 101 %', share(101)],
    ['half a percent: Unleash draws in whole ones', share(0.5)],
    ['a draw anew at each look', share(5, 'random')],
    ['251 values in one list', listed('key', ...Array.from({ length: 251 }, (_, i) => `u${i}`))],
    ['30 lists beside a share', { ...share(5), listed: Array.from({ length: 30 }, (_, i) => ({ attribute: `a${i}`, values: ['x'] })) }],
    ['a value with a blank at its end, which the SDKs cut', listed('key', 'ann ')],
    ['false for those who are exposed', { ...everyone(false) }],
  ] as const)('refuses %s', (_, to) => {
    expect(cannotExpress(flag, to)).toMatchObject({ name: 'Terminal', code: 'not-expressible' });
  });

  it('turns on last, when its strategy is there: Unleash would make one for everyone', () => {
    const steps = stepsTo(dark(), flag, share(5), 'c-1', 'try it');
    expect(steps.map((step) => step.kind)).toEqual(['add', 'on']);
    expect(readingOf(play(dark(), steps), flag).exposure).toEqual(share(5));
  });

  it('switches off what waits in a disabled environment and would let in more, says so in its title, and gives it back', () => {
    const before = dark(rollout(100, {}, { title: 'full release' }));
    const steps = stepsTo(before, flag, share(5), 'l/beta', 'try it');
    const during = play(before, steps);
    expect(readingOf(during, flag).exposure).toEqual(share(5));
    expect(during.strategies[0]).toMatchObject({ disabled: true, title: 'gonogo parked [l/beta] full release' });
    expect(bare(play(during, restoreSteps(during, before, flag, 'r', 'restore')))).toEqual(bare(before));
  });

  it("leaves somebody's narrower strategy of the same draw as it is", () => {
    const theirs = rollout(5);
    const steps = stepsTo(on(theirs), flag, share(25), 'c', '');
    expect(steps.map((step) => step.kind)).toEqual(['add']);
    expect(readingOf(play(on(theirs), steps), flag).exposure).toEqual(share(25));
  });

  it('raises its own share in place, in the same draw, bound to the title it found', () => {
    const first = play(dark(), stepsTo(dark(), flag, share(5), 'c-1', ''));
    const steps = stepsTo(first, flag, share(25), 'c-2', '');
    expect(steps).toMatchObject([{ kind: 'change', title: 'gonogo [c-1]', to: { parameters: { rollout: '25', stickiness: 'userId', groupId: 'chat' } } }]);
    expect(bears(play(first, steps), 'c-2')).toBe(true);
    expect(bears(play(first, steps), 'c-1')).toBe(false);
  });

  const names = fc.subarray(['ann', 'bob', 'cleo', 'dan'], { minLength: 1 });
  const exposures: fc.Arbitrary<Exposure> = fc.record({
    value: fc.constant(true),
    share: fc.oneof(fc.constant(0), fc.constant(100), fc.integer({ min: 1, max: 99 })),
    by: fc.constantFrom('key', 'contract'),
    listed: fc.array(fc.record({ attribute: fc.constantFrom('key', 'team'), values: names }), { maxLength: 2 }),
  });
  const foreign: fc.Arbitrary<Strategy> = fc
    .record({
      rollout: fc.integer({ min: 0, max: 100 }),
      groupId: fc.constantFrom('chat', 'other'),
      disabled: fc.boolean(),
      title: fc.constantFrom('', 'theirs'),
      constraints: fc.array(fc.constantFrom(IN('userId', 'ann'), IN('team', 'ops'), { contextName: 'v', operator: 'SEMVER_GT', value: '2.0.0' }), {
        maxLength: 2,
      }),
      segments: fc.subarray([1]),
    })
    .map(({ rollout: percent, groupId, ...rest }) => rollout(percent, { groupId }, rest));
  const features: fc.Arbitrary<Feature> = fc
    .record({ enabled: fc.boolean(), strategies: fc.array(foreign, { maxLength: 3 }) })
    .map(({ enabled, strategies }) => ({ ...dark(...strategies), enabled: enabled && strategies.some((each) => !each.disabled) }));

  it('gives any flag any exposure, whatever others have put on it, and takes it back without a trace', () => {
    fc.assert(
      fc.property(features, fc.array(exposures, { minLength: 1, maxLength: 3 }), (before, targets) => {
        let now = before;
        targets.forEach((to, i) => {
          const steps = stepsTo(now, flag, canonical(to), `c-${i}`, 'any');
          now = play(now, steps);
          expect(sameExposure(readingOf(now, flag).exposure, canonical(to))).toBe(true);
        });
        let steps = restoreSteps(now, before, flag, 'r', 'restore');
        const first = play(now, steps.slice(0, 1));
        if (steps.length > 1 && now.enabled) expect(first.enabled).toBe(false);
        now = play(now, steps);
        expect(bare(now)).toEqual(bare(before));
        steps = restoreSteps(now, before, flag, 'r', 'tidy');
        expect(steps).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it('is known for its own by what its first step leaves, however little of it arrived', () => {
    fc.assert(
      fc.property(features, exposures, (before, to) => {
        if (isOff(to)) return;
        const steps = stepsTo(before, flag, canonical(to), 'c', 'any');
        for (let arrived = 1; arrived <= steps.length; arrived += 1) expect(bears(play(before, steps.slice(0, arrived)), 'c')).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('never ends wider than the snapshot, whatever somebody did to the other strategies meanwhile', () => {
    fc.assert(
      fc.property(features, exposures, fc.array(foreign, { maxLength: 2 }), fc.boolean(), (before, to, added, edit) => {
        let now = play(before, stepsTo(before, flag, canonical(to), 'c', ''));
        const edited = now.strategies.map((each) => (edit && !each.title.startsWith('gonogo') ? { ...each, constraints: [], segments: [] } : each));
        now = { ...now, strategies: [...edited, ...added] };
        let steps: readonly Step[];
        try {
          steps = restoreSteps(now, before, flag, 'r', 'restore');
        } catch (error) {
          expect(error).toMatchObject({ code: 'not-restorable' });
          return;
        }
        now = play(now, steps);
        expect(compareReach(readingOf(now, flag).exposure, readingOf(before, flag).exposure)).not.toBe('wider');
        expect(now.strategies.some((each) => each.title === 'made by Unleash for everyone')).toBe(false);
      }),
      { numRuns: 500 },
    );
  });
});

describe('putting back', () => {
  it("keeps somebody's harmless edit of another strategy, and takes only its own away", () => {
    const theirs = rollout(5, {}, { title: 'theirs' });
    const before = on(theirs);
    const during = play(before, stepsTo(before, flag, everyone(true), 'c', ''));
    const edited = { ...during, strategies: during.strategies.map((each) => (each.id === theirs.id ? { ...each, title: 'theirs, see ticket' } : each)) };
    const steps = restoreSteps(edited, before, flag, 'r', 'restore');
    expect(steps).toHaveLength(1);
    expect(play(edited, steps).strategies).toMatchObject([{ title: 'theirs, see ticket' }]);
  });

  it("takes back somebody's edit only where it lets in more than the snapshot did", () => {
    const theirs = rollout(5);
    const before = on(theirs);
    const during = play(before, stepsTo(before, flag, everyone(true), 'c', ''));
    const edited = {
      ...during,
      strategies: during.strategies.map((each) => (each.id === theirs.id ? { ...each, parameters: { ...each.parameters, rollout: '60' } } : each)),
    };
    const steps = restoreSteps(edited, before, flag, 'r', 'restore');
    expect(steps[0]).toEqual({ kind: 'off' });
    expect(readingOf(play(edited, steps), flag).exposure).toEqual(share(5));
  });

  it('does not turn on an environment in which no strategy is left', () => {
    const before = on(rollout(5));
    expect(() => restoreSteps(dark(), before, flag, 'r', 'restore')).toThrow(/none of its strategies is left/);
  });

  it('gives a command that switches off first and holds any title', () => {
    const command = undoCommand('http://u/f', on(rollout(5, {}, { title: "Ann's; $(rm -rf)" })), 'UNLEASH_TOKEN');
    expect(command.indexOf('/off"')).toBeLessThan(command.indexOf('-X PUT'));
    expect(command).toContain("Ann'\\''s");
    expect(undoCommand('http://u/f', dark(), 'T')).toBe(`( U='http://u/f'; curl -fsS -X POST "$U/off" -H "Authorization: $T" )`);
  });
});
