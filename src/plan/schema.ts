import { z } from 'zod';
import type { ChecklistItem, FlagChange, Gate, Plan, SignOffRule, Stage } from '../core/plan.ts';
import { duration, exposureForm, fields, flagKeyForm, idForm, list, nameForm, prose, say, word } from './forms.ts';
import { gateForm, KINDS } from './gate-forms.ts';
import { bounds, fractionForm, limitForm, queryForm, sourceForm, toBound, unitForm } from './gate-parts.ts';
import { spendsAlarms, withAlpha } from './statistical-forms.ts';

const MINUTE = 60_000;
const roleForm = nameForm('a role');

const checkForm = fields('a check', {
  source: sourceForm.describe('Which source of the config is asked.'),
  query: queryForm('one number').describe('What it is asked: one number.'),
  ...bounds(limitForm),
  unit: unitForm,
});

const itemForm = fields('a checklist item', {
  id: idForm.describe('Unique in the plan.'),
  text: prose('what must be true').describe('What must be true, in a sentence.'),
  role: roleForm.optional().describe('Who may tick it; anyone who may sign when left out.'),
  evidence: z.enum(['none', 'text', 'link'], { error: 'none, text or link' }).optional().describe('What a tick must bring; none when left out.'),
  check: checkForm.optional().describe('gonogo checks it: nobody ticks it.'),
}).transform((given, context): ChecklistItem => {
  const item = { id: given.id, text: given.text, evidence: given.evidence ?? ('none' as const), ...(given.role === undefined ? {} : { role: given.role }) };
  if (given.check === undefined) return item;
  if (given.role !== undefined || given.evidence !== undefined)
    say(context, 'is checked by gonogo and ticked by a person', 'keep either check, or role and evidence');
  const { source, query, unit } = given.check;
  return { ...item, check: { source, query, bound: toBound(given.check, context), ...(unit === undefined ? {} : { unit }) } };
});

const changeShape = {
  flag: flagKeyForm.describe("The flag's key in the registry."),
  to: exposureForm.describe('Who sees it from now on; replaces the whole exposure.'),
};
const changeForm = fields('a change', {
  ...changeShape,
  narrows: z.literal([true, false], { error: 'true or false' }).optional().describe('Says that fewer people see it than before, on purpose.'),
}).transform(({ flag, to, narrows }): FlagChange => ({ flag, to, narrows: narrows ?? false }));
/** Falling back narrows by its nature. */
const fallbackForm = fields('a change', changeShape).transform(({ flag, to }): FlagChange => ({ flag, to, narrows: true }));

const COUNT = 'a whole number from 1 to 20';
const signerForm = z
  .union(
    [
      roleForm,
      fields('a sign-off', {
        role: roleForm.describe('The role that signs.'),
        count: z.int({ error: COUNT }).min(1, { error: COUNT }).max(20, { error: COUNT }).optional().describe('How many people of it; 1 when left out.'),
      }),
    ],
    {
      error: 'a role, e.g. qa, or { role: qa, count: 2 }',
    },
  )
  .transform((given): SignOffRule => (typeof given === 'string' ? { role: given, count: 1 } : { role: given.role, count: given.count ?? 1 }));

const checklistForm = list(itemForm, 'a list of checklist items');

const stageForm = fields('a stage', {
  id: idForm.describe('Unique in the plan.'),
  title: prose('a title', 200).optional().describe('What people read instead of the id.'),
  checklist: checklistForm.optional().describe('What must be true before this stage.'),
  signOff: list(signerForm, 'a list of roles, e.g. [release-engineer, qa]', 20).optional().describe('Who must say go before this stage.'),
  set: list(changeForm, 'a list of changes, e.g. [{ flag: chat.enabled, to: everyone }]', 50)
    .min(1, { error: 'at least one change' })
    .describe('What this stage does.'),
  bake: duration().optional().describe('How long it must then stay healthy; 0s when left out.'),
  maxBake: duration()
    .optional()
    .describe('How long after its shift it may be undecided before a person is asked; twice its bake, and 10m at least, when left out.'),
  gates: list(idForm, 'a list of gate ids', 50).optional().describe('Gates that arm with this stage and stay armed to the end.'),
  onRollback: fields('onRollback', {
    scope: z.literal('stage', { error: 'stage (the whole launch goes back when onRollback is left out)' }).describe('Only the flags of this stage go back.'),
    set: list(fallbackForm, 'a list of changes', 20).optional().describe('A fallback that is set once they are back.'),
  })
    .optional()
    .describe('What a breach of a gate that this stage lists puts back, while this stage is the last that moved; the whole launch when left out.'),
}).transform((given): Stage => ({
  id: given.id,
  ...(given.title === undefined ? {} : { title: given.title }),
  checklist: given.checklist ?? [],
  signOff: given.signOff ?? [],
  set: given.set,
  bake: given.bake ?? 0,
  ...(given.maxBake === undefined ? {} : { maxBake: given.maxBake }),
  gates: given.gates ?? [],
  ...(given.onRollback === undefined ? {} : { onRollback: { scope: 'stage' as const, set: given.onRollback.set ?? [] } }),
}));

/** A plan as people write it; parses to core's Plan. */
export const planSchema = fields('a plan', {
  name: nameForm('a name').describe('Names the launches: <name>-<environment>-<n>.'),
  title: prose('a title', 200).optional().describe('What people read instead of the name.'),
  lang: word('a language tag, e.g. en or ru', /^[a-z]{2,3}(-[A-Za-z0-9]{2,8})?$/)
    .optional()
    .describe('The language that the texts of the plan are in.'),
  environments: list(nameForm('an environment'), 'a list of environments, e.g. [stage, prod]', 20)
    .optional()
    .describe('Where it may be launched; anywhere when left out.'),
  maxDuration: duration(undefined, MINUTE).optional().describe('A launch that takes longer is rolled back; 14d when left out.'),
  rollback: fields('rollback', {
    within: duration('a duration from 1s to 5m', 1000).describe('How soon a rollback must be proven; 5m at most.'),
  })
    .optional()
    .describe('What a rollback promises.'),
  checklist: checklistForm.optional().describe('What must be true before the first stage.'),
  falseAlarms: fractionForm
    .optional()
    .describe('In how many healthy launches at most the statistical gates together may raise a false alarm; 1% when left out.'),
  gates: z.record(idForm, gateForm, { error: 'a map of id to gate' }).optional().describe('Questions asked of the world while the launch is live.'),
  stages: list(stageForm, 'a list of stages', 50).min(1, { error: 'at least one stage' }).describe('The stages, in order.'),
  watch: duration().optional().describe('How long it is watched after the last stage; 1h when left out.'),
  after: fields('after', {
    cleanUpIn: duration().optional().describe('When the flags should be gone from the code.'),
    cleanUp: list(prose('what to clean up', 200), 'a list of texts', 50).optional().describe('What to clean up then.'),
  })
    .optional()
    .describe('What is left to do once launched.'),
}).transform((given, context): Plan => {
  const within = given.rollback?.within ?? 5 * MINUTE;
  if (within > 5 * MINUTE) say(context, 'is longer than the 5m that gonogo promises', 'write 5m or less', ['rollback', 'within']);
  for (const [id, gate] of Object.entries(given.gates ?? {}))
    if (gate.every > 60 * MINUTE) say(context, 'is longer than 1h', 'ask more often', ['gates', id, 'every']);
  const gates = Object.entries(given.gates ?? {}).map(([id, gate]): Gate => ({ id, ...gate }));
  const budget = given.falseAlarms ?? 0.01;
  const spends = gates.some(spendsAlarms);
  if (given.falseAlarms !== undefined && !(budget > 0 && budget <= 0.2)) say(context, 'is no budget', 'write more than 0% and at most 20%', ['falseAlarms']);
  if (given.falseAlarms !== undefined && !spends)
    say(context, 'is spent by no gate', 'take it out, or add a gate of kind compareRate, compareSlow, compareUsers or exposureCheck', ['falseAlarms']);
  const { cleanUpIn, cleanUp } = given.after ?? {};
  return {
    name: given.name,
    ...(given.title === undefined ? {} : { title: given.title }),
    ...(given.lang === undefined ? {} : { lang: given.lang }),
    environments: given.environments ?? [],
    maxDuration: given.maxDuration ?? 14 * 24 * 60 * MINUTE,
    rollback: { within },
    checklist: given.checklist ?? [],
    ...(spends ? { falseAlarms: budget } : {}),
    gates: withAlpha(gates, budget),
    stages: given.stages,
    watch: given.watch ?? 60 * MINUTE,
    ...(given.after === undefined ? {} : { after: { ...(cleanUpIn === undefined ? {} : { cleanUpIn }), ...(cleanUp === undefined ? {} : { cleanUp }) } }),
  };
});

/** The plan's JSON schema (draft 2020-12) as people write it, every field described: for OpenAPI and editors. */
export function describePlanSchema(): Record<string, unknown> {
  return z.toJSONSchema(planSchema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema === gateForm) jsonSchema.anyOf?.splice(KINDS.length);
    },
  });
}
