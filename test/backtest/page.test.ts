import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Measurement } from '../../src/core/measurement.ts';
import type { Gate } from '../../src/core/plan.ts';
import { backtest, type Remembered, type Trial } from '../../src/backtest/backtest.ts';
import { backtestPage } from '../../src/backtest/page.ts';
import { traceOf } from '../../src/backtest/trace.ts';
import { loadPlan } from '../../src/plan/load.ts';
import { compareRate, counted, noData, threshold, value } from '../core/gates.ts';

const EVERY = 15_000;
const START = Date.parse('2026-04-24T00:00:00Z');
const at = (index: number): number => START + index * EVERY;
const EVIL = `<script>alert(1)</script>"'&\u202e`;

const loaded = loadPlan(
  `name: trial\nenvironments: [stage]\nfalseAlarms: 1%\ngates:\n  queue: { title: '${EVIL.replaceAll("'", "''")}', source: prometheus, query: 'max(queue{a="<b>"})', max: 1 }\n  errors: { kind: compareRate, source: prometheus, exposed: { bad: eb, total: et }, rest: { bad: rb, total: rt } }\n  away: { source: prometheus, query: up, max: 1 }\nstages:\n  - { id: half, set: [{ flag: shop.basket, to: { share: 50, by: user } }], bake: 1h, gates: [queue, errors, away], signOff: [qa] }\nwatch: 1h\n`,
);
if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
const { plan } = loaded;

const known = (points: readonly Measurement[]): Remembered => ({ kind: 'history', history: { points, from: at(0), asked: at(0) } });
const queue = Array.from({ length: 1_000 }, (_, index) => (index >= 900 ? noData(at(index)) : value(at(index), index === 400 ? 3 : 0.4)));
const errors = Array.from({ length: 1_000 }, (_, index) => counted(at(index), [index > 500 ? 9 : 1, 100, 1, 100]));
const trial: Trial = {
  plan,
  from: at(0),
  to: at(1_000),
  startEvery: 3_600_000,
  remembered: new Map<string, Remembered>([
    ['queue', known(queue)],
    ['errors', { kind: 'history', history: { points: errors, pooled: errors.map((point) => counted(point.at, [0, 0, 2, 200])), from: at(0), asked: at(0) } }],
    ['away', { kind: 'failed', why: `no <answer> & "none"`, hint: 'start it' }],
  ]),
  shares: new Map(),
};
const page = backtestPage(trial, backtest(trial));

describe('the page', () => {
  it('needs nothing else and runs nothing: its own policy forbids it, but for the one style it holds', () => {
    const style = /<style>([\s\S]*?)<\/style>/.exec(page)?.[1] ?? '';
    const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page)?.[1];
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain(`style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`);
    // Nothing that such a policy would have to block.
    expect(page).not.toMatch(/<script|<link|<img|<iframe|\sstyle=|\son\w+=|url\((?!#)|@import|https?:/i);
  });

  it('shows texts of plans and sources as they are, and none of them acts', () => {
    expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;\\u202e');
    expect(page).toContain('max(queue{a=&quot;&lt;b&gt;&quot;})');
    expect(page).toContain('no &lt;answer&gt; &amp; &quot;none&quot;. start it');
    expect(page).not.toContain('\u202e');
  });

  it('closes every element that it opens', () => {
    const open: string[] = [];
    for (const [, slash, name = '', rest = ''] of page.replace(/<style>[\s\S]*?<\/style>/, '').matchAll(/<(\/?)([a-z]+\d?)([^>]*)>/gi)) {
      if (/^(meta|br)$/.test(name) || rest.endsWith('/')) continue;
      if (slash === '/') expect(open.pop()).toBe(name);
      else open.push(name);
    }
    expect(open).toEqual([]);
  });

  it('holds the table, and a drawing of each gate with its limit, verdicts in pattern and word, and when it would have acted', () => {
    expect(page).toMatch(/<th scope="row">queue<\/th><td>half<\/td><td>50 %<\/td>/);
    const [, first = '', second = ''] = page.split('<section');
    expect(first).toContain('must be ≤ 1');
    for (const shade of ['go', 'no-go', 'blind']) expect(first).toMatch(new RegExp(`<rect class="${shade}" x=`));
    expect(first).toMatch(/01:40:00 UTC<\/time>: rolled back/);
    expect(first).not.toContain('e-value');
    expect(second).toContain('acts at 4.605');
    expect(second).toMatch(/<polygon class="evidence"/);
    expect(page).toMatch(/fill:url\(#p-blind\)/);
    expect(page).toMatch(/<pattern id="p-blind"/);
  });

  it('follows the colours that a person has set, light or dark', () => {
    expect(page).toContain('color-scheme:light dark');
    expect(page).toContain('@media (prefers-color-scheme:dark)');
  });
});

describe('what is drawn of a gate', () => {
  const shades = (gate: Gate, points: readonly Measurement[], most: number) => traceOf(gate, points, { exposed: 0, most }).columns.map(({ shade }) => shade);

  it('a stretch is shown as the worst that was in it, however short', () => {
    expect(shades(threshold(), queue.slice(0, 800), 8)).toEqual(['go', 'go', 'go', 'go', 'no-go', 'go', 'go', 'go']);
    expect(shades(threshold({ for: 60_000 }), queue.slice(0, 800), 8)).toEqual(['go', 'go', 'go', 'go', 'waiting', 'go', 'go', 'go']);
    expect(shades(threshold(), queue.slice(870), 4)).toEqual(['blind', 'blind', 'blind', 'blind']);
    expect(shades(threshold(), queue.slice(860), 7)).toEqual(['go', 'go', 'blind', 'blind', 'blind', 'blind', 'blind']);
  });

  it('has the least and the most of each stretch, and nothing where nothing was seen', () => {
    const { columns, width } = traceOf(threshold(), queue, { exposed: 0, most: 10 });
    expect(width).toBe(100 * EVERY);
    expect(columns[4]?.value).toEqual({ low: 0.4, high: 3 });
    expect(columns[9]).not.toHaveProperty('value');
  });

  it('begins anew after a rollback, and tells each', () => {
    const twice = Array.from({ length: 100 }, (_, index) => value(at(index), index === 20 || index === 70 ? 3 : 0.4));
    expect(traceOf(threshold(), twice, { exposed: 0, most: 10 }).rollbacks.map((stop) => stop.at)).toEqual([at(20), at(70)]);
  });

  it('is several launches one after the other where each lasts so long: none knows what the one before had seen', () => {
    const last = (lasts?: number): number =>
      traceOf(compareRate(), errors.slice(0, 500), { exposed: 0, most: 10, ...(lasts === undefined ? {} : { lasts }) }).columns.at(-1)?.evidence?.high ?? NaN;
    // Health speaks against harm: a launch that has seen little of it yet is closer to the limit.
    expect(last()).toBeLessThan(-2);
    expect(last(25 * EVERY)).toBeGreaterThan(-1);
  });

  it('of a comparison are the rates of each stretch, and the evidence up to its limit', () => {
    const { columns, evidenceLimit, rollbacks } = traceOf(compareRate({ alpha: 0.01 }), errors, { exposed: 0, most: 10 });
    expect(evidenceLimit).toBeCloseTo(Math.log(100), 10);
    expect(columns[2]).toMatchObject({ value: { low: 0.01 }, rest: 0.01 });
    expect(columns[7]).toMatchObject({ value: { low: 0.09 }, rest: 0.01 });
    const [stop] = rollbacks;
    const column = columns.findLast((each) => each.at <= (stop?.at ?? 0));
    expect(column?.evidence?.high).toBeGreaterThanOrEqual(evidenceLimit ?? Infinity);
    for (const each of columns.slice(0, 5)) expect(each.evidence?.high).toBeLessThan(evidenceLimit ?? 0);
  });
});
