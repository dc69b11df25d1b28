import { describe, expect, it } from 'vitest';
import { openMetrics, percentile } from '../../../demo/marketplace/metrics.ts';

describe('what the marketplace tells of itself', () => {
  it('has every series that the plan asks for before anything has happened', async () => {
    const text = await openMetrics(Date.now() - 1_000, 60_000).registry.metrics();
    for (const line of [
      'notifications_total{outcome="dropped"} 0',
      'notifications_total{outcome="delivered"} 0',
      'notification_duplicates_total 0',
      'disputes_overdue 0',
      'dispute_sla_timers_late 0',
      'chat_fallback_seconds_count 0',
      'chat_fallback_seconds_bucket{le="3"} 0',
    ]) {
      expect(text.split('\n')).toContain(line);
    }
    expect(text).toMatch(/^stage_dump_age_seconds 1(\.\d+)?$/m);
  });

  it('counts the same happenings for Prometheus and over the window', async () => {
    const metrics = openMetrics(Date.now(), 60_000);
    for (let i = 0; i < 19; i += 1) metrics.delivered('ws', 0.1);
    metrics.delivered('ws', 2);
    metrics.notified('delivered');
    metrics.notified('dropped');
    metrics.fellBack(2.9);
    metrics.fellBack(3.1);
    expect(metrics.recent()).toEqual({
      chat: { p95_seconds: 0.1, newest_p95_seconds: 0.1, deliveries: 20, slow_fallbacks: 1 },
      notifications: { total: 2, dropped: 1, duplicates: 0 },
      disputes: { overdue: 0, late_timers: 0 },
    });
    const text = await metrics.registry.metrics();
    expect(text).toContain('chat_delivery_seconds_bucket{le="1",transport="ws"} 19');
    expect(text).toContain('chat_delivery_seconds_count{transport="ws"} 20');
    expect(text).toContain('notifications_total{outcome="dropped"} 1');
    expect(text).toContain('chat_fallback_seconds_bucket{le="3"} 1');
  });

  it('has no percentile of nothing', () => {
    expect(percentile([], 0.95)).toBeNull();
    expect(percentile([3, 1, 2], 0.95)).toBe(3);
    expect(
      percentile(
        Array.from({ length: 100 }, (_, i) => i + 1),
        0.95,
      ),
    ).toBe(95);
  });
});
