import { describe, expect, it } from 'vitest';
import { everyone, type Exposure } from '../../src/core/exposure.ts';
import { bucket } from '../../src/flags/bucket.ts';
import { drawFor } from '../../src/rollback/look.ts';
import { flagRef, order, stage } from '../support/orders.ts';

describe('the subjects drawn for a flag', () => {
  it.each([1, 25, 50, 90, 99])('hold one who changes when it goes from %d percent to everyone, whatever the salt', (share) => {
    const before: Exposure = { value: true, share, by: 'key', listed: [] };
    const { plan } = order([stage('one', { 'draw.a': everyone(true) })]);
    const drawn = drawFor(plan, flagRef('draw.a'), before);
    const blind = Array.from({ length: 300 }, (_, salt) => drawn.every(({ subject }) => bucket(`salt-${salt}`, 'draw_a', subject.key) < share)).filter(Boolean);
    expect(blind).toEqual([]);
  });
});
