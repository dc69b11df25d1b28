import { openEvaluator } from '../../../src/evaluators/index.ts';
import type { FlagRef } from '../../../src/core/plan.ts';
import type { Evaluator, Question } from '../../../src/evaluators/evaluator.ts';
import { evaluatorContract } from '../../contracts/evaluator.ts';
import { openContext } from '../../flags/support.ts';
import { hangingServer, storeUnderTest } from '../support.ts';
import { serveApp } from './app.ts';

const SECRET = 'token-of-the-app-0123456789';
const settings = (flag: FlagRef) => ({ url: '${app}/users/{key}/{team}/flags', select: `flags."${flag.key}"` });

/** The app wants a team in its address; subjects of the suite that have none are in `none`. */
function withTeam(evaluator: Evaluator): Evaluator {
  const team = (question: Question): Question => ({
    ...question,
    subject: { key: question.subject.key, attributes: { team: 'none', ...question.subject.attributes } },
  });
  return { ...evaluator, evaluate: (questions, signal) => evaluator.evaluate(questions.map(team), signal) };
}

evaluatorContract('http', async () => {
  const under = await storeUnderTest();
  const hanging = await hangingServer();
  const apps = await Promise.all([serveApp(() => under.cache.view()), serveApp(() => under.cache.view())]);
  const open = async (app: string | readonly string[]) => withTeam(await openEvaluator('app', { kind: 'http', hosts: { app }, token: SECRET }, openContext()));
  const evaluator = await open(apps.map((app) => app.url));
  const broken = await Promise.all([open('http://127.0.0.1:1'), open(hanging.url)]);
  return {
    ...under,
    evaluator,
    instances: 2,
    settings,
    // Its check can ask only addresses that name no subject.
    broken: broken.map((each) => ({
      ...each,
      check: (flags, signal) =>
        each.check(
          flags.map((flag) => ({ ...flag, proof: [{ evaluator: 'app', with: { url: '${app}/flags', select: 'x' } }] })),
          signal,
        ),
    })),
    secrets: [SECRET],
    async close() {
      await Promise.all([evaluator, ...broken].map((each) => each.close()));
      await Promise.all([...apps, hanging].map((server) => server.close()));
      await under.close();
    },
  };
});
