import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadRegistry } from '../../src/flags/registry.ts';
import { checkPlan } from '../../src/plan/check.ts';
import { loadPlan } from '../../src/plan/load.ts';
import { formatProblem } from '../../src/plan/problem.ts';

const folder = new URL('../fixtures/plans/bad/', import.meta.url);
const registry = loadRegistry(readFileSync(new URL('../fixtures/plans/flags.yaml', import.meta.url), 'utf8'));
const plans = readdirSync(folder).filter((name) => name.endsWith('.yaml'));

/** Everything a person is told about a plan, one problem per line. */
function told(name: string): string {
  if (!registry.ok) throw new Error('the registry of the fixtures does not load');
  const loaded = loadPlan(readFileSync(new URL(name, folder), 'utf8'));
  const problems = loaded.ok ? checkPlan(loaded.plan, registry.registry, undefined, loaded.places) : loaded.problems;
  return problems.map((problem) => `${formatProblem(name, problem)}\n`).join('');
}

test('at least 20 bad plans are kept', () => {
  expect(plans.length).toBeGreaterThanOrEqual(20);
});

test.each(plans)('%s is refused with exactly the message beside it', (name) => {
  const expected = new URL(name.replace('.yaml', '.expected'), folder);
  expect(told(name)).not.toBe('');
  expect(told(name)).toBe(readFileSync(expected, 'utf8'));
});
