import { z } from 'zod';
import { parseDuration } from '../../core/duration.ts';

/** Settings of an evaluator of kind `unleash-sdk`. */
export const unleashSdkConfig = z.strictObject({
  kind: z.literal('unleash-sdk'),
  url: z.url({ protocol: /^https?$/ }).describe('Base URL of the Unleash server, proxy or edge that the apps read; /api/client/... is added'),
  token: z.string().min(1).describe('Backend (client) token of the environment, as a reference: ${UNLEASH_BACKEND_TOKEN} or file:/path'),
  appName: z.string().min(1).default('gonogo').describe("The app's own name where strategies depend on it. Default: gonogo"),
  refreshInterval: z
    .string()
    .default('1s')
    .transform((text, context) => {
      const span = parseDuration(text);
      if (span !== undefined && span >= 100 && span <= 60_000) return span;
      context.addIssue({ code: 'custom', message: `must be a duration from 100ms to 1m, e.g. 1s, and is ${JSON.stringify(text)}` });
      return z.NEVER;
    })
    .describe('How often the SDK asks for changes. Default: 1s'),
});

/** Settings of an evaluator of kind `unleash-sdk`, parsed; `refreshInterval` in ms. */
export type UnleashSdkConfig = z.infer<typeof unleashSdkConfig>;
