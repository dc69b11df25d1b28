import { setTimeout as pause } from 'node:timers/promises';
import { openSetting, type Embedded } from './embedded.ts';
import { startBaking, untilEnded } from './launches.ts';
import { breachAtOnce } from './rollbacks.ts';
import { cpuSeconds } from './usage.ts';

/** What so many baking launches cost. CPU in percent of one core, memory in bytes per launch. */
export interface Load {
  readonly launches: number;
  readonly perLaunch: number;
  readonly heapPerLaunch: number;
  readonly cpu: { readonly worker: number; readonly postgres: number; readonly temporal: number } | undefined;
}

/** Launches that come and go before anything is measured: what a process needs once is not a launch's. */
const WARM_UP = 10;
const EVERY = 15_000;

/** Memory of a fresh worker process before and with `launches` baking under gates of 15 s, and the CPU of all three over `seconds`. */
export async function bakeMany(embedded: Embedded, launches: number, seconds: number): Promise<Load> {
  const setting = await openSetting(embedded, { slots: launches, serve: false });
  try {
    const first = await startBaking(setting, WARM_UP, 2_000);
    await breachAtOnce(setting, first);
    await untilEnded(setting, first);
    const before = await setting.worker.memory();
    await startBaking(setting, launches, EVERY);
    // Two gates' time: what starting took is over and collected.
    await pause(2 * EVERY);
    const usage = () => [setting.worker.pid, embedded.postgres.pid, embedded.temporal.pid].map(cpuSeconds);
    const from = usage();
    const began = performance.now();
    await pause(seconds * 1_000);
    const to = usage();
    const took = (performance.now() - began) / 1_000;
    const after = await setting.worker.memory();
    const [worker, postgres, temporal] = to.map((seconds, index) => {
      const start = from[index];
      return seconds === undefined || start === undefined ? undefined : (100 * (seconds - start)) / took;
    });
    return {
      launches,
      perLaunch: (after.rss - before.rss) / launches,
      heapPerLaunch: (after.heap - before.heap) / launches,
      cpu: worker === undefined || postgres === undefined || temporal === undefined ? undefined : { worker, postgres, temporal },
    };
  } finally {
    await setting.close();
  }
}
