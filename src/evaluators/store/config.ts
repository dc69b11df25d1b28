import { z } from 'zod';

/** Settings of an evaluator of kind `store`. */
export const storeConfig = z.strictObject({
  kind: z.literal('store'),
  database: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Postgres URL of the flag store or of a replica that its users read, as a reference: ${FLAGS_DATABASE_URL} or file:/path. Default: gonogo's own database",
    ),
});

/** Settings of an evaluator of kind `store`, parsed. */
export type StoreConfig = z.infer<typeof storeConfig>;
