import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { startPostgres } from '../../src/embedded/postgres.ts';
import { freePort } from '../../src/embedded/process.ts';
import { startTemporal } from '../../src/embedded/temporal.ts';
import { brokenLink } from '../../src/store/chain.ts';
import { linksOf } from '../../src/store/lists.ts';
import { requestRollback } from '../../src/store/request.ts';
import { ended, heard, said } from '../rollback/control.ts';
import { gate, order, stage } from '../support/orders.ts';
import { freezable } from '../support/servers/freezable.ts';
import { requireTool } from '../support/servers/require-tool.ts';
import { serverDir } from '../support/servers/server-dir.ts';
import { until } from '../support/until.ts';
import { openWorld, type World } from '../support/world.ts';

const HOUR = 3_600_000;
const log = () => undefined;
/** How long a server is away, ms. The SDK lets go of the watcher 13 s after Temporal has gone: every outage is longer. */
const AWAY = process.env['CI'] === undefined ? Number(process.env['AWAY_MS'] ?? 20_000) : 60_000;
const atEnd: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const end of atEnd.reverse()) await end();
});

/** Two launches of three flags each, under a gate of their own, seen on and measured well. */
async function live(world: World, name: string) {
  const errors = `${name}_errors`;
  world.page.set({ [errors]: 0 });
  const plan = order([stage('one', [`${name}.a`, `${name}.b`, `${name}.c`], { bake: HOUR, gates: [errors] })], [gate(errors)], { name });
  await world.seed(plan);
  const { id, handle } = await world.start(plan);
  await heard(world, id, 'witnessed');
  await heard(world, id, 'gate');
  const off = async () => {
    const flags = await Promise.all(plan.flags.map((flag) => world.flags.get(flag.key)));
    return flags.every((flag) => flag.exposure.share === 0);
  };
  /** Seconds from the first bad sample's leaving the source to every flag off. */
  const offAfterBreach = async () => {
    world.page.set({ [errors]: 5 });
    await until(`${id} to be off`, off, 60_000);
    const seen = performance.now();
    return (seen - (world.page.firstServed(errors, 5) ?? -Infinity)) / 1_000;
  };
  return { id, handle, off, offAfterBreach };
}

describe.concurrent('Temporal frozen', () => {
  it('a bad sample has every flag off within 2 s of being served, an alert the same, also after the SDK has let go of the watcher', async () => {
    const place = serverDir('temporal');
    const temporal = freezable(await startTemporal({ cli: requireTool('temporal'), dbFile: path.join(place.dir, 'temporal.db'), headless: true, log }), place);
    atEnd.push(() => temporal.stop());
    const world = await openWorld({ temporal: temporal.address });
    atEnd.push(() => world.close());
    const [early, alerted, late] = [await live(world, 'early'), await live(world, 'alerted'), await live(world, 'late')];
    temporal.freeze();
    const frozen = performance.now();
    try {
      expect(await early.offAfterBreach()).toBeLessThan(2);
      await delay(Math.max(0, AWAY - (performance.now() - frozen) - 2_000));
      expect(await late.offAfterBreach()).toBeLessThan(2);
      const asked = performance.now();
      await requestRollback(
        world.house.store,
        alerted.id,
        { kind: 'launch' },
        { kind: 'alert', source: 'main', alert: 'Down', labels: {}, receivedAt: Date.now() },
        'main',
        Date.now(),
      );
      world.house.nudge.stopped(alerted.id);
      await until('the alert to be obeyed', alerted.off, 60_000);
      expect((performance.now() - asked) / 1_000).toBeLessThan(2);
      for (const { id } of [early, alerted, late]) {
        await heard(world, id, 'rollback-proven');
        await ended(world, id, 'rolled-back');
      }
    } finally {
      temporal.thaw();
    }
    // The launch workflows end by themselves once Temporal is back.
    for (const { handle } of [early, alerted, late]) expect(await handle.result()).toEqual({ outcome: 'rolled-back' });
  }, 200_000);
});

/** A process and all its children: Postgres answers each client in a process of its own. */
function family(pid: number): readonly number[] {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        return [{ pid: Number(name), parent: Number(readFileSync(`/proc/${name}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1]) }];
      } catch {
        return [];
      }
    });
  return [pid, ...parents.filter((one) => one.parent === pid).map((one) => one.pid)];
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // Ended meanwhile.
    }
  }
}

describe.concurrent("gonogo's own database", () => {
  /** A world whose database is a server of its own, on a port that stays; its flags live in the run's. */
  async function openAway(): Promise<{ world: World; restart: () => Promise<void>; pid: () => number }> {
    const place = serverDir('postgres');
    const port = await freePort();
    const start = () => startPostgres({ dataDir: path.join(place.dir, 'data'), port, fsync: false, log });
    let postgres = await start();
    atEnd.push(async () => {
      await postgres.stop();
      place.remove();
    });
    const world = await openWorld({ databaseUrl: postgres.url });
    atEnd.push(() => world.close());
    return {
      world,
      pid: () => postgres.pid,
      restart: async () => {
        postgres = await start();
      },
    };
  }

  async function recorded(world: World, id: string): Promise<void> {
    await heard(world, id, 'rollback-proven');
    await ended(world, id, 'rolled-back');
    const kinds = await world.kinds(id);
    for (const kind of ['rollback-requested', 'rollback-proven', 'ended']) expect(kinds.filter((one) => one === kind)).toHaveLength(1);
    expect(await said(world, id, 'rollback-requested')).toMatchObject([{ cause: { kind: 'gate' } }]);
    // The breach itself was seen while nothing could be written, and is in the log all the same.
    expect((await said(world, id, 'gate')).some((event) => event.verdict.kind === 'no-go')).toBe(true);
    expect(brokenLink(await linksOf(world.house.store.db, id))).toBeUndefined();
  }

  it('killed: a bad sample has every flag off within 10 s, and all of it is in the log afterwards', async () => {
    const { world, restart, pid } = await openAway();
    const launch = await live(world, 'killed');
    signalAll(family(pid()), 'SIGKILL');
    const killed = performance.now();
    expect(await launch.offAfterBreach()).toBeLessThan(10);
    await delay(Math.max(0, AWAY - (performance.now() - killed)));
    await restart();
    await recorded(world, launch.id);
    expect(await launch.handle.result()).toEqual({ outcome: 'rolled-back' });
  }, 200_000);

  it('frozen: a bad sample has every flag off within 10 s, and all of it is in the log afterwards', async () => {
    const { world, pid } = await openAway();
    const launch = await live(world, 'frozen');
    const all = family(pid());
    signalAll(all, 'SIGSTOP');
    const frozen = performance.now();
    try {
      expect(await launch.offAfterBreach()).toBeLessThan(10);
      await delay(Math.max(0, AWAY - (performance.now() - frozen)));
    } finally {
      signalAll(all, 'SIGCONT');
    }
    await recorded(world, launch.id);
    expect(await launch.handle.result()).toEqual({ outcome: 'rolled-back' });
  }, 200_000);
});
