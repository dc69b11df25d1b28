import { z } from 'zod';

/** A webhook of your own that is told what happens. Secrets are already resolved. */
export const webhookConfig = z
  .strictObject({
    kind: z.literal('webhook'),
    url: z.url({ protocol: /^https?$/ }).describe('Where news is posted as JSON'),
    token: z.string().min(1).optional().describe('Bearer token that is shown there, as a reference to a secret'),
    signingSecret: z
      .string()
      .min(16)
      .optional()
      .describe('Signs each message: header x-gonogo-signature, HMAC-SHA256 of "<time>.<body>", as a reference to a secret'),
    caFile: z.string().optional().describe("PEM file of the authority that signed the server's certificate"),
    timeout: z.number().int().min(100).max(60_000).default(5_000).describe('Longest time for one message, ms'),
  })
  .describe('News posted as JSON to an address of your own');

export type WebhookConfig = z.infer<typeof webhookConfig>;
