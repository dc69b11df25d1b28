import type { FlagRef } from '../../../src/core/plan.ts';
import { useSdk } from '../../../src/evaluators/launchdarkly-sdk/clients.ts';
import { endpointsOf } from '../../../src/evaluators/launchdarkly-sdk/config.ts';
import { openEvaluator } from '../../../src/evaluators/index.ts';
import { evaluatorContract } from '../../contracts/evaluator.ts';
import { openContext } from '../../flags/support.ts';
import { hangingServer } from '../support.ts';
import { expose, flagOfFake } from '../../support/servers/launchdarkly/people.ts';
import { startLaunchdarkly } from '../../support/servers/launchdarkly/server.ts';
import { until } from '../../support/until.ts';

evaluatorContract('launchdarkly-sdk', async () => {
  const server = await startLaunchdarkly();
  const hanging = await hangingServer();
  const { sdkKey } = server.environment();
  // Two doors to one house: an SDK for each, as for two Relay Proxies.
  const hosts = [server.url, server.url.replace('127.0.0.1', 'localhost')];
  const open = (host: string | readonly string[], key = sdkKey) => openEvaluator('sdk', { kind: 'launchdarkly-sdk', host, sdkKey: key }, openContext());
  const evaluator = await open(hosts);
  // The very SDKs that the evaluator asks: they are shared.
  const sdks = endpointsOf(hosts).map((endpoints) => useSdk(endpoints, sdkKey));
  const broken = await Promise.all([open('http://127.0.0.1:1'), open(hanging.url), open(server.url, `${sdkKey}-revoked`)]);
  let made = 0;
  return {
    evaluator,
    instances: hosts.length,
    newFlag(type: FlagRef['type'] = 'boolean') {
      const ref = flagOfFake(`asked-${(made += 1)}`, type);
      server.newFlag(ref.key, type === 'boolean' ? [true, false] : [...type.oneOf].reverse());
      return Promise.resolve(ref);
    },
    async set(flag, to) {
      expose(server, flag, to);
      const version = server.account.flags.get(flag.key)?.environments['production']?.version;
      await until('the SDKs are told', () => sdks.every((sdk) => version !== undefined && (sdk.held.flag(flag.key)?.version ?? 0) >= version));
    },
    settings: () => ({}),
    broken,
    secrets: [sdkKey],
    async close() {
      for (const sdk of sdks) sdk.close();
      await Promise.all([evaluator, ...broken].map((each) => each.close()));
      await Promise.all([server, hanging].map((each) => each.close()));
    },
  };
});
