import { z } from 'zod';
import { timeoutSchema, urlSchema } from '../ask.ts';

/** Which server is asked from outside. */
export const probeConfig = z
  .strictObject({
    kind: z.literal('probe'),
    url: urlSchema.describe('Base URL; a probe asks only below it and follows no redirect'),
    headers: z.record(z.string(), z.string()).optional().describe('Further headers'),
    caFile: z.string().optional().describe("PEM file of the authority that signed the server's certificate"),
    timeout: timeoutSchema.default(8000),
  })
  .describe('The app itself, asked from outside: 1 is healthy, 0 is not');

export type ProbeConfig = z.infer<typeof probeConfig>;
