import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadPlan } from '../../src/plan/load.ts';
import { formatProblem } from '../../src/plan/problem.ts';
import { loadScenario } from '../../src/rehearsal/scenario-file.ts';

function planOf(name: string) {
  const loaded = loadPlan(readFileSync(new URL(`../../plans/${name}.yaml`, import.meta.url), 'utf8'));
  if (!loaded.ok) throw new Error('the plan cannot be read');
  return loaded.plan;
}

const plan = planOf('communications');
const said = (text: string): readonly string[] => {
  const loaded = loadScenario(text, plan, ['builtin'], 'mine');
  return loaded.ok ? [] : loaded.problems.map((problem) => formatProblem('mine.yaml', problem));
};

describe('a scenario file', () => {
  it('says who signs when, what each gate reads, what breaks, and how it should end', () => {
    const loaded = loadScenario(
      `answersAfter: 1h
people:
  - { role: legal, stage: chat_full_release, after: 30h }
gates:
  - { gate: latency, stage: chat_dark_launch, after: 6h, reads: 0.9, for: 10m }
providers:
  - { stage: chat_dark_launch, for: 3m }
should: { outcome: rolled-back, seen: [paged], upTo: chat_dark_launch }
`,
      plan,
      ['builtin'],
      'mine',
    );
    expect(loaded).toMatchObject({
      ok: true,
      scenario: {
        name: 'mine',
        answersAfter: 3_600_000,
        people: [{ role: 'legal', stage: 'chat_full_release', after: 108_000_000 }],
        gates: [{ gate: 'latency', stage: 'chat_dark_launch', after: 21_600_000, reads: 0.9, for: 600_000 }],
        providers: [{ stage: 'chat_dark_launch', after: 0, for: 180_000 }],
        should: { outcome: 'rolled-back', seen: ['paged'], unseen: [], upTo: 'chat_dark_launch' },
      },
    });
  });

  it.each([
    ['without should', 'name: x\n', /^mine\.yaml:1:1 {2}should is missing; expected launched, rolled-back or aborted/],
    ['with a field that is unknown', 'should: launched\nwho: me\n', /^mine\.yaml:2:1 {2}who is not a known field; expected one of name, answersAfter/],
    [
      'with a gate of another plan',
      'should: launched\ngates:\n  - { gate: nope, stage: chat_dark_launch, reads: breach }\n',
      /^mine\.yaml:3:13 {2}gates\[0\]\.gate is nope, which is no gate of this plan \(known: latency/,
    ],
    [
      'with a stage of another plan',
      'should: launched\npeople:\n  - { stage: nope, never: true }\n',
      /^mine\.yaml:3:14 {2}people\[0\]\.stage is nope, which is no stage/,
    ],
    ['with a role that nobody is asked in', 'should: launched\npeople:\n  - { role: cook, after: 1h }\n', /people\[0\]\.role is cook, which is no role/],
    [
      'with a provider where no flag lives',
      'should: launched\nproviders:\n  - { provider: elsewhere, stage: chat_dark_launch, for: 1m }\n',
      /providers\[0\]\.provider is elsewhere/,
    ],
    [
      'with a word that no gate reads',
      'should: launched\ngates:\n  - { gate: latency, stage: chat_dark_launch, reads: bad }\n',
      /gates\[0\]\.reads is "bad"; expected healthy, breach, no-data, error or a number/,
    ],
    ['with a span that is none', 'should: launched\nanswersAfter: soon\n', /^mine\.yaml:2:15 {2}answersAfter is "soon"; expected a duration/],
  ])('%s is refused where it stands', (_, text, problem) => {
    expect(said(text)).toEqual([expect.stringMatching(problem)]);
  });
});
