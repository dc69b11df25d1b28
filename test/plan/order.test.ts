import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Plan } from '../../src/core/plan.ts';
import { loadRegistry } from '../../src/flags/registry.ts';
import { loadPlan } from '../../src/plan/load.ts';
import { bindOrder, hashOf, speedUp } from '../../src/plan/order.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

function load(text: string): Plan {
  const loaded = loadPlan(text);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded.plan;
}

function registryOf(path: string) {
  const loaded = loadRegistry(read(path));
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded.registry;
}

const registry = registryOf('plans/flags.yaml');
const small = registryOf('test/fixtures/plans/flags.yaml');
const plan = load(read('plans/communications.yaml'));

test('an order knows every flag it may touch, the fallback included', () => {
  expect(bindOrder(plan, registry, 'stage').flags.map((flag) => flag.flag)).toEqual([
    'chat.attachments',
    'chat.enabled',
    'chat.transport',
    'chat_dark_launch',
    'chat_full_release',
    'chat_notifications_beta',
    'dispute.enabled',
    'dispute_tools_v2',
    'notify.webpush',
  ]);
});

test('the hash is the SHA-256 of the canonical JSON, whatever the order of the names', () => {
  // printf '{"environment":"stage","flags":[],"plan":{"a":1,"b":[true,"é"]}}' | sha256sum
  const known = { plan: { b: [true, 'é'], a: 1 } as unknown as Plan, flags: [], environment: 'stage' };
  expect(hashOf(known)).toBe('aff94d1ff2d11ae28310ca955827eedb0c6b4c298a3a9637c6a01f8c29a7d867');
});

test('the layout of the text does not change the hash; a comma of its meaning does', () => {
  const text = 'name: x\nwatch: 60m\nstages:\n  - { id: one, set: [{ flag: chat, to: everyone }] }\n';
  const other = '# a comment\nstages: [{ set: [{ to: { share: 100 }, flag: chat }], id: one }]\nname: "x"\nwatch: 1h\n';
  const hash = bindOrder(load(text), small, 'stage').hash;
  expect(bindOrder(load(other), small, 'stage').hash).toBe(hash);
  expect(bindOrder(load(text.replace('60m', '61m')), small, 'stage').hash).not.toBe(hash);
  expect(bindOrder(load(text), small, 'prod').hash).not.toBe(hash);
});

test('a change of a flag in the registry changes the hash of the plans that use it', () => {
  const changed = new Map(registry.entries);
  const entry = registry.entries.get('chat.enabled');
  if (entry === undefined) throw new Error('chat.enabled is not in the registry');
  changed.set('chat.enabled', { ...entry, proof: entry.proof.slice(0, 1) });
  expect(bindOrder(plan, { ...registry, entries: changed }, 'stage').hash).not.toBe(bindOrder(plan, registry, 'stage').hash);
});

test('turning a text flag off means its own off value', () => {
  const text =
    'name: x\nwatch: 0s\nstages:\n  - { id: one, set: [{ flag: transport, to: { value: sse-only } }] }\n  - { id: two, set: [{ flag: transport, to: { value: full }, narrows: true }] }\n';
  expect(bindOrder(load(text), small, 'stage').plan.stages.map((stage) => stage.set[0]?.to)).toEqual([
    { value: 'sse-only', share: 100, by: 'key', listed: [] },
    { value: 'full', share: 0, by: 'key', listed: [] },
  ]);
});

test('a flag that is unknown, or lives elsewhere, cannot be bound', () => {
  const text = (flag: string) => load(`name: x\nstages:\n  - { id: one, set: [{ flag: ${flag}, to: everyone }] }\n`);
  expect(() => bindOrder(text('nothing'), small, 'stage')).toThrow('the flag nothing is not in the registry');
  expect(() => bindOrder(text('stage.only'), small, 'prod')).toThrow('the flag stage.only does not live in prod');
});

test('a demo divides bakes, watch and for, leaves the policies, and asks at most once a second', () => {
  const fast = speedUp(plan, 14_400);
  expect(fast.stages.map((stage) => stage.bake)).toEqual([6000, 6000, 6000, 6000]);
  expect(fast.watch).toBe(6000);
  expect(fast.gates[0]).toMatchObject({ id: 'latency', every: 1000, for: 4 });
  const slow: Plan = {
    ...plan,
    gates: plan.gates.map((gate) => ({ ...gate, noData: { after: 600_000, then: 'page' } })),
    stages: plan.stages.map((stage) => ({ ...stage, maxBake: 3 * stage.bake })),
  };
  expect(speedUp(slow, 14_400).gates[0]?.noData).toEqual({ after: 600_000, then: 'page' });
  expect(speedUp(slow, 14_400).stages.map((stage) => stage.maxBake)).toEqual([18_000, 18_000, 18_000, 18_000]);
  expect(fast.stages.map(({ bake, ...rest }) => [rest, bake > 0])).toEqual(plan.stages.map(({ bake, ...rest }) => [rest, bake > 0]));
});

test('no speed makes something of nothing, or nothing of something', () => {
  fc.assert(
    fc.property(fc.double({ min: 1, max: 1e9, noNaN: true }), (times) => {
      const fast = speedUp(plan, times);
      expect(fast.gates.every((gate, index) => gate.every >= 1000 && gate.for > 0 === (plan.gates[index]?.for ?? 0) > 0)).toBe(true);
      expect(fast.stages.every((stage) => stage.bake > 0 && Number.isInteger(stage.bake))).toBe(true);
    }),
  );
  expect(speedUp(plan, 1)).toEqual(plan);
});

test.each([0, 0.5, -1, NaN, Infinity])('a speed of %d is refused', (times) => {
  expect(() => speedUp(plan, times)).toThrow(RangeError);
});
