import { openEvaluator } from '../../../src/evaluators/index.ts';
import { evaluatorContract } from '../../contracts/evaluator.ts';
import { openContext } from '../../flags/support.ts';
import { serveOfrep } from '../../support/ofrep-server.ts';
import { hangingServer, storeUnderTest } from '../support.ts';

const SECRET = 'token-of-the-sdk-0123456789';

evaluatorContract('ofrep', async () => {
  const under = await storeUnderTest();
  const hanging = await hangingServer();
  const view = () => under.cache.view();
  const servers = await Promise.all([serveOfrep(view, { publicOnly: false }, SECRET), serveOfrep(view, { publicOnly: false }, SECRET)]);
  const strict = await serveOfrep(view, { publicOnly: false }, 'another token');
  const open = (url: string | readonly string[]) => openEvaluator('app', { kind: 'ofrep', url, token: SECRET }, openContext());
  const evaluator = await open(servers.map((server) => server.url));
  const broken = await Promise.all([open('http://127.0.0.1:1'), open(hanging.url), open(strict.url)]);
  return {
    ...under,
    evaluator,
    instances: 2,
    settings: () => ({}),
    broken,
    secrets: [SECRET],
    async close() {
      await Promise.all([evaluator, ...broken].map((each) => each.close()));
      await Promise.all([...servers, strict, hanging].map((server) => server.close()));
      await under.close();
    },
  };
});
