import { z } from 'zod';
import type { AlertGate, Bound, ChecklistItem, FlagChange, Gate, Plan, Policy, ProbeGate, RatioGate, SignOffRule, Stage, ThresholdGate } from '../core/plan.ts';
import { duration, exposureForm, fields, flagKeyForm, idForm, list, nameForm, prose, say, word } from './forms.ts';
import type { Meant } from './issues.ts';
import { show } from './problem.ts';

const MINUTE = 60_000;
const DEFAULT_POLICY: Policy = { after: 10 * MINUTE, then: 'hold' };

/** Gate kinds that design and plans may name already, but that a later version brings. */
const LATER = ['burnRate', 'compareRate', 'compareSlow', 'compareUsers', 'quantile', 'exposureCheck'] as const;
const KINDS = ['threshold', 'ratio', 'probe', 'alert'] as const;

const sourceForm = nameForm('the name of a source in the config');
const roleForm = nameForm('a role');
const NUMBER = 'a number, e.g. 1, or a duration, e.g. 7d';
const PERCENT = 'a percentage in quotes or not, e.g. 1%, or a fraction from 0 to 1, e.g. 0.01';

/** A limit of a measured number; a duration means seconds, the unit in which sources answer. */
const limitForm = z.union([z.number({ error: NUMBER }), duration(NUMBER).transform((span) => span / 1000)], { error: NUMBER });
const fractionForm = z.union(
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

const bounds = <T extends z.ZodType>(limit: T) => ({
  max: limit.optional().describe('Healthy up to and including this.'),
  min: limit.optional().describe('Healthy from this on, it included.'),
  below: limit.optional().describe('Healthy below this, it excluded.'),
  above: limit.optional().describe('Healthy above this, it excluded.'),
});

function toBound(limits: Limits, context: z.RefinementCtx): Bound {
  const given = OPS.flatMap((op) => (limits[op] === undefined ? [] : [{ op, limit: limits[op] }]));
  if (given.length !== 1) say(context, given.length === 0 ? 'has no limit' : `has ${given.length} limits: ${given.map(({ op }) => op).join(', ')}`, 'give exactly one of max, min, below, above');
  return given[0] ?? { op: 'max', limit: 0 };
}

const policyForm = (what: string) =>
  fields('a policy', {
    after: duration().describe('How long to go on asking before acting.'),
    then: z.enum(['hold', 'rollback', 'page'], { error: 'hold, rollback or page' }).describe('What to do then.'),
  })
    .optional()
    .describe(`What to do when ${what}; after 10m hold, when left out.`);

const queryForm = (what: string) => prose(`a query in the words of its source: ${what}`, 4000);

const common = {
  title: prose('a title', 200).optional().describe('What people read instead of the id.'),
  every: duration('a duration from 1s to 1h, e.g. 15s', 1000).optional().describe('How often the question is asked; 15s when left out.'),
  for: duration().optional().describe('How long a breach must last before it counts; 0s when left out.'),
  noData: policyForm('the source has nothing to say'),
  error: policyForm('the source cannot be asked'),
};

type Common = { readonly [field in 'title' | 'every' | 'for' | 'noData' | 'error']?: z.output<(typeof common)[field]> | undefined };

function base(given: Common) {
  return {
    ...(given.title === undefined ? {} : { title: given.title }),
    every: given.every ?? 15_000,
    for: given.for ?? 0,
    noData: given.noData ?? DEFAULT_POLICY,
    error: given.error ?? DEFAULT_POLICY,
  };
}

const countForm = z.int({ error: 'a whole number from 0' }).min(0, { error: 'a whole number from 0' }).max(1e9, { error: 'a whole number up to 1000000000' });
const aliveForm = queryForm('1 while the metric is alive').optional().describe('A query that is 1 while the metric is alive; replaces the freshness that gonogo finds by itself.');

type Unnamed<T> = T extends Gate ? Omit<T, 'id'> : never;

const thresholdForm = fields('a gate', {
  kind: z.literal('threshold').optional().describe('May be left out.'),
  source: sourceForm.describe('Which source of the config is asked.'),
  query: queryForm('one number').describe('What it is asked: one number.'),
  ...bounds(limitForm),
  unit: word('a unit, e.g. s', /^[^\s"'<>]{1,12}$/).optional().describe('The unit of the number, for people.'),
  samples: queryForm('how many samples the number was drawn from').optional().describe('A query that counts what the number was drawn from.'),
  minSamples: countForm.optional().describe('Fewer samples are no evidence; 0 when left out.'),
  alive: aliveForm,
  ...common,
}).transform((given, context): Unnamed<ThresholdGate> => {
  if ((given.minSamples ?? 0) > 0 && given.samples === undefined) say(context, 'has minSamples but no samples', 'say with samples: which query counts them');
  return {
    kind: 'threshold',
    source: given.source,
    query: given.query,
    bound: toBound(given, context),
    ...(given.unit === undefined ? {} : { unit: given.unit }),
    ...(given.samples === undefined ? {} : { samples: given.samples }),
    minSamples: given.minSamples ?? 0,
    ...(given.alive === undefined ? {} : { alive: given.alive }),
    ...base(given),
  };
});

const ratioForm = fields('a gate', {
  kind: z.literal('ratio').optional().describe('May be left out.'),
  source: sourceForm.describe('Which source of the config is asked.'),
  ratio: fields('a ratio', { bad: queryForm('how many went wrong').describe('How many went wrong.'), total: queryForm('how many there were').describe('Of how many.') }).describe('Two queries: how many went wrong, of how many.'),
  ...bounds(fractionForm),
  minSamples: countForm.min(1, { error: 'a whole number from 1' }).optional().describe('A smaller total is no evidence; 1 when left out.'),
  alive: aliveForm,
  ...common,
}).transform(
  (given, context): Unnamed<RatioGate> => ({
    kind: 'ratio',
    source: given.source,
    bad: given.ratio.bad,
    total: given.ratio.total,
    bound: toBound(given, context),
    minSamples: given.minSamples ?? 1,
    ...(given.alive === undefined ? {} : { alive: given.alive }),
    ...base(given),
  }),
);

const STATUS = 'an HTTP status from 100 to 599';
const statusForm = z.int({ error: STATUS }).min(100, { error: STATUS }).max(599, { error: STATUS });

const probeForm = fields('a gate', {
  kind: z.literal('probe').optional().describe('May be left out.'),
  source: sourceForm.describe('Which source of kind probe is used; it holds the host.'),
  probe: fields('a probe', {
    path: word('a path that begins with / (the host is in the config), e.g. /api/health', /^\/(?!\/)[^\s\\]{0,500}$/).describe('Path under the base address of the source.'),
    status: z.union([statusForm, list(statusForm, STATUS, 20).min(1, { error: STATUS })], { error: `${STATUS}, or a list of them` }).optional().describe('Accepted statuses; 200 when left out.'),
    maxLatency: duration('a duration, e.g. 800ms', 1).optional().describe('A slower answer is a breach.'),
    contains: prose('text that the body must hold', 200).optional().describe('Text that the body must hold.'),
  }).describe('The request to make.'),
  ...common,
}).transform(
  ({ probe, ...given }): Unnamed<ProbeGate> => ({
    kind: 'probe',
    source: given.source,
    path: probe.path,
    status: typeof probe.status === 'object' ? probe.status : [probe.status ?? 200],
    ...(probe.maxLatency === undefined ? {} : { maxLatency: probe.maxLatency }),
    ...(probe.contains === undefined ? {} : { contains: probe.contains }),
    ...base(given),
  }),
);

const alertForm = fields('a gate', {
  kind: z.literal('alert').optional().describe('May be left out.'),
  alert: z
    .record(word('a label name', /^[A-Za-z_][A-Za-z0-9_]{0,99}$/), prose('text: the value of the label', 200), { error: 'a map of label to value, e.g. { severity: page }' })
    .describe('Labels that an alert must have, all of them, to stop the launch.'),
  source: sourceForm.optional().describe('A source that is asked too, e.g. Prometheus for ALERTS; the webhook is heard in any case.'),
  ...common,
}).transform((given, context): Unnamed<AlertGate> => {
  if (Object.keys(given.alert).length === 0) say(context, 'matches every alert', 'name at least one label');
  return { kind: 'alert', labels: given.alert, ...(given.source === undefined ? {} : { source: given.source }), ...base(given) };
});

const GATE = 'a gate: a map with source, query and a limit; or with ratio, probe or alert';

/** Never fits: it is chosen when `kind` names no kind of this version, and then says so. */
const otherKindForm = z.looseObject({ kind: z.unknown() }).transform(({ kind }, context): Unnamed<Gate> => {
  const later = LATER.find((name) => name === kind);
  say(context, later === undefined ? `is ${show(kind)}; expected one of ${KINDS.join(', ')}` : `is ${later}; this kind comes in a later version`, later === undefined ? '' : `use one of ${KINDS.join(', ')}`, ['kind']);
  return z.NEVER;
});
const gateForm = z.union([thresholdForm, ratioForm, probeForm, alertForm, otherKindForm], { error: GATE });

/** Which member of the gate union was meant, by its `kind` or by the field that only one kind has. */
function gateKind(found: unknown): number | undefined {
  if (typeof found !== 'object' || found === null) return undefined;
  if ('kind' in found) {
    const index = KINDS.findIndex((kind) => kind === found.kind);
    return index < 0 ? KINDS.length : index;
  }
  return 'ratio' in found ? 1 : 'probe' in found ? 2 : 'alert' in found ? 3 : 0;
}

const checkForm = fields('a check', {
  source: sourceForm.describe('Which source of the config is asked.'),
  query: queryForm('one number').describe('What it is asked: one number.'),
  ...bounds(limitForm),
  unit: word('a unit, e.g. s', /^[^\s"'<>]{1,12}$/).optional().describe('The unit of the number, for people.'),
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
  if (given.role !== undefined || given.evidence !== undefined) say(context, 'is checked by gonogo and ticked by a person', 'keep either check, or role and evidence');
  const { source, query, unit } = given.check;
  return { ...item, check: { source, query, bound: toBound(given.check, context), ...(unit === undefined ? {} : { unit }) } };
});

const changeShape = {
  flag: flagKeyForm.describe("The flag's key in the registry."),
  to: exposureForm.describe('Who sees it from now on; replaces the whole exposure.'),
};
const changeForm = fields('a change', { ...changeShape, narrows: z.literal([true, false], { error: 'true or false' }).optional().describe('Says that fewer people see it than before, on purpose.') }).transform(
  ({ flag, to, narrows }): FlagChange => ({ flag, to, narrows: narrows ?? false }),
);
/** Falling back narrows by its nature. */
const fallbackForm = fields('a change', changeShape).transform(({ flag, to }): FlagChange => ({ flag, to, narrows: true }));

const COUNT = 'a whole number from 1 to 20';
const signerForm = z
  .union([roleForm, fields('a sign-off', {
    role: roleForm.describe('The role that signs.'),
    count: z.int({ error: COUNT }).min(1, { error: COUNT }).max(20, { error: COUNT }).optional().describe('How many people of it; 1 when left out.'),
  })], {
    error: 'a role, e.g. qa, or { role: qa, count: 2 }',
  })
  .transform((given): SignOffRule => (typeof given === 'string' ? { role: given, count: 1 } : { role: given.role, count: given.count ?? 1 }));

const checklistForm = list(itemForm, 'a list of checklist items');

const stageForm = fields('a stage', {
  id: idForm.describe('Unique in the plan.'),
  title: prose('a title', 200).optional().describe('What people read instead of the id.'),
  checklist: checklistForm.optional().describe('What must be true before this stage.'),
  signOff: list(signerForm, 'a list of roles, e.g. [release-engineer, qa]', 20).optional().describe('Who must say go before this stage.'),
  set: list(changeForm, 'a list of changes, e.g. [{ flag: chat.enabled, to: everyone }]', 50).min(1, { error: 'at least one change' }).describe('What this stage does.'),
  bake: duration().optional().describe('How long it must then stay healthy; 0s when left out.'),
  gates: list(idForm, 'a list of gate ids', 50).optional().describe('Gates that arm with this stage and stay armed to the end.'),
  onRollback: fields('onRollback', {
    scope: z.literal('stage', { error: 'stage (the whole launch goes back when onRollback is left out)' }).describe('Only the flags of this stage go back.'),
    set: list(fallbackForm, 'a list of changes', 20).optional().describe('A fallback that is set once they are back.'),
  })
    .optional()
    .describe('What a breach of a gate that this stage lists puts back, while this stage is the last that moved; the whole launch when left out.'),
}).transform(
  (given): Stage => ({
    id: given.id,
    ...(given.title === undefined ? {} : { title: given.title }),
    checklist: given.checklist ?? [],
    signOff: given.signOff ?? [],
    set: given.set,
    bake: given.bake ?? 0,
    gates: given.gates ?? [],
    ...(given.onRollback === undefined ? {} : { onRollback: { scope: 'stage' as const, set: given.onRollback.set ?? [] } }),
  }),
);

/** A plan as people write it; parses to core's Plan. */
export const planSchema = fields('a plan', {
  name: nameForm('a name').describe('Names the launches: <name>-<environment>-<n>.'),
  title: prose('a title', 200).optional().describe('What people read instead of the name.'),
  lang: word('a language tag, e.g. en or ru', /^[a-z]{2,3}(-[A-Za-z0-9]{2,8})?$/).optional().describe('The language that the texts of the plan are in.'),
  environments: list(nameForm('an environment'), 'a list of environments, e.g. [stage, prod]', 20).optional().describe('Where it may be launched; anywhere when left out.'),
  maxDuration: duration(undefined, MINUTE).optional().describe('A launch that takes longer is rolled back; 14d when left out.'),
  rollback: fields('rollback', {
    within: duration('a duration from 1s to 5m', 1000).describe('How soon a rollback must be proven; 5m at most.'),
  })
    .optional()
    .describe('What a rollback promises.'),
  checklist: checklistForm.optional().describe('What must be true before the first stage.'),
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
  for (const [id, gate] of Object.entries(given.gates ?? {})) if (gate.every > 60 * MINUTE) say(context, 'is longer than 1h', 'ask more often', ['gates', id, 'every']);
  const { cleanUpIn, cleanUp } = given.after ?? {};
  return {
    name: given.name,
    ...(given.title === undefined ? {} : { title: given.title }),
    ...(given.lang === undefined ? {} : { lang: given.lang }),
    environments: given.environments ?? [],
    maxDuration: given.maxDuration ?? 14 * 24 * 60 * MINUTE,
    rollback: { within },
    checklist: given.checklist ?? [],
    gates: Object.entries(given.gates ?? {}).map(([id, gate]): Gate => ({ id, ...gate })),
    stages: given.stages,
    watch: given.watch ?? 60 * MINUTE,
    ...(given.after === undefined ? {} : { after: { ...(cleanUpIn === undefined ? {} : { cleanUpIn }), ...(cleanUp === undefined ? {} : { cleanUp }) } }),
  };
});

/** Tells the loader which kind of gate was meant. */
export const meantGate: Meant = (path, found) => (path.length === 2 && path[0] === 'gates' ? gateKind(found) : undefined);

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
