import { describe, expect, it } from 'vitest';
import { counter, type Bucket, type Look } from '../../../src/evaluators/unleash-metrics/batches.ts';

const HOUR = 3_600_000;
const MINUTE = 60_000;
/** 12:00 of some day. */
const NOON = 1_790_000 * HOUR;
const bucket = (yes: number, no: number, from = NOON, app = 'web'): Bucket => ({ app, from, yes, no });
const look = (at: number, changedAt: number, ...buckets: Bucket[]): Look => ({ at, changedAt, buckets });
const open = () => counter('web', MINUTE);

describe("judging an app's counters", () => {
  it('believes a whole hour that began long enough after the newest change, at the first look', () => {
    expect(open().see(look(NOON + 10 * MINUTE, NOON - 5 * HOUR, bucket(0, 40)))).toEqual({ kind: 'no' });
    expect(open().see(look(NOON + 10 * MINUTE, NOON - 5 * HOUR, bucket(40, 0)))).toEqual({ kind: 'yes' });
  });

  it('says nothing while some were told yes and some no', () => {
    expect(open().see(look(NOON + 10 * MINUTE, NOON - 5 * HOUR, bucket(1, 4000)))).toMatchObject({ kind: 'nothing' });
  });

  it('says nothing of what arrives right after the change: it may have been counted before', () => {
    const web = open();
    const changed = NOON + 10 * MINUTE;
    expect(web.see(look(changed + 1_000, changed, bucket(0, 40)))).toMatchObject({ kind: 'nothing' });
    // Counted before the flag went on and off again, and only flushed now.
    expect(web.see(look(changed + 30_000, changed, bucket(0, 80)))).toMatchObject({ kind: 'nothing' });
  });

  it('believes the first report that arrives when all it counts was counted after the change', () => {
    const web = open();
    const changed = NOON + 10 * MINUTE;
    web.see(look(changed + 1_000, changed, bucket(1_200, 40)));
    web.see(look(changed + 66_000, changed, bucket(1_620, 220)));
    expect(web.see(look(changed + 68_000, changed, bucket(1_620, 220)))).toMatchObject({ kind: 'nothing' });
    expect(web.see(look(changed + 70_000, changed, bucket(1_620, 1_420)))).toEqual({ kind: 'no' });
    // And goes on believing it until the next is overdue.
    expect(web.see(look(changed + 72_000, changed, bucket(1_620, 1_420)))).toEqual({ kind: 'no' });
    expect(web.see(look(changed + 5 * MINUTE, changed, bucket(1_620, 1_420)))).toMatchObject({
      kind: 'nothing',
      detail: expect.stringContaining('last reported') as string,
    });
  });

  it('takes nothing for an answer after the next change', () => {
    const web = open();
    expect(web.see(look(NOON + 10 * MINUTE, NOON - 5 * HOUR, bucket(40, 0)))).toEqual({ kind: 'yes' });
    const changed = NOON + 11 * MINUTE;
    expect(web.see(look(changed + 5_000, changed, bucket(90, 0)))).toMatchObject({ kind: 'nothing' });
  });

  it('counts the hour that began between two looks whole', () => {
    const web = open();
    web.see(look(NOON - MINUTE, NOON - 5 * HOUR, bucket(100, 0, NOON - HOUR)));
    expect(web.see(look(NOON + MINUTE, NOON - 5 * HOUR, bucket(100, 0, NOON - HOUR), bucket(0, 3)))).toEqual({ kind: 'no' });
  });

  it('heeds its own app only, and says nothing of one that never reported', () => {
    expect(open().see(look(NOON + 10 * MINUTE, NOON - 5 * HOUR, bucket(0, 40, NOON, 'mobile')))).toMatchObject({ kind: 'nothing' });
  });
});
