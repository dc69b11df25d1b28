import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LaunchEvent } from '../../src/core/event.ts';
import type { FlagValue } from '../../src/core/exposure.ts';
import type { FlagRef, Order } from '../../src/core/plan.ts';
import type { Subject } from '../../src/core/subject.ts';
import { open } from '../../src/launch/open.ts';
import { speedUp } from '../../src/plan/order.ts';
import { openProvider } from '../../src/providers/index.ts';
import { eventsOf } from '../../src/store/events.ts';
import { launchRow } from '../../src/store/launches.ts';
import { communications, scriptedPeople, wellness } from '../support/communications.ts';
import { scriptedSource } from '../support/scripted-source.ts';
import { openTwoVendors, type TwoVendors } from '../support/two-vendors.ts';
import { until } from '../support/until.ts';
import { openWorld, quietLog, type World } from '../support/world.ts';

/** A bake of 24 h takes 2 s. */
const SPEED = 43_200;
const MEMBER: Subject = { key: 'someone', attributes: { segment: 'internal', team: 'dispute_ops', contract: 'c-1' } };
const atLaunchdarkly = new Set(['chat.enabled', 'chat_dark_launch', 'chat_notifications_beta', 'chat.transport']);

describe('the communications launch over LaunchDarkly and Unleash at once, broken in stage 3', () => {
  let vendors: TwoVendors;
  let world: World;
  let order: Order;
  let team: ReturnType<typeof scriptedPeople>;
  let brokenAt = Infinity;

  beforeAll(async () => {
    vendors = await openTwoVendors();
    order = await vendors.settle(await communications(), (flag) => (atLaunchdarkly.has(flag.flag) ? 'launchdarkly' : 'unleash'));
    const now = (): Promise<number> => Promise.resolve(Date.now());
    const source = scriptedSource(now, (query, at) => (query.includes('dispute_sla_timers_late') && at >= brokenAt ? 3 : wellness(query, at)));
    world = await openWorld({
      sources: { prometheus: source, app: source },
      dress: (house) => ({ ...house, providers: vendors.providers, evaluators: vendors.evaluators }),
    });
    team = scriptedPeople(world.house.store, order, now);
  }, 120_000);
  afterAll(async () => {
    team.stop();
    await world.close();
    await vendors.close();
  });

  const home = (provider: 'launchdarkly' | 'unleash') => ({
    provider,
    flags: (): readonly FlagRef[] => order.flags.filter((flag) => flag.provider === provider && flag.type === 'boolean'),
  });
  const [launchdarkly, unleash] = [home('launchdarkly'), home('unleash')];
  const reads = (flags: readonly FlagRef[]): Promise<readonly FlagValue[]> => Promise.all(flags.map((flag) => vendors.appReads(flag, MEMBER)));
  const isOff = (flags: readonly FlagRef[]) => async () => (await reads(flags)).every((value) => value === false);
  const events = async (id: string): Promise<readonly LaunchEvent[]> => (await eventsOf(world.house.store.db, id)).map(({ event }) => event);

  const outcome = (id: string) => until('the launch to be over', async () => (await launchRow(world.house.store.db, id))?.outcome, 60_000);

  /** A launch that bakes its third stage, its flags seen on by the apps. */
  async function inStageThree(): Promise<string> {
    brokenAt = Infinity;
    const { id } = await world.start({ ...order, plan: speedUp(order.plan, SPEED) }, { speed: SPEED });
    team.hear(id);
    const shifted = (event: LaunchEvent): boolean => event.kind === 'shifted' && event.stage === 'dispute_tools_v2';
    await until('stage 3 to be shifted', async () => (await events(id)).some(shifted), 60_000).catch(async (error: unknown) => {
      const last = (await events(id)).slice(-6).map((event) => JSON.stringify(event).slice(0, 600));
      throw new Error(`${String(error)}; the last events:\n${last.join('\n')}`);
    });
    const tools = order.flags.filter(({ flag }) => ['chat.enabled', 'chat_dark_launch', 'dispute.enabled', 'dispute_tools_v2'].includes(flag));
    await until('the apps to see stage 3', async () => (await reads(tools)).every((value) => value === true));
    return id;
  }

  /** Seconds from the first bad sample until the apps of each vendor read what they read before the launch. */
  async function backAfter(which: readonly ReturnType<typeof home>[], within: number): Promise<Readonly<Record<string, number>>> {
    const began = performance.now();
    const took = await Promise.all(
      which.map(async ({ provider, flags }) => {
        await until(`the apps of ${provider} to read what they read before`, isOff(flags()), within);
        return [provider, Math.round(performance.now() - began) / 1_000] as const;
      }),
    );
    return Object.fromEntries(took);
  }

  it('puts every flag back, proven at their own SDKs', async () => {
    const id = await inStageThree();
    brokenAt = Date.now();
    const took = await backAfter([launchdarkly, unleash], 30_000);
    expect(await outcome(id)).toBe('rolled-back');
    const proven = (await events(id)).find((event) => event.kind === 'rollback-proven');
    if (proven?.kind !== 'rollback-proven') throw new Error('the rollback was not proven');
    expect(proven.proofs.map((proof) => proof.flag).toSorted()).toEqual(
      (await events(id)).flatMap((event) => (event.kind === 'shifted' ? event.flags.map((flag) => flag.flag) : [])).toSorted(),
    );
    console.info(`broken in stage 3: off for the apps after ${JSON.stringify(took)} s, proven after ${proven.seconds} s`);
    expect(proven.seconds).toBeLessThan(30);
  }, 180_000);

  it('is refused before anything is written where it could not be put back: an approval is asked for, a token may only read', async () => {
    const { approvals } = vendors.launchdarkly.environment();
    const reader = await openProvider(
      'unleash',
      { kind: 'unleash', url: vendors.unleash.url, environment: 'production', token: vendors.unleash.tokens.production },
      { log: quietLog, secret: (text) => text },
    );
    const { house } = world;
    approvals.required = true;
    try {
      const refused = await open(
        { ...house, providers: new Map([...house.providers, ['unleash', reader]]) },
        { launch: 'communications-prod-refused', order, startedBy: 'releaser', speed: 1 },
      );
      expect(refused?.code).toBe('not_ready');
      const asked = refused?.problems.filter(({ message }) => message.includes('asks for an approval')).map(({ where }) => where);
      expect(asked?.toSorted()).toEqual([...atLaunchdarkly].map((flag) => `flags.${flag}`).toSorted());
      expect(refused?.problems.filter(({ where }) => where === 'providers.unleash')).toHaveLength(1);
      for (const { hint } of refused?.problems ?? []) expect(hint).not.toBe('');
      expect(await launchRow(house.store.db, 'communications-prod-refused')).toBeUndefined();
      expect(await house.store.db.selectFrom('flag_lock').selectAll().where('launch', '=', 'communications-prod-refused').execute()).toEqual([]);
    } finally {
      approvals.required = false;
      await reader.close();
    }
  });

  it('with LaunchDarkly dead: Unleash is off on time, the page names the commands, and LaunchDarkly is put back within 10 s of its return', async () => {
    const id = await inStageThree();
    vendors.wayToLaunchdarkly.pause();
    const began = performance.now();
    brokenAt = Date.now();
    const took = await backAfter([unleash], 30_000);
    expect(await reads(order.flags.filter(({ flag }) => flag === 'chat.enabled'))).toEqual([true]);
    const page = await until(
      'the page',
      async () => (await events(id)).find((event) => event.kind === 'paged' && event.about === 'rollback not verified'),
      150_000,
    );
    if (page.kind !== 'paged') throw new Error('no page');
    const moved = launchdarkly.flags().filter(({ flag }) => flag !== 'chat_full_release');
    for (const { key } of moved) expect(page.commands.some((command) => command.includes(key))).toBe(true);
    expect(page.commands.some((command) => unleash.flags().some(({ key }) => command.includes(`/${key}/`)))).toBe(false);
    vendors.wayToLaunchdarkly.resume();
    const back = await backAfter([launchdarkly], 10_000);
    expect(await outcome(id)).toBe('rolled-back');
    console.info(
      `LaunchDarkly dead: Unleash off for the apps after ${took['unleash'] ?? NaN} s; LaunchDarkly back ${back['launchdarkly'] ?? NaN} s after its return, ${Math.round((performance.now() - began) / 1_000)} s after the breach`,
    );
  }, 300_000);
});
