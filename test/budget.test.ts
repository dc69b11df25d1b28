import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { budgetWith, instantOf, untilReset } from '../src/budget.ts';

const NOW = 1_800_000_000_000;
const global = (remaining: number, resetIn = 10_000) => ({ 'x-ratelimit-global-remaining': String(remaining), 'x-ratelimit-reset': String(NOW + resetIn) });

describe('the share of a rate budget that is kept for rollbacks', () => {
  it('lets everything go while nothing is known of the budget', () => {
    const budget = budgetWith(0.3);
    for (let i = 0; i < 1_000; i += 1) expect(budget.take('GET /x', NOW)).toBe(0);
  });

  it('lets requests go until the reserve of the largest limit seen is left, then until the window ends', () => {
    const budget = budgetWith(0.3);
    budget.saw('GET /x', global(100), NOW);
    let sent = 0;
    while (budget.take('GET /x', NOW + 1_000) === 0) sent += 1;
    expect(sent).toBe(70);
    expect(budget.take('GET /x', NOW + 1_000)).toBe(9_000);
    expect(budget.take('GET /x', NOW + 10_000)).toBe(0);
  });

  it('believes the vendor rather than its own count', () => {
    const budget = budgetWith(0.3);
    budget.saw('GET /x', global(100), NOW);
    budget.saw('GET /x', global(25), NOW);
    expect(budget.take('GET /x', NOW)).toBe(10_000);
    budget.saw('GET /x', global(90), NOW);
    expect(budget.take('GET /x', NOW)).toBe(0);
  });

  it('counts each route by itself, and all of them by the global counter', () => {
    const budget = budgetWith(0.5);
    const route = (remaining: number) => ({ 'x-ratelimit-route-remaining': String(remaining), 'x-ratelimit-reset': String(NOW + 5_000) });
    budget.saw('PATCH /flags', route(10), NOW);
    budget.saw('PATCH /flags', route(4), NOW);
    expect(budget.take('PATCH /flags', NOW)).toBe(5_000);
    expect(budget.take('GET /flags', NOW)).toBe(0);
    budget.saw('GET /flags', global(10), NOW);
    budget.saw('GET /flags', global(1), NOW);
    expect(budget.take('GET /flags', NOW)).toBe(10_000);
  });

  it('reads a limit that is named, also when the first answer comes late in the window', () => {
    const budget = budgetWith(0.3);
    budget.saw('GET /x', { 'ratelimit-limit': '100', 'ratelimit-remaining': '20', 'ratelimit-reset': '7' }, NOW);
    expect(budget.take('GET /x', NOW)).toBe(7_000);
  });

  it('never keeps anything with a reserve of nothing but the last request', () => {
    const budget = budgetWith(0);
    budget.saw('GET /x', global(1), NOW);
    expect(budget.take('GET /x', NOW)).toBe(0);
    expect(budget.take('GET /x', NOW)).toBe(10_000);
  });

  it('never spends more of a window than is not kept, whatever the vendor says in between', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.double({ min: 0, max: 0.9, noNaN: true }), (limit, reserve) => {
        const budget = budgetWith(reserve);
        budget.saw('GET /x', global(limit), NOW);
        let sent = 0;
        while (sent <= limit && budget.take('GET /x', NOW) === 0) sent += 1;
        expect(sent).toBeLessThanOrEqual(Math.ceil(limit * (1 - reserve) + 1e-9));
      }),
    );
  });

  it.each<[string | undefined, number | undefined]>([
    [undefined, undefined],
    ['', undefined],
    ['soon', undefined],
    ['7', NOW + 7_000],
    [String(NOW + 3_000), NOW + 3_000],
    [String((NOW + 4_000) / 1_000), NOW + 4_000],
    [new Date(NOW + 60_000).toUTCString(), NOW + 60_000],
  ])('takes %s for the instant %s', (header, at) => {
    expect(instantOf(header, NOW)).toBe(at);
  });

  it('believes no window that ends in the past or in more than five minutes', () => {
    expect(untilReset({ 'x-ratelimit-reset': String(NOW - 1) }, NOW)).toBe(0);
    expect(untilReset({ 'x-ratelimit-reset': String(NOW + 3_600_000) }, NOW)).toBe(300_000);
    expect(untilReset({ 'x-ratelimit-reset': 'garbage' }, NOW)).toBeUndefined();
    expect(untilReset({}, NOW)).toBeUndefined();
  });
});
