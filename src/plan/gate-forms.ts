import { z } from 'zod';
import type { AlertGate, Gate, ProbeGate, RatioGate, ThresholdGate } from '../core/plan.ts';
import { duration, fields, list, prose, say, word } from './forms.ts';
import { aliveForm, base, bounds, common, countForm, fractionForm, limitForm, queryForm, sourceForm, toBound, unitForm, type Unnamed } from './gate-parts.ts';
import type { Meant } from './issues.ts';
import { show } from './problem.ts';
import { burnRateForm, compareRateForm, compareSlowForm, compareUsersForm, exposureCheckForm, quantileForm } from './statistical-forms.ts';

/** The kinds of gate, in the order of the union. */
export const KINDS = ['threshold', 'ratio', 'probe', 'alert', 'compareRate', 'compareSlow', 'compareUsers', 'burnRate', 'quantile', 'exposureCheck'] as const;

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

const GATE = 'a gate: a map with source, query and a limit; or with ratio, probe or alert; or with the kind of a statistical gate';

/** Never fits: it is chosen when `kind` names no kind, and then says so. */
const otherKindForm = z.looseObject({ kind: z.unknown() }).transform(({ kind }, context): Unnamed<Gate> => {
  say(context, `is ${show(kind)}; expected one of ${KINDS.join(', ')}`, '', ['kind']);
  return z.NEVER;
});
/** Any gate, without its id. */
export const gateForm = z.union(
  [
    thresholdForm,
    ratioForm,
    probeForm,
    alertForm,
    compareRateForm,
    compareSlowForm,
    compareUsersForm,
    burnRateForm,
    quantileForm,
    exposureCheckForm,
    otherKindForm,
  ],
  { error: GATE },
);

/** Which member of the gate union was meant, by its `kind` or by the field that only one kind has. */
function gateKind(found: unknown): number | undefined {
  if (typeof found !== 'object' || found === null) return undefined;
  if ('kind' in found) {
    const index = KINDS.findIndex((kind) => kind === found.kind);
    return index < 0 ? KINDS.length : index;
  }
  // Those that compare need their kind: one that has forgotten it is told.
  if ('exposed' in found) return 'over' in found ? 5 : 4;
  return 'ratio' in found ? 1 : 'probe' in found ? 2 : 'alert' in found ? 3 : 0;
}

/** Tells the loader which kind of gate was meant. */
export const meantGate: Meant = (path, found) => (path.length === 2 && path[0] === 'gates' ? gateKind(found) : undefined);
