import { isOff } from '../../../src/core/exposure.ts';
import type { Subject } from '../../../src/core/subject.ts';
import { openEvaluator } from '../../../src/evaluators/index.ts';
import { evaluatorContract } from '../../contracts/evaluator.ts';
import { openContext } from '../../flags/support.ts';
import { adminOf, unleashFlag } from '../../providers/unleash/admin.ts';
import { startUnleash } from '../../support/servers/unleash.ts';
import { until } from '../../support/until.ts';
import { hangingServer } from '../support.ts';

evaluatorContract('unleash-sdk', async () => {
  const server = await startUnleash();
  const hanging = await hangingServer();
  const admin = adminOf(server.url, server.tokens.mallory, 'production');
  const wrong = `default:production.${'5ecret'.repeat(8)}`;
  const open = (url: string, token = server.tokens.production) =>
    openEvaluator('sdk', { kind: 'unleash-sdk', url, token, refreshInterval: '200ms' }, openContext());
  const evaluator = await open(server.url);
  const broken = await Promise.all([open('http://127.0.0.1:1'), open(hanging.url), open(server.url, wrong)]);
  let made = 0;
  return {
    evaluator,
    instances: 1,
    async newFlag(type = 'boolean') {
      const flag = unleashFlag(`asked.flag_${(made += 1)}`, type);
      await admin.make(flag.key);
      await until('the new flag is served', async () => {
        const [answers] = await evaluator.evaluate([{ flag, subject: { key: 'x', attributes: {} }, with: {} }], AbortSignal.timeout(5_000));
        return answers?.[0]?.kind === 'value';
      });
      return flag;
    },
    async set(flag, to) {
      await admin.set(flag.key, to);
      const [list] = to.listed;
      const subject: Subject = { key: list?.attribute === 'key' ? (list.values[0] ?? '') : 'u-1', attributes: {} };
      const value = isOff(to) ? flag.offValue : to.value;
      await until('the SDK has the change', async () => {
        const [answers] = await evaluator.evaluate([{ flag, subject, with: {} }], AbortSignal.timeout(5_000));
        const [answer] = answers ?? [];
        return answer?.kind === 'value' && answer.value === value;
      });
    },
    settings: () => ({}),
    broken,
    secrets: [server.tokens.production, wrong],
    async close() {
      await Promise.all([evaluator, ...broken].map((each) => each.close()));
      await hanging.close();
      await server.stop();
    },
  };
});
