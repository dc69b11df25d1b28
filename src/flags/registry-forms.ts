import { z } from 'zod';
import type { ProofRef } from '../core/plan.ts';
import { exposureForm, fields, flagKeyForm, flagTextForm, list, nameForm, prose, say, word } from '../plan/forms.ts';
import type { FlagEntry, Requirement } from './registry.ts';

const environmentForm = nameForm('an environment');
const perEnvironment = <T extends z.ZodType>(value: T, expected: string) => z.record(environmentForm, value, { error: expected });
const variableForm = word('the name of an environment variable, e.g. DATABASE_URL', /^[A-Z][A-Z0-9_]{0,99}$/);
const valueForm = z.union([z.boolean(), flagTextForm], { error: 'true, false or text' });
const providerForm = nameForm('the name of a provider in the config');

const homeForm = z.union([providerForm, fields('a home', { provider: providerForm, key: z.string({ error: "the flag's name at the provider" }).optional() })], {
  error: 'a provider, e.g. builtin, or { provider: builtin, key: chat.enabled }',
});

const requirementForm = z
  .union(
    [
      flagKeyForm,
      fields('a requirement', {
        flag: flagKeyForm.optional().describe('A flag that must be on, or have `value`.'),
        value: valueForm.optional().describe('The value that the flag must have.'),
        env: variableForm.optional().describe('An environment variable that must be set.'),
        when: valueForm.optional().describe("Only for this one of the flag's own values."),
      }),
    ],
    { error: 'a flag, { flag: ..., value: ... } or { env: DATABASE_URL, when: postgresql }' },
  )
  .transform((given, context): Requirement => {
    if (typeof given === 'string') return { kind: 'flag', flag: given };
    const when = given.when === undefined ? {} : { when: given.when };
    if (given.flag !== undefined && given.env === undefined)
      return { kind: 'flag', flag: given.flag, ...(given.value === undefined ? {} : { value: given.value }), ...when };
    if (given.env !== undefined && given.flag === undefined && given.value === undefined) return { kind: 'env', variable: given.env, ...when };
    say(context, 'names no one thing', 'give either flag (and value) or env');
    return z.NEVER;
  });

const evaluatorForm = nameForm('the name of an evaluator in the config').optional().describe('Which evaluator of the config; the kind itself when left out.');
const urlForm = word('an address that begins with a host of the config, e.g. ${app}/api/flags', /^\$\{[a-z][a-z0-9-]*\}\/[^\s"'<>\\]{0,500}$/);
/** Kinds of evaluators that find a flag by its key alone. */
const KEYED = ['ofrep', 'store', 'openfeature', 'launchdarkly-sdk', 'launchdarkly-rest', 'unleash-sdk', 'unleash-metrics'] as const;
const proofForm = z
  .union(
    [
      fields('a proof', { http: fields('http', { url: urlForm, select: prose('a JMESPath to the value', 500), evaluator: evaluatorForm }) }),
      ...KEYED.map((kind) => fields('a proof', { [kind]: fields(kind, { evaluator: evaluatorForm }) })),
    ],
    { error: `{ http: { url, select } } or one of ${KEYED.map((kind) => `{ ${kind}: {} }`).join(', ')}` },
  )
  .transform((given): ProofRef => {
    const [kind, { evaluator, ...settings }] = Object.entries(given)[0] as [string, { evaluator?: string | undefined }];
    return { evaluator: evaluator ?? kind, with: settings };
  });

const DEFAULT = 'true, false, a text, or who has it, e.g. { share: 5 }';
const entryForm = fields('a flag', {
  title: prose('a title', 200).describe('What people read.'),
  owner: nameForm('the team that owns it').describe('The team that owns it.'),
  kind: z
    .enum(['feature', 'protection'], { error: 'feature or protection' })
    .optional()
    .describe('A protection is on by default, and no plan turns it off in production; feature when left out.'),
  type: z.union([z.literal('boolean'), fields('a type', { oneOf: list(flagTextForm, 'a list of texts', 100).min(2, { error: 'at least two texts' }) })], {
    error: 'boolean, or { oneOf: [full, sse-only] }',
  }),
  status: z
    .enum(['active', 'frozen', 'retired'], { error: 'active, frozen or retired' })
    .optional()
    .describe('Nothing turns on a frozen or retired flag; active when left out.'),
  lives: perEnvironment(homeForm, 'a map of environment to provider, e.g. { stage: builtin }').describe('Environment to the provider that it lives at.'),
  default: perEnvironment(z.union([valueForm, exposureForm], { error: DEFAULT }), 'a map of environment to value').describe('What it is before any launch.'),
  why: perEnvironment(prose('a reason', 500), 'a map of environment to reason').optional().describe('Why the default is what it is.'),
  exposures: perEnvironment(fields('an exposure', { to: exposureForm, why: prose('a reason', 500) }), 'a map of environment to { to, why }')
    .optional()
    .describe('What people set by hand there, beside the default.'),
  requires: list(requirementForm, 'a list of requirements', 50).optional().describe('What it cannot do without.'),
  exposed: z.boolean({ error: 'true or false' }).optional().describe('May public clients see it; false when left out.'),
  purpose: prose('what it is for').describe('What it is for.'),
  effect: prose('what it changes').describe('What it changes.'),
  env: variableForm.optional().describe('The environment variable that the app reads it from.'),
  documentation: word('an https address, or a path from the top of the repository', /^(https:\/\/[^\s"'<>]+|[A-Za-z0-9][\w./#-]*)$/)
    .optional()
    .describe('Where it is described.'),
  teamsCanManage: z.boolean({ error: 'true or false' }).optional().describe('Team admins may switch it for their team; false when left out.'),
  proof: list(proofForm, 'a list of proofs', 10).optional().describe('Where its users read it; a flag without one cannot be launched.'),
  population: z.record(z.string(), z.unknown(), { error: 'a map' }).optional().describe('Where real subjects are drawn from.'),
});

/** The flags of a registry: key to flag. */
export const flagsForm = z.record(flagKeyForm, entryForm, { error: 'a map of flag key to flag' });
/** The environment variables of a registry. */
export const variablesForm = z.object({
  variables: z.record(variableForm, list(environmentForm, 'a list of environments'), { error: 'a map of variable to environments' }).optional(),
});

type Written = z.output<typeof entryForm>;

/** The entry as the house reads it, every default filled in. */
export function toEntry(
  key: string,
  { lives, kind, status, why, exposures, requires, exposed, teamsCanManage, proof, env, documentation, population, ...rest }: Written,
): FlagEntry {
  return {
    key,
    ...rest,
    kind: kind ?? 'feature',
    status: status ?? 'active',
    lives: Object.fromEntries(
      Object.entries(lives).map(([environment, home]) => [
        environment,
        typeof home === 'string' ? { provider: home, key } : { provider: home.provider, key: home.key ?? key },
      ]),
    ),
    why: why ?? {},
    exposures: exposures ?? {},
    requires: requires ?? [],
    exposed: exposed ?? false,
    teamsCanManage: teamsCanManage ?? false,
    proof: proof ?? [],
    ...(env === undefined ? {} : { env }),
    ...(documentation === undefined ? {} : { documentation }),
    ...(population === undefined ? {} : { population }),
  };
}
