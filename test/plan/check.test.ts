import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadRegistry } from '../../src/flags/registry.ts';
import { checkPlan } from '../../src/plan/check.ts';
import { explain } from '../../src/plan/explain.ts';
import { loadPlan, loadPlanObject } from '../../src/plan/load.ts';
import { formatProblem } from '../../src/plan/problem.ts';

const loadedRegistry = loadRegistry(readFileSync(new URL('../fixtures/plans/flags.yaml', import.meta.url), 'utf8'));
if (!loadedRegistry.ok) throw new Error('the registry of the fixtures does not load');
const { registry } = loadedRegistry;

function told(stages: string, environment = 'stage'): string[] {
  const loaded = loadPlan(`name: x\nwatch: 0s\nstages:\n${stages}`);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return checkPlan(loaded.plan, registry, environment).map((problem) => formatProblem('x', problem));
}

const stage = (id: string, set: string) => `  - { id: ${id}, set: [${set}] }\n`;

test.each([
  [
    'a share that grows',
    stage('one', '{ flag: chat, to: { share: 5 } }') + stage('two', '{ flag: chat, to: { share: 25 } }') + stage('three', '{ flag: chat, to: everyone }'),
  ],
  ['a list that everyone replaces', stage('one', '{ flag: chat, to: { listed: { team: [a] } } }') + stage('two', '{ flag: chat, to: everyone }')],
  ['narrowing that says so', stage('one', '{ flag: chat, to: everyone }') + stage('two', '{ flag: chat, to: { share: 5 }, narrows: true }')],
  ['a text flag that changes for as many', stage('one', '{ flag: transport, to: { value: sse-only } }')],
  ['a required flag in the same stage', stage('one', '{ flag: chat.files, to: everyone }, { flag: chat, to: everyone }')],
  ['a required flag in an earlier stage', stage('one', '{ flag: chat, to: everyone }') + stage('two', '{ flag: chat.files, to: { share: 5 } }')],
  ['a required value', stage('one', '{ flag: database, to: { value: postgresql } }') + stage('two', '{ flag: replica, to: everyone }')],
  ['a variable that is there', stage('one', '{ flag: messenger, to: everyone }')],
  ['a protection off, away from production', stage('one', '{ flag: limits, to: off, narrows: true }')],
])('%s is allowed', (_, stages) => {
  expect(told(stages)).toEqual([]);
});

test.each([
  [
    'a required flag that is turned off again',
    stage('one', '{ flag: chat, to: everyone }') + stage('two', '{ flag: chat, to: off, narrows: true }, { flag: chat.files, to: everyone }'),
    /needs chat; it is off in stage/,
  ],
  [
    'a share that is drawn anew',
    stage('one', '{ flag: chat, to: { share: 5 } }') + stage('two', '{ flag: chat, to: { share: 25, by: contract } }'),
    /fewer than before/,
  ],
  ['a flag set twice in a stage', stage('one', '{ flag: chat, to: { share: 5 } }, { flag: chat, to: everyone }'), /which this stage sets already/],
])('%s is refused', (_, stages, message) => {
  expect(told(stages).join('\n')).toMatch(message);
});

test('a protection may not even be narrowed in production', () => {
  expect(told(stage('one', '{ flag: limits, to: { share: 99 }, narrows: true }'), 'prod')).toEqual([
    'x  stages[0].set[0].to turns the protection limits off in prod (protections stay on for everyone there)',
  ]);
});

test('a plan is refused in an environment that it does not allow', () => {
  const loaded = loadPlanObject({ name: 'x', environments: ['stage'], watch: '0s', stages: [{ id: 'one', set: [{ flag: 'chat', to: 'everyone' }] }] });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  expect(checkPlan(loaded.plan, registry, 'stage')).toEqual([]);
  expect(checkPlan(loaded.plan, registry, 'prod').map((problem) => problem.message)).toEqual(['environments does not allow prod']);
});

test('without an environment every one that the plan allows is checked', () => {
  const loaded = loadPlanObject({
    name: 'x',
    environments: ['stage', 'prod'],
    watch: '0s',
    stages: [{ id: 'one', set: [{ flag: 'messenger', to: 'everyone' }] }],
  });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  expect(checkPlan(loaded.plan, registry).map((problem) => problem.path)).toEqual(['stages[0].set[0].flag']);
  expect(checkPlan(loaded.plan, registry, 'stage')).toEqual([]);
});

test('explain tells who sees what, what is watched, who signs, and how it goes back', () => {
  const loaded = loadPlan(readFileSync(new URL('../fixtures/plans/story.yaml', import.meta.url), 'utf8'));
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  expect(checkPlan(loaded.plan, registry)).toEqual([]);
  expect(explain(loaded.plan, registry, 'stage')).toEqual([
    '"Chat" goes out in 2 stages, in stage. It takes at least 2d1h, and is rolled back after 14d at the latest.',
    'Before anything moves, 2 checklist items must be true (ticked 1 by qa, 1 checked by gonogo).',
    'Stage 1, first: first release-engineer and 2 x qa must say go.',
    'Then chat goes from off to 5 % by contract.',
    'From then on it asks: latency at most 1 s, every 15s (a breach counts after 1m); drops below 1 %, every 30s.',
    'It must stay healthy for 24h; only minutes with fresh, healthy data count. Still undecided 2d after its shift, it waits for a person.',
    'Without data, or with errors only, it waits for a person after 10m (5 % of the users exposed).',
    'Stage 2, "Everyone" (all): it opens as soon as the stage before has baked. It opens 24h after the first change at the earliest.',
    'Then chat goes from 5 % by contract to everyone.',
    'From then on it asks: health /health answers 200 or 204 within 2s, every 15s; pages no alert with severity page.',
    'It must stay healthy for 24h; only minutes with fresh, healthy data count. Still undecided 2d after its shift, it waits for a person.',
    'Without data, or with errors only, it is rolled back after 5m (100 % of the users exposed).',
    "If health or pages breaches while this stage is the last that moved, only this stage's flags go back and transport is set to sse-only for everyone; the launch then waits for a person to conclude it.",
    'After the last stage everything is watched for 1h more, every gate armed; then the launch is launched.',
    "From the first change to that moment, a breach of any gate, a matching alert or a person's word puts every flag back to what it was (unless a stage above says otherwise): within 5m, proven where the users read it.",
    '14d later the flags should be gone from the code.',
  ]);
});
