import { z } from 'zod';

/** Settings of a provider of kind `builtin`. */
export const builtinConfig = z.strictObject({
  kind: z.literal('builtin'),
  database: z
    .string()
    .min(1)
    .optional()
    .describe("Postgres URL of the flag store, as a reference: ${FLAGS_DATABASE_URL} or file:/path. Default: gonogo's own database"),
});

/** Settings of a provider of kind `builtin`, parsed. */
export type BuiltinConfig = z.infer<typeof builtinConfig>;
