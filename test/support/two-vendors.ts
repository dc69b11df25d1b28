import type { FlagValue } from '../../src/core/exposure.ts';
import type { FlagRef, Order } from '../../src/core/plan.ts';
import type { Subject } from '../../src/core/subject.ts';
import type { Evaluator } from '../../src/evaluators/evaluator.ts';
import { openEvaluator } from '../../src/evaluators/index.ts';
import { openProvider } from '../../src/providers/index.ts';
import type { FlagProvider } from '../../src/providers/provider.ts';
import { adminOf, type Admin } from '../providers/unleash/admin.ts';
import { pausingProxy, type PausingProxy } from './pausing-proxy.ts';
import type { LaunchdarklyServer } from './servers/launchdarkly/server.ts';
import { startJudged } from './servers/launchdarkly/start.ts';
import { startUnleash, type UnleashServer } from './servers/unleash.ts';
import { quietLog } from './world.ts';

const PLACES = { contract: 'contract.key' };
const ENVIRONMENT = 'production';

/** LaunchDarkly (the fake) and Unleash (real) side by side, as gonogo and as the apps see them. */
export interface TwoVendors {
  readonly launchdarkly: LaunchdarklyServer;
  readonly unleash: UnleashServer;
  readonly admin: Admin;
  /** Between gonogo and LaunchDarkly, REST and streams. The apps' own SDKs do not go through it. */
  readonly wayToLaunchdarkly: PausingProxy;
  readonly wayToUnleash: PausingProxy;
  readonly providers: ReadonlyMap<string, FlagProvider>;
  readonly evaluators: ReadonlyMap<string, Evaluator>;
  /** References to the secrets, for commands that people paste. */
  readonly shell: Readonly<Record<string, string>>;
  /** The order with each flag at the vendor that `home` says, proven by that vendor's own SDK; makes the flags there, off. */
  settle(order: Order, home: (flag: FlagRef) => 'launchdarkly' | 'unleash'): Promise<Order>;
  /** What an app's own SDK says of a flag. */
  appReads(flag: FlagRef, subject: Subject): Promise<FlagValue>;
  close(): Promise<void>;
}

/** Ways between gonogo and the two vendors; by default each can only be paused. */
export interface Ways {
  readonly launchdarkly: string;
  readonly unleash: string;
}

/** Starts both. `ways` puts other proxies between gonogo and them. */
export async function openTwoVendors(ways?: (servers: Ways) => Promise<Ways>): Promise<TwoVendors> {
  const [launchdarkly, unleash] = await Promise.all([startJudged(), startUnleash()]);
  const [wayToLaunchdarkly, wayToUnleash] = await Promise.all([pausingProxy(Number(new URL(launchdarkly.url).port)), pausingProxy(unleash.port)]);
  const own = { launchdarkly: `http://127.0.0.1:${wayToLaunchdarkly.port}`, unleash: `http://127.0.0.1:${wayToUnleash.port}` };
  const way = (await ways?.(own)) ?? own;
  const shell = { LAUNCHDARKLY_TOKEN: launchdarkly.token, UNLEASH_TOKEN: unleash.tokens.gonogo };
  const secrets: Readonly<Record<string, string>> = {
    ...Object.fromEntries(Object.entries(shell).map(([name, value]) => [`\${${name}}`, value])),
    '${SDK_KEY}': launchdarkly.environment().sdkKey,
    '${BACKEND_TOKEN}': unleash.tokens.production,
  };
  const context = { log: quietLog, secret: (reference: string) => secrets[reference] ?? reference, serverUrl: 'http://127.0.0.1:7077' };
  const providers = new Map([
    [
      'launchdarkly',
      await openProvider(
        'launchdarkly',
        { kind: 'launchdarkly', host: way.launchdarkly, project: 'shop', environment: ENVIRONMENT, token: '${LAUNCHDARKLY_TOKEN}', attributes: PLACES },
        context,
      ),
    ],
    [
      'unleash',
      await openProvider('unleash', { kind: 'unleash', url: way.unleash, environment: ENVIRONMENT, token: '${UNLEASH_TOKEN}', refreshInterval: '1s' }, context),
    ],
  ]);
  const sdks = async (at: Ways): Promise<Map<string, Evaluator>> =>
    new Map([
      [
        'launchdarkly-sdk',
        await openEvaluator('launchdarkly-sdk', { kind: 'launchdarkly-sdk', host: at.launchdarkly, sdkKey: '${SDK_KEY}', attributes: PLACES }, context),
      ],
      [
        'unleash-sdk',
        await openEvaluator('unleash-sdk', { kind: 'unleash-sdk', url: at.unleash, token: '${BACKEND_TOKEN}', refreshInterval: '250ms' }, context),
      ],
    ]);
  const [evaluators, apps] = [await sdks(own), await sdks({ launchdarkly: launchdarkly.url, unleash: unleash.url })];
  const admin = adminOf(unleash.url, unleash.tokens.mallory, ENVIRONMENT);
  launchdarkly.newSegment('internal', ['ann', 'bob']);
  return {
    launchdarkly,
    unleash,
    admin,
    wayToLaunchdarkly,
    wayToUnleash,
    providers,
    evaluators,
    shell,
    async settle(order, home) {
      const flags: FlagRef[] = [];
      for (const flag of order.flags) {
        const provider = home(flag);
        flags.push({ ...flag, provider, proof: [{ evaluator: `${provider}-sdk`, with: {} }] });
        if (provider === 'unleash') await admin.make(flag.key);
        else {
          const values =
            flag.type === 'boolean' ? [true, false] : [...flag.type.oneOf].toSorted((a, b) => Number(a === flag.offValue) - Number(b === flag.offValue));
          const made = launchdarkly.newFlag(flag.key, values);
          for (const setting of Object.values(made.environments)) Object.assign(setting, { fallthrough: { variation: values.length - 1 } });
        }
      }
      return { ...order, flags };
    },
    async appReads(flag, subject) {
      const [answers] = (await apps.get(`${flag.provider}-sdk`)?.evaluate([{ flag, subject, with: {} }], AbortSignal.timeout(10_000))) ?? [];
      const answer = answers?.[0];
      if (answer?.kind !== 'value') throw new Error(`no value of ${flag.flag}: ${answer === undefined ? 'nobody answered' : answer.detail}`);
      return answer.value;
    },
    async close() {
      await Promise.allSettled([...apps.values()].map((one) => one.close()));
      await Promise.allSettled([wayToLaunchdarkly.close(), wayToUnleash.close()]);
      await Promise.all([launchdarkly.close(), unleash.stop()]);
    },
  };
}
