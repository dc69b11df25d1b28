import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { LaunchEvent, Outcome } from '../../src/core/event.ts';
import { describe, sameExposure, type FlagValue } from '../../src/core/exposure.ts';
import type { Subject } from '../../src/core/subject.ts';
import { mustGet } from '../../src/core/witness.ts';
import type { FlagProvider } from '../../src/providers/provider.ts';
import { eventsOf } from '../../src/store/events.ts';
import { launchRow } from '../../src/store/launches.ts';
import { Refusal, resume } from '../../src/store/people.ts';
import { requestRollback } from '../../src/store/request.ts';
import type { TwoVendors } from '../support/two-vendors.ts';
import { workflowId } from '../../workflows/messages.ts';
import { until } from '../support/until.ts';
import type { World } from '../support/world.ts';
import type { Fault, Faults } from './faults.ts';
import type { Edit, Home } from './homes.ts';
import type { Story } from './story.ts';

/** A person who waits so long (ms) for a launch to come where it should asks for a rollback. */
const PATIENCE = 60_000;
/** From the moment (ms) that somebody asked for a rollback, or that all stages were there, no launch may take longer. */
const BOUND = 180_000;
/** How long (ms) an app's own SDK may need to hear of what is written. */
const APP_HEARS = 15_000;

/** Whom the apps are asked for. */
const PROBES: readonly Subject[] = [
  { key: 'ann', attributes: {} },
  { key: 'bob', attributes: {} },
  { key: 'someone', attributes: { contract: 'c-1' } },
  { key: 'golden', attributes: { tier: 'gold', country: 'CL' } },
  ...Array.from({ length: 8 }, (_, i) => ({ key: `crowd-${i}`, attributes: { contract: `k-${i}` } })),
];

/** Where the launches are played. */
export interface Ground {
  readonly world: World;
  readonly vendors: TwoVendors;
  readonly homes: Readonly<Record<string, Home>>;
  /** Straight at the vendors. */
  readonly direct: ReadonlyMap<string, FlagProvider>;
  readonly faults: Faults;
  /** Every flag that the soak has made. */
  readonly made: Set<string>;
  /** Queries that read badly from now on. */
  readonly bad: Set<string>;
  alert(labels: Readonly<Record<string, string>>): Promise<void>;
}

/** What came of a launch. */
export interface Played {
  readonly story: Story;
  readonly launch: string;
  readonly outcome: Outcome | undefined;
  /** How often it was refused because a fault was on, and begun again. */
  readonly refused: number;
  /** Why somebody lost patience: the last events, and what the workflow waited for. */
  readonly gaveUp: readonly string[] | undefined;
  readonly resumed: number;
  readonly seconds: number;
  readonly faults: readonly Fault[];
  readonly edits: readonly string[];
  /** Seconds from the first bad sample, the alert or the request until a provider's flags were proven back. */
  readonly proven: readonly { readonly provider: string; readonly seconds: number }[];
  readonly pages: readonly string[];
  readonly violations: readonly string[];
  /** Said where there are violations: every event, and both vendors' audit. */
  readonly record: readonly string[];
}

type Reads = ReadonlyMap<string, readonly FlagValue[]>;

async function appsRead(ground: Ground, story: Story): Promise<Reads> {
  const read = async (flag: Story['flags'][number]) => [flag.flag, await Promise.all(PROBES.map((subject) => ground.vendors.appReads(flag, subject)))] as const;
  return new Map(await Promise.all(story.flags.map(read)));
}

/** Makes the flags, and waits until the apps and gonogo's own evaluators have heard of all of it. */
async function prepare(ground: Ground, story: Story): Promise<void> {
  await Promise.all(
    Object.entries(ground.homes).map(async ([provider, home]) => {
      const own = story.flags.filter((flag) => flag.provider === provider);
      const last = `soak-${story.n}-last`;
      for (const { key } of [...own, { key: last }]) ground.made.add(`${provider} ${key}`);
      for (const flag of own) await home.make(flag, flag.dress);
      await home.makeOn(last);
      const question = {
        flag: { ...(own[0] ?? story.flags[0]), flag: last, key: last, provider, type: 'boolean', offValue: false, proof: [] },
        with: {},
      } as const;
      await until(
        `${last} to be seen on at ${provider}`,
        async () => {
          const seen = await ground.vendors.appReads(question.flag, { key: 'ann', attributes: {} }).catch(() => undefined);
          if (seen !== true) return false;
          const given = await ground.world.house.evaluators
            .get(`${provider}-sdk`)
            ?.evaluate([{ ...question, subject: { key: 'ann', attributes: {} } }], AbortSignal.timeout(5_000));
          return given?.[0]?.every((one) => one.kind === 'value' && one.value === true) === true;
        },
        120_000,
      );
    }),
  );
}

/** Begins the launch, again and again where a fault keeps it from being checked. */
async function begin(ground: Ground, story: Story): Promise<{ readonly id: string; readonly refused: number }> {
  for (let refused = 0; ; refused += 1) {
    try {
      return { id: (await ground.world.start(story.order)).id, refused };
    } catch (error) {
      if (refused >= 30) throw error;
      await pause(500);
    }
  }
}

/** Resolves when the launch has such an event; rejects when `over` is aborted before. */
async function told(ground: Ground, launch: string, kind: LaunchEvent['kind'], over: AbortSignal): Promise<void> {
  const { store } = ground.world.house;
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const look = () =>
    void eventsOf(store.db, launch).then((events) => {
      if (events.some(({ event }) => event.kind === kind)) resolve(undefined);
    }, reject);
  const off = store.listener.on('gonogo_event', (which) => (which === undefined || which === launch ? look() : undefined));
  over.addEventListener('abort', () => reject(new Error('over')), { once: true });
  look();
  try {
    await promise;
  } finally {
    off();
  }
}

/** Does to the flags what the story says somebody else does, each edit at its own time, while the launch lives. */
async function editAll(ground: Ground, story: Story, launch: string, began: number, over: AbortSignal) {
  const edits: { readonly edit: Edit; readonly was: unknown }[] = [];
  const editOne = async ({ flag: place, kind, when }: Story['edits'][number]): Promise<void> => {
    const flag = story.flags[place];
    const home = ground.homes[flag?.provider ?? ''];
    const time =
      typeof when === 'number' ? pause(Math.max(0, began + when - performance.now()), undefined, { signal: over }) : told(ground, launch, when, over);
    const comes = await time.then(
      () => true,
      () => false,
    );
    if (!comes || flag === undefined || home === undefined) return;
    const edit = await home.edit(flag, kind, `${story.n}-${kind}`);
    edits.push({ edit, was: await edit.see() });
  };
  await Promise.all(story.edits.map(editOne));
  return edits;
}

/** What the launch's workflow waits for, in its own words. */
async function waitsFor(ground: Ground, launch: string): Promise<readonly string[]> {
  const { raw } = await ground.world.client.workflow.getHandle(workflowId.launch(launch)).describe();
  return (raw.pendingActivities ?? []).map(
    (one) => `${one.activityType?.name ?? '?'}, attempt ${one.attempt ?? 0}: ${one.lastFailure?.message ?? 'no failure'}`,
  );
}

/** Ends the launch as the story says; whoever waits too long asks for a rollback. */
async function finish(ground: Ground, story: Story, launch: string, began: number) {
  const { store } = ground.world.house;
  const { end } = story;
  const events: LaunchEvent[] = [];
  let [read, resumed, asked] = [0, 0, false];
  let gaveUp: readonly string[] | undefined;
  const ask = (reason: string) => requestRollback(store, launch, { kind: 'launch' }, { kind: 'person', reason }, 'Anna', Date.now());
  for (;;) {
    for (const { seq, event } of await eventsOf(store.db, launch, read)) {
      events.push(event);
      read = seq;
    }
    const row = await launchRow(store.db, launch);
    const outcome = row?.outcome;
    const took = performance.now() - began;
    if ((outcome !== undefined && outcome !== 'stuck') || took > PATIENCE + BOUND) return { events, outcome, resumed, gaveUp };
    const here =
      'stage' in end
        ? events.some((event) => event.kind === 'shifted' && event.stage === `stage-${end.stage}`)
        : took >= ('after' in end ? end.after : Infinity);
    if (here && !asked) {
      asked = true;
      if ('stage' in end) await pause(end.after);
      if (end.kind === 'breach') ground.bad.add(story.query);
      if (end.kind === 'alert') await ground.alert(story.labels);
      if (end.kind === 'person') await ask('I see errors');
    }
    const rollingBack = events.some((event) => event.kind === 'rollback-requested');
    if (gaveUp === undefined && took > PATIENCE && !rollingBack) {
      gaveUp = [...events.slice(-6).map((event) => JSON.stringify(event)), ...(await waitsFor(ground, launch))];
      await ask('it takes too long');
    }
    if (row?.state === 'held' && !rollingBack) {
      await resume(store, launch, { name: 'Carl', roles: ['release-engineer'] }, new Date().toISOString(), 'seen').then(
        () => (resumed += 1),
        (error: unknown) => {
          if (!(error instanceof Refusal)) throw error;
        },
      );
    }
    await pause(200);
  }
}

/** What is not as it must be after the end. */
async function judge(
  ground: Ground,
  story: Story,
  outcome: Outcome | undefined,
  before: { readonly owned: ReadonlyMap<string, unknown>; readonly reads: Reads },
  edits: Awaited<ReturnType<typeof editAll>>,
): Promise<readonly string[]> {
  const wrong: string[] = [];
  const back = outcome === 'rolled-back' || outcome === 'aborted';
  if (outcome === undefined || outcome === 'stuck') wrong.push(`no outcome after ${(PATIENCE + BOUND) / 1_000} s: ${String(outcome)}`);
  if (outcome === 'launched' && story.end.kind !== 'launched' && story.end.kind !== 'person') wrong.push(`launched, though there was a ${story.end.kind}`);
  const last = new Map(story.order.plan.stages.flatMap((stage) => stage.set).map((change) => [change.flag, change.to]));
  for (const flag of story.flags) {
    const to = last.get(flag.flag);
    if (back) {
      const now = await ground.homes[flag.provider]?.owned(flag);
      const was = before.owned.get(flag.flag);
      if (!isDeepStrictEqual(now, was))
        wrong.push(`${flag.provider} ${flag.key} is not as it was:\n  was ${JSON.stringify(was)}\n  is  ${JSON.stringify(now)}`);
    } else if (outcome === 'launched' && to !== undefined) {
      const now = await ground.direct.get(flag.provider)?.read(flag, AbortSignal.timeout(10_000));
      if (now === undefined || !sameExposure(now.exposure, to))
        wrong.push(`${flag.key} reads ${now === undefined ? '?' : describe(now.exposure)}; expected ${describe(to)}`);
    }
    if (outcome === undefined || outcome === 'stuck') continue;
    const expected = PROBES.map((subject, i) =>
      back ? before.reads.get(flag.flag)?.[i] : to === undefined ? undefined : mustGet(to, { subject }, flag.offValue),
    );
    let said: readonly FlagValue[] = [];
    await until(
      `the apps to read ${flag.key} as they should`,
      async () => {
        said = await Promise.all(PROBES.map((subject) => ground.vendors.appReads(flag, subject)));
        return said.every((value, i) => expected[i] === undefined || expected[i] === value);
      },
      APP_HEARS,
    ).catch(() => wrong.push(`the apps read ${flag.key} as ${JSON.stringify(said)}; expected ${JSON.stringify(expected)}`));
  }
  for (const { edit, was } of edits) {
    const now = await edit.see();
    if (!isDeepStrictEqual(now, was)) wrong.push(`somebody else's ${edit.said} is gone:\n  was ${JSON.stringify(was)}\n  is  ${JSON.stringify(now)}`);
  }
  for (const [provider, home] of Object.entries(ground.homes)) {
    const strange = (await home.names()).filter((name) => !ground.made.has(`${provider} ${name}`));
    if (strange.length > 0) wrong.push(`${provider} has flags that nobody made: ${strange.join(', ')}`);
  }
  return wrong;
}

function provenIn(events: readonly LaunchEvent[], story: Story): Played['proven'] {
  const seconds = new Map<string, number>();
  for (const event of events) {
    if (event.kind === 'part-proven') seconds.set(event.provider, event.seconds);
    if (event.kind !== 'rollback-proven') continue;
    const providers = new Set(event.proofs.flatMap((proof) => story.flags.find((flag) => flag.flag === proof.flag)?.provider ?? []));
    // Those that were proven before the others have a time of their own.
    for (const provider of providers) if (!seconds.has(provider)) seconds.set(provider, event.seconds);
  }
  return [...seconds].map(([provider, took]) => ({ provider, seconds: took }));
}

/** Plays one story from making its flags to judging what is left of it. */
export async function play(ground: Ground, story: Story): Promise<Played> {
  await prepare(ground, story);
  const owned = new Map(await Promise.all(story.flags.map(async (flag) => [flag.flag, await ground.homes[flag.provider]?.owned(flag)] as const)));
  const reads = await appsRead(ground, story);
  const from = ground.faults.now();
  const { id: launch, refused } = await begin(ground, story);
  const began = performance.now();
  const over = new AbortController();
  const editing = editAll(ground, story, launch, began, over.signal);
  const { events, outcome, resumed, gaveUp } = await finish(ground, story, launch, began);
  over.abort();
  const edits = await editing;
  const seconds = Math.round((performance.now() - began) / 100) / 10;
  const violations = await judge(ground, story, outcome, { owned, reads }, edits);
  const record: string[] = [];
  if (violations.length > 0) {
    record.push(...events.map((event) => JSON.stringify(event)));
    for (const flag of story.flags)
      record.push(`${flag.provider} ${flag.key} (${flag.dress}):`, ...((await ground.homes[flag.provider]?.audit(flag)) ?? []).map((one) => `  ${one}`));
  }
  return {
    story,
    launch,
    outcome,
    refused,
    gaveUp,
    resumed,
    seconds,
    faults: ground.faults.between(from, ground.faults.now()),
    edits: edits.map(({ edit }) => edit.said),
    proven: provenIn(events, story),
    pages: events.flatMap((event) => (event.kind === 'paged' ? [event.about] : [])),
    violations,
    record,
  };
}
