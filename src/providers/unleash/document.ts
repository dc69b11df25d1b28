import { z } from 'zod';

// What Unleash adds to its documents in other versions is let through unseen: only what is named here is ours to compare.
const constraint = z
  .object({
    contextName: z.string(),
    operator: z.string(),
    values: z.array(z.string()).optional(),
    value: z.string().optional(),
    inverted: z.boolean().optional(),
    caseInsensitive: z.boolean().optional(),
  })
  .readonly();

const variant = z
  .object({
    name: z.string(),
    weight: z.number(),
    weightType: z.string().optional(),
    stickiness: z.string().optional(),
    payload: z.object({ type: z.string(), value: z.string() }).nullish(),
    overrides: z.array(z.unknown()).optional(),
  })
  .readonly();

const strategy = z.object({
  id: z.string().min(1),
  name: z.string(),
  title: z
    .string()
    .nullish()
    // Unleash cannot take a title away again: without one and with an empty one are the same.
    .transform((title) => title ?? ''),
  disabled: z
    .boolean()
    .nullish()
    .transform((disabled) => disabled ?? false),
  parameters: z
    .record(z.string(), z.coerce.string())
    .nullish()
    .transform((parameters) => parameters ?? {}),
  constraints: z
    .array(constraint)
    .nullish()
    .transform((constraints) => constraints ?? []),
  segments: z
    .array(z.number())
    .nullish()
    .transform((segments) => [...(segments ?? [])].sort((a, b) => a - b)),
  variants: z
    .array(variant)
    .nullish()
    .transform((variants) => variants ?? []),
  sortOrder: z
    .number()
    .nullish()
    .transform((order) => order ?? 0),
});

const feature = z.object({
  name: z.string(),
  archived: z.boolean().nullish(),
  environments: z.array(
    z.object({
      name: z.string(),
      enabled: z.boolean(),
      strategies: z.array(strategy),
      variants: z
        .array(variant)
        .nullish()
        .transform((variants) => variants ?? []),
    }),
  ),
});

const event = z.object({
  id: z.number(),
  type: z.string(),
  createdBy: z.string().nullish(),
  createdAt: z.string(),
  environment: z.string().nullish(),
  label: z.string().nullish(),
  summary: z.string().nullish(),
});

/** A rule about one field of the context. */
export type Constraint = z.infer<typeof constraint>;
/** One of a flag's values, with its weight in thousandths. */
export type Variant = z.infer<typeof variant>;
/** One way to get a flag; strategies are alternatives, their constraints and segments are conditions. */
export type Strategy = Readonly<z.infer<typeof strategy>>;
/** A change that Unleash remembers. */
export type UnleashEvent = z.infer<typeof event>;

/** A flag in one environment, as far as gonogo reads it. The strategies are sorted; counters and times are left out. */
export interface Feature {
  readonly environment: string;
  readonly enabled: boolean;
  readonly strategies: readonly Strategy[];
  readonly variants: readonly Variant[];
}

/** `GET /api/admin/projects/{p}/features/{f}`. */
export const featureAnswer = feature;
/** `GET /api/admin/search/events`. */
export const eventsAnswer = z.object({ events: z.array(event) });
/** `GET /api/admin/user`: whose token it is, and what it may do. */
export const meAnswer = z.object({
  user: z.object({ username: z.string().nullish(), email: z.string().nullish(), name: z.string().nullish() }),
  permissions: z.array(z.object({ permission: z.string(), project: z.string().nullish(), environment: z.string().nullish() })),
});

const nativeDocument = z.object({ environment: z.string(), enabled: z.boolean(), strategies: z.array(strategy), variants: z.array(variant) });

/** A snapshot's `native` as the document it was; undefined where it is none of Unleash's. */
export function fromNative(native: unknown): Feature | undefined {
  return nativeDocument.safeParse(native).data;
}
