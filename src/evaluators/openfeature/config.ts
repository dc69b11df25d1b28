import { z } from 'zod';

const given = {
  options: z.record(z.string(), z.unknown()).optional().describe('The one argument that the provider is made with; secrets in it as references'),
  args: z.array(z.unknown()).optional().describe('All arguments that the provider is made with, where it takes other than one; secrets in it as references'),
};
const MADE_ONCE = { error: 'options and args exclude each other: options is the one argument, args are all of them' };
const madeOnce = ({ options, args }: { readonly options?: unknown; readonly args?: unknown }): boolean => options === undefined || args === undefined;

/** Settings of an evaluator of kind `openfeature`. */
export const openfeatureConfig = z
  .strictObject({
    kind: z.literal('openfeature'),
    module: z
      .string()
      .regex(
        /^(?:@[\w.~-]+\/)?[\w~-][\w.~/-]*$|^\/|^file:\/\//,
        'expected the name of an installed package, e.g. @openfeature/flagd-provider, or an absolute path',
      )
      .describe('Package that holds an OpenFeature provider for servers, installed beside gonogo'),
    export: z.string().min(1).describe('What makes the provider: the name of a class or function that the package exports, e.g. FlagdProvider'),
    ...given,
    instances: z
      .record(z.string().regex(/^[a-z0-9][a-z0-9_.-]*$/i, 'expected a name, e.g. eu'), z.strictObject(given).refine(madeOnce, MADE_ONCE))
      .refine((all) => Object.keys(all).length > 0, 'expected at least one instance')
      .optional()
      .describe('Several providers of the same class that are asked one by one, by name, each with its own options or args'),
  })
  .refine(madeOnce, MADE_ONCE)
  .refine((config) => config.instances === undefined || (config.options === undefined && config.args === undefined), {
    error: 'instances stands beside options or args: give each instance its own',
    path: ['instances'],
  });

/** Settings of an evaluator of kind `openfeature`, parsed. */
export type OpenfeatureConfig = z.infer<typeof openfeatureConfig>;
