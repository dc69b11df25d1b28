import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { throughWeb } from '../../demo/web-plan.ts';
import { loadRegistry } from '../../src/flags/registry.ts';
import { checkPlan } from '../../src/plan/check.ts';
import { loadPlan, loadPlanObject } from '../../src/plan/load.ts';

const read = (name: string): string => readFileSync(path.resolve(import.meta.dirname, '..', '..', 'plans', name), 'utf8');

describe('the communications plan where no Prometheus can be had', () => {
  it('asks no Prometheus, keeps every limit, and passes the checks of a plan', () => {
    const whole = loadPlan(read('communications.yaml'));
    const web = loadPlanObject(throughWeb(read('communications.yaml')));
    const registry = loadRegistry(read('flags.yaml'));
    if (!whole.ok || !web.ok || !registry.ok) throw new Error(JSON.stringify([whole, web, registry].filter((one) => !one.ok)));
    expect(web.plan.gates.map((gate) => gate.source)).not.toContain('prometheus');
    const limits = (plan: typeof web.plan) => plan.gates.map((gate) => [gate.id, gate.kind, 'bound' in gate ? gate.bound : undefined, gate.for]);
    expect(limits(web.plan)).toEqual(limits(whole.plan));
    expect(web.plan.stages).toEqual(whole.plan.stages);
    expect(checkPlan(web.plan, registry.registry, 'stage', web.places)).toEqual([]);
  });

  it('refuses a gate that it has no counterpart for', () => {
    expect(() => throughWeb('gates: { new-one: { source: prometheus, query: up, min: 1 } }')).toThrow('gate new-one asks Prometheus');
  });
});
