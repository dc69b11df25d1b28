import { z } from 'zod';
import { parseDuration } from '../core/duration.ts';
import { everyone, normalize, off, type Exposure } from '../core/exposure.ts';
import { keyProblem, LONGEST_NAME, valueProblem } from '../flags/naming.ts';
import type { Said } from './issues.ts';

/** Adds a sentence of our own as an issue. */
export function say(context: z.RefinementCtx, said: string, hint = '', path: (string | number)[] = []): void {
  const params: Said = { said, hint };
  context.addIssue({ code: 'custom', path, params: { ...params }, message: said });
}

/** A map with exactly these fields; every other one is an error that lists them. */
export function fields<T extends z.core.$ZodLooseShape>(noun: string, shape: T): z.ZodObject<T, z.core.$strict> {
  const known = Object.keys(shape).join(', ');
  return z.strictObject(shape, { error: (issue) => (issue.code === 'unrecognized_keys' ? `one of ${known}` : `${noun}: a map of ${known}`) });
}

/** Text that fits `shape`; `expected` says it in words. */
export function word(expected: string, shape: RegExp): z.ZodString {
  return z.string({ error: expected }).regex(shape, { error: expected });
}

/** Text of one line or more for people to read, up to `longest` characters. */
export function prose(expected: string, longest = 2000): z.ZodString {
  return z
    .string({ error: expected })
    .min(1, { error: expected })
    .max(longest, { error: `at most ${longest} characters` });
}

/** A list; `expected` says of what. */
export function list<T extends z.ZodType>(of: T, expected: string, most = 200): z.ZodArray<T> {
  return z.array(of, { error: expected }).max(most, { error: `at most ${most} entries` });
}

/** Names of stages, gates and checklist items. */
export const idForm = word('an id of letters, digits, - and _ (a letter first, at most 64), e.g. drop-rate', /^[A-Za-z][A-Za-z0-9_-]{0,63}$/);
/** Environments, roles, and the instance names that the config gives to sources and providers. */
export const nameForm = (what: string) => word(`${what} in lower case (letters, digits and -, a letter first, at most 40)`, /^[a-z][a-z0-9-]{0,39}$/);

/** A duration in text, in ms once parsed; at least `least` ms. */
export function duration(expected = 'a duration, e.g. 30s, 5m, 24h or 14d (units s, m, h, d; at most 365d)', least = 0) {
  return z
    .string({ error: expected })
    .regex(/^[0-9smhd]+$/, { error: expected })
    .transform((text, context) => {
      const span = parseDuration(text);
      if (span !== undefined && span >= least) return span;
      context.addIssue({ code: 'invalid_format', format: 'duration', message: expected, input: text });
      return z.NEVER;
    });
}

const FLAG_KEY = "a flag's key of letters, digits, dots, _ and -, e.g. chat.enabled";

/** A flag's key in the registry. */
export const flagKeyForm = z.string({ error: FLAG_KEY }).check((context) => {
  const wrong = keyProblem(context.value);
  if (wrong !== undefined) context.issues.push({ code: 'custom', params: { said: `is no flag key: it ${wrong}` }, input: context.value, message: FLAG_KEY });
});

/** One value of a text flag. */
export const flagTextForm = z.string({ error: 'text of at most 200 characters' }).check((context) => {
  const wrong = valueProblem(context.value);
  if (wrong !== undefined) context.issues.push({ code: 'custom', params: { said: `is no flag value: it ${wrong}` }, input: context.value, message: wrong });
});

const SHARE = 'a number from 0 to 100 with at most 3 decimals';
const ATTRIBUTE = 'the name of an attribute, e.g. contract';
const attributeForm = word(ATTRIBUTE, /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/);
const memberForm = z
  .string({ error: 'text (put numbers in quotes)' })
  .min(1, { error: 'text that is not empty' })
  .max(LONGEST_NAME, { error: `text of at most ${LONGEST_NAME} characters` });

const audience = fields('who gets which value', {
  value: z
    .union([z.boolean(), flagTextForm], { error: 'true, false or one of the values of the flag' })
    .optional()
    .describe('The value to give: text for a flag with allowed values; true when left out. Alone it is for everyone.'),
  share: z
    .number({ error: SHARE })
    .min(0, { error: SHARE })
    .max(100, { error: SHARE })
    .refine((share) => Number(share.toFixed(3)) === share, { error: SHARE })
    .optional()
    .describe('A stable share of everyone, in percent.'),
  by: attributeForm.optional().describe('The attribute that the share is drawn by, e.g. contract; the key of the subject when left out.'),
  listed: z
    .record(attributeForm, list(memberForm, 'a list of text, e.g. [internal]', 1000).min(1, { error: 'a list that names somebody' }), {
      error: 'a map of attribute to list, e.g. { segment: [internal] }',
    })
    .optional()
    .describe('Subjects named one by one: attribute to the list of its values.'),
});

/** The forms of `to`, made whole: `everyone`, `off`, or a map of value, share, by and listed. */
export const exposureForm = z
  .union([z.literal(['everyone', 'off']), audience], { error: 'everyone, off, or a map of value, share, by, listed, e.g. { share: 5, by: contract }' })
  .transform((to, context): Exposure => {
    if (to === 'everyone') return everyone(true);
    if (to === 'off') return off(true);
    const { value = true, share, by, listed } = to;
    const lists = Object.entries(listed ?? {}).map(([attribute, values]) => ({ attribute, values }));
    if (share === undefined && by !== undefined) say(context, 'has by without share', 'say how much: { share: 5, by: contract }');
    else if (share === 0 && lists.length === 0) say(context, 'has a share of 0', 'to turn the flag off write to: off');
    else if (listed !== undefined && lists.length === 0) say(context, 'lists nobody', 'name somebody, or write to: off');
    else if (value === false && (share !== undefined || listed !== undefined))
      say(context, 'gives false to some', 'say who keeps true instead: share and listed name those who have it on');
    else if (share === undefined && listed === undefined && to.value === undefined) say(context, 'says nothing', 'write everyone, off, or who gets it');
    if (value === false) return off(true);
    return normalize({ value, share: share ?? (lists.length === 0 ? 100 : 0), by: by ?? 'key', listed: lists });
  });
