import { setTimeout as pause } from 'node:timers/promises';
import type { Setting } from './embedded.ts';
import { ALERT_LABEL, checkRolledBack, type BenchLaunch } from './launches.ts';

/** Times from the cause to the flags off, and to the proof; ms each. */
export interface Times {
  readonly off: readonly number[];
  readonly proven: readonly number[];
}

/** Rest (ms) between two rollbacks that are measured alone, so that the first one's aftermath is not in the second. */
const REST = 40;

function slotOf(launch: BenchLaunch): string {
  if (launch.slot === undefined) throw new Error(`${launch.id} measures nothing that could break`);
  return launch.slot;
}

/** Breaks baking launches one after another: each is served its first bad sample when the one before is proven. */
export async function breachInTurn(setting: Setting, launches: readonly BenchLaunch[]): Promise<Times> {
  const [off, proven]: [number[], number[]] = [[], []];
  const watched = new Map(launches.map((launch) => [slotOf(launch), setting.observer.watch(launch.id, launch.flags)]));
  await setting.page.breakInTurn([...watched.keys()], async (slot, servedAt) => {
    const seen = watched.get(slot);
    if (seen === undefined) throw new Error(`slot ${slot} is not watched`);
    off.push((await seen.off) - servedAt);
    proven.push((await seen.proven) - servedAt);
    await pause(REST);
  });
  await checkRolledBack(setting, launches);
  return { off, proven };
}

/** Sends one alert after another to the real webhook, each for one launch; the clock starts before the request is sent. */
export async function alertInTurn(setting: Setting, launches: readonly BenchLaunch[]): Promise<Times & { readonly answered: readonly number[] }> {
  const [off, proven, answered]: [number[], number[], number[]] = [[], [], []];
  for (const launch of launches) {
    const seen = setting.observer.watch(launch.id, launch.flags);
    const body = JSON.stringify({
      version: '4',
      groupKey: launch.id,
      status: 'firing',
      alerts: [
        {
          status: 'firing',
          labels: { alertname: 'BenchBroken', [ALERT_LABEL]: launch.id },
          annotations: {},
          startsAt: new Date().toISOString(),
          endsAt: '0001-01-01T00:00:00Z',
          fingerprint: launch.id,
        },
      ],
    });
    const began = performance.now();
    const answer = fetch(`${setting.worker.url}/hooks/alertmanager`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${setting.hookToken}` },
      body,
    }).then(async (response) => {
      answered.push(performance.now() - began);
      if (response.status !== 202) throw new Error(`the webhook answered ${response.status}; expected 202. ${await response.text()}`);
      await response.arrayBuffer();
    });
    off.push((await seen.off) - began);
    proven.push((await seen.proven) - began);
    await answer;
    await pause(REST);
  }
  await checkRolledBack(setting, launches);
  return { off, proven, answered };
}

/** What a storm of breaches took, ms from the first bad sample that left. */
export interface Storm {
  readonly firstOff: number;
  readonly lastOff: number;
  readonly lastProven: number;
}

/** How long (ms) all gates have until they ask at the same time. */
const TOGETHER = 30_000;

/** Serves all launches their first bad sample at once. */
export async function breachAtOnce(setting: Setting, launches: readonly BenchLaunch[]): Promise<Storm> {
  const seen = launches.map((launch) => setting.observer.watch(launch.id, launch.flags));
  const servedAt = await setting.page.breakAtOnce(launches.map(slotOf), TOGETHER);
  const offs = await Promise.all(seen.map((one) => one.off));
  const provens = await Promise.all(seen.map((one) => one.proven));
  await checkRolledBack(setting, launches);
  return { firstOff: Math.min(...offs) - servedAt, lastOff: Math.max(...offs) - servedAt, lastProven: Math.max(...provens) - servedAt };
}
