import { z } from 'zod';

const base = z.url({ protocol: /^https?$/ });

/** Settings of an evaluator of kind `http`. */
export const httpConfig = z.strictObject({
  kind: z.literal('http'),
  hosts: z
    .record(z.string().regex(/^[a-z][a-z0-9_-]*$/), z.union([base, z.array(base).min(1)]))
    .describe('Base URL of each instance of an app, by the name that `${name}` in a proof stands for'),
  token: z.string().optional().describe('Bearer token, as a reference: ${ENV_NAME} or file:/path'),
  caFile: z.string().optional().describe("PEM file of the authority that signed the app's certificate"),
});

/** Settings of an evaluator of kind `http`, parsed. */
export type HttpConfig = z.infer<typeof httpConfig>;

/** What a proof of kind `http` says: where the app shows the flag, and where in the JSON. */
export const httpProof = z.strictObject({
  url: z.string().regex(/^\$\{[a-z][a-z0-9_-]*\}(\/|$)/, 'must begin with ${name} of a host in the config, then a path'),
  select: z.string().min(1).describe('JMESPath to the value'),
});
