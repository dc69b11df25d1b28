import { z } from 'zod';
import type { Plan } from '../core/plan.ts';
import { duration, fields, idForm, list, nameForm, prose } from '../plan/forms.ts';
import { parseWith } from '../plan/load.ts';
import { readDocument } from '../plan/document.ts';
import { spell, type Complain, type Path, type Places, type Problem } from '../plan/problem.ts';
import { gateAnswers, isAsked, type Reads } from './gate-answers.ts';
import { ANSWERS_AFTER, type Answering, type Outage, type Scenario, type Should, type Trouble } from './scenario.ts';

const OUTCOME = 'launched, rolled-back or aborted';
const KINDS = ['held', 'paged', 'resumed', 'reopened', 'rollback-requested', 'rollback-proven', 'stuck', 'gap', 'drifted', 'concluded'] as const;
const kindForm = z.enum(KINDS, { error: `one of ${KINDS.join(', ')}` });
const stageForm = idForm.describe('After this stage’s flags moved.');
const afterForm = duration();

const answeringForm = fields('an answer', {
  role: nameForm('a role').optional().describe('Whose; everyone’s when left out.'),
  stage: idForm.optional().describe('In which stage; in every one when left out.'),
  after: afterForm.optional().describe('How long after they were asked.'),
  never: z.literal([true, false], { error: 'true or false' }).optional().describe('They do not sign at all.'),
  decision: z.enum(['go', 'no-go'], { error: 'go or no-go' }).optional().describe('What they say first; when asked again they say go.'),
  reason: prose('a reason', 300).optional().describe('Why no-go.'),
  recheckAfter: afterForm.optional().describe('How long after the no-go they are asked again; 24h when left out.'),
  meanwhile: z.enum(['hold', 'roll-back'], { error: 'hold or roll-back' }).optional().describe('What happens until then.'),
});
const troubleForm = fields('what a gate reads', {
  gate: idForm.describe('A gate of the plan.'),
  stage: stageForm,
  after: afterForm.optional().describe('How long after; at once when left out.'),
  reads: z
    .union([z.enum(['healthy', 'breach', 'no-data', 'error']), z.number()], { error: 'healthy, breach, no-data, error or a number' })
    .describe('A number is the gate’s own value, a ratio as a share of 1.'),
  for: afterForm.optional().describe('How long; to the end when left out.'),
});
const outageForm = fields('an outage', {
  provider: nameForm('a provider').optional().describe('Which provider does not answer; none of them when left out.'),
  stage: stageForm,
  after: afterForm.optional().describe('How long after; at once when left out.'),
  for: afterForm.describe('How long.'),
});
const outcomeForm = z.enum(['launched', 'rolled-back', 'aborted'], { error: OUTCOME });
const shouldForm = z.union(
  [
    outcomeForm,
    fields('should', {
      outcome: outcomeForm.describe('How it ends.'),
      seen: list(kindForm, 'a list of kinds of events').optional().describe('What must have happened.'),
      unseen: list(kindForm, 'a list of kinds of events').optional().describe('What must not have happened.'),
      upTo: idForm.optional().describe('The last stage whose flags may have moved.'),
    }),
  ],
  { error: `${OUTCOME}, or a map of outcome, seen, unseen, upTo` },
);

const scenarioForm = fields('a scenario', {
  name: prose('a name', 60).optional().describe('What it is called in the output; the file’s name when left out.'),
  answersAfter: afterForm.optional().describe('How long people take where nothing else is said; 30m when left out.'),
  people: list(answeringForm, 'a list of answers').optional().describe('Who signs when, and what.'),
  gates: list(troubleForm, 'a list of what gates read').optional().describe('What each gate reads when; healthy when nothing is said.'),
  providers: list(outageForm, 'a list of outages').optional().describe('Which providers do not answer when.'),
  should: shouldForm.describe('How it should end: the rehearsal fails when it ends otherwise.'),
});

type Written = z.output<typeof scenarioForm>;

/** A scenario, or everything that is wrong with its text. */
export type LoadedScenario = { readonly ok: true; readonly scenario: Scenario } | { readonly ok: false; readonly problems: readonly Problem[] };

/** What the text names must be in the plan. */
function inspect(written: Written, plan: Plan, providers: readonly string[], places: Places): readonly Problem[] {
  const found: Problem[] = [];
  const complain: Complain = (path, message, hint) =>
    void found.push({ code: 'refused', path: spell(path), ...places.value(path), message: `${spell(path)} ${message}`, hint });
  const stages = plan.stages.map((stage) => stage.id);
  const known = (path: Path, name: string | undefined, names: readonly string[], what: string): void => {
    if (name !== undefined && !names.includes(name)) complain(path, `is ${name}, which is no ${what} of this plan`, `known: ${names.join(', ') || 'none'}`);
  };
  written.people?.forEach((one, index) => {
    known(['people', index, 'stage'], one.stage, stages, 'stage');
    const asked = plan.stages.filter((stage) => one.stage === undefined || stage.id === one.stage);
    const roles = [...asked.flatMap((stage) => [...stage.signOff, ...stage.checklist]), ...plan.checklist].flatMap((given) => given.role ?? []);
    if (one.stage === undefined || stages.includes(one.stage)) known(['people', index, 'role'], one.role, [...new Set(roles)], 'role');
  });
  written.gates?.forEach((one, index) => {
    known(['gates', index, 'stage'], one.stage, stages, 'stage');
    const gates = plan.gates.map((gate) => gate.id);
    known(['gates', index, 'gate'], one.gate, gates, 'gate');
    const gate = plan.gates.find((each) => each.id === one.gate);
    if (gate !== undefined && !isSayable(gate, one.reads))
      complain(
        ['gates', index, 'reads'],
        `is ${String(one.reads)}, which no numbers of a gate of kind ${gate.kind} can be made to say`,
        'choose another gate, or healthy',
      );
  });
  written.providers?.forEach((one, index) => {
    known(['providers', index, 'stage'], one.stage, stages, 'stage');
    known(['providers', index, 'provider'], one.provider, providers, 'provider');
  });
  if (typeof written.should === 'object') known(['should', 'upTo'], written.should.upTo, stages, 'stage');
  return found;
}

function isSayable(gate: Plan['gates'][number], reads: Reads): boolean {
  if (!isAsked(gate)) return false;
  return reads === 'no-data' || reads === 'error' || gateAnswers(gate, reads, undefined) !== undefined;
}

function toShould(written: Written['should']): Should {
  if (typeof written === 'string') return { outcome: written, seen: [], unseen: [], words: written };
  const { outcome, seen = [], unseen = [], upTo } = written;
  const words = [outcome, ...(seen.length === 0 ? [] : [`with ${seen.join(', ')}`]), ...(unseen.length === 0 ? [] : [`without ${unseen.join(', ')}`])].join(
    ', ',
  );
  return { outcome, seen, unseen, words, ...(upTo === undefined ? {} : { upTo }) };
}

const toAnswering = (written: NonNullable<Written['people']>[number]): Answering => withoutMissing(written);
const toTrouble = ({ after, for: lasts, ...written }: NonNullable<Written['gates']>[number]): Trouble => ({
  ...written,
  after: after ?? 0,
  ...(lasts === undefined ? {} : { for: lasts }),
});
const toOutage = ({ after, provider, ...written }: NonNullable<Written['providers']>[number]): Outage => ({
  ...written,
  after: after ?? 0,
  ...(provider === undefined ? {} : { provider }),
});

/** A map without the names whose value is undefined. */
function withoutMissing<T extends object>(map: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(map).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

/** Reads a scenario from YAML, against the plan that is rehearsed and the providers where its flags live. `name` where the text has none. Never throws. */
export function loadScenario(text: string, plan: Plan, providers: readonly string[], name: string): LoadedScenario {
  const parsed = parseWith(scenarioForm, readDocument(text));
  if (!parsed.ok) return parsed;
  const problems = inspect(parsed.data, plan, providers, parsed.places);
  if (problems.length > 0) return { ok: false, problems };
  const { data } = parsed;
  const scenario: Scenario = {
    name: data.name ?? name,
    answersAfter: data.answersAfter ?? ANSWERS_AFTER,
    people: (data.people ?? []).map(toAnswering),
    gates: (data.gates ?? []).map(toTrouble),
    providers: (data.providers ?? []).map(toOutage),
    should: toShould(data.should),
  };
  return { ok: true, scenario };
}
