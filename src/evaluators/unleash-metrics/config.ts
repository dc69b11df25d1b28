import { z } from 'zod';
import { parseDuration } from '../../core/duration.ts';

const NAME = /^[\w.~-]{1,100}$/;

/** Settings of an evaluator of kind `unleash-metrics`. */
export const unleashMetricsConfig = z.strictObject({
  kind: z.literal('unleash-metrics'),
  url: z.url({ protocol: /^https?$/ }).describe('Base URL of the Unleash server; /api/admin/... is added'),
  environment: z.string().regex(NAME).describe('Environment in which the apps run, e.g. production'),
  token: z.string().min(1).describe('Any admin, personal or service account token (it only reads), as a reference: ${UNLEASH_TOKEN} or file:/path'),
  apps: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe('appName of each app that must report; one that does not is silent. Default: whichever reported the flag in the last hour'),
  metricsInterval: z
    .string()
    .default('60s')
    .transform((text, context) => {
      const span = parseDuration(text);
      if (span !== undefined && span >= 1_000 && span <= 600_000) return span;
      context.addIssue({ code: 'custom', message: `must be a duration from 1s to 10m, e.g. 60s, and is ${JSON.stringify(text)}` });
      return z.NEVER;
    })
    .describe("The slowest metricsInterval of the apps' SDKs. Default: the SDKs' own, 60s"),
  caFile: z.string().optional().describe("PEM file of the authority that signed the server's certificate"),
});

/** Settings of an evaluator of kind `unleash-metrics`, parsed; `metricsInterval` in ms. */
export type UnleashMetricsConfig = z.infer<typeof unleashMetricsConfig>;
