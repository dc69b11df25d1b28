import os from 'node:os';
import { parseArgs } from 'node:util';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { bakeForADay } from './day.ts';
import { openSetting, startEmbedded, type Embedded, type Setting } from './embedded.ts';
import { ceilingRow, latency, latencyRows, ms, table, type Row } from './figures.ts';
import { openFloor, type Floor } from './floor.ts';
import { startBaking, untilEnded, type BenchLaunch } from './launches.ts';
import { bakeMany } from './load.ts';
import { alertInTurn, breachAtOnce, breachInTurn } from './rollbacks.ts';

const PARTS = ['latency', 'storm', 'day', 'load'] as const;
const { values: asked } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string', multiple: true, default: [] }, profile: { type: 'string' } },
});
const wanted = (part: (typeof PARTS)[number]): boolean => asked.only.length === 0 || asked.only.includes(part);
const unknown = asked.only.filter((part) => !PARTS.some((known) => known === part));
if (unknown.length > 0) {
  console.error(`--only ${unknown.join(', ')}; expected ${PARTS.join(', ')}`);
  process.exit(2);
}
/** How many times each latency is measured, how many launches break or bake at once, and over how long (s) CPU is counted. */
const size = asked.quick ? { n: 50, wave: 25, many: 50, seconds: 20 } : { n: 500, wave: 50, many: 200, seconds: 60 };

// The SDK says only what goes wrong; signals are ours.
Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
const say = (text: string): void => console.error(`${(performance.now() / 1_000).toFixed(0).padStart(4)} s  ${text}`);
const percent = (value: number): string => `${value.toFixed(1)} %`;
const kilobytes = (value: number): string => `${(value / 1_000).toFixed(0)} KB`;

/** Waves of launches bake; in each the floor is measured, then breaches, then alerts, always one alone. */
async function latencies(setting: Setting, floor: Floor): Promise<readonly Row[]> {
  const taken = {
    floor: [] as number[],
    off: [] as number[],
    proven: [] as number[],
    alertOff: [] as number[],
    alertProven: [] as number[],
    answered: [] as number[],
  };
  let before: readonly BenchLaunch[] = [];
  for (let done = 0; done < size.n; done += size.wave) {
    const measured = await startBaking(setting, size.wave, 1_000);
    const heard = await startBaking(setting, size.wave, undefined);
    await untilEnded(setting, before);
    const bare = await floor.measure(size.wave);
    const breach = await breachInTurn(setting, measured);
    const alert = await alertInTurn(setting, heard);
    before = [...measured, ...heard];
    taken.floor.push(...bare);
    taken.off.push(...breach.off);
    taken.proven.push(...breach.proven);
    taken.alertOff.push(...alert.off);
    taken.alertProven.push(...alert.proven);
    taken.answered.push(...alert.answered);
    say(
      `${done + size.wave} of ${size.n}: floor ${ms(latency(bare).p50)}; sample -> off ${ms(latency(breach.off).p50)}, proven ${ms(latency(breach.proven).p50)}; alert -> off ${ms(latency(alert.off).p50)}, proven ${ms(latency(alert.proven).p50)}`,
    );
  }
  await untilEnded(setting, before);
  const bare = latency(taken.floor);
  return [
    ...latencyRows('bare floor: signal -> activity -> PATCH', bare, bare),
    ...latencyRows('bad sample served -> 3 flags off', latency(taken.off), bare, { p50: 0.3, p99: 0.4 }),
    ...latencyRows('bad sample served -> proven', latency(taken.proven), bare, { p50: 0.6 }),
    ...latencyRows('alert received -> 3 flags off', latency(taken.alertOff), bare, { p50: 0.6 }),
    ...latencyRows('alert received -> proven', latency(taken.alertProven), bare, { p50: 1, under: 250 }),
    ...latencyRows('alert received -> 2xx', latency(taken.answered), bare),
  ];
}

async function storm(setting: Setting): Promise<readonly Row[]> {
  const launches = await startBaking(setting, size.many, 2_000);
  const took = await breachAtOnce(setting, launches);
  await untilEnded(setting, launches);
  return [
    ceilingRow(`${launches.length} launches breach at once: last flag off`, took.lastOff, 500, ms),
    ceilingRow(`${launches.length} launches breach at once: last proven`, took.lastProven, 1_000, ms),
  ];
}

async function day(embedded: Embedded): Promise<readonly Row[]> {
  const took = await bakeForADay(embedded);
  if (took === undefined) return [{ what: '24 h bake in skipped time', value: 'skipped: no time-skipping server; run "npm run setup"' }];
  return [
    { what: `24 h bake in skipped time, ${took.points} points judged`, value: `${took.seconds.toFixed(1)} s` },
    { what: '24 h bake: events of Temporal history', value: String(took.history) },
    { what: '24 h bake: rows of the event log', value: String(took.events) },
  ];
}

async function load(embedded: Embedded): Promise<readonly Row[]> {
  const took = await bakeMany(embedded, size.many, size.seconds);
  const what = `${took.launches} launches bake, gates every 15 s`;
  return [
    ceilingRow(`${what}: memory each`, took.perLaunch, 250_000, kilobytes),
    { what: `${what}: of it JavaScript heap`, value: kilobytes(took.heapPerLaunch) },
    ...(took.cpu === undefined
      ? [{ what: `${what}: CPU`, value: 'skipped: this system has no /proc' }]
      : [
          ceilingRow(`${what}: worker, of a core`, took.cpu.worker, 15, percent),
          { what: `${what}: Postgres, of a core`, value: percent(took.cpu.postgres) },
          { what: `${what}: Temporal, of a core`, value: percent(took.cpu.temporal) },
        ]),
  ];
}

const embedded = await startEmbedded();
// Servers outlive this program unless they are told.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.once(signal, () => {
    // What breaks off when the servers go is no news.
    process.on('uncaughtException', () => undefined);
    void embedded.close().finally(() => process.exit(code));
  });
}
const rows: Row[] = [];
/** Also told at once: a run that is broken off has not been for nothing. */
const add = (more: readonly Row[]): void => {
  rows.push(...more);
  console.error(table(more));
};
const loadBefore = os.loadavg()[0] ?? 0;
try {
  if (wanted('latency') || wanted('storm')) {
    const setting = await openSetting(embedded, {
      slots: Math.max(size.wave, size.many),
      serve: true,
      ...(asked.profile === undefined ? {} : { profileDir: asked.profile }),
    });
    try {
      if (wanted('latency')) {
        const floor = await openFloor(embedded.client);
        // The first ones compile and connect.
        await floor.measure(20);
        say('latencies');
        add(await latencies(setting, floor));
        await floor.close();
      }
      if (wanted('storm')) {
        say(`${size.many} at once`);
        add(await storm(setting));
      }
    } finally {
      await setting.close();
    }
  }
  if (wanted('day')) {
    say('24 h in skipped time');
    add(await day(embedded));
  }
  if (wanted('load')) {
    say(`${size.many} baking launches`);
    add(await load(embedded));
  }
} catch (error) {
  console.error(error);
  console.error(embedded.warnings());
  process.exitCode = 1;
} finally {
  await embedded.close();
}
const missed = rows.filter((row) => row.met === false);
console.log(
  `${os.cpus().length} x ${os.cpus()[0]?.model ?? 'unknown CPU'}, Node ${process.versions.node}, load ${loadBefore.toFixed(1)} before and ${(os.loadavg()[0] ?? 0).toFixed(1)} after`,
);
console.log(table(rows));
const held = rows.filter((row) => row.met !== undefined).length;
console.log(
  `${process.exitCode === 1 ? 'broken off: ' : ''}${held - missed.length} of ${held} targets met in ${(performance.now() / 1_000).toFixed(0)} s${missed.length === 0 ? '' : `; missed: ${missed.map((row) => `${row.what} (${row.ratio ?? row.value})`).join('; ')}`}`,
);
// What was under way when it broke off has nobody left to end it.
if (process.exitCode === 1) process.exit();
