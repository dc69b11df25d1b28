import { inspect } from 'node:util';
import { expect } from 'vitest';
import { Retryable, Terminal } from '../../../src/core/failure.ts';
import type { Bench } from './bench.ts';

/** Credentials stay where they are. Run last: it searches everything that the rules before it brought to light. */
export function secrecyRules(bench: Bench): void {
  const { rule, under, failureOf } = bench;

  rule('fails with Terminal or Retryable when its credential is wrong or the vendor is away', async () => {
    expect(under().failing.length).toBeGreaterThan(0);
    for (const call of under().failing) {
      const error = await failureOf(call());
      expect(error instanceof Terminal || error instanceof Retryable ? error.name : error).toMatch(/^(Terminal|Retryable)$/);
    }
  });

  rule('shows no secret in any error or snapshot', () => {
    expect(bench.errors.length).toBeGreaterThan(0);
    expect(bench.snapshots.length).toBeGreaterThan(0);
    expect(under().secrets.length).toBeGreaterThan(0);
    for (const secret of under().secrets) {
      for (const error of bench.errors) expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(secret);
      for (const snapshot of bench.snapshots) expect(JSON.stringify(snapshot)).not.toContain(secret);
    }
    return Promise.resolve();
  });
}
