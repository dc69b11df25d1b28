import { z } from 'zod';
import type { AlertGate, Bound, Gate, Policy, ProbeGate, RatioGate, ThresholdGate } from '../core/plan.ts';
import { duration, fields, list, nameForm, prose, say, word } from './forms.ts';
import type { Meant } from './issues.ts';
import { show } from './problem.ts';

const DEFAULT_POLICY: Policy = { after: 600_000, then: 'hold' };

/** Gate kinds that design and plans may name already, but that a later version brings. */
const LATER = ['burnRate', 'compareRate', 'compareSlow', 'compareUsers', 'quantile', 'exposureCheck'] as const;
/** The kinds of gate of this version, in the order of the union. */
export const KINDS = ['threshold', 'ratio', 'probe', 'alert'] as const;

/** The name of a source in the config. */
export const sourceForm = nameForm('the name of a source in the config');
const NUMBER = 'a number, e.g. 1, or a duration, e.g. 7d';
const PERCENT = 'a percentage in quotes or not, e.g. 1%, or a fraction from 0 to 1, e.g. 0.01';

/** A limit of a measured number; a duration means seconds, the unit in which sources answer. */
export const limitForm = z.union([z.number({ error: NUMBER }), duration(NUMBER).transform((span) => span / 1000)], { error: NUMBER });
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
    .describe(`What to do when ${what}; after 10m hold, when left out.`);

/** A query in the words of its source. */
export const queryForm = (what: string) => prose(`a query in the words of its source: ${what}`, 4000);

/** A unit, for people. */
export const unitForm = word('a unit, e.g. s', /^[^\s"'<>]{1,12}$/)
  .optional()
  .describe('The unit of the number, for people.');

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
const aliveForm = queryForm('1 while the metric is alive')
  .optional()
  .describe('A query that is 1 while the metric is alive; replaces the freshness that gonogo finds by itself.');

type Unnamed<T> = T extends Gate ? Omit<T, 'id'> : never;

const thresholdForm = fields('a gate', {
  kind: z.literal('threshold').optional().describe('May be left out.'),
  source: sourceForm.describe('Which source of the config is asked.'),
  query: queryForm('one number').describe('What it is asked: one number.'),
  ...bounds(limitForm),
  unit: unitForm,
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
  ratio: fields('a ratio', {
    bad: queryForm('how many went wrong').describe('How many went wrong.'),
    total: queryForm('how many there were').describe('Of how many.'),
  }).describe('Two queries: how many went wrong, of how many.'),
  ...bounds(fractionForm),
  minSamples: countForm.min(1, { error: 'a whole number from 1' }).optional().describe('A smaller total is no evidence; 1 when left out.'),
  alive: aliveForm,
  ...common,
}).transform((given, context): Unnamed<RatioGate> => ({
  kind: 'ratio',
  source: given.source,
  bad: given.ratio.bad,
  total: given.ratio.total,
  bound: toBound(given, context),
  minSamples: given.minSamples ?? 1,
  ...(given.alive === undefined ? {} : { alive: given.alive }),
  ...base(given),
}));

const STATUS = 'an HTTP status from 100 to 599';
const statusForm = z.int({ error: STATUS }).min(100, { error: STATUS }).max(599, { error: STATUS });

const probeForm = fields('a gate', {
  kind: z.literal('probe').optional().describe('May be left out.'),
  source: sourceForm.describe('Which source of kind probe is used; it holds the host.'),
  probe: fields('a probe', {
    path: word('a path that begins with / (the host is in the config), e.g. /api/health', /^\/(?!\/)[^\s\\]{0,500}$/).describe(
      'Path under the base address of the source.',
    ),
    status: z
      .union([statusForm, list(statusForm, STATUS, 20).min(1, { error: STATUS })], { error: `${STATUS}, or a list of them` })
      .optional()
      .describe('Accepted statuses; 200 when left out.'),
    maxLatency: duration('a duration, e.g. 800ms', 1).optional().describe('A slower answer is a breach.'),
    contains: prose('text that the body must hold', 200).optional().describe('Text that the body must hold.'),
  }).describe('The request to make.'),
  ...common,
}).transform(({ probe, ...given }): Unnamed<ProbeGate> => ({
  kind: 'probe',
  source: given.source,
  path: probe.path,
  status: typeof probe.status === 'object' ? probe.status : [probe.status ?? 200],
  ...(probe.maxLatency === undefined ? {} : { maxLatency: probe.maxLatency }),
  ...(probe.contains === undefined ? {} : { contains: probe.contains }),
  ...base(given),
}));

const alertForm = fields('a gate', {
  kind: z.literal('alert').optional().describe('May be left out.'),
  alert: z
    .record(word('a label name', /^[A-Za-z_][A-Za-z0-9_]{0,99}$/), prose('text: the value of the label', 200), {
      error: 'a map of label to value, e.g. { severity: page }',
    })
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
  say(
    context,
    later === undefined ? `is ${show(kind)}; expected one of ${KINDS.join(', ')}` : `is ${later}; this kind comes in a later version`,
    later === undefined ? '' : `use one of ${KINDS.join(', ')}`,
    ['kind'],
  );
  return z.NEVER;
});
/** Any gate, without its id. */
export const gateForm = z.union([thresholdForm, ratioForm, probeForm, alertForm, otherKindForm], { error: GATE });

/** Which member of the gate union was meant, by its `kind` or by the field that only one kind has. */
function gateKind(found: unknown): number | undefined {
  if (typeof found !== 'object' || found === null) return undefined;
  if ('kind' in found) {
    const index = KINDS.findIndex((kind) => kind === found.kind);
    return index < 0 ? KINDS.length : index;
  }
  return 'ratio' in found ? 1 : 'probe' in found ? 2 : 'alert' in found ? 3 : 0;
}

/** Tells the loader which kind of gate was meant. */
export const meantGate: Meant = (path, found) => (path.length === 2 && path[0] === 'gates' ? gateKind(found) : undefined);
