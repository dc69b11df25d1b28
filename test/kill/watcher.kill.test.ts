import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ServerProcess } from '../../src/embedded/process.ts';
import { openFleet, type Fleet } from '../support/processes/fleet.ts';
import { untilTold, type ToldEvent } from '../support/processes/people.ts';
import { startPrometheus } from '../support/servers/prometheus.ts';
import { hasTool } from '../support/servers/require-tool.ts';
import { until } from '../support/until.ts';
import { offAt, seconds, startBaking } from './plans.ts';

const RUNS = 3;

/** A page whose answers the test makes, by path. */
async function openPage(answer: (path: string) => string): Promise<{ readonly url: string; readonly port: number; readonly close: () => Promise<void> }> {
  const server = http.createServer((request, response) => response.end(answer(request.url ?? '/')));
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${port}`, port, close };
}

const outcomeOf = (events: readonly ToldEvent[]) => events.flatMap((event) => (event.kind === 'ended' ? [event.outcome] : []));
const hasEnded = (events: readonly ToldEvent[]) => outcomeOf(events).length > 0;

describe('a watcher that is killed at the very breach, with a second worker alive', () => {
  let fleet: Fleet;
  let page: Awaited<ReturnType<typeof openPage>>;
  const trap = new Map<string, { readonly kill: () => void; servedAt?: number }>();

  beforeAll(async () => {
    page = await openPage((path) => {
      const set = trap.get(path);
      if (set === undefined) return JSON.stringify({ errors: 0 });
      // Whoever asks first is gone before it can read the answer.
      if (set.servedAt === undefined) {
        set.kill();
        set.servedAt = performance.now();
      }
      return JSON.stringify({ errors: 5 });
    });
    const runs = Array.from({ length: RUNS }, (_, run) => run);
    fleet = await openFleet({
      workers: 2,
      sources: Object.fromEntries(runs.map((run) => [`page-${run}`, { kind: 'web', url: `${page.url}/${run}` }])),
      flags: runs.map((run) => `watched_${run}`),
    });
  }, 120_000);
  afterAll(async () => {
    await fleet.close();
    await page.close();
  });

  it(`turns the flags off within 17 s of the bad sample, ${RUNS} times`, async () => {
    const took: number[] = [];
    for (let run = 0; run < RUNS; run += 1) {
      await Promise.all(fleet.workers.map((worker) => worker.start()));
      const { flag, read } = await startBaking(fleet, `watched-${run}`, `watched_${run}`, {
        errors: { source: `page-${run}`, query: 'errors', max: 1, every: '1s' },
      });
      const hands = (await read()).flatMap((event) => (event.kind === 'gate' ? [event.by] : []));
      const watcher = fleet.workers.find((worker) => hands.at(-1)?.includes(`-${String(worker.pid())}-`));
      if (watcher === undefined) throw new Error(`no worker is ${String(hands.at(-1))}`);
      const set: { kill: () => void; servedAt?: number } = { kill: () => void watcher.kill() };
      trap.set(`/${run}`, set);
      const servedAt = await until('the bad sample to be served', () => set.servedAt);
      took.push(seconds(servedAt, await offAt(fleet, flag, 30_000)));
      expect(watcher.pid()).toBeUndefined();
      expect(outcomeOf(await untilTold(read, 'the end', hasEnded, 60_000))).toEqual(['rolled-back']);
    }
    console.log(`watcher killed at the breach, a second worker alive: off after ${took.join(', ')} s`);
    expect(Math.max(...took)).toBeLessThanOrEqual(17);
  }, 300_000);
});

describe.skipIf(!hasTool('prometheus'))('a breach of 20 s that is over before the killed watcher is back', () => {
  let fleet: Fleet;
  let page: Awaited<ReturnType<typeof openPage>>;
  let prometheus: ServerProcess & { readonly url: string };
  let value = 0;

  const valueNow = async (): Promise<number> => {
    const answer = await fetch(`${prometheus.url}/api/v1/query?query=trouble`);
    const { data } = (await answer.json()) as { data: { result: readonly { value: readonly [number, string] }[] } };
    return Number(data.result[0]?.value[1]);
  };

  beforeAll(async () => {
    page = await openPage(() => `# TYPE trouble gauge\ntrouble ${value}\n`);
    prometheus = await startPrometheus({
      global: { scrape_interval: '1s' },
      scrape_configs: [{ job_name: 'app', static_configs: [{ targets: [`127.0.0.1:${page.port}`] }] }],
    });
    fleet = await openFleet({ workers: 1, sources: { prometheus: { kind: 'prometheus', url: prometheus.url } }, flags: ['remembered'] });
    await until('the first scrape', async () => (await valueNow()) === 0);
  }, 120_000);
  afterAll(async () => {
    await fleet.close();
    await prometheus.stop();
    await page.close();
  });

  it('still rolls back, on what the source remembers', async () => {
    const { flag, read } = await startBaking(fleet, 'remembered', 'remembered', { trouble: { source: 'prometheus', query: 'trouble', max: 1, every: '5s' } });
    const [worker] = fleet.workers;
    if (worker === undefined) throw new Error('there is no worker');
    await worker.kill();
    value = 5;
    const badFrom = Date.now();
    await pause(20_000);
    value = 0;
    const badTo = Date.now();
    await until('the metric to be well again', async () => (await valueNow()) === 0);
    expect((await fleet.flags.get(flag)).exposure.share).toBe(100);
    const back = performance.now();
    await worker.start();
    const off = await offAt(fleet, flag, 60_000);
    console.log(`breach of 20 s with nobody watching: off ${seconds(back, off)} s after the worker was started again`);
    const events = await untilTold(read, 'the end', hasEnded, 60_000);
    expect(outcomeOf(events)).toEqual(['rolled-back']);
    const [asked] = events.filter((event) => event.kind === 'rollback-requested');
    expect(asked?.cause).toMatchObject({ kind: 'gate', gate: 'trouble', verdict: { kind: 'no-go', value: 5 } });
    const badAt = asked?.cause.kind === 'gate' ? asked.cause.verdict.at : 0;
    // A scrape may be a second old when it is asked for.
    expect(badAt).toBeGreaterThanOrEqual(badFrom);
    expect(badAt).toBeLessThanOrEqual(badTo + 2_000);
  }, 180_000);
});
