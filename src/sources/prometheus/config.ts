import { z } from 'zod';
import { timeoutSchema, urlSchema } from '../ask.ts';

/** How a Prometheus, or anything that speaks its query API (Thanos, Mimir, VictoriaMetrics), is reached. */
export const prometheusConfig = z
  .strictObject({
    kind: z.literal('prometheus'),
    url: urlSchema.describe('Base URL; /api/v1/query is put behind it'),
    token: z.string().min(1).optional().describe('Bearer token, as a reference to a secret'),
    headers: z.record(z.string(), z.string()).optional().describe('Further headers, e.g. X-Scope-OrgID'),
    caFile: z.string().optional().describe("PEM file of the authority that signed the server's certificate"),
    timeout: timeoutSchema.default(5000),
  })
  .describe('Numbers from Prometheus, asked in PromQL');

export type PrometheusConfig = z.infer<typeof prometheusConfig>;
