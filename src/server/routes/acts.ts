import { z } from 'zod';
import { conclude, hold, resume, sign, tickItem } from '../../store/people.ts';
import { requestRollback } from '../../store/request.ts';
import { nowOf } from '../deps.ts';
import { nudgeRollback } from '../nudge.ts';
import { HttpProblem } from '../problem.ts';
import { ACTING_ROLES, caller, route, type Answer, type Call, type Route } from '../route.ts';
import { showLaunch, unknownLaunch } from '../show.ts';

const sentence = z
  .string()
  .trim()
  .min(1, { error: 'is empty; expected a reason in words' })
  .max(2_000)
  .refine((text) => text.isWellFormed() && !text.includes('\0'), { error: 'holds characters that cannot be kept' });
const evidence = z
  .string()
  .max(2_000)
  .refine((text) => text.isWellFormed() && !text.includes('\0'), { error: 'holds characters that cannot be kept' });
const reasonForm = z.strictObject({ reason: sentence });
const tickForm = z.strictObject({ done: z.boolean(), evidence: evidence.optional() });
const signForm = z.strictObject({
  role: z.string().min(1).max(100),
  decision: z.enum(['go', 'no-go']),
  reason: sentence.optional().describe('Needed for a no-go.'),
  bugs: z.array(evidence).max(100).optional(),
  recheckAt: z.iso
    .datetime({ offset: true, error: 'is no time; expected ISO 8601 with its zone, e.g. 2026-04-24T10:00:00Z' })
    .optional()
    .describe('Needed for a no-go: when it is asked again.'),
  meanwhile: z.enum(['hold', 'roll-back']).optional(),
  planHash: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional()
    .describe('The plan that was shown; another one now is 409.'),
  seal: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional()
    .describe('The evidence that was shown; another one now is 409.'),
});

const at = (call: Pick<Call<unknown>, 'deps'>): string => new Date(nowOf(call.deps)).toISOString();

/** What an act is answered with: what was written down, and the headline as it is now. The act stands whether or not the headline can be told. */
async function done(
  call: Pick<Call<unknown>, 'deps' | 'param'>,
  appended: { readonly seq: number; readonly hash: string } | undefined,
  more: Readonly<Record<string, unknown>> = {},
): Promise<Answer> {
  const launch = call.param('id');
  const headline = await showLaunch(call.deps.store, launch).then(
    (shown) => ({ headline: shown.headline }),
    () => ({}),
  );
  return { status: 200, body: { launch, ...more, ...(appended === undefined ? { repeated: true } : { seq: appended.seq, hash: appended.hash }), ...headline } };
}

/** Asks for a launch's rollback for a person; durable when this returns. */
async function rollBack(call: Call<unknown>, cause: Parameters<typeof requestRollback>[3]): Promise<string> {
  const id = call.param('id');
  const requested = await requestRollback(call.deps.store, id, { kind: 'launch' }, cause, caller(call).name, nowOf(call.deps));
  switch (requested.status) {
    case 'unknown':
      throw unknownLaunch(id);
    case 'over':
      throw new HttpProblem(409, 'launch_over', `launch ${id} has ended ${requested.outcome}; there is nothing to roll back`);
    case 'requested':
    case 'covered':
      nudgeRollback(call.deps, id);
      return requested.status;
  }
}

async function signRoute(call: Call<z.output<typeof signForm>>): Promise<Answer> {
  const { deps, param, body } = call;
  const [launch, stage] = [param('id'), param('stage')];
  const { reason, bugs, recheckAt, meanwhile, planHash, seal, ...answer } = body;
  const appended = await sign(deps.store, {
    launch,
    stage,
    person: caller(call),
    at: at(call),
    ...answer,
    ...(reason === undefined ? {} : { reason }),
    ...(bugs === undefined ? {} : { bugs }),
    ...(recheckAt === undefined ? {} : { recheckAt }),
    ...(meanwhile === undefined ? {} : { meanwhile }),
    ...(planHash === undefined ? {} : { planHash }),
    ...(seal === undefined ? {} : { seal }),
  });
  // Asked for again on a repeat: the answer before may have been lost between the two.
  const rollback = body.decision === 'no-go' && meanwhile === 'roll-back' ? await rollBack(call, { kind: 'no-go', stage, reason: reason ?? '' }) : undefined;
  return done(call, appended, { stage, ...(rollback === undefined ? {} : { rollback }) });
}

/** What people do to a launch; each is decided in the database before it is answered. */
export const actRoutes: readonly Route[] = [
  route({
    method: 'post',
    path: '/api/launches/:id/checklist/:item',
    summary: 'Tick or untick a checklist item, with its evidence',
    access: ACTING_ROLES,
    body: tickForm,
    responses: { 200: 'Ticked', 403: 'Not your role', 404: 'No such launch or item', 409: 'Its stage has begun', 422: 'Evidence is missing' },
    async handle(call) {
      const { done: ticked, evidence: given } = call.body;
      const ticking = {
        launch: call.param('id'),
        item: call.param('item'),
        done: ticked,
        person: caller(call),
        at: at(call),
        ...(given === undefined ? {} : { evidence: given }),
      };
      return done(call, await tickItem(call.deps.store, ticking), { item: ticking.item, done: ticked });
    },
  }),
  route({
    method: 'post',
    path: '/api/launches/:id/stages/:stage/sign-offs',
    summary: 'Say go or no-go to a stage, in one role',
    access: ACTING_ROLES,
    body: signForm,
    responses: {
      200: 'Signed',
      403: 'Not your role, or your own launch',
      409: 'Another stage, another plan, signed in another role',
      422: 'Reason or recheck is missing',
    },
    handle: signRoute,
  }),
  route({
    method: 'post',
    path: '/api/launches/:id/hold',
    summary: 'Hold a launch; rollback stays armed',
    access: ACTING_ROLES,
    body: reasonForm,
    responses: { 200: 'Held', 409: 'Over, or rolling back' },
    async handle(call) {
      return done(call, await hold(call.deps.store, call.param('id'), caller(call).name, at(call), call.body.reason, 'person'));
    },
  }),
  route({
    method: 'post',
    path: '/api/launches/:id/resume',
    summary: 'Let a held launch go on',
    access: ACTING_ROLES,
    body: reasonForm,
    responses: { 200: 'It goes on', 409: 'Not held, or it can only be concluded' },
    async handle(call) {
      return done(call, await resume(call.deps.store, call.param('id'), caller(call), at(call), call.body.reason));
    },
  }),
  route({
    method: 'post',
    path: '/api/launches/:id/rollback',
    summary: 'Put every flag of a launch back; durable when it is answered',
    access: ACTING_ROLES,
    body: reasonForm,
    responses: { 202: 'Asked for, now or before', 409: 'The launch is over' },
    async handle(call) {
      const status = await rollBack(call, { kind: 'person', reason: call.body.reason });
      return { status: 202, body: { launch: call.param('id'), status } };
    },
  }),
  route({
    method: 'post',
    path: '/api/launches/:id/conclude',
    summary: 'End a launch that waits in its fallback mode after a stage rollback',
    access: ACTING_ROLES,
    body: reasonForm,
    responses: { 200: 'Ended rolled-back, scope stage', 409: 'It does not wait in its fallback mode' },
    async handle(call) {
      return done(call, await conclude(call.deps.store, call.param('id'), caller(call), at(call), call.body.reason), { outcome: 'rolled-back' });
    },
  }),
];
