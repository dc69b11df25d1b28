import { z } from 'zod';
import { parseDuration } from '../../core/duration.ts';

const NAME = /^[\w.~-]{1,100}$/;

/** Settings of a provider of kind `unleash`. */
export const unleashConfig = z.strictObject({
  kind: z.literal('unleash'),
  url: z.url({ protocol: /^https?$/ }).describe('Base URL of the Unleash server; /api/admin/... is added'),
  project: z.string().regex(NAME).default('default').describe('Id of the project that holds the flags'),
  environment: z.string().regex(NAME).describe('Name of the environment in which the flags are changed, e.g. production'),
  token: z.string().min(1).describe('Admin API token, personal access token or service account token, as a reference: ${UNLEASH_TOKEN} or file:/path'),
  refreshInterval: z
    .string()
    .default('15s')
    .transform((text, context) => {
      const span = parseDuration(text);
      if (span !== undefined && span >= 1 && span <= 300_000) return span;
      context.addIssue({ code: 'custom', message: `must be a duration up to 5m, e.g. 15s, and is ${JSON.stringify(text)}` });
      return z.NEVER;
    })
    .describe("The slowest refreshInterval of the SDKs that read these flags: a change reaches them that late. Default: the SDKs' own, 15s"),
  caFile: z.string().optional().describe("PEM file of the authority that signed the server's certificate"),
});

/** Settings of a provider of kind `unleash`, parsed; `refreshInterval` in ms. */
export type UnleashConfig = z.infer<typeof unleashConfig>;
