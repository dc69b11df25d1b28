import { requireTool } from '../require-tool.ts';
import { judgeBy, type Judge } from './schemas.ts';
import { startLaunchdarkly, type LaunchdarklyServer } from './server.ts';

let judge: Judge | undefined;

/** Starts the fake, held to LaunchDarkly's own schemas; its `close` throws when an answer was not as they say. Throws where set-up has not fetched them. */
export async function startJudged(token?: string): Promise<LaunchdarklyServer> {
  judge ??= judgeBy(requireTool('launchdarkly-schemas'));
  const server = await startLaunchdarkly(judge, token);
  const close = server.close.bind(server);
  return Object.assign(server, {
    async close() {
      await close();
      if (server.violations.length > 0) throw new Error(`the fake is not as LaunchDarkly describes it:\n${[...new Set(server.violations)].join('\n')}`);
    },
  });
}
