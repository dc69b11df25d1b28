import { z } from 'zod';
import type { Plan } from '../../core/plan.ts';
import { checkPlan, environmentsFor } from '../../plan/check.ts';
import { explain } from '../../plan/explain.ts';
import { loadPlan, loadPlanObject, type LoadedPlan } from '../../plan/load.ts';
import { bindOrder, speedUp } from '../../plan/order.ts';
import type { Problem } from '../../plan/problem.ts';
import type { Order } from '../../core/plan.ts';
import { checkBody, mediaType, parseJson } from '../body.ts';
import type { ServerDeps } from '../deps.ts';
import { HttpProblem } from '../problem.ts';
import { caller, STARTING_ROLES, type Answer, type Call, type Route } from '../route.ts';
import { startLaunch } from '../start-launch.ts';
import { holdIfFiring } from '../alerting.ts';

const YAML = ['text/yaml', 'text/x-yaml', 'application/yaml', 'application/x-yaml'];

const planSource = {
  plan: z.looseObject({}).optional().describe('The plan as an object.'),
  planYaml: z.string().optional().describe('The plan as YAML text.'),
};
const checkForm = z.strictObject({ ...planSource, environment: z.string().max(100).optional() });
/** The body of POST /api/launches. */
export const launchForm = z.strictObject({
  ...planSource,
  environment: z.string().min(1).max(100).describe('Where it is launched.'),
  note: z.string().max(2_000).optional().describe('Why, in words; shown in view and report.'),
  speed: z.number().min(1).max(100_000).optional().describe('Divides bake, watch and for; embedded demos only.'),
});

function onePlan(given: { readonly plan?: unknown; readonly planYaml?: string | undefined }): LoadedPlan {
  const { plan, planYaml } = given;
  if ((plan === undefined) === (planYaml === undefined)) {
    throw new HttpProblem(422, 'invalid_body', 'the body holds no plan, or two; expected either plan (an object) or planYaml (text)', {
      problems: [{ path: 'plan', message: 'expected either plan or planYaml' }],
    });
  }
  return planYaml === undefined ? loadPlanObject(plan) : loadPlan(planYaml);
}

interface Checked {
  readonly plan?: Plan;
  readonly problems: readonly Problem[];
}

function check(deps: ServerDeps, loaded: LoadedPlan, environment: string | undefined): Checked {
  if (!loaded.ok) return { problems: loaded.problems };
  return { plan: loaded.plan, problems: checkPlan(loaded.plan, deps.registry, environment, loaded.places) };
}

function checkRoute({ deps, req, raw, query }: Call<unknown>): Answer {
  const yaml = YAML.includes(mediaType(req.headers['content-type']));
  const given = yaml
    ? { planYaml: raw.toString('utf8'), environment: query('environment') }
    : checkBody(checkForm, parseJson(raw, req.headers['content-type']));
  const { plan, problems } = check(deps, onePlan(given), given.environment);
  if (plan === undefined || problems.length > 0) return { status: 200, body: { ok: false, problems, story: [] } };
  const environment = given.environment ?? environmentsFor(plan, deps.registry)[0];
  const hash = environment === undefined ? undefined : bindOrder(plan, deps.registry, environment).hash;
  return {
    status: 200,
    body: { ok: true, ...(hash === undefined ? {} : { planHash: hash, environment }), problems: [], story: explain(plan, deps.registry, given.environment) },
  };
}

function orderOf(deps: ServerDeps, loaded: LoadedPlan, environment: string, speed: number): Order {
  const { plan, problems } = check(deps, loaded, environment);
  if (plan === undefined || problems.length > 0) {
    throw new HttpProblem(422, 'plan_refused', `the plan cannot be launched in ${JSON.stringify(environment)}: ${problems[0]?.message ?? ''}`, {
      problems: problems.map((problem) => ({ ...problem })),
    });
  }
  return bindOrder(speedUp(plan, speed), deps.registry, environment);
}

async function launchRoute(call: Call<unknown>): Promise<Answer> {
  const { deps, req, raw } = call;
  const key = req.headers['idempotency-key'];
  if (typeof key !== 'string' || !/^[\x21-\x7e]{8,200}$/.test(key)) {
    throw new HttpProblem(
      400,
      'idempotency_key_missing',
      'the header Idempotency-Key is missing or unusable; expected 8 to 200 visible characters, e.g. a UUID, the same one when the request is sent again',
    );
  }
  const given = checkBody(launchForm, parseJson(raw, req.headers['content-type']));
  const speed = given.speed ?? 1;
  if (speed !== 1 && deps.speed !== true) throw new HttpProblem(422, 'speed_not_allowed', 'speed is for an embedded server on loopback only; leave it out');
  const order = orderOf(deps, onePlan(given), given.environment, speed);
  const row = await startLaunch(deps, { key, raw, order, person: caller(call), speed, ...(given.note === undefined ? {} : { note: given.note }) });
  await holdIfFiring(deps, row);
  return {
    status: 201,
    headers: { location: `/api/launches/${encodeURIComponent(row.id)}` },
    body: {
      id: row.id,
      plan: { name: row.order.plan.name, hash: row.order.hash },
      environment: row.order.environment,
      speed: row.speed,
      startedBy: row.startedBy,
      startedAt: row.startedAt.toISOString(),
    },
  };
}

/** Checking a plan, and launching one. */
export const planRoutes: readonly Route[] = [
  {
    method: 'post',
    path: '/api/plans/check',
    summary: 'Check a plan (text/yaml, or JSON with plan or planYaml) and tell its story',
    access: 'person',
    body: 'any',
    responses: { 200: 'What is wrong with it, or its story' },
    handle: async (call) => Promise.resolve(checkRoute(call)),
  },
  {
    method: 'post',
    path: '/api/launches',
    summary: 'Launch a plan; needs an Idempotency-Key',
    access: STARTING_ROLES,
    body: 'any',
    responses: {
      201: 'Launched: its id',
      409: 'A flag is held by another launch',
      422: 'The plan or the request is refused',
      503: 'Not confirmed: send it again with the same key',
    },
    handle: launchRoute,
  },
];
