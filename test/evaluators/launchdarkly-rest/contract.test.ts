import type { FlagRef } from '../../../src/core/plan.ts';
import { openEvaluator } from '../../../src/evaluators/index.ts';
import { evaluatorContract } from '../../contracts/evaluator.ts';
import { openContext } from '../../flags/support.ts';
import { hangingServer } from '../support.ts';
import { expose, flagOfFake } from '../../support/servers/launchdarkly/people.ts';
import { startLaunchdarkly } from '../../support/servers/launchdarkly/server.ts';

const SECRET = 'api-reader-0123456789';

evaluatorContract('launchdarkly-rest', async () => {
  const server = await startLaunchdarkly(undefined, SECRET);
  const hanging = await hangingServer();
  const open = (host: string, token = SECRET) =>
    openEvaluator('rest', { kind: 'launchdarkly-rest', host, project: 'shop', environment: 'production', token }, openContext());
  const evaluator = await open(server.url);
  const broken = await Promise.all([open('http://127.0.0.1:1'), open(hanging.url), open(server.url, `${SECRET}-revoked`)]);
  let made = 0;
  return {
    evaluator,
    instances: 1,
    newFlag(type: FlagRef['type'] = 'boolean') {
      const ref = flagOfFake(`asked-${(made += 1)}`, type);
      server.newFlag(ref.key, type === 'boolean' ? [true, false] : [...type.oneOf].reverse());
      return Promise.resolve(ref);
    },
    set(flag, to) {
      expose(server, flag, to);
      return Promise.resolve();
    },
    settings: () => ({}),
    broken,
    secrets: [SECRET],
    async close() {
      await Promise.all([evaluator, ...broken].map((each) => each.close()));
      await Promise.all([server, hanging].map((each) => each.close()));
    },
  };
});
