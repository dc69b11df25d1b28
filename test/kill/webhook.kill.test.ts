import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openFleet, type Fleet } from '../support/processes/fleet.ts';
import { call, persist, webhook } from '../support/processes/people.ts';
import { offAt, startBaking, type Baking } from './plans.ts';

/** Ms between the webhook's sending and the kill, two webhooks each: from before it is read to long after its answer. */
const OFFSETS = [0, 2, 4, 6, 8, 10, 13, 16, 20, 25, 30, 40, 60, 100, 250];
const AT_ONCE = 2;

interface Sent {
  readonly baking: Baking;
  readonly body: object;
  /** Undefined: cut off. */
  readonly status: number | undefined;
  readonly rowsAfterKill: number;
}

describe('an API that is killed while a webhook is at it', () => {
  let fleet: Fleet;
  let launches: readonly Baking[];
  const total = OFFSETS.length * AT_ONCE;
  const labelsOf = (n: number) => ({ alertname: 'Trouble', launch: String(n) });

  beforeAll(async () => {
    const all = Array.from({ length: total }, (_, n) => n);
    fleet = await openFleet({ workers: 1, sources: {}, flags: all.map((n) => `alerted_${n}`) });
    launches = await Promise.all(all.map((n) => startBaking(fleet, `alerted-${n}`, `alerted_${n}`, { trouble: { alert: labelsOf(n) } })));
  }, 240_000);
  afterAll(() => fleet.close());

  const requests = (launch: string) => fleet.store.db.selectFrom('rollback_request').selectAll().where('launch', '=', launch).execute();
  const send = (body: object) => call(fleet, 'POST', '/hooks/alertmanager', { token: fleet.hookToken, body });

  async function round(offset: number, first: number): Promise<readonly Sent[]> {
    await fleet.api.start();
    // A webhook for nobody, so that the ones that count do not also measure how a process warms up.
    for (let times = 0; times < 5; times += 1) expect((await send(webhook({ alertname: 'Nobody' }, new Date()))).status).toBe(202);
    const sent = launches.slice(first, first + AT_ONCE).map((baking, index) => {
      const body = webhook(labelsOf(first + index), new Date());
      return {
        baking,
        body,
        answered: send(body).then(
          ({ status }) => status,
          () => undefined,
        ),
      };
    });
    await pause(offset);
    await fleet.api.kill();
    return Promise.all(
      sent.map(async ({ baking, body, answered }) => ({ baking, body, status: await answered, rowsAfterKill: (await requests(baking.launch)).length })),
    );
  }

  it('has given a 2xx only where the request is written down; sent again, each has one effect', async () => {
    const sent: Sent[] = [];
    for (const [index, offset] of OFFSETS.entries()) sent.push(...(await round(offset, index * AT_ONCE)));
    await fleet.api.start();
    const acknowledged = sent.filter((one) => one.status !== undefined);
    const cut = sent.filter((one) => one.status === undefined);
    console.log(
      `webhooks: ${acknowledged.length} acknowledged, ${cut.length} cut off (${cut.filter((one) => one.rowsAfterKill === 1).length} of them written down)`,
    );
    expect(acknowledged.length).toBeGreaterThan(0);
    expect(cut.length).toBeGreaterThan(0);
    for (const one of acknowledged) expect(one, one.baking.launch).toMatchObject({ status: 202, rowsAfterKill: 1 });

    for (const one of sent) expect((await persist(fleet, 'POST', '/hooks/alertmanager', { token: fleet.hookToken, body: one.body })).status).toBe(202);
    for (const { baking } of sent) {
      await offAt(fleet, baking.flag, 10_000);
      expect(await requests(baking.launch), baking.launch).toHaveLength(1);
      expect((await baking.read()).filter((event) => event.kind === 'rollback-requested')).toHaveLength(1);
      expect(await fleet.sharesOf(baking.flag), baking.launch).toEqual([0, 100, 0]);
    }
  }, 300_000);
});
