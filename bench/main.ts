import { startEmbedded, openSetting } from './embedded.ts';
import { latency, latencyRows, ceilingRow, ms, table, type Row } from './figures.ts';
import { openFloor } from './floor.ts';
import { startBaking, untilEnded } from './launches.ts';
import { alertInTurn, breachAtOnce, breachInTurn } from './rollbacks.ts';

const quick = process.argv.includes('--quick');
const profileDir = process.argv.find((arg) => arg.startsWith('--profile='))?.slice('--profile='.length);
const N = quick ? 50 : 500;
const WAVE = 25;
const say = (text: string): void => console.error(`${(performance.now() / 1_000).toFixed(0).padStart(4)} s  ${text}`);

const embedded = await startEmbedded();
const rows: Row[] = [];
try {
  const setting = await openSetting(embedded, { slots: 200, serve: true, ...(profileDir === undefined ? {} : { profileDir }) });
  try {
    const floor = await openFloor(embedded.client);
    await floor.measure(20);
    say('floor');
    const floors: number[] = [...(await floor.measure(N / 5))];
    say(`floor p50 ${ms(latency(floors).p50)} p99 ${ms(latency(floors).p99)}`);
    const [off, proven, alertOff, alertProven, answered]: number[][] = [[], [], [], [], []];
    for (let wave = 0; wave < N / WAVE; wave += 1) {
      const began = performance.now();
      const launches = await startBaking(setting, 2 * WAVE, 1_000);
      const started = performance.now();
      floors.push(...(await floor.measure(2 * WAVE)));
      const breach = await breachInTurn(setting, launches.slice(0, WAVE));
      off?.push(...breach.off);
      proven?.push(...breach.proven);
      const alert = await alertInTurn(setting, launches.slice(WAVE));
      alertOff?.push(...alert.off);
      alertProven?.push(...alert.proven);
      answered?.push(...alert.answered);
      say(`wave ${wave + 1}: baking after ${ms(started - began)}; off ${ms(latency(breach.off).p50)}, proven ${ms(latency(breach.proven).p50)}; alert off ${ms(latency(alert.off).p50)}, proven ${ms(latency(alert.proven).p50)}`);
      await untilEnded(setting, launches);
    }
    const bare = latency(floors);
    rows.push(...latencyRows('bare floor', bare, bare));
    rows.push(...latencyRows('sample -> off', latency(off ?? []), bare, { p50: 0.3, p99: 0.4 }));
    rows.push(...latencyRows('sample -> proven', latency(proven ?? []), bare, { p50: 0.6 }));
    rows.push(...latencyRows('alert -> off', latency(alertOff ?? []), bare, { p50: 0.6 }));
    rows.push(...latencyRows('alert -> proven', latency(alertProven ?? []), bare, { p50: 1, under: 250 }));
    rows.push(...latencyRows('alert -> 202', latency(answered ?? []), bare));
    say('storm');
    const launches = await startBaking(setting, quick ? 50 : 200, 2_000);
    const storm = await breachAtOnce(setting, launches, 1_900);
    rows.push(ceilingRow(`${launches.length} at once: last off`, storm.lastOff, 500, ms), ceilingRow(`${launches.length} at once: last proven`, storm.lastProven, 1_000, ms));
    await untilEnded(setting, launches);
    await floor.close();
  } finally {
    await setting.close();
  }
} catch (error) {
  console.error(embedded.warnings());
  throw error;
} finally {
  await embedded.close();
}
console.log(table(rows));
