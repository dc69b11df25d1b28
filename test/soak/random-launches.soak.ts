import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openEvaluator } from '../../src/evaluators/index.ts';
import { openProvider } from '../../src/providers/index.ts';
import { createServer, type Server } from '../../src/server/server.ts';
import { scriptedSource } from '../support/scripted-source.ts';
import { startToxiproxy, type Proxy, type Toxiproxy } from '../support/servers/toxiproxy.ts';
import { openTwoVendors, type TwoVendors } from '../support/two-vendors.ts';
import { openWorld, quietLog, type World } from '../support/world.ts';
import { openFaults, type Faults } from './faults.ts';
import { launchdarklyHome, unleashHome } from './homes.ts';
import { play, type Ground, type Played } from './play.ts';
import { storyOf } from './story.ts';
import { table } from './table.ts';

/** The same seed tells the same launches, the same people and the same faults; when they meet is up to the clock. */
const SEED = Number(process.env['SOAK_SEED'] ?? Math.floor(Math.random() * 1e6));
const LAUNCHES = Number(process.env['SOAK_LAUNCHES'] ?? 200);
const AT_ONCE = Number(process.env['SOAK_AT_ONCE'] ?? 10);
/** Plays only this launch of the seed. */
const ONLY = process.env['SOAK_ONLY'];
const TOKEN = 'alertmanager-of-the-soak';
const ENVIRONMENT = 'production';

describe(`${LAUNCHES} random launches over LaunchDarkly and Unleash, with faults on the way (SOAK_SEED=${SEED})`, () => {
  const closing: (() => Promise<unknown>)[] = [];
  let played: readonly Played[] = [];

  beforeAll(
    async () => {
      const toxiproxy = await startToxiproxy(SEED);
      closing.unshift(() => toxiproxy.stop());
      const ways: Proxy[] = [];
      const { vendors, sdkWays } = await openVendors(toxiproxy, ways);
      const bad = new Set<string>();
      const numbers = scriptedSource(
        () => Promise.resolve(Date.now()),
        (query) => (bad.has(query) ? 5 : 0),
      );
      const context = { log: quietLog, secret: (reference: string) => reference };
      const places = { contract: 'contract.key' };
      const evaluators = new Map([
        [
          'launchdarkly-sdk',
          await openEvaluator(
            'launchdarkly-sdk',
            { kind: 'launchdarkly-sdk', host: sdkWays.launchdarkly, sdkKey: vendors.launchdarkly.environment().sdkKey, attributes: places },
            context,
          ),
        ],
        [
          'unleash-sdk',
          await openEvaluator(
            'unleash-sdk',
            { kind: 'unleash-sdk', url: sdkWays.unleash, token: vendors.unleash.tokens.production, refreshInterval: '500ms' },
            context,
          ),
        ],
      ]);
      const direct = new Map([
        [
          'launchdarkly',
          await openProvider(
            'launchdarkly',
            {
              kind: 'launchdarkly',
              host: vendors.launchdarkly.url,
              project: 'shop',
              environment: ENVIRONMENT,
              token: vendors.launchdarkly.token,
              attributes: places,
            },
            context,
          ),
        ],
        [
          'unleash',
          await openProvider(
            'unleash',
            { kind: 'unleash', url: vendors.unleash.url, environment: ENVIRONMENT, token: vendors.unleash.tokens.mallory },
            context,
          ),
        ],
      ]);
      closing.unshift(() => Promise.all([...direct.values()].map((one) => one.close())));
      const world = await openWorld({ sources: { numbers }, dress: (house) => ({ ...house, providers: vendors.providers, evaluators }) });
      closing.unshift(() => world.close());
      const alert = await openHook(world, (server) => closing.unshift(() => server.close()));
      const homes = { launchdarkly: launchdarklyHome(vendors.launchdarkly), unleash: await unleashHome(vendors.admin, ENVIRONMENT, 'development') };
      const made = new Set<string>();
      for (const [provider, home] of Object.entries(homes)) for (const name of await home.names()) made.add(`${provider} ${name}`);
      const faults = openFaults(SEED, ways);
      played = await playAll({ world, vendors, homes, direct, faults, made, bad, alert }, faults);
    },
    120_000 + LAUNCHES * 60_000,
  );
  afterAll(async () => {
    for (const close of closing) await close();
  }, 120_000);

  async function openVendors(toxiproxy: Toxiproxy, ways: Proxy[]): Promise<{ vendors: TwoVendors; sdkWays: { launchdarkly: string; unleash: string } }> {
    const sdkWays = { launchdarkly: '', unleash: '' };
    const vendors = await openTwoVendors(async (servers) => {
      const through = async (name: string, url: string): Promise<string> => {
        const way = await toxiproxy.proxy(name, new URL(url).host);
        ways.push(way);
        return `http://${way.address}`;
      };
      sdkWays.launchdarkly = await through('launchdarkly-sdk', servers.launchdarkly);
      sdkWays.unleash = await through('unleash-sdk', servers.unleash);
      return { launchdarkly: await through('launchdarkly-api', servers.launchdarkly), unleash: await through('unleash-api', servers.unleash) };
    });
    closing.unshift(() => vendors.close());
    // gonogo's own SDKs have faults of their own on their way.
    await Promise.all([...vendors.evaluators.values()].map((one) => one.close()));
    return { vendors, sdkWays };
  }

  /** Alertmanager's part: sends an alert to gonogo's hook until it is confirmed. */
  async function openHook(world: World, opened: (server: Server) => void): Promise<Ground['alert']> {
    const server = createServer({
      store: world.house.store,
      temporal: () => Promise.resolve(world.client),
      taskQueue: world.prefix,
      registry: { entries: new Map(), variables: {} },
      log: quietLog,
      hooks: { alertmanager: { main: { token: TOKEN, plans: ['*'] } } },
    });
    const { url } = await server.listen(0);
    opened(server);
    return async (labels) => {
      const alerts = [
        {
          status: 'firing',
          labels,
          annotations: {},
          startsAt: new Date().toISOString(),
          endsAt: '0001-01-01T00:00:00Z',
          generatorURL: '',
          fingerprint: String(labels['launch']),
        },
      ];
      const group = {
        version: '4',
        groupKey: '{}',
        status: 'firing',
        receiver: 'gonogo',
        groupLabels: {},
        commonLabels: labels,
        commonAnnotations: {},
        externalURL: 'http://alertmanager.example',
        truncatedAlerts: 0,
        alerts,
      };
      for (;;) {
        const response = await fetch(`${url}/hooks/alertmanager`, {
          method: 'POST',
          headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
          body: JSON.stringify(group),
        });
        const said = await response.text();
        if (response.status === 503) continue;
        if (response.status !== 202) throw new Error(`the alert ${JSON.stringify(labels)} was answered ${response.status}: ${said}`);
        return;
      }
    };
  }

  async function playAll(ground: Ground, faults: Faults): Promise<readonly Played[]> {
    const began = performance.now();
    const all = ONLY === undefined ? Array.from({ length: LAUNCHES }, (_, n) => n) : [Number(ONLY)];
    const results: Played[] = [];
    console.info(`SOAK_SEED=${SEED} SOAK_LAUNCHES=${LAUNCHES}`);
    const lane = async (): Promise<void> => {
      for (let n = all.shift(); n !== undefined; n = all.shift()) {
        const one = await play(ground, storyOf(SEED, n));
        results.push(one);
        console.info(line(one));
        if (one.violations.length > 0) console.error(`SOAK_SEED=${SEED}, launch ${n}, ${one.launch}:\n${[...one.violations, ...one.record].join('\n')}`);
      }
    };
    try {
      await Promise.all(Array.from({ length: AT_ONCE }, lane));
    } finally {
      await faults.stop();
    }
    const past = faults.between(0, Infinity);
    console.info(['faults:', ...past.map((fault) => `  ${fault.from.toFixed(1)} to ${fault.until.toFixed(1)} s  ${fault.way}  ${fault.text}`)].join('\n'));
    console.info(table(SEED, (performance.now() - began) / 1_000, results, past).join('\n'));
    return results;
  }

  function line({ story, outcome, seconds, faults, edits, refused, resumed, gaveUp, proven, violations }: Played): string {
    const end = 'stage' in story.end ? `${story.end.kind} in stage ${story.end.stage}` : story.end.kind;
    const more = [
      ...(refused > 0 ? [`refused ${refused} times`] : []),
      ...(resumed > 0 ? [`resumed ${resumed} times`] : []),
      ...(gaveUp === undefined ? [] : [`somebody lost patience:\n${gaveUp.join('\n')}\n`]),
      ...proven.map((one) => `${one.provider} proven in ${one.seconds} s`),
      ...(edits.length > 0 ? [`edits: ${edits.join(', ')}`] : []),
      ...(violations.length > 0 ? [`${violations.length} VIOLATIONS`] : []),
    ];
    return `${String(story.n).padStart(4)}  ${String(outcome)} (meant: ${end}) after ${seconds} s, ${story.flags.length} flags, ${story.order.plan.stages.length} stages, ${faults.length} faults; ${more.join('; ')}`;
  }

  const wrong = (pattern: RegExp): readonly string[] =>
    played.flatMap((one) => one.violations.filter((text) => pattern.test(text)).map((text) => `launch ${one.story.n}: ${text}`));

  it('gives every launch an outcome in its time, and none is launched past bad news', () => {
    expect(played.length).toBe(ONLY === undefined ? LAUNCHES : 1);
    expect(wrong(/^no outcome|^launched, though/)).toEqual([]);
  });

  it("leaves every flag's native document as its snapshot on the fields that are ours, or as the plan says once launched", () => {
    expect(wrong(/is not as it was|reads .*; expected/)).toEqual([]);
  });

  it("keeps other people's concurrent edits", () => {
    expect(wrong(/^somebody else's/)).toEqual([]);
  });

  it('makes no flag', () => {
    expect(wrong(/that nobody made/)).toEqual([]);
  });

  it('gives the apps what they read before, or what the plan says once launched', () => {
    expect(wrong(/^the apps read/)).toEqual([]);
  });

  it('has no other violation', () => {
    expect(wrong(/./)).toEqual([]);
  });
});
