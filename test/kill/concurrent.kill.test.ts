import { setTimeout as pause } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { openFleet, type Fleet } from '../support/processes/fleet.ts';
import type { Member } from '../support/processes/member.ts';
import { openPageOfFlags, type PageOfFlags } from '../support/processes/page-of-flags.ts';
import { randomOf } from '../support/processes/random.ts';
import { judgeAll, type Judged } from './judge.ts';
import { play, type Played } from './play.ts';
import { flagOf, prepareWorld, scriptOf } from './script.ts';

const underCi = ['true', '1'].includes(process.env['CI'] ?? '');
const count = (name: string, usual: number): number => (underCi ? usual : Number(process.env[name] ?? usual));
/** The same seed tells the same launches, the same people and the same order of kills. */
const SEED = Number(process.env['KILL_SEED'] ?? Math.floor(Math.random() * 1e6));
const KILLS = {
  worker: count('KILL_WORKER', 30),
  api: count('KILL_API', 10),
  temporal: count('KILL_TEMPORAL', 10),
  'both workers': count('KILL_BOTH', 2),
} as const;
type Victim = keyof typeof KILLS;
const AT_ONCE = 10;
/** More launches than a run ever needs: as many are played as the kills last. */
const MOST = 150;

/** One run of the seed's launches over a fleet of its own. */
interface Run {
  readonly fleet: Fleet;
  readonly page: PageOfFlags;
  close(): Promise<void>;
}

async function openRun(): Promise<Run> {
  let flagsUrl = '';
  const page = await openPageOfFlags(() => flagsUrl);
  try {
    const fleet = await openFleet({ workers: 2, sources: { page: { kind: 'web', url: page.url } }, flags: Array.from({ length: MOST }, (_, n) => flagOf(n)) });
    flagsUrl = fleet.flagsUrl;
    return {
      fleet,
      page,
      close: async () => {
        await fleet.close();
        await page.close();
      },
    };
  } catch (error) {
    await page.close();
    throw error;
  }
}

/** Plays launches 0, 1, 2..., ten at a time, as long as `more` says so; `undefined` is not yet. */
async function playAll({ fleet, page }: Run, more: (n: number) => boolean | undefined): Promise<readonly Played[]> {
  const played: Played[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (;;) {
      const goes = more(next);
      if (goes === false) return;
      if (goes === undefined) {
        await pause(200);
        continue;
      }
      const script = scriptOf(SEED, next);
      next += 1;
      prepareWorld(page, script);
      played.push(await play(fleet, script, SEED));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return played;
}

/** Kills whoever the seed says, when it says, and starts them again a while later. Nobody is killed twice before they are up again. */
async function killThem(fleet: Fleet): Promise<Readonly<Record<Victim, number>>> {
  const random = randomOf(SEED, 'kills');
  const order = random.shuffle(Object.entries(KILLS).flatMap(([victim, times]) => Array.from({ length: times }, () => victim as Victim)));
  const done = { worker: 0, api: 0, temporal: 0, 'both workers': 0 };
  const reviving: Promise<void>[] = [];
  const revive = (member: Member, after: number): void => void reviving.push(pause(after).then(() => member.start()));
  const up = async (member: Member): Promise<Member> => {
    await member.start();
    return member;
  };
  for (const victim of order) {
    await pause(random.whole(200, 3_000));
    const [one, after] = [random.whole(0, 1), random.whole(0, 1_500)];
    const members = await Promise.all(victimsOf(fleet, victim, one).map(up));
    await Promise.all(members.map((member) => member.kill()));
    done[victim] += 1;
    for (const member of members) revive(member, after);
  }
  await Promise.all(reviving);
  return done;
}

function victimsOf(fleet: Fleet, victim: Victim, one: number): readonly Member[] {
  switch (victim) {
    case 'worker':
      return fleet.workers.slice(one, one + 1);
    case 'both workers':
      return fleet.workers;
    case 'api':
      return [fleet.api];
    case 'temporal':
      return [fleet.temporal];
  }
}

describe(`ten launches at once, whoever is killed (KILL_SEED=${SEED})`, () => {
  let killed: readonly Judged[] = [];
  let unharmed: readonly Judged[] = [];
  let kills: Readonly<Record<Victim, number>>;

  beforeAll(async () => {
    const began = performance.now();
    const [harmed, calm] = await Promise.all([openRun(), openRun()]);
    try {
      let [begun, killing, playing] = [0, true, true];
      const whileKilling = (n: number): boolean => {
        const goes = n < AT_ONCE || (killing && n < MOST);
        if (goes) begun = n + 1;
        return goes;
      };
      // Beside it, on servers that nobody touches, the same launches.
      const sameAgain = (n: number): boolean | undefined => (n < begun ? true : playing ? undefined : false);
      const killsDone = killThem(harmed.fleet).finally(() => {
        killing = false;
      });
      const killedDone = playAll(harmed, whileKilling).finally(() => {
        playing = false;
      });
      const [done, ...played] = await Promise.all([killsDone, killedDone, playAll(calm, sameAgain)]);
      kills = done;
      killed = await judgeAll(harmed.fleet, played[0]);
      unharmed = await judgeAll(calm.fleet, played[1]);
    } finally {
      await Promise.all([harmed.close(), calm.close()]);
    }
    const outcomes = Object.entries(Object.groupBy(killed, (one) => String(one.outcome))).map(([outcome, all]) => `${all?.length ?? 0} ${outcome}`);
    const same = killed.reduce((sum, one) => sum + one.same, 0);
    console.log(
      `KILL_SEED=${SEED}: ${killed.length} launches (${outcomes.join(', ')}), kills ${JSON.stringify(kills)} in ${Math.round((performance.now() - began) / 1_000)} s; ${same} same-value revisions`,
    );
  }, 1_200_000);

  it('kills as often as it says, and tells every kind of story', () => {
    expect(kills).toEqual(KILLS);
    expect(killed.length).toBeGreaterThanOrEqual(AT_ONCE);
    expect(new Set(killed.map((one) => scriptOf(SEED, one.n).course.kind)).size).toBe(8);
  });

  it('gives each launch the outcome that the same seed has without kills, in the database and in its workflow', () => {
    const ends = (all: readonly Judged[]) => all.map(({ n, outcome, workflow }) => ({ n, outcome, workflow }));
    expect(ends(unharmed)).toEqual(killed.map(({ n }) => ({ n, outcome: scriptOf(SEED, n).outcome, workflow: scriptOf(SEED, n).outcome })));
    expect(ends(killed)).toEqual(ends(unharmed));
  });

  it('keeps every chain whole, and every act that was acknowledged in the events', () => {
    for (const one of [...killed, ...unharmed]) expect(one, one.launch).toMatchObject({ brokenAt: undefined, lost: [], locks: 0 });
  });

  it("writes the plan's sequence of values to every flag, and at most one for each kill that changes nothing", () => {
    const shares = (all: readonly Judged[]) => all.map((one) => ({ n: one.n, shares: one.shares }));
    expect(shares(killed)).toEqual(killed.map(({ n }) => ({ n, shares: scriptOf(SEED, n).shares })));
    expect(shares(unharmed)).toEqual(shares(killed));
    const most = Object.values(KILLS).reduce((sum, times) => sum + times, 0);
    for (const one of killed) expect(one.same, `${one.launch}: ${one.kinds.join(', ')}`).toBeLessThanOrEqual(most);
    expect(unharmed.filter((one) => one.same > 0)).toEqual([]);
  });
});
