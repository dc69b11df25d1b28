import { z } from 'zod';
import { timeoutSchema } from '../ask.ts';

/** How a Postgres is reached. */
export const sqlConfig = z
  .strictObject({
    kind: z.literal('sql'),
    url: z
      .string()
      .regex(/^postgres(ql)?:\/\//, 'expected a URL that starts with postgres://')
      .describe('Connection string, as a reference to a secret; give it a role that may only SELECT'),
    timeout: timeoutSchema.default(5000),
  })
  .describe('Numbers from Postgres, asked in SQL: one row, one column, in a read-only transaction');

export type SqlConfig = z.infer<typeof sqlConfig>;
