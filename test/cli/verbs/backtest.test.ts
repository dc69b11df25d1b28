import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backtest, Tried } from '../../../src/backtest/backtest.ts';
import { INCIDENT, PLAN, writeTraffic } from '../../backtest/traffic.ts';
import { startPrometheus } from '../../support/servers/prometheus.ts';
import { hasTool } from '../../support/servers/require-tool.ts';
import { runCli, type Ran } from '../run.ts';

const HOUR = 3_600_000;
const dir = mkdtempSync(path.join(os.tmpdir(), 'gonogo-backtest-cli-'));
const file = (name: string): string => path.join(dir, name);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** A plan with one gate. */
const one = (gate: string): string =>
  `name: one\nenvironments: [stage]\ngates:\n  g: ${gate}\nstages:\n  - { id: half, set: [{ flag: shop.basket, to: { share: 50, by: user } }], bake: 30m, gates: [g], signOff: [qa] }\nwatch: 1h\n`;

const withConfig = (url: string): string => {
  const name = file(`${new URL(url).port}.yaml`);
  writeFileSync(name, `sources:\n  prometheus: { kind: prometheus, url: '${url}' }\n`);
  return name;
};

beforeAll(() => {
  writeFileSync(file('trial.yaml'), PLAN);
  writeFileSync(file('none.yaml'), 'sources: {}\n');
  writeFileSync(file('queue.yaml'), one('{ source: prometheus, query: max(queue_seconds), max: 0.6 }'));
  writeFileSync(file('broken.yaml'), one("{ source: prometheus, query: 'sum(queue_seconds', max: 1 }"));
  writeFileSync(file('unknown.yaml'), one('{ source: prometheus, query: max(nobody_exports_this), max: 1 }'));
});

describe('gonogo backtest, before any source is asked', () => {
  const away = ['--config', file('none.yaml')];
  it.each([
    ['a plan that is not there', ['nowhere.yaml'], /nowhere\.yaml/],
    ['a share that is no share', [file('trial.yaml'), '--share', 'five=0'], /Expected stage=percent, e\.g\. dark_launch=2/],
    ['a share of a stage that the plan lacks', [file('trial.yaml'), '--share', 'nine=5'], /--share names stage nine; trial has internal, five, half, all/],
    ['a span that is none', [file('trial.yaml'), '--since', 'yesterday'], /--since is "yesterday"; expected a span like/],
    ['a page in a folder that is not there', [file('trial.yaml'), '--html', file('no/page.html')], /--html .*page\.html cannot be written \(ENOENT\)/],
  ])('%s exits 2 and says so', async (_, args, words) => {
    const ran = await runCli(['backtest', ...args, ...away]);
    expect(ran.stderr).toMatch(words);
    expect([ran.code, ran.stdout]).toEqual([2, '']);
  });

  it('a source that the config does not name exits 1 and says where to name it', async () => {
    const ran = await runCli(['backtest', file('queue.yaml'), ...away]);
    expect(ran.stdout).toMatch(/✗ g: the config has no source prometheus\n {2}→ name prometheus under sources in the config/);
    expect(ran.code).toBe(1);
  });

  it('a source that is away exits 75 and says what to look at', async () => {
    const ran = await runCli(['backtest', file('queue.yaml'), '--config', withConfig('http://127.0.0.1:9')]);
    expect(ran.stdout).toMatch(/✗ g: value: .*\n {2}→ is source prometheus up, and its url in the config right\?/);
    expect(ran.code).toBe(75);
  });
});

describe.skipIf(!hasTool('prometheus'))('gonogo backtest, on seven days of a real Prometheus', () => {
  let server: Awaited<ReturnType<typeof startPrometheus>>;
  let from: number;
  let config: readonly string[];
  beforeAll(async () => {
    // It scrapes nothing: the samples' own times are the newest.
    server = await startPrometheus({ global: { scrape_interval: '1h' } });
    const to = Math.floor(Date.now() / 15_000) * 15_000;
    from = to - 7 * 24 * HOUR;
    await writeTraffic(server.url, from, to, 26 * HOUR);
    config = ['--config', withConfig(server.url)];
  }, 120_000);
  afterAll(() => server.stop());

  describe('a plan of ten gates', () => {
    let ran: Ran;
    let data: Backtest & { took: { reading: number; replaying: number } };
    beforeAll(async () => {
      ran = await runCli(['backtest', file('trial.yaml'), '--since', '7d', '--share', 'internal=20', '-o', 'json', '--html', file('page.html'), ...config]);
      data = JSON.parse(ran.stdout) as typeof data;
    }, 120_000);

    const tried = (gate: string, stage: string): Tried => {
      const found = data.tried.find((each) => each.gate === gate && each.stage === stage);
      if (found === undefined) throw new Error(`${gate} was not tried at ${stage}`);
      return found;
    };
    /** Median times to catch x1.5, x2, x4 and x10. */
    const medians = (each: Tried): readonly number[] => each.catches.map((found) => ('cannot' in found ? NaN : (found.median ?? Infinity)));

    it('is replayed whole: every gate from its stage on, over seven days, and exits 0', () => {
      expect(ran.code).toBe(0);
      expect(data.gates.map(({ gate, failed, none }) => [gate, failed, none])).toEqual(
        ['queue', 'queue-strict', 'overdue', 'p95', 'dropped', 'failed', 'pages', 'compared', 'unborn', 'burning'].map((gate) => [gate, undefined, undefined]),
      );
      expect(data.tried).toHaveLength(7 * 4 + 3 * 3);
      for (const { points = 0 } of data.gates) expect(points).toBeGreaterThan(7 * 24 * 240 - 20);
      expect(tried('queue', 'internal').windows).toBeGreaterThanOrEqual(166);
      expect(data.took.reading).toBeGreaterThan(0);
    });

    it('the incident of five minutes would have rolled back every launch whose bake it lay in, and only those', () => {
      const begins = from + INCIDENT.after;
      for (const stage of ['five', 'half', 'all']) {
        const { rollbacks, bake } = tried('queue', stage);
        expect(rollbacks.length).toBeGreaterThanOrEqual(bake / HOUR - 1);
        expect(rollbacks.length).toBeLessThanOrEqual(bake / HOUR + 1);
        for (const { start, at, cause, why } of rollbacks) {
          expect(cause).toBe('breach');
          expect(why).toMatch(/^queue [\d.]+ > 0\.6, 5 of 5 samples/);
          // It counts after a minute; a launch that begins in it sees a part.
          expect(at).toBeGreaterThanOrEqual(begins + 60_000);
          expect(at).toBeLessThanOrEqual(begins + INCIDENT.lasts + 15_000);
          expect(start).toBeLessThan(at);
        }
      }
    });

    it('a limit among the everyday values would have rolled back nearly all', () => {
      const { rollbacks, windows } = tried('queue-strict', 'five');
      expect(rollbacks.length / windows).toBeGreaterThan(0.95);
    });

    it('gates that nothing went wrong for stopped no launch', () => {
      for (const gate of ['overdue', 'p95', 'dropped', 'failed', 'pages', 'burning'])
        for (const stage of ['five', 'half']) expect(tried(gate, stage).rollbacks).toEqual([]);
      // Their share of the plan's 2 % is small: of some hundred launches hardly one.
      for (const gate of ['compared', 'unborn']) expect(tried(gate, 'five').rollbacks.length).toBeLessThanOrEqual(3);
    });

    it('worse is caught sooner, and sooner at a larger share', () => {
      for (const gate of ['compared', 'unborn', 'dropped', 'failed', 'p95', 'burning']) {
        for (const stage of ['five', 'half']) expect(medians(tried(gate, stage))).toEqual([...medians(tried(gate, stage))].sort((a, b) => b - a));
        for (const [index, median] of medians(tried(gate, 'five')).entries()) expect(medians(tried(gate, 'half'))[index]).toBeLessThanOrEqual(median);
      }
      const [, twice = 0, , ten = Infinity] = medians(tried('compared', 'five'));
      expect(ten).toBeLessThan(twice);
      expect(ten).toBeLessThanOrEqual(60_000);
      expect(twice).toBeLessThanOrEqual(20 * 60_000);
    });

    it('sides that have a past are compared as they were; the side that has none is drawn from everyone', () => {
      expect([tried('compared', 'five').split, tried('unborn', 'five').split]).toEqual([false, true]);
      expect(tried('compared', 'all').catches[0]).toMatchObject({ cannot: 'nobody is left to compare with' });
    });

    it('the share that was said is that of its stage', () => {
      expect(tried('queue', 'internal').share).toBe(0.2);
      expect(tried('p95', 'internal').catches.every((found) => !('cannot' in found))).toBe(true);
    });

    it('is drawn as one page that stands alone, with the incident in it', () => {
      const page = readFileSync(file('page.html'), 'utf8');
      expect(page).toMatch(/^<!doctype html>/);
      for (const { gate } of data.gates) expect(page).toContain(`<section id="gate-${gate}">`);
      expect(page).toContain(`<time datetime="${new Date(Math.ceil((from + INCIDENT.after) / 15_000) * 15_000 + 60_000).toISOString()}">`);
      expect(page).not.toMatch(/<script|https?:/);
    });
  });

  it('the table names what was found, and what cannot be told without the share', async () => {
    const ran = await runCli(['backtest', file('trial.yaml'), '--since', '4h', '--every', '30m', ...config]);
    expect(ran.stdout).toMatch(/^trial, \d{4}-\d\d-\d\d \d\d:\d\d to .* UTC; a launch every 30m; /);
    expect(ran.stdout).toMatch(/^GATE +STAGE +SHARE +BAKE +WINDOWS +FALSE ROLLBACKS +FALSE HOLDS +UNDECIDED +x1\.5 +x2 +x4 +x10$/m);
    expect(ran.stdout).toMatch(/^queue +internal +\? +1h +7 +0 +0 +\d +cannot \[1\]/m);
    expect(ran.stdout).toMatch(/^compared +five +5 % +2h +[45] /m);
    expect(ran.stdout).toMatch(/^\[1\] how much of the traffic stage internal exposes is not in the plan: say it with --share$/m);
    expect(ran.stdout).toMatch(/its bake is longer than the history/);
    expect(ran.stderr).toMatch(/^read in [\d.]+ s, replayed in [\d.]+ s$/m);
    expect(ran.code).toBe(0);
  }, 60_000);

  it.each([
    [
      'a query that does not parse',
      'broken.yaml',
      /✗ g: value: .*parse error.*\n {2}→ try the query at source prometheus over the same days: sum\(queue_seconds/,
    ],
    [
      'a metric that nobody exports',
      'unknown.yaml',
      /✗ g: source prometheus has no history between .* \(value: the answer has no series\)\n {2}→ is the metric exported/,
    ],
  ])('%s exits 1 and says what to do', async (_, plan, words) => {
    const ran = await runCli(['backtest', file(plan), '--since', '2h', ...config]);
    expect(ran.stdout).toMatch(words);
    expect(ran.code).toBe(1);
  });

  it('the communications plan: every gate of it on a past of its own, none stopped for nothing, four times the latency caught within five minutes of full release', async () => {
    const ran = await runCli(['backtest', 'plans/communications.yaml', '--since', '26h', '--share', 'chat_dark_launch=2', '-o', 'json', ...config]);
    const data = JSON.parse(ran.stdout) as Backtest;
    expect(ran.code).toBe(0);
    expect(data.gates.map(({ gate }) => gate)).toEqual(['latency', 'fallback', 'drop-rate', 'duplicates', 'overdue', 'sla-timers', 'alerts']);
    for (const { failed, none } of data.gates) expect([failed, none]).toEqual([undefined, undefined]);
    expect(data.tried.map(({ gate, stage }) => `${gate} ${stage}`)).toContain('drop-rate chat_full_release');
    for (const { rollbacks, windows } of data.tried) expect([rollbacks, windows >= 2]).toEqual([[], true]);
    const latency = data.tried.find(({ gate, stage }) => gate === 'latency' && stage === 'chat_full_release');
    expect(latency).toMatchObject({ share: 1, bake: 24 * HOUR });
    const four = latency?.catches[2];
    expect(four !== undefined && 'median' in four ? four.median : Infinity).toBeLessThanOrEqual(5 * 60_000);
  }, 60_000);
});
