import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { LaunchEvent } from '../src/core/event.ts';
import type { LaunchView, StageView } from '../src/core/view.ts';
import { ApiError, type Api } from './api.ts';
import type { Crew } from './people.ts';
import type { Story } from './story.ts';

/** A launch that people drive through the API. */
export interface Drive {
  readonly crew: Crew;
  readonly story: Story;
  /** What is sent to POST /api/launches: planYaml or plan, environment, speed, note. */
  readonly body: Readonly<Record<string, unknown>>;
  /** Called with every event, after it is told. */
  readonly onEvent?: (event: LaunchEvent) => Promise<void>;
  /** The last stage that people clear; all of them when left out. */
  readonly lastStage?: string;
}

/** How often the launch is looked at, ms. */
const LOOK_EVERY = 150;
const TRIES = 3;

/** Starts a launch, ticks and signs every stage as the right people, and tells its events, until it is over or held in its fallback mode. Rejects when it is held for another reason, or after `within` ms. */
export async function drive(to: Drive, within: number): Promise<LaunchView> {
  const { crew, story } = to;
  const starter = crew.as('releaser');
  const id = await begin(starter, to.body);
  story.line(`launch ${id}, started by ${starter.name}`);
  const deadline = performance.now() + within;
  const cleared = new Set<string>();
  let told = 0;
  for (;;) {
    const { events } = await starter.get<{ events: readonly (LaunchEvent & { readonly seq: number })[] }>(`/api/launches/${id}/events?after=${told}`);
    for (const event of events) {
      story.event(event);
      await to.onEvent?.(event);
    }
    told = events.at(-1)?.seq ?? told;
    const view = await starter.get<LaunchView>(`/api/launches/${id}`);
    if (view.outcome !== undefined && view.outcome !== 'stuck' && view.lastSeq <= told) return view;
    if (view.held !== undefined && view.lastSeq <= told) {
      if (view.held.cause === 'fallback') return view;
      throw new Error(`launch ${id} is held: ${view.held.reason}; expected it to go on`);
    }
    const open = view.stages.find((stage) => stage.state === 'clearance');
    if (open !== undefined && view.rollback === undefined && !cleared.has(open.id) && !(to.lastStage !== undefined && cleared.has(to.lastStage))) {
      cleared.add(open.id);
      await clear(to, id, view, open);
    }
    if (performance.now() > deadline) throw new Error(`launch ${id} is ${view.state} after ${within / 1_000} s; expected it to be over. ${view.headline}`);
    await pause(LOOK_EVERY);
  }
}

/** Starts it; on a machine so busy that something was not ready in time, once more, with the same key. */
async function begin(starter: Api, body: Drive['body']): Promise<string> {
  const key = randomUUID();
  for (let left = TRIES; ; left -= 1) {
    try {
      return (await starter.post<{ id: string }>('/api/launches', body, { 'idempotency-key': key })).id;
    } catch (error) {
      if (!(error instanceof ApiError && error.code === 'not_ready') || left <= 1) throw error;
      await pause(2_000);
    }
  }
}

/** Ticks what people tick and signs what they sign: each in their own role, on the plan and the evidence they are shown. */
async function clear({ crew, story }: Drive, id: string, view: LaunchView, stage: StageView): Promise<void> {
  const open = stage.checklist.filter((item) => !item.machine && !item.done);
  await Promise.all(
    [...Map.groupBy(open, (item) => item.role ?? 'release-engineer')].map(async ([role, items]) => {
      for (const item of items) await crew.as(role).post(`/api/launches/${id}/checklist/${item.id}`, { done: true, ...evidenceFor(item) });
    }),
  );
  if (open.length > 0) {
    const by = Map.groupBy(open, (item) => item.role ?? 'release-engineer');
    const machine = stage.checklist.filter((item) => item.machine).length;
    story.line(
      `  ${[...by].map(([role, items]) => `${crew.as(role).name} ticked ${items.length}`).join(', ')}${machine === 0 ? '' : `; the machine checks ${machine}`}`,
    );
  }
  const wanted = stage.signOffs.filter((one) => one.missing > 0);
  for (const { role } of wanted) {
    await crew.as(role).post(`/api/launches/${id}/stages/${stage.id}/sign-offs`, {
      role,
      decision: 'go',
      planHash: view.plan.hash,
      ...(stage.seal === undefined ? {} : { seal: stage.seal }),
    });
  }
  story.line(`  GO for ${stage.id}: ${wanted.map(({ role }) => `${crew.as(role).name} (${role})`).join(', ')}`);
}

function evidenceFor(item: { readonly id: string; readonly evidence: 'none' | 'text' | 'link' }): { readonly evidence?: string } {
  switch (item.evidence) {
    case 'none':
      return {};
    case 'text':
      return { evidence: 'tried on stage in the demo' };
    case 'link':
      return { evidence: `https://evidence.example/${item.id}` };
  }
}
