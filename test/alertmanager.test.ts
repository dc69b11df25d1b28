import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes, randomUUID } from 'node:crypto';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { stringify } from 'yaml';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { openMarket, type Market } from '../demo/market.ts';
import { openStops, startStack, type Stack } from '../demo/stack.ts';
import type { LaunchEvent } from '../src/core/event.ts';
import type { LaunchView } from '../src/core/view.ts';
import { freshDatabase } from './support/database.ts';
import { startAlertmanager } from './support/servers/alertmanager.ts';
import { startPrometheus } from './support/servers/prometheus.ts';
import { hasTool } from './support/servers/require-tool.ts';
import { until } from './support/until.ts';

/** A proven rollback is looked at for 15 s with its flags locked: three sets of flags take turns, so that no run waits for the one before. */
const SETS = [
  { flag: 'chat.enabled', to: 'everyone', old: false, now: true },
  { flag: 'notify.webpush', to: 'everyone', old: false, now: true },
  { flag: 'chat.transport', to: { value: 'sse-only' }, old: 'full', now: 'sse-only' },
] as const;
const RUNS = Number(process.env['ALERT_RUNS'] ?? (process.env['CI'] === undefined ? '6' : '20'));
/** The most that may pass between the webhook's arrival and the old value in the app, ms. */
const AT_MOST = 5_000;
const PATIENCE = 60_000;

describe.skipIf(!hasTool('prometheus') || !hasTool('alertmanager'))(
  'a real Alertmanager, fed by a real Prometheus that scrapes the app',
  { timeout: 900_000 },
  () => {
    const stops = openStops();
    let [stack, market, database]: [Stack | undefined, Market | undefined, pg.Pool | undefined] = [undefined, undefined, undefined];

    beforeAll(async () => {
      const dir = mkdtempSync(path.join(os.tmpdir(), 'gonogo-alerts-'));
      stops.add(() => {
        rmSync(dir, { recursive: true, force: true });
        return Promise.resolve();
      });
      const fresh = await freshDatabase();
      stops.add(fresh.drop);
      const token = randomBytes(32).toString('hex');
      stack = await startStack({
        data: path.join(dir, 'data'),
        logs: path.join(dir, 'logs'),
        environment: 'stage',
        say: () => undefined,
        servers: { postgres: fresh.url, temporal: inject('temporalAddress') },
        taskQueue: `alerts-${randomBytes(4).toString('hex')}`,
        alertTokens: { main: token },
        window: 10,
        stops,
      });
      market = openMarket(stack.marketplace);
      const pool = new pg.Pool({ connectionString: fresh.url, max: 1 });
      stops.add(() => pool.end());
      database = pool;
      const tokenFile = path.join(dir, 'alertmanager-token');
      writeFileSync(tokenFile, token, { mode: 0o600 });
      const alertmanager = await startAlertmanager({
        route: { receiver: 'gonogo', group_by: ['alertname'], group_wait: '0s', group_interval: '1s', repeat_interval: '1m' },
        receivers: [
          {
            name: 'gonogo',
            webhook_configs: [
              { url: `${stack.url}/hooks/alertmanager`, send_resolved: true, http_config: { authorization: { type: 'Bearer', credentials_file: tokenFile } } },
            ],
          },
        ],
      });
      stops.add(alertmanager.stop);
      const rules = path.join(dir, 'rules.yml');
      writeFileSync(
        rules,
        stringify({
          groups: [
            {
              name: 'communications',
              rules: [{ alert: 'DisputesOverdue', expr: 'sum(disputes_overdue) > 0', labels: { service: 'communications', severity: 'page' } }],
            },
          ],
        }),
      );
      const prometheus = await startPrometheus({
        global: { scrape_interval: '1s', evaluation_interval: '1s' },
        rule_files: [rules],
        alerting: { alertmanagers: [{ static_configs: [{ targets: [alertmanager.target] }] }] },
        scrape_configs: [{ job_name: 'marketplace', static_configs: [{ targets: [new URL(stack.marketplace.url).host] }] }],
      });
      stops.add(prometheus.stop);
      await until(
        'the first sample of the app',
        async () => (await fetch(`${prometheus.url}/api/v1/query?query=disputes_overdue`)).text().then((text) => text.includes('"value"')),
        PATIENCE,
      );
    }, 180_000);
    afterAll(() => stops.all((line) => console.warn(line)), 60_000);

    it(`rolls a launch back, and the app reads the old value within 5 s of the webhook: the worst of ${RUNS}`, async () => {
      if (stack === undefined || market === undefined || database === undefined) throw new Error('nothing was started');
      const [running, app, rows] = [stack, market, database];
      const api = running.crew.as('releaser');
      const launched: string[] = [];
      const seconds: number[] = [];
      const reads = async (flag: string): Promise<unknown> => (await app.communications('1')).flags[flag];
      for (let run = 0; run < RUNS; run += 1) {
        const set = SETS[run % SETS.length] ?? SETS[0];
        const previous = launched[run - SETS.length];
        if (previous !== undefined)
          await until(`the end of ${previous}`, async () => (await api.get<LaunchView>(`/api/launches/${previous}`)).outcome === 'rolled-back', PATIENCE);
        const { id } = await api.post<{ id: string }>(
          '/api/launches',
          { plan: planOf(set, run % SETS.length), environment: 'stage' },
          { 'idempotency-key': randomUUID() },
        );
        launched.push(id);
        await until(
          `${id} to bake`,
          async () => (await reads(set.flag)) === set.now && (await api.get<LaunchView>(`/api/launches/${id}`)).state === 'baking',
          PATIENCE,
        );

        await app.break('disputes');
        await until(`${set.flag} to be back in the app`, async () => (await reads(set.flag)) === set.old, PATIENCE);
        const readAt = Date.now();
        await app.mend();

        const request = await requested(running, id);
        expect(request.cause).toMatchObject({ kind: 'alert', source: 'main', alert: 'DisputesOverdue' });
        if (request.cause.kind !== 'alert') throw new Error('the cause is no alert');
        seconds.push((readAt - request.cause.receivedAt) / 1_000);
        // The next launch must not meet this run's alert.
        await until(
          'the alert to be resolved',
          async () => (await rows.query('select 1 from alert_receipt where resolved_at is null')).rowCount === 0,
          PATIENCE,
        );
      }
      for (const id of launched) {
        await until(`the end of ${id}`, async () => (await api.get<LaunchView>(`/api/launches/${id}`)).outcome === 'rolled-back', PATIENCE);
      }
      const worst = Math.max(...seconds);
      console.log(
        `alert received -> the app reads the old value: worst of ${RUNS} ${worst.toFixed(2)} s, median ${[...seconds].sort((a, b) => a - b)[Math.floor(RUNS / 2)]?.toFixed(2) ?? '?'} s`,
      );
      expect(seconds).toHaveLength(RUNS);
      expect(Math.min(...seconds)).toBeGreaterThan(0);
      expect(worst).toBeLessThanOrEqual(AT_MOST / 1_000);
    });
  },
);

/** A plan that moves one flag and waits for a long time, its alert gate armed. The other gate sees nothing of what the test breaks. */
function planOf({ flag, to }: (typeof SETS)[number], index: number): unknown {
  return {
    name: `alerted-${index}`,
    environments: ['stage'],
    gates: {
      drops: { source: 'app', query: 'notifications.dropped', max: 0 },
      alerts: { alert: { service: 'communications', severity: 'page' } },
    },
    stages: [{ id: 'only', set: [{ flag, to }], bake: '1h', gates: ['drops', 'alerts'] }],
    watch: '1h',
  };
}

async function requested(stack: Stack, launch: string): Promise<Extract<LaunchEvent, { kind: 'rollback-requested' }>> {
  const { events } = await stack.crew.as('releaser').get<{ events: readonly LaunchEvent[] }>(`/api/launches/${launch}/events`);
  const found = events.find((event) => event.kind === 'rollback-requested');
  if (found === undefined) throw new Error(`${launch} was not asked to roll back`);
  return found;
}
