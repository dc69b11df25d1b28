import { z } from 'zod';
import type { Bound, Gate } from '../core/plan.ts';
import { duration, fields, nameForm, prose, say, word } from './forms.ts';

/** The name of a source in the config. */
export const sourceForm = nameForm('the name of a source in the config');
const NUMBER = 'a number, e.g. 1, or a duration, e.g. 7d';
const PERCENT = 'a percentage in quotes or not, e.g. 1%, or a fraction from 0 to 1, e.g. 0.01';

/** A limit of a measured number; a duration means seconds, the unit in which sources answer. */
export const limitForm = z.union([z.number({ error: NUMBER }), duration(NUMBER).transform((span) => span / 1000)], { error: NUMBER });
/** A share of all: `1%`, or 0.01. */
export const fractionForm = z.union(
  [
    z.number({ error: PERCENT }).min(0, { error: PERCENT }).max(1, { error: PERCENT }),
    word(PERCENT, /^(100|\d{1,2})(\.\d{1,4})?%$/).transform((text, context) => {
      const percent = Number(text.slice(0, -1));
      if (percent > 100) context.addIssue({ code: 'invalid_format', format: 'percent', message: PERCENT, input: text });
      // Through the decimal text, so that 1% is exactly 0.01.
      return Number(`${percent}e-2`);
    }),
  ],
  { error: PERCENT },
);

const OPS = ['max', 'min', 'below', 'above'] as const;
type Limits = { readonly [op in Bound['op']]?: number | undefined };

/** The four ways to limit a number, of which one is given. */
export const bounds = <T extends z.ZodType>(limit: T) => ({
  max: limit.optional().describe('Healthy up to and including this.'),
  min: limit.optional().describe('Healthy from this on, it included.'),
  below: limit.optional().describe('Healthy below this, it excluded.'),
  above: limit.optional().describe('Healthy above this, it excluded.'),
});

/** The one limit given; an issue when there is none, or several. */
export function toBound(limits: Limits, context: z.RefinementCtx): Bound {
  const given = OPS.flatMap((op) => (limits[op] === undefined ? [] : [{ op, limit: limits[op] }]));
  if (given.length !== 1)
    say(
      context,
      given.length === 0 ? 'has no limit' : `has ${given.length} limits: ${given.map(({ op }) => op).join(', ')}`,
      'give exactly one of max, min, below, above',
    );
  return given[0] ?? { op: 'max', limit: 0 };
}

const policyForm = (what: string) =>
  fields('a policy', {
    after: duration().describe('How long to go on asking before acting.'),
    then: z.enum(['hold', 'rollback', 'page'], { error: 'hold, rollback or page' }).describe('What to do then.'),
  })
    .optional()
    .describe(`What to do when ${what}; when left out: after 5m rollback while more than half of the users are exposed, else after 10m hold.`);

/** A query in the words of its source. */
export const queryForm = (what: string) => prose(`a query in the words of its source: ${what}`, 4000);

/** A unit, for people. */
export const unitForm = word('a unit, e.g. s', /^[^\s"'<>]{1,12}$/)
  .optional()
  .describe('The unit of the number, for people.');

/** The fields of every gate but how long a breach must last. */
export const asked = {
  title: prose('a title', 200).optional().describe('What people read instead of the id.'),
  every: duration('a duration from 1s to 1h, e.g. 15s', 1000).optional().describe('How often the question is asked; 15s when left out.'),
  noData: policyForm('the source has nothing to say'),
  error: policyForm('the source cannot be asked'),
};

/** The fields of every gate that judges each value by itself. */
export const common = {
  title: asked.title,
  every: asked.every,
  for: duration().optional().describe('How long a breach must last before it counts; 0s when left out.'),
  noData: asked.noData,
  error: asked.error,
};

type Common = { readonly [field in 'title' | 'every' | 'for' | 'noData' | 'error']?: z.output<(typeof common)[field]> | undefined };

/** Those fields with their defaults. */
export function base(given: Common) {
  return {
    ...(given.title === undefined ? {} : { title: given.title }),
    every: given.every ?? 15_000,
    for: given.for ?? 0,
    ...(given.noData === undefined ? {} : { noData: given.noData }),
    ...(given.error === undefined ? {} : { error: given.error }),
  };
}

/** A count of samples. */
export const countForm = z
  .int({ error: 'a whole number from 0' })
  .min(0, { error: 'a whole number from 0' })
  .max(1e9, { error: 'a whole number up to 1000000000' });
/** A query for the freshness of another. */
export const aliveForm = queryForm('1 while the metric is alive')
  .optional()
  .describe('A query that is 1 while the metric is alive; replaces the freshness that gonogo finds by itself.');

/** A gate as its form makes it: its id is the name it has in the plan. */
export type Unnamed<T> = T extends Gate ? Omit<T, 'id'> : never;
