import { z } from 'zod';
import { fields, list, nameForm, prose, word } from '../plan/forms.ts';

const PORT = 'a port from 1 to 65535 (0: any free one)';
const URL_FORM = 'an address like https://gonogo.example.com';
const webAddress = z.url({ protocol: /^https?$/, error: URL_FORM }).transform((url) => url.replace(/\/+$/, ''));
const databaseForm = fields('a database', { url: word('a Postgres address, as a reference: ${GONOGO_DATABASE_URL} or file:/path', /^postgres(ql)?:\/\/\S+$/) });
const port = z.coerce.number({ error: PORT }).int({ error: PORT }).min(0, { error: PORT }).max(65_535, { error: PORT });
const instant = z.iso.datetime({ offset: true, error: 'a time with its zone, e.g. 2026-12-24T18:00:00+03:00' });

const instance = z.looseObject(
  { kind: z.string({ error: 'the kind, e.g. builtin' }).min(1, { error: 'the kind, e.g. builtin' }) },
  { error: 'a map with kind and its settings' },
);
const instances = (what: string) => z.record(nameForm(what), instance, { error: 'a map of name to { kind: ..., ... }' });
const notifier = z.looseObject(
  { kind: z.string({ error: 'the kind, e.g. webhook' }), events: z.enum(['all', 'important', 'pages'], { error: 'all, important or pages' }).optional() },
  { error: 'a map with kind and its settings' },
);
const hook = fields('a hook', {
  token: z
    .string({ error: 'a reference to a secret: ${ALERTMANAGER_TOKEN} or file:/path' })
    .min(16, { error: 'a secret of at least 16 characters; make one: openssl rand -hex 32' }),
  plans: list(z.string({ error: 'the name of a plan, or "*"' }), 'a list of plans that it may stop, e.g. ["*"]').min(1, { error: 'at least one plan, or "*"' }),
});

/** What gonogo.yaml holds, references already replaced. */
export const configSchema = fields('the config', {
  temporal: fields('temporal', {
    address: word('host:port', /^[^\s/]+:\d{1,5}$/).optional(),
    namespace: prose('the name of a namespace', 200).optional(),
    taskQueue: nameForm('the prefix of the task queues').optional(),
  }).optional(),
  database: databaseForm.optional(),
  flagStore: databaseForm.optional(),
  server: fields('server', {
    port: port.optional(),
    host: prose('an address to listen on, e.g. 127.0.0.1', 200).optional(),
    publicUrl: webAddress.optional(),
  }).optional(),
  people: z.record(prose('a name', 200), list(nameForm('a role'), 'a list of roles'), { error: 'a map of name to roles' }).optional(),
  providers: instances('a provider').optional(),
  evaluators: instances('an evaluator').optional(),
  sources: instances('a source').optional(),
  notifiers: z.record(nameForm('a notifier'), notifier, { error: 'a map of name to { kind: ..., ... }' }).optional(),
  hooks: fields('hooks', {
    alertmanager: z.record(nameForm('a source of alerts'), hook, { error: 'a map of source to { token, plans }' }).optional(),
  }).optional(),
  freezes: list(
    fields('a freeze', { environment: nameForm('an environment').optional(), from: instant, to: instant, reason: prose('a reason') }).check((context) => {
      if (Date.parse(context.value.to) > Date.parse(context.value.from)) return;
      context.issues.push({
        code: 'custom',
        params: { said: 'ends before it begins', hint: 'from is the earlier one' },
        input: context.value,
        message: 'ends before it begins',
      });
    }),
    'a list of freezes',
  ).optional(),
  registry: prose('the path of the flags’ registry, e.g. plans/flags.yaml', 500).optional(),
  plansDir: prose('the folder of the plans, e.g. plans', 500).optional(),
});

/** gonogo.yaml as written, references replaced. */
export type WrittenConfig = z.output<typeof configSchema>;
