import { z } from 'zod';

const base = z.url({ protocol: /^https?$/ });

/** Settings of an evaluator of kind `ofrep`. */
export const ofrepConfig = z.strictObject({
  kind: z.literal('ofrep'),
  url: z.union([base, z.array(base).min(1)]).describe('Base URL of each instance that answers OFREP; /ofrep/v1/... is added'),
  token: z.string().optional().describe('Bearer token, as a reference: ${ENV_NAME} or file:/path'),
  caFile: z.string().optional().describe("PEM file of the authority that signed the instances' certificates"),
});

/** Settings of an evaluator of kind `ofrep`, parsed. */
export type OfrepConfig = z.infer<typeof ofrepConfig>;
