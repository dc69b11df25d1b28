import type { State } from '../../core/event.ts';
import { STATE_WORDS } from '../../core/headline.ts';
import { report } from '../../core/report.ts';
import { reportHtml, reportMarkdown } from '../../core/report-text.ts';
import { linksOf } from '../../store/lists.ts';
import { HttpProblem } from '../problem.ts';
import type { Answer, Call, Route } from '../route.ts';
import { showLaunch, showLaunches, unknownLaunch } from '../show.ts';

function stateOf(given: string | undefined): State | undefined {
  if (given === undefined) return undefined;
  const found = (Object.keys(STATE_WORDS) as State[]).find((state) => state === given);
  if (found === undefined)
    throw new HttpProblem(422, 'invalid_query', `state is ${JSON.stringify(given.slice(0, 60))}; expected one of ${Object.keys(STATE_WORDS).join(', ')}`);
  return found;
}

/** A whole number of the query between two bounds, `fallback` when it is not there. Throws HttpProblem 422. */
export function wholeNumber(name: string, given: string | undefined, low: number, high: number, fallback: number): number {
  if (given === undefined) return fallback;
  const value = Number(given);
  if (!/^\d{1,15}$/.test(given) || value < low || value > high)
    throw new HttpProblem(422, 'invalid_query', `${name} is ${JSON.stringify(given.slice(0, 60))}; expected a whole number from ${low} to ${high}`);
  return value;
}

async function list({ deps, query }: Call<unknown>): Promise<Answer> {
  const state = stateOf(query('state'));
  const [environment, plan, before, live] = [query('environment'), query('plan'), query('before'), query('live')];
  const launches = await showLaunches(deps.store, {
    limit: wholeNumber('limit', query('limit'), 1, 200, 50),
    ...(state === undefined ? {} : { state }),
    ...(environment === undefined ? {} : { environment }),
    ...(plan === undefined ? {} : { plan }),
    ...(before === undefined ? {} : { before }),
    ...(live === 'true' ? { live: true } : {}),
  });
  return { status: 200, body: { launches } };
}

async function reportRoute({ deps, req, param, query }: Call<unknown>): Promise<Answer> {
  const id = param('id');
  const links = await linksOf(deps.store.db, id);
  if (links.length === 0) throw unknownLaunch(id);
  const folded = report(links);
  const format = query('format') ?? req.accepts(['application/json', 'text/markdown', 'text/html']);
  switch (format) {
    case 'application/json':
    case 'json':
      return { status: 200, body: folded, headers: { vary: 'Accept' } };
    case 'text/markdown':
    case 'md':
      return { status: 200, text: reportMarkdown(folded), type: 'text/markdown; charset=utf-8', headers: { vary: 'Accept' } };
    case 'text/html':
    case 'html':
      return { status: 200, text: reportHtml(folded), type: 'text/html; charset=utf-8', headers: { vary: 'Accept' } };
    default:
      throw new HttpProblem(406, 'not_acceptable', 'a report comes as application/json, text/markdown or text/html');
  }
}

/** Launches to look at. */
export const launchRoutes: readonly Route[] = [
  {
    method: 'get',
    path: '/api/launches',
    summary: 'Launches, newest first (state, environment, plan, live, before, limit)',
    access: 'person',
    responses: { 200: 'The launches' },
    handle: list,
  },
  {
    method: 'get',
    path: '/api/launches/:id',
    summary: 'One launch as it stands',
    access: 'person',
    responses: { 200: 'The launch', 404: 'There is no such launch' },
    handle: async ({ deps, param }) => ({ status: 200, body: await showLaunch(deps.store, param('id')) }),
  },
  {
    method: 'get',
    path: '/api/launches/:id/report',
    summary: 'The record of a launch, from its event log alone: JSON, Markdown or HTML',
    access: 'person',
    responses: { 200: 'The report', 404: 'There is no such launch' },
    handle: reportRoute,
  },
];
