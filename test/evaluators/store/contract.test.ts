import { openEvaluator } from '../../../src/evaluators/index.ts';
import { evaluatorContract } from '../../contracts/evaluator.ts';
import { openContext } from '../../flags/support.ts';
import { hangingServer, storeUnderTest } from '../support.ts';

const SECRET = 'pa55-word-of-the-reader';

evaluatorContract('store', async () => {
  const under = await storeUnderTest();
  const hanging = await hangingServer();
  const open = (database: string) => openEvaluator('store', { kind: 'store', database }, openContext());
  const evaluator = await open(under.url);
  const broken = await Promise.all([open(`postgres://postgres:${SECRET}@127.0.0.1:1/x`), open(`postgres://postgres:${SECRET}@${new URL(hanging.url).host}/x`)]);
  return {
    ...under,
    evaluator,
    instances: 1,
    settings: () => ({}),
    broken,
    secrets: [SECRET],
    async close() {
      await Promise.all([evaluator, ...broken].map((each) => each.close()));
      await hanging.close();
      await under.close();
    },
  };
});
