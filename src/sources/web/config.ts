import { z } from 'zod';
import { timeoutSchema, urlSchema } from '../ask.ts';

/** How a JSON document with numbers in it is fetched. */
export const webConfig = z
  .strictObject({
    kind: z.literal('web'),
    url: urlSchema.describe('The document; a query is a JMESPath expression on it'),
    token: z.string().min(1).optional().describe('Bearer token, as a reference to a secret'),
    headers: z.record(z.string(), z.string()).optional().describe('Further headers'),
    caFile: z.string().optional().describe("PEM file of the authority that signed the server's certificate"),
    timeout: timeoutSchema.default(5000),
  })
  .describe('Numbers from a JSON document over HTTP, picked by JMESPath; keeps no history');

export type WebConfig = z.infer<typeof webConfig>;
