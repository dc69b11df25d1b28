import { setTimeout as pause } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { brokenLink } from '../../src/store/chain.ts';
import { launchRow } from '../../src/store/launches.ts';
import { linksOf } from '../../src/store/lists.ts';
import { workflowId } from '../../workflows/messages.ts';
import type { Fleet } from '../support/processes/fleet.ts';
import type { ToldEvent } from '../support/processes/people.ts';
import type { Played } from './play.ts';

/** What came of a launch, read from the databases and from Temporal, not from the API that was killed. */
export interface Judged {
  readonly n: number;
  readonly launch: string;
  readonly outcome: string | undefined;
  /** What its workflow answered, or how it stands. */
  readonly workflow: string;
  readonly brokenAt: string | undefined;
  /** Acts that were acknowledged and are not among the events. */
  readonly lost: readonly string[];
  /** The flag's distinct shares in order, from its change log. */
  readonly shares: readonly number[];
  /** Revisions of the flag that changed nothing. */
  readonly same: number;
  readonly locks: number;
  readonly kinds: readonly string[];
}

async function workflowEnd(client: Client, launch: string): Promise<string> {
  const handle = client.workflow.getHandle(workflowId.launch(launch));
  // The database ends a launch; its workflow hears of it within a heartbeat's time or two.
  for (let tries = 0; tries < 300; tries += 1) {
    const { status } = await handle.describe();
    if (status.name !== 'RUNNING') return status.name === 'COMPLETED' ? ((await handle.result()) as { outcome: string }).outcome : status.name;
    await pause(200);
  }
  return 'RUNNING';
}

/** Reads what came of launches that were played, in their order. */
export async function judgeAll(fleet: Fleet, played: readonly Played[]): Promise<readonly Judged[]> {
  const connection = await Connection.connect({ address: fleet.temporalAddress });
  try {
    const client = new Client({ connection });
    const judged: Judged[] = [];
    for (const one of played.toSorted((a, b) => a.script.n - b.script.n)) judged.push(await judge(fleet, client, one));
    return judged;
  } finally {
    await connection.close();
  }
}

async function judge(fleet: Fleet, client: Client, played: Played): Promise<Judged> {
  const { launch, script, acknowledged } = played;
  const { db } = fleet.store;
  const links = await linksOf(db, launch);
  const events = links.map((link): ToldEvent => ({ ...(JSON.parse(link.body) as ToldEvent), seq: link.seq, hash: link.hash, recordedAt: link.recordedAt }));
  const all = await fleet.sharesOf(script.flag);
  const locks = await db.selectFrom('flag_lock').select('key').where('launch', '=', launch).execute();
  const broken = brokenLink(links);
  return {
    n: script.n,
    launch,
    outcome: (await launchRow(db, launch))?.outcome,
    workflow: await workflowEnd(client, launch),
    brokenAt: broken?.why,
    lost: acknowledged.filter((one) => !events.some(one.isIn)).map((one) => one.what),
    shares: all.filter((share, index) => share !== all[index - 1]),
    same: all.filter((share, index) => index > 0 && share === all[index - 1]).length,
    locks: locks.length,
    kinds: events.map((event) => event.kind),
  };
}
