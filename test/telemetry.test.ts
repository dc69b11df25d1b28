import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import type { State } from '../src/core/event.ts';
import { countLaunches, openMeter, openTelemetry } from '../src/telemetry.ts';

describe('the metrics page', () => {
  test('shows launches in every state, also those that none is in', async () => {
    const registry = new Registry();
    countLaunches(registry, () => Promise.resolve(new Map<State, number>([['baking', 3]])));
    const page = await registry.metrics();
    expect(page).toContain('gonogo_launches{state="baking"} 3');
    expect(page).toContain('gonogo_launches{state="stuck"} 0');
    expect(page).toContain('gonogo_store_up 1');
  });

  test('comes without the states when the store does not answer, says so in the same scrape, and has them again afterwards', async () => {
    const registry = new Registry();
    let answers = false;
    countLaunches(registry, () => (answers ? Promise.resolve(new Map<State, number>([['held', 1]])) : new Promise(() => undefined)));
    const began = Date.now();
    const page = await registry.metrics();
    expect(Date.now() - began).toBeLessThan(3_000);
    expect(page).toContain('gonogo_store_up 0');
    expect(page).not.toContain('gonogo_launches{');
    answers = true;
    expect(await registry.metrics()).toContain('gonogo_launches{state="held"} 1');
  });

  test('keeps every count a hand reports, with its labels', async () => {
    const registry = new Registry();
    const meter = openMeter(registry);
    meter.measured('prometheus', 'value', 0.02, 3);
    meter.measured('prometheus', 'error', 2);
    meter.verdict('latency', 'no-go');
    meter.providerCall('builtin', 'restore', false, 0.4);
    meter.rolledBack(1.5);
    meter.paged();
    meter.ticked('a-stage-1');
    meter.ticked('a-stage-2');
    meter.forget('a-stage-1');
    const page = await registry.metrics();
    for (const line of [
      'gonogo_measurement_seconds_count{source="prometheus",kind="value"} 1',
      'gonogo_measurement_age_seconds{source="prometheus"} 3',
      'gonogo_verdicts_total{gate="latency",verdict="no-go"} 1',
      'gonogo_provider_calls_total{provider="builtin",call="restore",ok="false"} 1',
      'gonogo_rollback_seconds_sum 1.5',
      'gonogo_pages_total 1',
    ]) {
      expect(page).toContain(line);
    }
    expect(page).toMatch(/gonogo_watcher_last_tick_timestamp_seconds\{launch="a-stage-2"\} 1[\d.]+/);
    expect(page).not.toContain('launch="a-stage-1"');
  });

  test('holds the metrics of the process', async () => {
    expect(await openTelemetry().text()).toContain('process_resident_memory_bytes');
  });
});
